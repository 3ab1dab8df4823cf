"""Patches are found again where they were moved to, and know how well."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import fourier_shift

from detectors.types import FloatImage, IndexArray
from matchers.lights.patches import (
    MIN_NCC,
    PatchMatches,
    choose_patches,
    group_patches,
    locate_peaks,
    match_patches,
    measure_texture,
)
from tests.world.towns import matched

SIDE = 160


def random_lights(seed: int, smooth_px: float = 1.5) -> FloatImage:
    """A periodic picture of blurred lights: it can be shifted exactly in the Fourier domain."""
    rng = np.random.default_rng(seed)
    lamps = (rng.random((SIDE, SIDE)) < 0.03) * rng.uniform(0.3, 1.0, (SIDE, SIDE))
    spectrum = np.fft.fft2(lamps)
    f = np.fft.fftfreq(SIDE)
    blur = np.exp(-2.0 * (np.pi * smooth_px) ** 2 * (f[:, None] ** 2 + f**2))
    return (20.0 * np.fft.ifft2(spectrum * blur).real).astype(np.float32)


def shifted(image: FloatImage, dx: float, dy: float) -> FloatImage:
    moved = np.fft.ifft2(fourier_shift(np.fft.fft2(image), (dy, dx)))
    return np.asarray(moved.real, np.float32)


def noise_field(rng: np.random.Generator, sigma: float, smooth_px: float = 0.85) -> FloatImage:
    """Noise with the grain of blurred pictures: one independent sample in about 3 x 3 px.

    White noise behind a Gaussian of sigma s counts once in 4 pi s^2 pixels: 9 for s = 0.85.
    """
    noise = rng.normal(size=(SIDE, SIDE))
    f = np.fft.fftfreq(SIDE)
    blur = np.exp(-2.0 * (np.pi * smooth_px) ** 2 * (f[:, None] ** 2 + f**2))
    smooth = np.fft.ifft2(np.fft.fft2(noise) * blur).real
    return (sigma * smooth / smooth.std()).astype(np.float32)


def lattice(border: int = 30, step: int = 25) -> IndexArray:
    x, y = np.meshgrid(
        np.arange(border, SIDE - border, step), np.arange(border, SIDE - border, step)
    )
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.intp)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.4), (-2.5, 1.5), (3.71, 4.12), (-0.5, 0.5)])
def test_known_shifts_are_recovered(shift: tuple[float, float]) -> None:
    view = random_lights(1)
    found = match_patches(shifted(view, *shift), view, lattice(), 31, 6)
    assert len(found) == len(lattice())
    assert np.stack([found.dx, found.dy], axis=1) == pytest.approx(
        np.tile(shift, (len(found), 1)), abs=0.05
    )
    assert found.ncc.min() > 0.9


def test_gain_and_offset_change_nothing() -> None:
    view = random_lights(2)
    photo = 0.3 * shifted(view, 1.25, -0.75) + 0.7
    found = match_patches(photo, view, lattice(), 31, 4)
    assert found.dx == pytest.approx(1.25, abs=0.05)
    assert found.dy == pytest.approx(-0.75, abs=0.05)


@pytest.mark.parametrize("noise", [0.3, 0.8])
def test_the_covariance_is_honest(noise: float) -> None:
    """Errors over many draws of noise, in units of the stated sigma, are of size one."""
    view = random_lights(3)
    sigma = noise * float(view.std())
    rng = np.random.default_rng(0)
    white = []
    for _ in range(25):
        photo = shifted(view, 0.6, -1.3) + noise_field(rng, sigma)
        found = match_patches(photo, view, lattice(), 31, 5)
        error = np.stack([found.dx - 0.6, found.dy + 1.3], axis=1)
        whiten = np.linalg.cholesky(np.linalg.inv(found.covariance)).transpose(0, 2, 1)
        white.append(np.einsum("nij,nj->ni", whiten, error))
    normalised = np.concatenate(white)
    assert len(normalised) > 0.9 * 25 * len(lattice())
    # Robust, for a patch may also lock on to another place altogether
    spread = 1.4826 * np.median(np.abs(normalised), axis=0)
    assert (spread > 0.5).all()
    assert (spread < 2.0).all()


def test_a_street_fixes_one_direction_only() -> None:
    view = np.zeros((SIDE, SIDE), np.float32)
    view[80] = 1.0
    view += 0.05 * random_lights(5)
    view = cv2.GaussianBlur(view, (0, 0), 1.5)
    noise = noise_field(np.random.default_rng(2), 0.02)
    found = match_patches(view + noise, view, np.array([[80, 80]], np.intp), 31, 6)
    assert len(found) == 1
    assert found.covariance[0, 0, 0] > 10.0 * found.covariance[0, 1, 1]


def test_peaks_on_the_border_are_rejected() -> None:
    view = random_lights(6)
    photo = shifted(view, 8.0, 0.0)
    reached = match_patches(photo, view, lattice(), 31, 10)
    beyond = match_patches(photo, view, lattice(), 31, 8)
    assert len(reached) == len(lattice())
    assert (np.abs(beyond.dx) < 7.0).sum() == len(beyond)  # chance peaks at most
    assert len(beyond) < 0.3 * len(lattice())


def test_unlike_pictures_do_not_match() -> None:
    found = match_patches(random_lights(7), random_lights(8), lattice(), 31, 3)
    assert len(found) <= 0.1 * len(lattice())
    assert (found.ncc >= MIN_NCC).all()


def test_flat_patches_are_passed_over() -> None:
    view = random_lights(9)
    dark = np.zeros_like(view)
    assert len(match_patches(dark, view, lattice(), 31, 3)) == 0
    nothing = match_patches(view, dark, lattice(), 31, 3)
    assert len(nothing) == 0
    assert nothing.covariance.shape == (0, 2, 2)


def test_one_patch_in_each_cell_at_its_best_texture() -> None:
    view = np.zeros((120, 180), np.float32)
    towns = [(40, 40), (90, 45), (140, 40), (45, 80), (95, 78), (135, 82)]
    for x, y in towns:
        view[y, x] = 10.0
    view = cv2.GaussianBlur(view, (0, 0), 2.0)
    weight = np.ones_like(view)
    centres = choose_patches(measure_texture(view, weight, 21), 21, (3, 2), 5)
    assert len(centres) == 6
    near = [min(np.hypot(x - cx, y - cy) for x, y in towns) for cx, cy in centres]
    assert max(near) <= 11.0  # the town lies in its window
    assert centres[:, 0].min() >= 21 // 2 + 5
    assert centres[:, 0].max() <= 180 - 21 // 2 - 5 - 1
    strength = cv2.cornerMinEigenVal(view, 21, ksize=3)[centres[:, 1], centres[:, 0]]
    assert (np.diff(strength) <= 1e-9).all()
    weight[:, 110:] = 0.0
    left = choose_patches(measure_texture(view, weight, 21), 21, (3, 2), 5)
    assert len(left) == 4
    assert left[:, 0].max() + 10 < 110


SIZE_PX = 31


def patches_at(places: list[tuple[int, int]]) -> PatchMatches:
    x, y = np.array(places, float).T
    return matched(x, y, np.zeros((len(places), 2)), 0.0, size_px=SIZE_PX)


def lights_at(*places: tuple[int, int]) -> np.ndarray:
    view = np.zeros((120, 200), np.float32)
    for x, y in places:
        view[y, x] = 1.0
    return np.asarray(cv2.GaussianBlur(view, (0, 0), 1.5), np.float32)


def test_patches_around_one_light_are_one_group() -> None:
    view = lights_at((60, 50), (140, 60))
    places = [(60, 50), (50, 42), (140, 60), (70, 60), (148, 52), (52, 60)]
    assert group_patches(view, np.array(places), SIZE_PX).tolist() == [0, 0, 1, 0, 1, 0]


def test_patches_side_by_side_in_a_city_are_groups_of_their_own() -> None:
    rng = np.random.default_rng(0)
    view = np.asarray(rng.uniform(size=(120, 200)), np.float32)
    places = [(x, y) for x in (20, 51, 82, 113) for y in (20, 51, 82)]
    assert group_patches(view, np.array(places), SIZE_PX).tolist() == list(range(12))


def test_patches_have_in_common_what_their_squares_do() -> None:
    places = [(20, 20), (30, 20), (30, 12), (51, 20), (50, 49), (20, 20)]
    overlap = patches_at(places).overlap
    for k, (x, y) in enumerate(places):
        for m, (other_x, other_y) in enumerate(places):
            columns = {x + d for d in range(SIZE_PX)} & {other_x + d for d in range(SIZE_PX)}
            rows = {y + d for d in range(SIZE_PX)} & {other_y + d for d in range(SIZE_PX)}
            assert overlap[k, m] == pytest.approx(len(columns) * len(rows) / SIZE_PX**2)


@pytest.mark.parametrize("kind", ["mask", "index"])
def test_some_of_the_matches_keep_all_that_is_theirs(kind: str) -> None:
    view = random_lights(4)
    matches = match_patches(view, view, lattice(), 31, 3)
    which = np.array([5, 2]) if kind == "index" else np.arange(len(matches)) % 3 == 0
    some = matches.chosen(which)
    assert some.size_px == matches.size_px == 31
    for name in ("x", "y", "dx", "dy", "covariance", "ncc"):
        assert np.array_equal(getattr(some, name), getattr(matches, name)[which])


def brute_choice(
    texture: FloatImage, size_px: int, cells: tuple[int, int], reach_px: int
) -> list[tuple[int, int]]:
    """The best pixel of each cell, pixel by pixel."""
    height, width = texture.shape
    border = size_px // 2 + reach_px + 1
    across, down = width - 2 * border, height - 2 * border
    best: dict[tuple[int, int], tuple[float, int, int]] = {}
    # As even as can be, the first ones larger by one
    columns = np.repeat(
        range(cells[0]), [across // cells[0] + (k < across % cells[0]) for k in range(cells[0])]
    )
    rows = np.repeat(
        range(cells[1]), [down // cells[1] + (k < down % cells[1]) for k in range(cells[1])]
    )
    for y in range(down):
        for x in range(across):
            cell, value = (columns[x], rows[y]), float(texture[border + y, border + x])
            if cell not in best or value > best[cell][0]:
                best[cell] = (value, border + x, border + y)
    floor = 1e-6 + 1e-3 * float(np.percentile(texture, 99.5))
    found = sorted((one for one in best.values() if one[0] > floor), reverse=True)
    return [(x, y) for _, x, y in found]


@pytest.mark.parametrize("cells", [(3, 2), (7, 5), (1, 1), (200, 200)])
@pytest.mark.parametrize(("size_px", "reach_px"), [(9, 2), (11, 0)])
def test_the_best_place_of_every_cell_is_that_of_all_its_pixels(
    cells: tuple[int, int], size_px: int, reach_px: int
) -> None:
    rng = np.random.default_rng(2)
    texture = rng.exponential(size=(47, 62)).astype(np.float32)
    texture[:, 30:38] = 0.0
    texture[20:24] = 0.001
    found = choose_patches(texture, size_px, cells, reach_px)
    assert [tuple(one) for one in found.tolist()] == brute_choice(texture, size_px, cells, reach_px)


def test_nothing_is_chosen_of_a_picture_smaller_than_a_patch() -> None:
    assert choose_patches(np.ones((20, 50), np.float32), 21, (3, 2), 5).shape == (0, 2)


def find_peak(surface: FloatImage, samples: float) -> tuple[float, float, float, np.ndarray] | None:
    """Height, place and covariance of the peak of one surface."""
    index, ncc, x, y, covariance = locate_peaks(surface[None], samples)
    return (float(ncc[0]), float(x[0]), float(y[0]), covariance[0]) if len(index) else None


def quadratic(x: float, y: float, height: float, xx: float, xy: float, yy: float) -> FloatImage:
    row, col = np.mgrid[0:7, 0:9].astype(float)
    u, v = col - x, row - y
    return np.asarray(height - 0.5 * (xx * u * u + 2 * xy * u * v + yy * v * v), np.float32)


@pytest.mark.parametrize(("x", "y"), [(4.0, 3.0), (3.7, 2.6), (1.3, 5.2), (6.9, 1.1)])
@pytest.mark.parametrize(("xx", "xy", "yy"), [(0.02, 0.0, 0.03), (0.05, 0.02, 0.03)])
def test_the_peak_of_a_quadratic_is_where_it_is_and_as_sure_as_it_is_sharp(
    x: float, y: float, xx: float, xy: float, yy: float
) -> None:
    """Variance: (1 - r^2) / samples / r times the inverse of the curvature."""
    found = find_peak(quadratic(x, y, 0.8, xx, xy, yy), 50.0)
    assert found is not None
    r, found_x, found_y, spread = found
    assert (found_x, found_y) == pytest.approx((x, y), abs=1e-4)
    inverse = np.linalg.inv([[xx, xy], [xy, yy]])
    expected = (1.0 - r**2) / 50.0 / r * inverse
    assert spread == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_there_is_no_peak_on_the_rim_or_where_nothing_curves() -> None:
    for x, y in ((0.0, 3.0), (8.0, 3.0), (4.0, 0.0), (4.0, 6.0)):
        assert find_peak(quadratic(x, y, 0.8, 0.02, 0.0, 0.02), 50.0) is None
    for x, y in ((1.0, 3.0), (7.0, 3.0), (4.0, 1.0), (4.0, 5.0)):
        assert find_peak(quadratic(x, y, 0.8, 0.02, 0.0, 0.02), 50.0) is not None
    assert find_peak(np.full((7, 9), 0.5, np.float32), 50.0) is None
    # A ridge, across which alone it is known
    assert find_peak(quadratic(4.0, 3.0, 0.8, 0.02, 0.02, 0.02), 50.0) is None
    # A perfect peak is told as nearly one; a low one not as surer than it is
    high = find_peak(quadratic(4.0, 3.0, 1.0, 0.02, 0.0, 0.02), 10.0)
    assert high is not None
    assert high[0] == 0.999
    assert high[3][0, 0] == pytest.approx((1.0 - 0.999**2) / 10.0 / 0.999 / 0.02, rel=1e-3)
    low = find_peak(quadratic(4.0, 3.0, 0.01, 0.02, 0.0, 0.02), 10.0)
    assert low is not None
    assert low[3][0, 0] == pytest.approx((1.0 - 1e-4) / 10.0 / 0.05 / 0.02, rel=1e-3)


def test_lights_half_a_side_apart_are_two_groups_and_the_nearest_leads() -> None:
    dark = np.zeros((120, 200), np.float32)
    half = SIZE_PX / 2
    places = [(20, 60), (20 + int(half), 60), (21 + int(half), 60), (29, 60), (52, 60), (49, 60)]
    # 15 px are less than half of 31, 16 are more; 29 is nearer to 20, 49 to 52
    assert group_patches(dark, np.array(places), SIZE_PX).tolist() == [0, 0, 1, 1, 2, 2]
