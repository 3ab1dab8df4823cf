"""Pictures of lights and maps of them: compression, alignment, dense search, proof."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from detectors.types import BoolArray, FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import make_pyramid
from matchers.geometry.pose import FOCAL, ROTATION, PosePrior, step_camera
from matchers.lights import dense
from matchers.lights.compiled_patches import fill_best_matches
from matchers.lights.dense import (
    choose_templates,
    correlate,
    project_stereographic,
)
from matchers.lights.gauss_newton import Alignment, align, correlation
from matchers.lights.photo_light import EvenedImage, detail, light_image
from matchers.lights.verify import (
    LIGHTS,
    LightPeaks,
    correlate_displaced,
    find_light_peaks,
    image_log10_odds,
    score_lights,
)
from matchers.points.asterisms import unit
from tests.world.towns import (
    VELOCITY,
    LampWorld,
    Levels,
    camera_over,
    light_grid,
    log_picture,
    miss_px,
    prior_of,
    town_lamps,
)


def blob(width: int, height: int, x: float, y: float, sigma: float) -> FloatImage:
    j, i = np.arange(width), np.arange(height)
    across = np.exp(-0.5 * ((j - x) / sigma) ** 2)
    down = np.exp(-0.5 * ((i - y) / sigma) ** 2)
    return np.outer(down, across).astype(np.float32)


def centroid(image: FloatImage) -> tuple[float, float]:
    i, j = np.mgrid[: image.shape[0], : image.shape[1]]
    total = float(image.sum())
    return float((image * j).sum()) / total, float((image * i).sum()) / total


def lit(values: FloatImage) -> EvenedImage:
    return EvenedImage(values=values, weight=np.ones_like(values), factor=0.5)


@pytest.mark.parametrize("size", [(1200, 800), (640, 425), (799, 1200)])
@pytest.mark.parametrize("side", [300, 60])
def test_resizing_keeps_places(size: tuple[int, int], side: int) -> None:
    """A light at (x, y) comes to lie at (x + 1/2) factor - 1/2: pixels are areas.

    Also where the size does not divide: 425 rows at a tenth are 42, not 42.5.
    """
    width, height = size
    for x, y in ((120.0, 150.0), (width - 140.3, height - 121.7)):
        image = lit(blob(width, height, x, y, 12.0))
        small = image.resized(side)
        scale = small.factor / image.factor
        assert max(small.values.shape) == side
        expected = ((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5)
        assert centroid(small.values) == pytest.approx(expected, abs=0.05)


def test_diffuse_light_is_dark_and_noise_and_broad_structure_are_small() -> None:
    level, sigma, everywhere = (np.full((40, 60), value, np.float32) for value in (0.2, 0.01, 1.0))
    light = level.copy()
    light[5, 5], light[6, 30] = 0.2 + 3.0 * 0.01, 0.9
    image = light_image(light, level, sigma, everywhere, 0.7)
    assert image.factor == 0.7
    assert image.values[20, 20] == image.values.min() == 0.0
    assert image.values[5, 5] == pytest.approx(np.log10(2.0), abs=1e-3)  # the knee: 3 sigma
    assert image.values[6, 30] == pytest.approx(np.log10(1.0 + 0.7 / 0.03), abs=1e-3)
    assert light_image(0.5 * light, level, sigma, everywhere, 1.0).values[20, 20] == 0.0
    y, x = np.mgrid[:80, :120].astype(np.float32)
    broad, fine = 0.01 * x + 0.02 * y, blob(120, 80, 60.0, 40.0, 1.0)
    left = detail((broad + fine).astype(np.float32), 4.0)
    assert left[40, 60] > 0.85
    far = np.hypot(x - 60.0, y - 40.0)[20:-20, 20:-20] > 18.0
    assert np.abs(left[20:-20, 20:-20][far]).max() < 1e-3


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(2, 2.0, 36.0, 20.0, 50.0, towns=900, lamps_per_town=60, radius_km=4.0)


@pytest.fixture(scope="module")
def levels(lamps: LampWorld) -> Levels:
    return make_pyramid(light_grid(lamps, 2.0, 36.0, 20.0, 50.0, 0.01), 5)


def truth(**changes: Any) -> Camera:
    given = {"off_nadir": 20.0, "azimuth": 40.0, "roll": 65.0, **changes}
    return camera_over(10.5, 42.5, width=128, height=96, focal_px=220.0, **given)


def free(*which: int | slice) -> BoolArray:
    chosen = np.zeros(10, bool)
    for k in which:
        chosen[k] = True
    return chosen


def aligned(
    levels: Levels,
    photo: FloatImage,
    start: Camera,
    believed: PosePrior,
    *freed: int | slice,
    weight: FloatImage | None = None,
    **given: int,
) -> Alignment:
    """The start aligned with a photo, all of which counts unless told otherwise."""
    weight = np.ones_like(photo) if weight is None else weight
    return align(levels, photo, weight, start, believed, free=free(*freed), **given)


def apart_px(found: Camera, true: Camera) -> float:
    """Root mean square distance between the pixels of the same ground."""
    away = miss_px(found, true, *np.meshgrid(np.linspace(5, 122, 9), np.linspace(5, 90, 7)))
    return float(np.sqrt(np.mean(away**2)))


def perturbed(camera: Camera, seed: int, pixels: float) -> Camera:
    """The camera turned at random so that the picture moves by so many pixels."""
    rng = np.random.default_rng(seed)
    turn = rng.normal(size=3)
    step = np.zeros(10)
    step[ROTATION] = turn / np.linalg.norm(turn) * pixels / camera.focal_px
    step[2] *= 2.0  # a roll moves the middle of the picture less
    step[FOCAL] = 0.01 * rng.normal()
    return step_camera(camera, VELOCITY, step)


@pytest.mark.parametrize("seed", range(3))
def test_it_converges_from_a_few_pixels_away(lamps: LampWorld, levels: Levels, seed: int) -> None:
    true = truth(off_nadir=20.0 * seed, roll=100.0 * seed)
    photo = log_picture(true, lamps)
    start = perturbed(true, seed, 4.0)
    assert apart_px(start, true) > 1.0
    given = {"iterations": 15, "supersample": 2}
    found = aligned(levels, photo, start, prior_of(true), ROTATION, FOCAL, **given)
    assert apart_px(found.camera, true) < 0.3
    assert found.ncc > 0.9
    # What is not free stays
    assert found.camera.position_ecef_m == pytest.approx(start.position_ecef_m)
    assert found.camera.distortion == start.distortion


def test_masked_pixels_do_not_count(lamps: LampWorld, levels: Levels) -> None:
    true = truth()
    photo = log_picture(true, lamps)
    spoilt, weight = photo.copy(), np.ones_like(photo)
    spoilt[:30] = 3.0 * np.random.default_rng(0).random((30, 128), np.float32)
    weight[:30] = 0.0
    start = perturbed(true, 1, 2.0)
    found, same = (
        aligned(levels, it, start, prior_of(true), ROTATION, FOCAL, weight=weight, iterations=12)
        for it in (spoilt, photo)
    )
    assert apart_px(found.camera, true) < 0.3
    assert found.ncc == pytest.approx(same.ncc)
    nothing = aligned(levels, 0.0 * photo + 0.5, true, prior_of(true), ROTATION)
    assert (nothing.ncc, nothing.camera) == (0.0, true)


def test_correlation_is_the_weighted_one() -> None:
    photo, view, weight = np.random.default_rng(4).random((3, 20, 30)).astype(np.float32)
    off = [image - np.average(image, weights=weight) for image in (photo, view)]
    cov = [[np.average(a * b, weights=weight) for a in off] for b in off]
    expected = cov[0][1] / np.sqrt(cov[0][0] * cov[1][1])
    assert correlation(photo, view, weight) == pytest.approx(expected, abs=1e-6)
    assert correlation(photo, 3.0 - 2.0 * view, weight) == pytest.approx(-expected, abs=1e-6)


def test_correlation_is_that_of_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """At every shift, the image's about its mean and the tile's about 0."""
    # Of a template of 11 x 17 px: eight rolls, tiles of 40 px; any map varies enough
    monkeypatch.setattr(dense, "CORNER_PX", 3.98)
    monkeypatch.setattr(dense, "MAX_TILE_PX", 40)
    monkeypatch.setattr(dense, "MIN_SPREAD", 1e-6)
    monkeypatch.setattr(dense, "MIN_SPREAD_SHARE", 0.0)
    rng = np.random.default_rng(3)
    template = cv2.GaussianBlur(rng.random((11, 17)).astype(np.float32), (0, 0), 1.0)
    tile = cv2.GaussianBlur(rng.random((40, 40)).astype(np.float32), (0, 0), 1.0)
    templates = choose_templates(template, np.ones_like(template), 1e4)
    found = correlate(tile, None, templates)
    side = templates.side_px
    assert found.shape == (8, 40 - side + 1, 40 - side + 1)
    assert len(templates.window_spectra) == 4
    windows = sliding_window_view(tile, (side, side))
    for k in range(8):  # opposite rolls share a window
        image = templates.images[k, :side, :side]
        window = fft.irfft2(np.conj(templates.window_spectra[k % 4]), (40, 40))[:side, :side]
        inside = np.round(window) > 0
        centred = image[inside] - image[inside].mean()
        parts = windows[..., inside]
        expected = parts @ centred / np.linalg.norm(parts, axis=-1) / np.linalg.norm(centred)
        assert found[k] == pytest.approx(expected, abs=2e-3)


def test_a_pinhole_image_becomes_stereographic() -> None:
    """A smooth picture, drawn in either projection from its definition."""
    for width, height, focal in ((24, 96, 60.0), (96, 70, 400.0), (90, 90, 50.0)):
        cx, cy = (width - 1) / 2.0, (height - 1) / 2.0

        def scene(px: FloatArray, py: FloatArray) -> FloatArray:
            return 2.0 + np.sin(px / 11.0) + np.cos(py / 9.0 + px / 17.0)

        x, y = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
        found = project_stereographic(scene(x, y).astype(np.float32), focal)
        # A stereographic pixel at radius 2 f tan(theta / 2) is the pinhole's at f tan(theta)
        radius = np.maximum(np.hypot(x - cx, y - cy), 1e-9)
        stretch = focal * np.tan(2.0 * np.arctan(radius / (2.0 * focal))) / radius
        at_x, at_y = cx + (x - cx) * stretch, cy + (y - cy) * stretch
        inside = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0) & (at_y <= height - 1)
        outside = (at_x < -1) | (at_x > width) | (at_y < -1) | (at_y > height)
        # Bilinear interpolation of waves 9 px a radian is good to 1 / 8 / 9^2 of each
        assert np.abs(found - scene(at_x, at_y))[inside].max() < 0.01
        assert (found[outside] == 0.0).all()


def test_best_matches_are_those_of_every_turn_of_every_place() -> None:
    """As sums of complex harmonics, turned by the angle from a place's frame to the patch."""
    rng = np.random.default_rng(2)
    views, patches, near, refs, harmonics_, width = 4, 6, 3, 30, 5, 4
    distance, reach = rng.uniform(size=(views, patches, near)), rng.uniform(size=(views, patches))
    reach[0, 0] = 0.0
    places = rng.integers(0, refs, distance.shape)
    rotations = Rotation.random(views, random_state=1).as_matrix()
    local = Rotation.random(refs, random_state=2).as_matrix()
    right = unit(rng.normal(size=(patches, 3)))
    coefficients = rng.integers(-90, 90, (harmonics_, refs, width)).astype(np.int8)
    asked = (0.01 * rng.normal(size=(patches, harmonics_, 2, width))).astype(np.float32)
    turns_rad = np.array([-0.2, 0.0, 0.3])
    best, which = np.full(reach.shape, -1.0), np.zeros(reach.shape, np.int64)
    fill_best_matches(
        *(distance, places, reach, rotations, local, right, coefficients, asked, turns_rad),
        *(best, which),
    )
    for v, n in np.ndindex(*reach.shape):
        scores = [-1.0]
        for k in np.flatnonzero(distance[v, n] < reach[v, n]):
            east, north, _ = local[places[v, n, k]].T @ rotations[v] @ right[n]
            factors = asked[n, :, 0] + 1j * asked[n, :, 1]
            cross = (factors * coefficients[:, places[v, n, k]]).sum(axis=1)
            angles = np.outer(np.arange(1, 6), np.arctan2(north, east) + turns_rad)
            scores.append(float((cross[:, None] * np.exp(1j * angles)).real.sum(axis=0).max()))
            if scores[-1] == max(scores) > -1.0:
                assert which[v, n] == k or best[v, n] > scores[-1]
        assert best[v, n] == pytest.approx(max(scores), abs=1e-4)
    assert (best > -1.0).mean() > 0.4


