"""The dense search finds the attitude of simulated views, turned and tilted as they may be."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray, FloatImage
from matchers.camera import Camera
from matchers.dense import (
    LEAST_OVERLAP,
    DenseParameters,
    TileGrid,
    boresights,
    camera_at,
    correlate,
    correlate_covered,
    peaks_of,
    search,
    stereographic,
    templates_for,
    tile_grid,
    turned_templates,
)
from matchers.light_grid import pyramid
from matchers.photo_light import detail
from tests.matchers.lamp_world import (
    LampWorld,
    Levels,
    angle_between_deg,
    camera_over,
    drawn_camera,
    light_grid,
    log_picture,
    look_matrix,
    miss_px,
    town_lamps,
)

WEST, SOUTH, EAST, NORTH = -12.0, 28.0, 36.0, 58.0
PARAMETERS = DenseParameters(template_px=48)
LENS = {"width": 48, "height": 32, "focal_px": 90.0}


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(1, WEST, SOUTH, EAST, NORTH, towns=5000, lamps_per_town=20, radius_km=5.0)


@pytest.fixture(scope="module")
def levels(lamps: LampWorld) -> Levels:
    return pyramid(light_grid(lamps, WEST, SOUTH, EAST, NORTH, 0.04), 5)


def candidates(
    levels: Levels,
    photo: Camera,
    picture: FloatImage,
    max_off_nadir: float,
    keep: int,
) -> list[Camera]:
    fine = detail(picture, PARAMETERS.detail_px)
    templates = templates_for(fine, np.ones_like(fine), photo.focal_px, PARAMETERS)
    directions = boresights(templates.step_deg, 0.0, max_off_nadir)
    blank = replace(photo, quaternion=(0.0, 0.0, 0.0, 1.0))
    peaks = list(islice(search(levels, blank, templates, directions, PARAMETERS), keep))
    assert [p.score for p in peaks] == sorted((p.score for p in peaks), reverse=True)
    return [peak.camera for peak in peaks]


def test_simulated_attitudes_are_recovered(lamps: LampWorld, levels: Levels) -> None:
    """Tilts up to 50 degrees, any roll, focal lengths 3 % off: among the ten best peaks."""
    found = 0
    seeds = 12
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        truth = drawn_camera(rng, (4.0, 20.0), (40.0, 47.0), (0.0, 50.0), **LENS)
        picture = log_picture(truth, lamps)
        believed = replace(truth, focal_px=90.0 * (1.03 if seed % 2 else 0.97))
        peaks = candidates(levels, believed, picture, 56.0, 10)
        assert len(peaks) == 10
        angle = min(angle_between_deg(truth, peak) for peak in peaks)
        x, y = np.meshgrid(np.linspace(4, 43, 7), np.linspace(4, 27, 5))
        near = min(np.median(miss_px(peak, truth, x, y)) for peak in peaks)
        found += angle < 8.0 and near < 3.0
    assert found >= 0.9 * seeds


def test_an_empty_map_gives_nothing(lamps: LampWorld, levels: Levels) -> None:
    dark = tuple(replace(level, values=np.zeros_like(level.values)) for level in levels)
    truth = camera_over(11.0, 44.0, **LENS)
    assert candidates(dark, truth, log_picture(truth, lamps), 20.0, 10) == []


def test_a_map_that_ends_is_searched_where_it_is(lamps: LampWorld, levels: Levels) -> None:
    truth = camera_over(11.0, 44.0, off_nadir=8.0, azimuth=90.0, roll=50.0, **LENS)
    grid = levels[0]
    valid = np.zeros(grid.values.shape, bool)
    col, _ = grid.to_pixel(np.array([11.2]), np.array([44.0]))
    valid[:, int(col[0]) :] = True  # the picture's western part lies outside
    ending = replace(grid, values=np.where(valid, grid.values, np.float32(0.0)), valid=valid)
    best = candidates(pyramid(ending, 5), truth, log_picture(truth, lamps), 10.0, 3)
    assert min(angle_between_deg(truth, camera) for camera in best) < 4.0
    nowhere = replace(ending, valid=np.zeros_like(valid))
    assert candidates(pyramid(nowhere, 5), truth, log_picture(truth, lamps), 10.0, 3) == []


def vectors(angles_deg: FloatArray) -> FloatArray:
    """Unit vectors of off-nadir angles and azimuths, shape (n, 3)."""
    lean, azimuth = np.radians(angles_deg).T
    return np.stack(
        [np.sin(lean) * np.cos(azimuth), np.sin(lean) * np.sin(azimuth), np.cos(lean)], axis=1
    )


def anywhere_in(nearest: float, farthest: float, count: int = 3000) -> FloatArray:
    """Directions spread evenly over a zone of the sphere: off-nadir angle and azimuth, degrees."""
    rng = np.random.default_rng(0)
    low, high = np.cos(np.radians([farthest, nearest]))
    lean = np.degrees(np.arccos(rng.uniform(low, high, count)))
    return np.stack([lean, rng.uniform(0.0, 360.0, count)], axis=1)


@pytest.mark.parametrize(
    ("width", "height", "focal_px"),
    [(64, 43, 50.0), (64, 43, 90.0), (64, 43, 150.0), (36, 24, 396)],
)
def test_tiles_and_their_shifts_leave_no_holes(width: int, height: int, focal_px: float) -> None:
    """Wherever the photo's middle is, some tile is compared with the photo near there.

    Alignment makes up for some pixels: one direction in a hundred may be missed by up to three.
    """
    image = np.ones((height, width), np.float32)
    templates = templates_for(image, image, focal_px, DenseParameters())
    reach_px = 0.5 * (templates.fft_px - templates.side_px)
    for zone in ((0.0, 40.0), (40.0, 70.0)):
        sight = vectors(anywhere_in(*zone))
        missed = np.full(len(sight), np.inf)
        for lean, azimuth in boresights(templates.step_deg, *zone):
            axis = vectors(np.array([[lean, azimuth]]))[0]
            up = vectors(np.array([[lean + 90.0, azimuth]]))[0]  # the tile's top: along the azimuth
            along = np.stack([sight @ np.cross(up, axis), sight @ up], axis=1)
            scale = 2.0 * focal_px / np.maximum(1.0 + sight @ axis, 1e-9)  # 2 f tan(theta / 2)
            beyond = np.abs(along * scale[:, None]).max(axis=1) - reach_px
            missed = np.minimum(missed, beyond)
        assert (missed > 0.5).mean() < 0.01
        assert missed.max() < 3.0


def brute_correlation(tile: FloatImage, image: FloatImage, mask: FloatImage) -> FloatArray:
    """Correlation at every shift, the image's about its mean and the tile's about 0."""
    n = tile.shape[0] - image.shape[0] + 1
    inside = mask > 0
    result = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            part = tile[i : i + len(image), j : j + len(image)][inside]
            centred = image[inside] - image[inside].mean()
            result[i, j] = (part @ centred) / np.linalg.norm(part) / np.linalg.norm(centred)
    return result


@pytest.fixture
def noise_templates() -> tuple[FloatImage, FloatImage, list[float]]:
    rng = np.random.default_rng(3)
    template = cv2.GaussianBlur(rng.random((11, 17)).astype(np.float32), (0, 0), 1.0)
    tile = cv2.GaussianBlur(rng.random((40, 40)).astype(np.float32), (0, 0), 1.0)
    return template, tile, list(np.arange(0.0, 360.0, 45.0))


def test_correlation_is_that_of_the_definition(
    noise_templates: tuple[FloatImage, FloatImage, list[float]],
) -> None:
    template, tile, rolls = noise_templates
    ones = np.ones_like(template)
    templates = turned_templates(template, ones, np.array(rolls), 40)
    found = correlate(tile, templates, 1e-6)
    side = templates.side_px
    assert found.shape == (8, 40 - side + 1, 40 - side + 1)
    assert len(templates.mask_spectra) == 4
    for k in range(8):  # opposite rolls share a window
        image = templates.images[k, :side, :side]
        window = fft.irfft2(np.conj(templates.mask_spectra[k % 4]), (40, 40))[:side, :side]
        expected = brute_correlation(tile, image, np.round(window))
        assert found[k] == pytest.approx(expected, abs=2e-3)


def test_correlation_with_a_partly_known_tile_is_that_of_the_definition(
    noise_templates: tuple[FloatImage, FloatImage, list[float]],
) -> None:
    template, tile, rolls = noise_templates
    templates = turned_templates(template, np.ones_like(template), np.array(rolls), 40)
    side = templates.side_px
    known = np.ones_like(tile)
    known[:, :10] = 0.0
    found = correlate_covered(tile, known, templates, 1e-6)
    window = np.round(fft.irfft2(np.conj(templates.mask_spectra[0]), (40, 40))[:side, :side])
    image = templates.images[0, :side, :side]
    n = 40 - side + 1
    for i, j in ((0, 0), (3, 8), (n - 1, n - 1), (0, n - 1)):
        inside = (window > 0) & (known[i : i + side, j : j + side] > 0)
        if inside.sum() < LEAST_OVERLAP * window.sum():
            assert found[0, i, j] == 0.0
            continue
        part = tile[i : i + side, j : j + side][inside]
        expected = np.corrcoef(part, image[inside])[0, 1]
        assert found[0, i, j] == pytest.approx(expected, abs=2e-3)
    everywhere = correlate_covered(tile, np.ones_like(tile), templates, 1e-6)
    about_zero = correlate(tile, templates, 1e-6)
    assert (np.abs(about_zero) <= np.abs(everywhere) + 2e-3).all()
    assert (np.sign(about_zero) == np.sign(everywhere))[np.abs(everywhere) > 0.01].all()


def test_bright_light_beside_the_template_lets_no_correlation_pass_one() -> None:
    """A window that is not quite the template's leaves out a town that the product has."""
    rng = np.random.default_rng(5)
    template = cv2.GaussianBlur(rng.random((9, 25)).astype(np.float32), (0, 0), 1.0)
    tile = 0.01 * rng.random((96, 96)).astype(np.float32)
    tile[::19, ::17] = 5.0
    rolls = np.arange(0.0, 360.0, 10.0)
    templates = turned_templates(template, np.ones_like(template), rolls, 96)
    assert np.abs(correlate(tile, templates, 1e-3)).max() <= 1.001


