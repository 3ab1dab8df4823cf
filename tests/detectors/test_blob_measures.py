from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.blob_measures import fit_blobs

ONE = np.ones(1)


def elongated(x, y, flux, moments, shape=(60, 60)):
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]]
    inverse = np.linalg.inv(moments)
    dx, dy = cols - x, rows - y
    exponent = inverse[0, 0] * dx**2 + inverse[1, 1] * dy**2 + 2 * inverse[0, 1] * dx * dy
    peak = flux / (2 * np.pi * np.sqrt(np.linalg.det(moments)))
    return (peak * np.exp(-0.5 * exponent)).astype(np.float32)


@given(
    st.floats(-0.5, 0.5),
    st.floats(-0.5, 0.5),
    st.floats(1.2, 2.0),
    st.floats(0.6, 1.0),
    st.floats(0.0, np.pi),
)
def test_an_elongated_gaussian_is_measured_exactly(dx, dy, sigma, ratio, angle):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moments = turn @ np.diag([sigma**2, (ratio * sigma) ** 2]) @ turn.T
    image = elongated(30.0 + dx, 30.0 + dy, 2.0, moments)
    guess = np.array([30.0])
    fitted = fit_blobs(image, guess, guess, sigma * ONE, 0.0 * ONE)
    assert fitted.settled[0]
    assert fitted.x[0] == pytest.approx(30.0 + dx, abs=0.02)
    assert fitted.y[0] == pytest.approx(30.0 + dy, abs=0.02)
    assert fitted.flux[0] == pytest.approx(2.0, rel=0.06)
    assert fitted.moments[0] == pytest.approx(moments, abs=0.08 * sigma**2)


def test_a_window_that_finds_nothing_does_not_settle():
    empty = np.zeros((40, 40), np.float32)
    fitted = fit_blobs(empty, 20.0 * ONE, 20.0 * ONE, 1.5 * ONE, 0.0 * ONE)
    assert not fitted.settled[0]
    assert fitted.flux[0] == 0.0


def test_a_window_on_a_slope_is_held_back():
    slope = np.tile(np.linspace(0.0, 10.0, 60, dtype=np.float32), (60, 1))
    fitted = fit_blobs(slope, 30.0 * ONE, 30.0 * ONE, 1.5 * ONE, 0.0 * ONE)
    assert abs(fitted.x[0] - 30.0) <= 1.5