def picture_of_towns(places: FloatArray, strength: FloatArray) -> FloatImage:
    """Gaussian towns of 1.5 px at sub-pixel places."""
    y, x = np.mgrid[:200, :300]
    image = np.zeros((200, 300))
    for (px, py), s in zip(places, strength, strict=True):
        image += s * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2) / 1.5**2)
    return image.astype(np.float32)


def planted(seed: int, count: int) -> FloatArray:
    """Places at least 20 px from each other and 12 px inside the frame."""
    rng = np.random.default_rng(seed)
    found: list[tuple[float, float]] = []
    while len(found) < count:
        p = (rng.uniform(12, 287), rng.uniform(12, 187))
        if all(np.hypot(p[0] - q[0], p[1] - q[1]) > 20.0 for q in found):
            found.append(p)
    return np.array(found)


def test_planted_towns_are_found_to_a_fraction_of_a_pixel() -> None:
    places = planted(0, 25)
    strength = np.linspace(1.0, 0.3, 25)
    found = find_light_peaks(picture_of_towns(places, strength), None, 100)
    strong = found.positions[found.contrast > 0.05]
    assert len(strong) == 25
    nearest = np.linalg.norm(strong[:, None] - places[None], axis=2)
    assert nearest.min(axis=1).max() < 0.3
    assert nearest.min(axis=0).max() < 0.3
    assert (np.diff(found.contrast) <= 0.0).all()
    brightest = find_light_peaks(picture_of_towns(places, strength), None, 5).positions
    assert np.linalg.norm(brightest[:, None] - places[:8][None], axis=2).min(axis=1).max() < 0.3