def test_a_template_masked_on_one_side_has_windows_for_every_roll(
    noise_templates: tuple[FloatImage, FloatImage, list[float]],
) -> None:
    """As under the limb: half a turn on, the window must not lie where the photo shows sky."""
    template, tile, _ = noise_templates
    mask = np.ones_like(template)
    mask[:5] = 0.0
    tile[20:] *= 0.05  # a spread taken on the wrong side would be far too small
    templates = turned_templates(template, mask, np.arange(0.0, 360.0, 90.0), 40)
    found = correlate(tile, templates, 1e-6)
    side = templates.side_px
    for k in (0, 2):
        image = templates.images[k, :side, :side]
        assert found[k] == pytest.approx(
            brute_correlation(tile, image, (image != 0.0).astype(float)), abs=2e-3
        )


@given(seed=st.integers(0, 10_000), count=st.integers(1, 4), reach=st.integers(0, 4))
def test_peaks_are_those_of_looking_at_one_roll_after_the_other(
    seed: int, count: int, reach: int
) -> None:
    """The highest, then the highest outside its surroundings, and so on; never one twice."""
    scores = np.random.default_rng(seed).normal(-0.3, 1.0, (3, 9, 9)).astype(np.float32)
    parameters = DenseParameters(peaks_per_view=count, peak_reach_px=reach)
    expected = []
    rows, columns = np.mgrid[:9, :9]
    for roll, surface in enumerate(scores):
        free = np.ones((9, 9), bool)
        for _ in range(count):
            best = max(((surface[p], p) for p in zip(*np.nonzero(free), strict=True)), default=None)
            if best is None or best[0] <= 0.0:
                break
            i, j = best[1]
            expected.append((roll, int(i), int(j), float(best[0])))
            free &= (abs(rows - i) > reach) | (abs(columns - j) > reach)
    assert sorted(peaks_of(scores, parameters)) == sorted(expected)


