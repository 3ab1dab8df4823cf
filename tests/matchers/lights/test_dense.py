"""The dense search finds the attitude of simulated views, turned and tilted as they may be."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft

from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import make_pyramid
from matchers.lights.dense import (
    DenseParameters,
    choose_templates,
    correlate,
    project_stereographic,
    search,
    spread_boresights,
)
from matchers.lights.photo_light import detail
from tests.world.towns import (
    LampWorld,
    Levels,
    angle_between_deg,
    camera_over,
    drawn_camera,
    light_grid,
    log_picture,
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
    return make_pyramid(light_grid(lamps, WEST, SOUTH, EAST, NORTH, 0.04), 5)


def candidates(
    levels: Levels,
    photo: Camera,
    picture: FloatImage,
    max_off_nadir: float,
    keep: int,
) -> list[Camera]:
    fine = detail(picture, PARAMETERS.detail_px)
    templates = choose_templates(fine, np.ones_like(fine), photo.focal_px, PARAMETERS)
    directions = spread_boresights(templates.step_deg, 0.0, max_off_nadir)
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
    best = candidates(make_pyramid(ending, 5), truth, log_picture(truth, lamps), 10.0, 3)
    assert min(angle_between_deg(truth, camera) for camera in best) < 4.0
    nowhere = replace(ending, valid=np.zeros_like(valid))
    assert candidates(make_pyramid(nowhere, 5), truth, log_picture(truth, lamps), 10.0, 3) == []


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
