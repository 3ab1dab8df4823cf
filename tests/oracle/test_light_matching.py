"""Pictures of lights and maps of them: compression, alignment, dense and polar search, proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft, ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from detectors.types import BoolArray, FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import make_pyramid
from matchers.geometry.pose import (
    ALONG,
    FOCAL,
    PARAMETERS,
    ROTATION,
    PosePrior,
    move_on_orbit,
    step_camera,
)
from matchers.lights import polar_patches
from matchers.lights.compiled_patches import fill_best_matches
from matchers.lights.dense import (
    DenseParameters,
    choose_templates,
    correlate,
    project_stereographic,
    search,
    spread_boresights,
)
from matchers.lights.gauss_newton import (
    Alignment,
    align,
    correlation,
    gauss_newton_step,
)
from matchers.lights.photo_light import LightImage, detail, light_image, normalize_contrast
from matchers.lights.polar_patches import (
    ANGLES,
    COMPARED_PER_PLACE,
    MIN_TABLE_SHARE,
    PatchMap,
    PatchPhoto,
    PatchTable,
    build_table,
    find_places,
    fit_placements,
    harmonics,
    normalize_queries,
    place_patches,
    sample_rings,
)
from matchers.lights.verify import (
    LIGHTS,
    LightPeaks,
    correlate_displaced,
    find_light_peaks,
    image_log10_odds,
    score_lights,
)
from matchers.points.asterisms import frames, unit
from tests.world.towns import (
    VELOCITY,
    LampWorld,
    Levels,
    angle_between_deg,
    camera_over,
    drawn_camera,
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


def lit(values: FloatImage) -> LightImage:
    return LightImage(values=values, weight=np.ones_like(values), factor=0.5)


@pytest.mark.parametrize("size", [(1200, 800), (600, 900), (640, 425), (799, 1200)])
@pytest.mark.parametrize("side", [300, 150, 60])
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


def test_the_camera_goes_with_the_image() -> None:
    stored = camera_over(10.0, 45.0, width=2400, height=1600, focal_px=3000.0, roll=20.0)
    image = lit(blob(1200, 800, 900.0, 200.0, 10.0))
    ground = stored.pixel_to_ecef((900.0 + 0.5) / 0.5 - 0.5, (200.0 + 0.5) / 0.5 - 0.5)
    for light in (image, image.resized(240)):
        camera = light.camera(stored)
        assert (camera.width_px, camera.height_px) == light.values.shape[::-1]
        at = [float(v) for v in camera.ecef_to_pixel(ground)]
        assert at == pytest.approx(centroid(light.values), abs=0.05)


def test_masked_parts_do_not_darken_their_neighbours() -> None:
    values = np.ones((400, 600), np.float32)
    weight = np.ones_like(values)
    weight[:, 300:] = 0.0
    values[:, 300:] = 50.0
    small = LightImage(values=values, weight=weight, factor=1.0).resized(120)
    assert small.values[:, :59] == pytest.approx(1.0, abs=1e-3)
    assert small.weight[:, :60].min() == 1.0
    assert small.weight[:, 60:].max() == 0.0


def flat(value: float) -> FloatImage:
    return np.full((40, 60), value, np.float32)


@given(a=st.floats(0.0, 1.0), b=st.floats(0.0, 1.0))
def test_more_light_never_gives_less(a: float, b: float) -> None:
    light = flat(0.01)
    light[10, 20], light[30, 40] = a, b
    values = light_image(light, flat(0.01), flat(0.002), flat(1.0), 1.0).values
    if a > b + 1e-5:
        assert values[10, 20] > values[30, 40] or b <= 0.01 >= a
    assert values.min() >= 0.0


def test_diffuse_light_is_dark_and_noise_is_small() -> None:
    light = flat(0.2)
    light[5, 5], light[6, 30] = 0.2 + 3.0 * 0.01, 0.9
    image = light_image(light, flat(0.2), flat(0.01), flat(1.0), 0.7)
    assert image.factor == 0.7
    assert image.values[20, 20] == 0.0
    assert image.values[5, 5] == pytest.approx(np.log10(2.0), abs=1e-3)  # the knee: 3 sigma
    assert image.values[6, 30] == pytest.approx(np.log10(1.0 + 0.7 / 0.03), abs=1e-3)
    darker = light_image(0.5 * light, flat(0.2), flat(0.01), flat(1.0), 1.0)
    assert darker.values[20, 20] == 0.0


def test_broad_structure_goes_and_fine_structure_stays() -> None:
    y, x = np.mgrid[:80, :120].astype(np.float32)
    broad, fine = 0.01 * x + 0.02 * y, blob(120, 80, 60.0, 40.0, 1.0)
    left = detail((broad + fine).astype(np.float32), 4.0)
    middle = np.s_[20:-20, 20:-20]
    assert left[40, 60] > 0.85
    far = np.hypot(x - 60.0, y - 40.0) > 18.0
    assert np.abs(left[middle][far[middle]]).max() < 1e-3


def test_a_great_city_counts_no_more_than_a_village_where_contrast_is_evened() -> None:
    """Two alike groups of lamps, one a hundred times as bright."""
    image = np.zeros((80, 160), np.float32)
    group = np.zeros((9, 9), np.float32)
    group[::4, ::4] = 1.0
    image[36:45, 36:45] = 100.0 * group
    image[36:45, 116:125] = group
    everywhere = np.ones_like(image)
    alike = normalize_contrast(image, 6.0, everywhere)
    strong, weak = (float((alike[:, part] ** 2).sum()) for part in (np.s_[:80], np.s_[80:]))
    assert pytest.approx(float((image[:, :80] ** 2).sum() / (image[:, 80:] ** 2).sum())) == 100.0**2
    assert weak > strong / 1e3
    # Brighter all over is the same picture
    assert np.allclose(normalize_contrast(7.0 * image, 6.0, everywhere), alike, rtol=1e-4)
    # and what does not count has no say
    masked = everywhere.copy()
    masked[:, :80] = 0.0
    glaring = image.copy()
    glaring[:, :60] += 1e3
    assert np.allclose(
        normalize_contrast(glaring, 6.0, masked)[:, 80:],
        normalize_contrast(image, 6.0, masked)[:, 80:],
    )
    assert not normalize_contrast(np.zeros_like(image), 6.0, everywhere).any()


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


@pytest.mark.parametrize("seed", range(6))
def test_it_converges_from_a_few_pixels_away(lamps: LampWorld, levels: Levels, seed: int) -> None:
    true = truth(off_nadir=8.0 * seed, roll=60.0 * seed)
    photo = log_picture(true, lamps)
    start = perturbed(true, seed, 4.0)
    assert apart_px(start, true) > 1.0
    given = {"iterations": 15, "supersample": 2}
    found = aligned(levels, photo, start, prior_of(true), ROTATION, FOCAL, **given)
    assert apart_px(found.camera, true) < 0.3
    assert found.ncc > 0.9


def test_what_is_not_free_stays(lamps: LampWorld, levels: Levels) -> None:
    true = truth()
    photo = log_picture(true, lamps)
    step = np.zeros(PARAMETERS)
    step[[0, 1, FOCAL, ALONG]] = [0.01, -0.008, 0.02, 4e3]
    start = step_camera(true, VELOCITY, step)
    found = aligned(levels, photo, start, prior_of(true), ROTATION).camera
    assert found.focal_px == pytest.approx(start.focal_px)
    assert found.position_ecef_m == pytest.approx(start.position_ecef_m)
    assert found.distortion == start.distortion
    assert angle_between_deg(found, start) > 0.1
    found = aligned(levels, photo, start, prior_of(true), FOCAL, ALONG).camera
    assert angle_between_deg(found, start) < 1e-6
    assert found.focal_px != pytest.approx(start.focal_px)


def test_a_slide_along_the_track_is_found(lamps: LampWorld, levels: Levels) -> None:
    """Wide and oblique: the place along the track shows in the perspective."""
    wide = {"off_nadir": 35.0, "azimuth": 10.0}
    true = camera_over(10.5, 40.5, width=128, height=96, focal_px=100.0, **wide)
    photo = log_picture(true, lamps)
    x, y, z = move_on_orbit(true.position_ecef_m, VELOCITY, -40e3, 0.0, 0.0).tolist()
    start = replace(true, position_ecef_m=(x, y, z))
    given = {"iterations": 25, "supersample": 2}
    found = aligned(levels, photo, start, prior_of(start), ROTATION, FOCAL, ALONG, **given).camera
    before = np.linalg.norm(np.subtract(start.position_ecef_m, true.position_ecef_m))
    after = np.linalg.norm(np.subtract(found.position_ecef_m, true.position_ecef_m))
    assert before == pytest.approx(40e3, rel=0.01)
    assert after < 0.4 * before
    assert apart_px(found, true) < 0.5


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


def test_flat_images_say_nothing(levels: Levels) -> None:
    camera = truth()
    flat = np.full((96, 128), 0.5, np.float32)
    prior = prior_of(camera)
    found = aligned(levels, flat, camera, prior, ROTATION)
    assert found.ncc == 0.0
    assert found.camera == camera
    dark, ones = np.zeros_like(flat), np.ones_like(flat)
    assert gauss_newton_step(flat, dark, ones, camera, prior, free(ROTATION)) is None


def test_correlation_is_the_weighted_one() -> None:
    photo, view, weight = np.random.default_rng(4).random((3, 20, 30)).astype(np.float32)
    off = [image - np.average(image, weights=weight) for image in (photo, view)]
    cov = [[np.average(a * b, weights=weight) for a in off] for b in off]
    expected = cov[0][1] / np.sqrt(cov[0][0] * cov[1][1])
    assert correlation(photo, view, weight) == pytest.approx(expected, abs=1e-6)
    assert correlation(photo, 3.0 - 2.0 * view, weight) == pytest.approx(-expected, abs=1e-6)


WEST, SOUTH, EAST, NORTH = -12.0, 28.0, 36.0, 58.0
DENSE = DenseParameters(template_px=48)
LENS = {"width": 48, "height": 32, "focal_px": 90.0}


@pytest.fixture(scope="module")
def wide_lamps() -> LampWorld:
    return town_lamps(1, WEST, SOUTH, EAST, NORTH, towns=5000, lamps_per_town=20, radius_km=5.0)


@pytest.fixture(scope="module")
def wide_levels(wide_lamps: LampWorld) -> Levels:
    return make_pyramid(light_grid(wide_lamps, WEST, SOUTH, EAST, NORTH, 0.04), 5)


def candidates(
    wide_levels: Levels,
    photo: Camera,
    picture: FloatImage,
    max_off_nadir: float,
    keep: int,
) -> list[Camera]:
    fine = detail(picture, DENSE.detail_px)
    templates = choose_templates(fine, np.ones_like(fine), photo.focal_px, DENSE)
    directions = spread_boresights(templates.step_deg, 0.0, max_off_nadir)
    blank = replace(photo, quaternion=(0.0, 0.0, 0.0, 1.0))
    peaks = list(islice(search(wide_levels, blank, templates, directions, DENSE), keep))
    assert [p.score for p in peaks] == sorted((p.score for p in peaks), reverse=True)
    return [peak.camera for peak in peaks]


def test_simulated_attitudes_are_recovered(wide_lamps: LampWorld, wide_levels: Levels) -> None:
    """Tilts up to 50 degrees, any roll, focal lengths 3 % off: among the ten best peaks."""
    found = 0
    seeds = 12
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        truth = drawn_camera(rng, (4.0, 20.0), (40.0, 47.0), (0.0, 50.0), **LENS)
        picture = log_picture(truth, wide_lamps)
        believed = replace(truth, focal_px=90.0 * (1.03 if seed % 2 else 0.97))
        peaks = candidates(wide_levels, believed, picture, 56.0, 10)
        assert len(peaks) == 10
        angle = min(angle_between_deg(truth, peak) for peak in peaks)
        x, y = np.meshgrid(np.linspace(4, 43, 7), np.linspace(4, 27, 5))
        near = min(np.median(miss_px(peak, truth, x, y)) for peak in peaks)
        found += angle < 8.0 and near < 3.0
    assert found >= 0.9 * seeds


def test_an_empty_map_gives_nothing(wide_lamps: LampWorld, wide_levels: Levels) -> None:
    dark = tuple(replace(level, values=np.zeros_like(level.values)) for level in wide_levels)
    truth = camera_over(11.0, 44.0, **LENS)
    assert candidates(dark, truth, log_picture(truth, wide_lamps), 20.0, 10) == []


def test_a_map_that_ends_is_searched_where_it_is(
    wide_lamps: LampWorld, wide_levels: Levels
) -> None:
    truth = camera_over(11.0, 44.0, off_nadir=8.0, azimuth=90.0, roll=50.0, **LENS)
    grid = wide_levels[0]
    valid = np.zeros(grid.values.shape, bool)
    col, _ = grid.to_pixel(np.array([11.2]), np.array([44.0]))
    valid[:, int(col[0]) :] = True  # the picture's western part lies outside
    ending = replace(grid, values=np.where(valid, grid.values, np.float32(0.0)), valid=valid)
    best = candidates(make_pyramid(ending, 5), truth, log_picture(truth, wide_lamps), 10.0, 3)
    assert min(angle_between_deg(truth, camera) for camera in best) < 4.0
    nowhere = replace(ending, valid=np.zeros_like(valid))
    assert (
        candidates(make_pyramid(nowhere, 5), truth, log_picture(truth, wide_lamps), 10.0, 3) == []
    )


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


# Of a template of 11 x 17 px: eight rolls, tiles of 40 px; any map varies enough
SMALL = DenseParameters(corner_px=3.98, max_tile_px=40, min_spread=1e-6, min_spread_share=0.0)


def test_correlation_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(3)
    template = cv2.GaussianBlur(rng.random((11, 17)).astype(np.float32), (0, 0), 1.0)
    tile = cv2.GaussianBlur(rng.random((40, 40)).astype(np.float32), (0, 0), 1.0)
    templates = choose_templates(template, np.ones_like(template), 1e4, SMALL)
    found = correlate(tile, None, templates, SMALL)
    side = templates.side_px
    assert found.shape == (8, 40 - side + 1, 40 - side + 1)
    assert len(templates.window_spectra) == 4
    for k in range(8):  # opposite rolls share a window
        image = templates.images[k, :side, :side]
        window = fft.irfft2(np.conj(templates.window_spectra[k % 4]), (40, 40))[:side, :side]
        expected = brute_correlation(tile, image, np.round(window))
        assert found[k] == pytest.approx(expected, abs=2e-3)


def test_bright_light_beside_the_template_lets_no_correlation_pass_one() -> None:
    """A window that is not quite the template's leaves out a town that the product has."""
    rng = np.random.default_rng(5)
    template = cv2.GaussianBlur(rng.random((9, 25)).astype(np.float32), (0, 0), 1.0)
    tile = 0.01 * rng.random((96, 96)).astype(np.float32)
    tile[::19, ::17] = 5.0
    how = DenseParameters(max_tile_px=96, min_spread=1e-3, min_spread_share=0.0)
    templates = choose_templates(template, np.ones_like(template), 1e4, how)
    assert templates.fft_px == 96
    assert np.abs(correlate(tile, None, templates, how)).max() <= 1.001


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
    found = project_stereographic(scene(x, y).astype(np.float32), focal)
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


