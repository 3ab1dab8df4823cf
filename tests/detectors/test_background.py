"""Statistics of boxes, the diffuse background made of them, and hot pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from light_scene import draw, spread_lights

from detectors.background import (
    ROUNDING_SIGMA,
    Mesh,
    diffuse_background,
    filled,
    hot_pixels,
)

SHAPE = (300, 400)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_level_and_noise_of_plain_noise():
    image = rng().normal(0.05, 0.002, SHAPE).astype(np.float32)
    found = diffuse_background(image, scale_px=64)
    assert found.level.shape == found.noise.shape == SHAPE
    assert found.level.dtype == found.noise.dtype == np.float32
    assert np.abs(found.level - 0.05).max() < 0.0003
    np.testing.assert_allclose(found.noise, 0.002, rtol=0.12)


def test_a_slope_is_followed_and_is_no_noise():
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    slope = 0.02 + 0.05 * cols / SHAPE[1] + 0.03 * rows / SHAPE[0]
    image = (slope + rng().normal(0.0, 0.001, SHAPE)).astype(np.float32)
    found = diffuse_background(image, scale_px=50)
    inside = (slice(50, -50), slice(50, -50))
    assert np.abs(found.level - slope)[inside].max() < 0.001
    assert np.abs(found.level - slope).max() < 0.003
    assert np.median(found.noise) == pytest.approx(0.001, rel=0.3)


def test_lights_do_not_lift_it():
    lights = spread_lights(50, SHAPE, snr=(200.0, 2000.0), sigma=(2.0, 4.0))
    image = draw(lights, SHAPE, level=0.01, noise=0.001)
    covered = (draw(lights, SHAPE, level=0.0, noise=0.0) > 0.002).mean()
    assert covered > 0.08
    found = diffuse_background(image, scale_px=64)
    assert np.abs(found.level - 0.01).max() < 0.0012
    assert found.noise.max() < 0.002


def test_a_great_town_that_fills_boxes_is_bridged():
    image = draw([], (640, 640), level=0.01, noise=0.001)
    town = 0.3 + 0.2 * rng(5).random((150, 150))
    image[250:400, 250:400] += town.astype(np.float32)
    found = diffuse_background(image, scale_px=64)
    assert found.level.max() < 0.03


def test_masked_pixels_do_not_count():
    image = draw([], SHAPE, level=0.01, noise=0.001)
    mask = np.zeros(SHAPE, bool)
    mask[:, 250:] = True
    image[mask] = 5.0
    found = diffuse_background(image, scale_px=64, mask=mask)
    assert np.abs(found.level - 0.01).max() < 0.0005
    damaged = np.where(mask, np.float32(np.nan), image)
    assert np.array_equal(diffuse_background(damaged, scale_px=64).level, found.level)


def test_noise_is_at_least_that_of_rounding():
    found = diffuse_background(np.zeros(SHAPE, np.float32), scale_px=64)
    np.testing.assert_allclose(found.noise, ROUNDING_SIGMA, rtol=1e-6)


def test_hot_pixels_are_found_where_they_are():
    image = draw([], SHAPE, level=0.01, noise=0.001)
    places = [(0, 0), (5, 399), (150, 200), (299, 100)]
    for row, col in places:
        image[row, col] += 0.1
    hot = hot_pixels(image)
    assert sorted(zip(*map(list, np.nonzero(hot)), strict=True)) == sorted(places)


def test_lamps_are_not_hot():
    lamps = np.zeros(SHAPE, np.float32)
    lamps[10:-10:20, 10:-10:20] = 0.5
    for sigma in (0.5, 0.7, 1.0):
        fine = cv2.resize(lamps, None, fx=5, fy=5, interpolation=cv2.INTER_NEAREST)
        blurred = cv2.GaussianBlur(fine, (0, 0), 5.0 * sigma)
        image = cv2.resize(blurred, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
        image += rng(2).normal(0.01, 0.0005, SHAPE).astype(np.float32)
        assert hot_pixels(image).sum() == 0


def test_a_slope_goes_on_beyond_the_outermost_boxes_but_not_below_zero():
    mesh = Mesh.with_scale((100, 100), 20)
    boxes = np.tile(np.arange(5, dtype=np.float32), (5, 1))
    full = mesh.upsample(boxes)
    assert full[50, 99] == pytest.approx(4.475, abs=0.1)
    assert full.min() == 0.0


def test_holes_are_filled_from_their_rims():
    boxes = np.array([[1, np.nan, np.nan, np.nan, 3]], np.float32)
    assert filled(boxes).tolist() == [[1.0, 1.0, 2.0, 3.0, 3.0]]
    assert filled(np.full((2, 2), np.nan, np.float32)).tolist() == [[0, 0], [0, 0]]
