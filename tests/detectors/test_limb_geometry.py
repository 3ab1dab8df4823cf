"""Directions, angles and pixels of the limb agree with each other and with textbook values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.limb_fit import moved_nadir
from detectors.limb_geometry import (
    arc_rays,
    limb_angle_deg,
    nadir_vector,
    pixels_of,
    pointing_of,
    rays_of,
    tangent_axes,
)

LEANS = st.floats(1.0, 130.0)
ROLLS = st.floats(-179.0, 179.0)


def test_horizon_dip_of_the_station() -> None:
    # Dip of the horizon = arccos(R / (R + h)); 90 degrees less the angle at the nadir
    dip = np.degrees(np.arccos(6371.0 / (6371.0 + 415.0)))
    assert limb_angle_deg(415.0, 0.0) == pytest.approx(90.0 - dip)
    assert limb_angle_deg(415.0, 95.0) - limb_angle_deg(415.0, 0.0) == pytest.approx(2.48, abs=0.02)


@given(LEANS, ROLLS)
def test_pointing_is_the_reverse_of_the_vector(lean: float, roll: float) -> None:
    found = pointing_of(nadir_vector(lean, roll))
    assert found == pytest.approx((lean, roll), abs=1e-6)


def test_roll_zero_has_the_nadir_below() -> None:
    assert nadir_vector(60.0, 0.0)[1] > 0.0
    assert nadir_vector(60.0, 90.0)[0] > 0.0


@given(LEANS, ROLLS)
def test_tangent_axes_are_derivatives(lean: float, roll: float) -> None:
    axis_lean, axis_roll = tangent_axes(nadir_vector(lean, roll))
    step = 1e-4
    by_lean = (nadir_vector(lean + step, roll) - nadir_vector(lean - step, roll)) / (2 * step)
    by_roll = (nadir_vector(lean, roll + step) - nadir_vector(lean, roll - step)) / (2 * step)
    assert np.degrees(by_lean) == pytest.approx(axis_lean, abs=1e-6)
    assert np.degrees(by_roll) == pytest.approx(np.sin(np.radians(lean)) * axis_roll, abs=1e-6)


@given(LEANS, ROLLS, st.floats(40.0, 80.0), st.floats(-60.0, 60.0))
def test_arc_keeps_its_angle_from_the_nadir(
    lean: float, roll: float, angle: float, azimuth: float
) -> None:
    nadir = nadir_vector(lean, roll)
    ray = arc_rays(nadir, np.array([angle]), np.array([azimuth]))[0]
    assert np.degrees(np.arccos(ray @ nadir)) == pytest.approx(angle, abs=1e-5)


@given(st.floats(-300.0, 300.0), st.floats(-200.0, 200.0), st.floats(100.0, 2000.0))
def test_pixels_come_back(x: float, y: float, focal_px: float) -> None:
    rays = rays_of(np.array([x]), np.array([y]), focal_px, (10.0, -3.0))
    back = pixels_of(rays, focal_px, (10.0, -3.0))
    assert (float(back[0][0]), float(back[1][0])) == pytest.approx((x, y), abs=1e-6)


@given(LEANS, ROLLS, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_fit_recovers_a_moved_nadir(lean: float, roll: float, by: float, aside: float) -> None:
    nadir = nadir_vector(lean, roll)
    axis_lean, axis_across = tangent_axes(nadir)
    true = nadir + np.radians(by) * axis_lean + np.radians(aside) * axis_across
    true /= np.linalg.norm(true)
    azimuth = np.linspace(-40.0, 40.0, 30)
    # Angles from the old nadir at which the true nadir's circle of 70 degrees crosses the azimuths
    angle = np.full(azimuth.shape, 70.0)
    for _ in range(20):
        off = np.degrees(np.arccos(arc_rays(nadir, angle, azimuth) @ true)) - 70.0
        angle -= off
    found, _ = moved_nadir(nadir, azimuth, angle - 70.0, np.ones(30))
    assert np.degrees(np.linalg.norm(found - true)) < 0.02