SIDE = 900
PIXEL_RAD = 2e-4
TURN_DEG, SCALE = 40.0, 1.08


@pytest.fixture(scope="module")
def country() -> np.ndarray:
    rng = np.random.default_rng(4)
    dots = np.zeros((SIDE, SIDE), np.float32)
    x, y = rng.integers(20, SIDE - 20, (2, 1500))
    dots[y, x] = rng.lognormal(0.0, 1.0, 1500)
    light = cv2.GaussianBlur(dots, (0, 0), 1.5) + cv2.GaussianBlur(dots, (0, 0), 4.0)
    return np.asarray(np.log10(1.0 + 40.0 * light), np.float32)


@pytest.fixture(scope="module")
def towns(country: np.ndarray) -> np.ndarray:
    return find_light_peaks(country, None, 10_000).positions


@pytest.fixture(scope="module")
def table(country: np.ndarray, towns: np.ndarray) -> PatchTable:
    return build_table(harmonics(*sample_rings(country, None, towns[:, 0], towns[:, 1])))


@pytest.fixture(scope="module")
def photo(country: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A part of it, turned and scaled, with noise; and the matrix from it to the country."""
    turn, half = np.radians(TURN_DEG), 110
    there = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) * SCALE
    matrix = np.column_stack([there, np.array([450.0, 430.0]) - there @ [half, half]])
    size = (2 * half + 1, 2 * half + 1)
    picture = cv2.warpAffine(country, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    noise = np.random.default_rng(1).normal(0.0, 0.05, picture.shape)
    return np.asarray(picture + noise, np.float32), matrix


def sphere(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pixels of the country as unit vectors about the x axis, where north is up."""
    east, north = (x - SIDE / 2) * PIXEL_RAD, (SIDE / 2 - y) * PIXEL_RAD
    there = np.stack([np.ones_like(east), east, north], axis=-1)
    return np.asarray(there / np.linalg.norm(there, axis=-1, keepdims=True))


def inner_lights(picture: np.ndarray) -> np.ndarray:
    """Eight lights whose patches lie within it."""
    found = find_light_peaks(picture, None, 100).positions
    return found[np.abs(found - 110.0).max(axis=1) < 75.0][:8]


def queries_at(table: PatchTable, picture: np.ndarray, found: np.ndarray) -> np.ndarray:
    return normalize_queries(table, harmonics(*sample_rings(picture, None, *found.T)))


def test_each_patch_finds_its_place_and_turn(
    towns: np.ndarray, table: PatchTable, photo: tuple[np.ndarray, np.ndarray]
) -> None:
    picture, matrix = photo
    found = inner_lights(picture)
    at_turns = polar_patches.correlate(
        table.coefficients, polar_patches.project(queries_at(table, picture, found))
    )
    first = at_turns.max(axis=0).argmax(axis=1)
    turn = at_turns[:, np.arange(len(first)), first].argmax(axis=0)
    true = found @ matrix[:, :2].T + matrix[:, 2]
    right = np.linalg.norm(towns[first] - true, axis=1) < 3.0
    assert right.mean() >= 0.75
    turned = 360.0 / ANGLES * turn[right]
    assert np.abs((turned - TURN_DEG + 180.0) % 360.0 - 180.0).max() < 360.0 / ANGLES


def test_two_passes_find_the_places_that_all_harmonics_do(
    table: PatchTable, photo: tuple[np.ndarray, np.ndarray]
) -> None:
    queries, n_places = queries_at(table, photo[0], inner_lights(photo[0])), 2
    assert len(table) > MIN_TABLE_SHARE * COMPARED_PER_PLACE * n_places
    places, turns_rad = find_places(table, queries, n_places)
    at_turns = polar_patches.correlate(table.coefficients, polar_patches.project(queries))
    likeliest = np.argsort(-at_turns.max(axis=0), axis=1)[:, :n_places]
    assert (places == likeliest).mean() > 0.9
    turns = at_turns[:, np.arange(len(queries)), places[:, 0]].argmax(axis=0)
    assert turns_rad[:, 0] == pytest.approx(2.0 * np.pi * turns / ANGLES)
    # A patch without any light is like no place, and like all of them
    assert len(find_places(table, queries[:1] * 0.0, n_places)[0][0]) == n_places


def test_patches_that_agree_place_the_photo(
    towns: np.ndarray, table: PatchTable, photo: tuple[np.ndarray, np.ndarray]
) -> None:
    picture, _ = photo
    vectors = sphere(*towns.T)
    tree = cKDTree(vectors)
    reference = PatchMap(
        vectors=vectors, frames=frames(vectors), tree=tree, table=table, pixel_rad=PIXEL_RAD
    )
    found = find_light_peaks(picture, None, 12).positions
    x, y = (found - 110.0).T * PIXEL_RAD
    there = unit(np.stack([x, -y, np.ones(len(found))], axis=1))
    right = unit(np.array([1.0, 0.0, 0.0]) - there * there[:, :1])
    seen = PatchPhoto(
        vectors=there,
        frames=np.stack([right, np.cross(there, right), there], axis=-1),
        queries=queries_at(table, picture, found),
    )
    [placements] = place_patches(reference, [seen], [np.arange(5)], 30)
    ways = fit_placements(reference, seen, placements)
    way = max(ways, key=lambda one: one.log10_odds)
    [alone] = fit_placements(reference, seen, [placements[-1]])
    assert alone.rotation == pytest.approx(ways[-1].rotation)
    assert fit_placements(reference, seen, []) == place_patches(reference, [], [], 30) == []
    assert way.log10_odds > 5.0
    assert way.scale == pytest.approx(SCALE, abs=0.02)
    middle = sphere(np.array(450.0), np.array(430.0))
    assert np.linalg.norm(way.rotation @ [0.0, 0.0, 1.0] - middle) < 2.0 * PIXEL_RAD
    # Together with another photo each is placed as by itself
    nothing = replace(seen, queries=seen.queries * 0.0)
    dark, both = place_patches(reference, [nothing, seen], [np.arange(5)] * 2, 30)
    assert max(one.log10_odds for one in dark) <= 0.0
    assert [one.own for one in both] == [one.own for one in placements]
    odds = [one.log10_odds for one in placements]
    assert [one.log10_odds for one in both] == pytest.approx(odds, abs=1e-3)


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


def beside_a_mask(level: float) -> tuple[FloatImage, FloatImage]:
    """Even light up to a mask whose pixels are dark, and a town 12 px from it."""
    weight = np.ones((200, 300), np.float32)
    weight[:, :150] = 0.0
    image = picture_of_towns(np.array([[162.0, 100.0]]), np.array([0.5]))
    return np.where(weight > 0.0, image + np.float32(level), np.float32(0.0)), weight


@pytest.mark.parametrize("level", [0.1, 0.5, 2.0])
def test_even_light_beside_a_mask_is_no_town(level: float) -> None:
    """The surroundings are what counts of them; against the dark mask the edge would stand out."""
    image, weight = beside_a_mask(level)
    found = find_light_peaks(image, weight, 100)
    assert found.positions == pytest.approx(np.array([[162.0, 100.0]]), abs=0.3)
    unmasked = find_light_peaks(image, None, 100)
    outer_px = 2.5 * LIGHTS.scale_px
    assert (np.abs(unmasked.x - 150.0) < 2.0 * outer_px).sum() > 1


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


def towns_of_photo(seed: int, places: FloatArray, share: float) -> FloatArray:
    """A photo's towns: a share of the map's, a little off, and as many others at random places."""
    rng = np.random.default_rng([seed, 8])
    true = rng.random(len(places)) < share
    others = world(seed + 100_000, len(places))
    jitter = rng.normal(0.0, 0.3 * LIGHTS.match_px, places.shape)
    return np.where(true[:, None], places + jitter, others)


@pytest.mark.parametrize("seed", range(10))
def test_half_of_the_towns_prove_a_camera_and_disprove_a_shifted_one(seed: int) -> None:
    places = world(seed, 150)
    photo = towns_of_photo(seed, places, 0.5)
    log10_odds, matched = score_lights(towns_at(photo), towns_at(places))
    assert log10_odds > 15.0
    assert 0.4 * 150 < len(matched) < 0.75 * 150
    nearest = np.linalg.norm(photo[matched][:, None] - places[None], axis=2).min(axis=1)
    assert nearest.max() < LIGHTS.match_px
    assert score_lights(towns_at(photo + np.array([23.0, -17.0])), towns_at(places))[0] < 0.0


def shuffled(seed: int) -> tuple[FloatArray, FloatArray]:
    """The photo's own columns and rows, each put together anew: as crowded, but elsewhere."""
    rng = np.random.default_rng(seed)
    places = world(seed, int(rng.integers(20, 150)))
    return np.stack([rng.permutation(side) for side in places.T], axis=1), places


def overlaid(seed: int) -> tuple[FloatArray, FloatArray]:
    """Two unrelated lands laid over each other, with few towns and with many."""
    rng = np.random.default_rng(seed)
    photo = world(seed, int(rng.integers(12, 150)))
    return photo, world(seed + 5000, int(rng.integers(20, 300)))


def of_the_same_valleys(seed: int) -> tuple[FloatArray, FloatArray]:
    """Wrong by a little: towns gather in the same places, but they are other towns."""
    centres = np.random.default_rng([seed, 1]).uniform([60, 60], [840, 540], (6, 2))
    drawn = []
    for draw, count in ((2, 60), (3, 300)):
        rng = np.random.default_rng([seed, draw])
        drawn.append(centres[rng.integers(6, size=count)] + rng.normal(0, 25.0, (count, 2)))
    return drawn[0], drawn[1]


@pytest.mark.parametrize(
    ("draw", "most", "seldom_above", "median"),
    [
        (shuffled, 3.0, 1.0, -1.0),
        pytest.param(overlaid, 1.0, 0.0, -3.0, marks=pytest.mark.slow),
        pytest.param(of_the_same_valleys, 3.0, 0.0, 0.0, marks=pytest.mark.slow),
    ],
)
def test_chance_seldom_looks_like_proof(
    draw: Callable[[int], tuple[FloatArray, FloatArray]],
    most: float,
    seldom_above: float,
    median: float,
) -> None:
    """Odds of ten to one come up in less than one field of ten, as odds should."""
    pairs = [draw(seed) for seed in range(FIELDS)]
    odds = [score_lights(towns_at(photo), towns_at(view))[0] for photo, view in pairs]
    assert max(odds) < most
    assert np.mean(np.array(odds) > seldom_above) <= 0.1
    assert np.median(odds) < median


def test_dense_maps_prove_less() -> None:
    """Where a town is to be met everywhere, meeting one says nothing."""
    rng = np.random.default_rng(9)
    places = world(4, 80)
    crowd = np.concatenate([places, rng.uniform([0, 0], [WIDTH, HEIGHT], (40_000, 2))])
    sparse, matched = score_lights(towns_at(places), towns_at(places))
    dense, matched_of_dense = score_lights(towns_at(places), towns_at(crowd))
    assert len(matched) == len(matched_of_dense) == 80
    assert dense < 0.1 * sparse


def test_no_towns_prove_nothing() -> None:
    places = world(1, 20)
    none = towns_at(np.zeros((0, 2)))
    for photo, view in ((none, towns_at(places)), (towns_at(places), none), (none, none)):
        log10_odds, matched = score_lights(photo, view)
        assert log10_odds == 0.0
        assert len(matched) == 0
    assert not len(score_lights(towns_at(places), towns_at(places + 1e5))[1])


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


def test_pictures_that_have_nothing_in_common_prove_nothing() -> None:
    """One place taken at random is as good as one in ten or so, seldom as good as one in 10^4."""
    odds = np.array(
        [image_log10_odds(grain(k), grain(k + 500), EVERYWHERE, 4.0) for k in range(60)]
    )
    assert np.median(odds) < 1.0
    assert odds.max() < 4.0


@pytest.mark.parametrize("seed", range(5))
def test_pictures_that_agree_everywhere_are_no_chance(seed: int) -> None:
    assert image_log10_odds(*mixed(0.5, seed), EVERYWHERE, 4.0) > 10.0
    assert image_log10_odds(*mixed(0.9, seed), EVERYWHERE, 4.0) > 14.0


@pytest.mark.parametrize("empty", ["photo", "view", "weight"])
def test_an_empty_picture_proves_nothing(empty: str) -> None:
    pictures = dict(zip(("photo", "view"), mixed(0.6, 8), strict=True)) | {"weight": EVERYWHERE}
    pictures[empty] = np.zeros(SHAPE, np.float32)
    odds = image_log10_odds(**pictures, nearest_px=4.0)
    assert odds == 0.0