def test_even_light_beside_a_mask_is_no_town() -> None:
    """The surroundings are what counts of them; against the dark mask the edge would stand out."""
    weight = np.ones((200, 300), np.float32)
    weight[:, :150] = 0.0
    town = picture_of_towns(np.array([[162.0, 100.0]]), np.array([0.5]))
    image = np.where(weight > 0.0, town + np.float32(0.5), np.float32(0.0))
    found = find_light_peaks(image, weight, 100)
    assert found.positions == pytest.approx(np.array([[162.0, 100.0]]), abs=0.3)
    unmasked = find_light_peaks(image, None, 100)
    assert (np.abs(unmasked.x - 150.0) < 5.0 * LIGHTS.scale_px).sum() > 1


WIDTH, HEIGHT = 900, 600
FIELDS = 200  # of them none above a bound: it holds for all but 1.5 % of such fields (95 %)


def towns_at(places: FloatArray) -> LightPeaks:
    """LightPeaks, the first the strongest."""
    return LightPeaks(x=places[:, 0], y=places[:, 1], contrast=np.linspace(1.0, 0.1, len(places)))


def world(seed: int, count: int) -> FloatArray:
    """Towns in clumps, as they are strung along coasts and valleys."""
    rng = np.random.default_rng([seed, 7])
    centres = rng.uniform([0, 0], [WIDTH, HEIGHT], (max(count // 6, 3), 2))
    clumped = centres[rng.integers(len(centres), size=count)] + rng.normal(0, 60.0, (count, 2))
    loose = rng.uniform([0, 0], [WIDTH, HEIGHT], (count, 2))
    chosen = np.where(rng.random((count, 1)) < 0.6, clumped, loose)
    size = np.array([WIDTH, HEIGHT])
    return np.asarray(np.abs((chosen + size) % (2 * size) - size))  # reflected at the border


@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_towns_prove_a_camera_and_disprove_a_shifted_one(seed: int) -> None:
    places = world(seed, 150)
    rng = np.random.default_rng([seed, 8])
    jitter = rng.normal(0.0, 0.3 * LIGHTS.match_px, places.shape)
    others = world(seed + 100_000, len(places))
    photo = np.where(rng.random((len(places), 1)) < 0.5, places + jitter, others)
    log10_odds, matched = score_lights(towns_at(photo), towns_at(places))
    assert log10_odds > 15.0
    assert 0.4 * 150 < len(matched) < 0.75 * 150
    nearest = np.linalg.norm(photo[matched][:, None] - places[None], axis=2).min(axis=1)
    assert nearest.max() < LIGHTS.match_px
    assert score_lights(towns_at(photo + np.array([23.0, -17.0])), towns_at(places))[0] < 0.0


def test_chance_seldom_looks_like_proof() -> None:
    """Odds of ten to one come up in less than one field of ten, as odds should."""
    odds = []
    for seed in range(FIELDS):  # as crowded, but elsewhere: columns and rows put together anew
        rng = np.random.default_rng(seed)
        places = world(seed, int(rng.integers(20, 150)))
        photo = np.stack([rng.permutation(side) for side in places.T], axis=1)
        odds.append(score_lights(towns_at(photo), towns_at(places))[0])
    assert max(odds) < 3.0
    assert np.mean(np.array(odds) > 1.0) <= 0.1
    assert np.median(odds) < -1.0


@pytest.mark.slow
def test_unrelated_lands_prove_nothing() -> None:
    odds = []
    for seed in range(FIELDS):
        rng = np.random.default_rng(seed)
        photo = world(seed, int(rng.integers(12, 150)))
        other = world(seed + 5000, int(rng.integers(20, 300)))
        odds.append(score_lights(towns_at(photo), towns_at(other))[0])
    assert max(odds) < 1.0
    assert np.median(odds) < -3.0


def test_pictures_agree_everywhere_or_prove_nothing() -> None:
    """One place taken at random is as good as one in ten or so, seldom as good as one in 10^4."""
    by_chance = [image_log10_odds(grain(k), grain(k + 500), EVERYWHERE, 4.0) for k in range(60)]
    assert np.median(by_chance) < 1.0
    assert max(by_chance) < 4.0
    for seed in range(3):
        assert image_log10_odds(*mixed(0.5, seed), EVERYWHERE, 4.0) > 10.0
        assert image_log10_odds(*mixed(0.9, seed), EVERYWHERE, 4.0) > 14.0
    assert image_log10_odds(*mixed(0.6, 8), 0.0 * EVERYWHERE, 4.0) == 0.0


SHAPE = (90, 128)
EVERYWHERE = np.ones(SHAPE, np.float32)


def grain(seed: int, blur_px: float = 1.5) -> FloatImage:
    """Noise of a grain, mean 0 and variance 1."""
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    image = ndimage.gaussian_filter(noise, blur_px, mode="wrap")
    return np.asarray((image - image.mean()) / image.std(), np.float32)


def mixed(share: float, seed: int) -> tuple[FloatImage, FloatImage]:
    """A photo and a view that correlate by about a share."""
    view = grain(seed)
    photo = share * view + np.sqrt(1.0 - share**2) * grain(seed + 1000)
    return np.asarray(photo, np.float32), view


def test_the_correlation_at_every_shift_is_that_of_the_shifted_pictures() -> None:
    rng = np.random.default_rng(1)
    photo, view = mixed(0.4, 1)
    weight = np.asarray(rng.uniform(size=SHAPE) > 0.3, np.float32)
    found = correlate_displaced(photo, view, weight)
    counted = weight > 0.0
    turned = (view, np.flipud(view), np.fliplr(view), np.rot90(view, 2))
    for k, down, across in [(0, 0, 0), (0, 7, 100), (1, 3, 4), (2, 80, 1), (3, 45, 64)]:
        moved = np.roll(turned[k], (-down, -across), (0, 1))
        expected = np.corrcoef(photo[counted], moved[counted])[0, 1]
        assert found[k, down, across] == pytest.approx(expected, abs=1e-4)
