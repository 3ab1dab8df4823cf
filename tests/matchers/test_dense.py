"""The dense search finds the attitude of simulated views, turned and tilted as they may be."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import fft

from matchers.camera import Camera
from matchers.correlate import LEAST_OVERLAP, correlate, correlate_covered, peaks_of
from matchers.dense import boresights, camera_at, search, tile_camera
from matchers.light_grid import LightGrid
from matchers.photo_light import detail
from matchers.templates import DenseParameters, templates_for, turned_templates
from matchers.view import pyramid
from tests.matchers.lamp_world import (
    LampWorld,
    angle_between_deg,
    camera_over,
    light_grid,
    log_picture,
    town_lamps,
)

Image = NDArray[np.float32]
WEST, SOUTH, EAST, NORTH = -12.0, 28.0, 36.0, 58.0
PARAMETERS = DenseParameters(template_px=48)


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(1, WEST, SOUTH, EAST, NORTH, towns=5000, lamps_per_town=20, radius_km=5.0)


@pytest.fixture(scope="module")
def levels(lamps: LampWorld) -> tuple[LightGrid, ...]:
    return pyramid(light_grid(lamps, WEST, SOUTH, EAST, NORTH, 0.04), 5)


def candidates(
    levels: tuple[LightGrid, ...], photo: Camera, picture: Image, max_off_nadir: float, keep: int
) -> list[Camera]:
    fine = detail(picture, PARAMETERS.detail_px)
    templates = templates_for(fine, np.ones_like(fine), photo.focal_px, PARAMETERS)
    directions = boresights(PARAMETERS.tile_step_deg, max_off_nadir)
    blank = replace(photo, quaternion=(0.0, 0.0, 0.0, 1.0))
    peaks = list(islice(search(levels, blank, templates, directions, PARAMETERS), keep))
    assert [p.score for p in peaks] == sorted((p.score for p in peaks), reverse=True)
    return [peak.camera for peak in peaks]


def miss_px(found: Camera, truth: Camera) -> float:
    """How far the true camera's ground moves in the found one's picture, median."""
    x, y = np.meshgrid(np.linspace(4, truth.width_px - 5, 7), np.linspace(4, 27, 5))
    at_x, at_y = found.ecef_to_pixel(truth.pixel_to_ecef(x, y))
    return float(np.nanmedian(np.where(np.isfinite(at_x), np.hypot(at_x - x, at_y - y), 1e3)))


def test_simulated_attitudes_are_recovered(lamps: LampWorld, levels: tuple[LightGrid, ...]) -> None:
    """Tilts up to 50 degrees, any roll, focal lengths 3 % off: among the ten best peaks."""
    found = 0
    seeds = 20
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        truth = camera_over(
            rng.uniform(4.0, 20.0),
            rng.uniform(40.0, 47.0),
            off_nadir=rng.uniform(0.0, 50.0),
            azimuth=rng.uniform(0.0, 360.0),
            roll=rng.uniform(-180.0, 180.0),
            width=48,
            height=32,
            focal_px=90.0,
        )
        picture = log_picture(truth, lamps)
        believed = replace(truth, focal_px=90.0 * (1.03 if seed % 2 else 0.97))
        peaks = candidates(levels, believed, picture, 56.0, 10)
        assert len(peaks) == 10
        angle = min(angle_between_deg(truth, peak) for peak in peaks)
        near = min(miss_px(peak, truth) for peak in peaks)
        found += angle < PARAMETERS.roll_step_deg and near < 3.0
    assert found >= 0.95 * seeds


def test_a_shift_and_a_roll_have_the_right_sign(
    lamps: LampWorld, levels: tuple[LightGrid, ...]
) -> None:
    """Not any of the mirrored or opposite attitudes, but the one the picture was made with."""
    truth = camera_over(
        11.0, 44.0, off_nadir=5.0, azimuth=90.0, roll=30.0, width=48, height=32, focal_px=90.0
    )
    best = candidates(levels, truth, log_picture(truth, lamps), 10.0, 1)[0]
    assert angle_between_deg(truth, best) < 3.1
    for wrong in (
        camera_over(11.0, 44.0, off_nadir=5.0, azimuth=-90.0, roll=30.0),
        camera_over(11.0, 44.0, off_nadir=5.0, azimuth=90.0, roll=-30.0),
    ):
        assert angle_between_deg(wrong, best) > 6.0


def test_an_empty_map_gives_nothing(lamps: LampWorld, levels: tuple[LightGrid, ...]) -> None:
    dark = tuple(replace(level, values=np.zeros_like(level.values)) for level in levels)
    truth = camera_over(11.0, 44.0, width=48, height=32, focal_px=90.0)
    assert candidates(dark, truth, log_picture(truth, lamps), 20.0, 10) == []


def test_a_map_that_ends_is_searched_where_it_is(
    lamps: LampWorld, levels: tuple[LightGrid, ...]
) -> None:
    truth = camera_over(
        11.0, 44.0, off_nadir=8.0, azimuth=90.0, roll=50.0, width=48, height=32, focal_px=90.0
    )
    grid = levels[0]
    valid = np.zeros(grid.values.shape, bool)
    col, _ = grid.to_pixel(np.array([11.2]), np.array([44.0]))
    valid[:, int(col[0]) :] = True  # the picture's western part lies outside
    ending = replace(grid, values=np.where(valid, grid.values, np.float32(0.0)), valid=valid)
    best = candidates(pyramid(ending, 5), truth, log_picture(truth, lamps), 10.0, 3)
    assert min(angle_between_deg(truth, camera) for camera in best) < 4.0
    nowhere = replace(ending, valid=np.zeros_like(valid))
    assert candidates(pyramid(nowhere, 5), truth, log_picture(truth, lamps), 10.0, 3) == []


def test_boresights_cover_the_view_sphere() -> None:
    step = 16.0
    grid = np.radians(boresights(step, 70.0))
    assert grid[0].tolist() == [0.0, 0.0]

    def vectors(angles: NDArray[np.float64]) -> NDArray[np.float64]:
        lean, azimuth = angles.T
        return np.stack(
            [np.sin(lean) * np.cos(azimuth), np.sin(lean) * np.sin(azimuth), np.cos(lean)], axis=1
        )

    rng = np.random.default_rng(0)
    lean = np.arccos(rng.uniform(np.cos(np.radians(64.0)), 1.0, 3000))
    anywhere = np.stack([lean, rng.uniform(0.0, 2 * np.pi, 3000)], axis=1)
    nearest = np.degrees(np.arccos((vectors(anywhere) @ vectors(grid).T).max(axis=1)))
    assert nearest.max() < 0.75 * step
    ring = boresights(step, 70.0, 40.0)
    assert ring[:, 0].min() >= 40.0
    assert len(ring) + len(boresights(step, 39.9)) == len(grid)


def brute_correlation(tile: Image, image: Image, mask: Image) -> NDArray[np.float64]:
    """Correlation coefficient at every shift, straight from its definition."""
    n = tile.shape[0] - image.shape[0] + 1
    inside = mask > 0
    result = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            part = tile[i : i + len(image), j : j + len(image)][inside]
            result[i, j] = np.corrcoef(part, image[inside])[0, 1]
    return result


@pytest.fixture
def noise_templates() -> tuple[Image, Image, list[float]]:
    rng = np.random.default_rng(3)
    template = cv2.GaussianBlur(rng.random((11, 17)).astype(np.float32), (0, 0), 1.0)
    tile = cv2.GaussianBlur(rng.random((40, 40)).astype(np.float32), (0, 0), 1.0)
    return template, tile, list(np.arange(0.0, 360.0, 45.0))


def test_correlation_is_that_of_the_definition(
    noise_templates: tuple[Image, Image, list[float]],
) -> None:
    template, tile, rolls = noise_templates
    ones = np.ones_like(template)
    templates = turned_templates(template, ones, np.array(rolls), 40)
    found = correlate(tile, templates, 1e-6)
    side = templates.side_px
    assert found.shape == (8, 40 - side + 1, 40 - side + 1)
    for k in (0, 4):  # rolls of 0 and 180 degrees have windows of their own
        image = templates.images[k, :side, :side]
        window = fft.irfft2(np.conj(templates.mask_spectra[0]), (40, 40))[:side, :side]
        expected = brute_correlation(tile, image, np.round(window))
        assert found[k] == pytest.approx(expected, abs=2e-3)


def test_correlation_with_a_partly_known_tile_is_that_of_the_definition(
    noise_templates: tuple[Image, Image, list[float]],
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
    assert everywhere == pytest.approx(correlate(tile, templates, 1e-6), abs=2e-3)


def test_what_is_masked_does_not_count() -> None:
    rng = np.random.default_rng(4)
    template = rng.random((15, 15)).astype(np.float32)
    mask = np.ones_like(template)
    mask[:, 8:] = 0.0
    spoilt = template.copy()
    spoilt[:, 9:] = 77.0
    one, two = (turned_templates(t, mask, np.zeros(4), 32) for t in (template, spoilt))
    assert one.image_spectra == pytest.approx(two.image_spectra, abs=1e-5)


def test_peaks_are_separate_and_ordered() -> None:
    surface = np.full((20, 20), -0.5, np.float32)
    surface[5, 5], surface[5, 7], surface[15, 3] = 0.9, 0.85, 0.4
    assert [(i, j) for i, j, _ in peaks_of(surface, 5)] == [(5, 5), (15, 3)]
    assert peaks_of(np.full((5, 5), -1.0, np.float32), 3) == []


@pytest.mark.parametrize("roll", [0.0, 75.0, 200.0])
def test_a_camera_placed_in_a_tile_looks_there(roll: float) -> None:
    photo = camera_over(11.0, 44.0, width=48, height=32, focal_px=90.0)
    view = tile_camera(photo, 81, 20.0, 130.0)
    assert view.off_nadir_deg == pytest.approx(20.0, abs=0.01)
    placed = camera_at(photo, view, 47.0, 33.0, roll)
    expected = view.pixel_to_ecef(47.0, 33.0)
    assert placed.pixel_to_ecef(23.5, 15.5) == pytest.approx(expected, abs=1.0)
    # What is to the right in the tile is turned against the roll in the picture
    x, y = placed.ecef_to_pixel(view.pixel_to_ecef(53.0, 33.0))
    angle = np.degrees(np.arctan2(y - 15.5, x - 23.5))
    assert (angle + roll + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=2.0)
