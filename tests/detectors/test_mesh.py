from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.background import (
    Mesh,
    filled,
    lowest_mode,
    smoothed,
    spread_about_zero,
    upper_spread,
)

sides = st.integers(min_value=1, max_value=90)


@given(sides, sides, st.floats(min_value=4.0, max_value=60.0))
def test_every_pixel_is_in_one_box(height, width, scale_px):
    mesh = Mesh.with_scale((height, width), scale_px)
    image = np.arange(height * width, dtype=np.float32).reshape(height, width)
    samples = mesh.samples(image, across=1000)
    seen = np.sort(samples[np.isfinite(samples)])
    assert np.array_equal(seen, image.ravel())


@given(sides, sides, st.floats(min_value=4.0, max_value=60.0))
def test_upsampling_has_the_image_size_and_keeps_constants(height, width, scale_px):
    mesh = Mesh.with_scale((height, width), scale_px)
    full = mesh.upsample(np.full((mesh.rows, mesh.cols), 0.7, np.float32))
    assert full.shape == (height, width)
    assert np.allclose(full, 0.7)


def test_interpolation_at_pixels_agrees_with_upsampling():
    mesh = Mesh.with_scale((120, 200), 20)
    rows, cols = np.mgrid[0 : mesh.rows, 0 : mesh.cols]
    boxes = (0.3 * rows + 0.1 * cols).astype(np.float32)
    row, col = np.array([30, 60, 85]), np.array([40, 111, 150])
    assert mesh.at(boxes, row, col) == pytest.approx(mesh.upsample(boxes)[row, col], abs=0.02)


def test_a_slope_goes_on_beyond_the_outermost_boxes_but_not_below_zero():
    mesh = Mesh.with_scale((100, 100), 20)
    boxes = np.tile(np.arange(5, dtype=np.float32), (5, 1))
    full = mesh.upsample(boxes)
    assert full[50, 99] == pytest.approx(4.475, abs=0.1)
    assert full.min() == 0.0


def test_lowest_mode_of_noise_with_lights():
    rng = np.random.default_rng(0)
    samples = rng.normal(2.0, 0.1, (3, 4, 4000)).astype(np.float32)
    samples[..., :1200] += rng.exponential(5.0, (3, 4, 1200)).astype(np.float32)
    level, sigma = lowest_mode(samples, 0.0)
    assert level == pytest.approx(np.full((3, 4), 2.0), abs=0.03)
    assert sigma == pytest.approx(np.full((3, 4), 0.1), rel=0.15)


def test_boxes_with_few_pixels_are_holes():
    samples = np.full((1, 2, 100), np.nan, np.float32)
    samples[0, 0, :9] = 1.0
    samples[0, 1, :20] = 1.0
    for result in (*lowest_mode(samples, 0.0), spread_about_zero(samples), upper_spread(samples)):
        assert np.isnan(result).tolist() == [[True, False]]


def test_spreads_of_noise():
    samples = np.random.default_rng(1).normal(0.0, 0.5, (1, 1, 20000)).astype(np.float32)
    assert spread_about_zero(samples)[0, 0] == pytest.approx(0.5, rel=0.05)
    assert upper_spread(samples)[0, 0] == pytest.approx(0.5, rel=0.05)


def test_upper_spread_ignores_sparse_lights_that_spread_about_zero_sees():
    samples = np.full((1, 1, 1000), -0.1, np.float32)
    samples[..., :100] = 5.0
    assert upper_spread(samples)[0, 0] == 0.0
    assert spread_about_zero(samples)[0, 0] > 0.1


def test_holes_are_filled_from_their_rims():
    boxes = np.array([[1, np.nan, np.nan, np.nan, 3]], np.float32)
    assert filled(boxes).tolist() == [[1.0, 1.0, 2.0, 3.0, 3.0]]
    assert filled(np.full((2, 2), np.nan, np.float32)).tolist() == [[0, 0], [0, 0]]


def test_one_odd_box_is_smoothed_away():
    boxes = np.ones((5, 5), np.float32)
    boxes[2, 2] = 100.0
    assert (smoothed(boxes) == 1.0).all()
    assert smoothed(boxes[2:4]).max() == 100.0  # too few boxes for a median