PHOTO = camera_over(12.0, 42.0, width=64, height=43, focal_px=90.0)
# A boresight anywhere that sees ground, and the tile's turn about it
ATTITUDE = look_matrix(12.0, 42.0, 35.0, 200.0, 0.0)
PLACES = st.floats(-80.0, 80.0)
ROLLS = st.floats(-180.0, 180.0)


def on_tile(grid: TileGrid, directions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pixels of directions in the tile's frame (Snyder 1987, eq. 21-2 to 21-4, polar aspect)."""
    x, y, z = np.moveaxis(directions / np.linalg.norm(directions, axis=-1, keepdims=True), -1, 0)
    radius = 2.0 * grid.focal_px * np.tan(0.5 * np.arctan2(np.hypot(x, y), z))
    azimuth = np.arctan2(y, x)
    middle = (grid.side_px - 1) / 2.0
    return middle + radius * np.cos(azimuth), middle + radius * np.sin(azimuth)


def seen_on_tile(grid: TileGrid, camera: Camera, x: float, y: float) -> FloatArray:
    """Where the tile shows what a pixel of a camera looks at."""
    ray = camera.rays(x, y) @ Rotation.from_quat(camera.quaternion).as_matrix().T
    return np.array(on_tile(grid, ray @ ATTITUDE))


@settings(deadline=None)
@given(dx=PLACES, dy=PLACES, roll=ROLLS)
def test_a_camera_lies_in_the_tile_where_it_was_put(dx: float, dy: float, roll: float) -> None:
    """Its middle is there, its right edge turned by the roll, its top to the left of that."""
    grid = tile_grid(181, 120.0)
    x, y = 90.0 + dx, 90.0 + dy
    camera = camera_at(PHOTO, grid, ATTITUDE, x, y, roll)
    middle = seen_on_tile(grid, camera, 31.5, 21.0)
    assert middle == pytest.approx([x, y], abs=1e-6)
    c, s = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    small = 1e-3
    for (px, py), direction in {
        (31.5 + small, 21.0): (c, s),
        (31.5, 21.0 - small): (s, -c),
    }.items():
        step = seen_on_tile(grid, camera, px, py) - middle
        assert step / np.linalg.norm(step) == pytest.approx(direction, abs=1e-4)
    assert camera.position_ecef_m == PHOTO.position_ecef_m
    assert camera.focal_px == PHOTO.focal_px


@given(
    width=st.integers(24, 96),
    height=st.integers(24, 96),
    focal_share=st.floats(0.5, 10.0),
)
def test_a_pinhole_image_becomes_stereographic(width: int, height: int, focal_share: float) -> None:
    """A smooth picture, drawn in either projection from its definition."""
    focal = focal_share * max(width, height)
    cx, cy = (width - 1) / 2.0, (height - 1) / 2.0

    def scene(px: FloatArray, py: FloatArray) -> FloatArray:
        return 2.0 + np.sin(px / 11.0) + np.cos(py / 9.0 + px / 17.0)

    x, y = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    found = stereographic(scene(x, y).astype(np.float32), focal)
    assert found.shape == (height, width)
    # A stereographic pixel at radius 2 f tan(theta / 2) is the pinhole's at f tan(theta)
    radius = np.hypot(x - cx, y - cy)
    theta = 2.0 * np.arctan(radius / (2.0 * focal))
    stretch = np.where(radius > 0.0, focal * np.tan(theta) / np.maximum(radius, 1e-9), 1.0)
    at_x, at_y = cx + (x - cx) * stretch, cy + (y - cy) * stretch
    inside = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0) & (at_y <= height - 1)
    outside = (at_x < -1) | (at_x > width) | (at_y < -1) | (at_y > height)
    # Bilinear interpolation of waves 9 px a radian is good to 1 / 8 / 9^2 of each
    assert np.abs(found - scene(at_x, at_y))[inside].max() < 0.01
    assert (found[outside] == 0.0).all()
