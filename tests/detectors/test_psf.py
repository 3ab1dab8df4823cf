"""What a point of light looks like: sums of Gaussians, integrated over pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.psf import PointSpread

sigmas = st.floats(0.5, 3.0)
shares = st.floats(0.0, 0.45)
places = st.floats(-0.5, 0.5)


@given(sigma=sigmas, wings=shares, x=places, y=places)
def test_all_light_lies_in_the_stamp_and_its_centroid_is_the_place(sigma, wings, x, y):
    psf = PointSpread(sigma_px=sigma, wings=wings)
    half = int(14 * sigma) + 2
    drawn = psf.draw(np.array([x]), np.array([y]), half)[0].astype(float)
    offsets = np.arange(-half, half + 1)
    assert drawn.sum() == pytest.approx(1.0, abs=5e-4)
    assert drawn.sum(axis=0) @ offsets == pytest.approx(x, abs=0.01)
    assert drawn.sum(axis=1) @ offsets == pytest.approx(y, abs=0.01)


@given(sigma=sigmas, wings=shares, x=places, y=places)
def test_slopes_are_the_differences(sigma, wings, x, y):
    psf = PointSpread(sigma_px=sigma, wings=wings, trail_px=(3.0, 2.0))
    step = 0.01
    _, by_x, by_y = psf.draw_with_slopes(np.array([x]), np.array([y]), 8)
    for slope, dx, dy in ((by_x, step, 0.0), (by_y, 0.0, step)):
        after = psf.draw(np.array([x + dx]), np.array([y + dy]), 8)
        before = psf.draw(np.array([x - dx]), np.array([y - dy]), 8)
        assert np.abs((after - before) / (2 * step) - slope).max() < 2e-4


def test_second_moments_of_a_trail_are_those_of_a_segment():
    psf = PointSpread(sigma_px=1.0, wings=0.0, trail_px=(12.0, 5.0))
    drawn = psf.draw(np.zeros(1), np.zeros(1), 20)[0].astype(float)
    offsets = np.arange(-20, 21)
    xx, yy = drawn.sum(axis=0) @ offsets**2, drawn.sum(axis=1) @ offsets**2
    assert xx == pytest.approx(12.0**2 / 12 + 1.0 + 1 / 12, rel=0.03)
    assert yy == pytest.approx(5.0**2 / 12 + 1.0 + 1 / 12, rel=0.03)


def test_fwhm_is_that_of_the_profile():
    assert PointSpread(sigma_px=2.0, wings=0.0).fwhm_px == pytest.approx(4.71, rel=0.01)
    assert PointSpread(sigma_px=2.0, wings=0.3).fwhm_px > 4.8
