"""The analytic derivatives of the pose are those of the steps themselves; the other pose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef
from matchers.geometry.pose import (
    PARAMETERS,
    PosePrior,
    mirror_pose,
    move_on_orbit,
    off_nadir_attitude,
    pixel_derivatives,
    step_camera,
    track_offsets_m,
    with_attitude,
)
from tests.matchers.lamp_world import camera_over, east_north_up, geodetic

VELOCITY = np.array([1000.0, 7000.0, 2000.0])


def camera(
    off_nadir: float, azimuth: float, roll: float, *, k1: float = 0.0, mirrored: bool = False
) -> Camera:
    x, y, z = geodetic_to_ecef(12.0, 41.0, 410e3).tolist()
    blank = Camera(
        width_px=1000,
        height_px=700,
        focal_px=1400.0,
        principal_point=(480.0, 360.0),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(x, y, z),
        distortion=(k1, 0.0, 0.0, 0.0, 0.0),
        mirrored=mirrored,
    )
    return with_attitude(blank, off_nadir_attitude((x, y, z), off_nadir, azimuth, roll))


@given(
    off_nadir=st.floats(0.0, 45.0),
    azimuth=st.floats(0.0, 360.0),
    roll=st.floats(0.0, 360.0),
    k1=st.sampled_from([0.0, -0.08, 0.05]),
    mirrored=st.booleans(),
    aspect=st.sampled_from([None, 1.5]),
)
def test_derivatives_equal_finite_differences(off_nadir, azimuth, roll, k1, mirrored, aspect):
    here = camera(off_nadir, azimuth, roll, k1=k1, mirrored=mirrored)
    here = replace(here, pixel_aspect=aspect)
    ground = here.pixel_to_ecef([100.0, 500.0, 900.0, 300.0], [80.0, 350.0, 600.0, 640.0])
    exact = pixel_derivatives(here, VELOCITY, ground)
    sizes = [1e-6, 1e-6, 1e-6, 1e-6, 1.0, 1.0, 1.0, 1e-6, 1e-3, 1e-3]
    for k in range(PARAMETERS):
        step = np.zeros(PARAMETERS)
        step[k] = sizes[k]
        plus = np.stack(step_camera(here, VELOCITY, step).ecef_to_pixel(ground), axis=-1)
        minus = np.stack(step_camera(here, VELOCITY, -step).ecef_to_pixel(ground), axis=-1)
        numeric = (plus - minus) / (2.0 * sizes[k])
        scale = max(1.0, np.abs(numeric).max())
        assert exact[..., k] == pytest.approx(numeric, abs=2e-4 * scale)


@given(along=st.floats(-3e5, 3e5), across=st.floats(-3e5, 3e5), up=st.floats(-2e4, 2e4))
def test_offsets_undo_movements(along, across, up):
    start = geodetic_to_ecef(-70.0, -33.0, 415e3)
    there = move_on_orbit(start, VELOCITY, along, across, up)
    x, y, z = start.tolist()
    prior = PosePrior(
        position_ecef_m=(x, y, z),
        velocity_ecef=(1000.0, 7000.0, 2000.0),
        focal_px=1000.0,
        sigma_along_m=1.0,
        sigma_across_m=1.0,
        sigma_up_m=1.0,
        sigma_log_focal=1.0,
        sigma_k1=1.0,
        principal_point=(0.0, 0.0),
        sigma_principal_px=0.0,
    )
    assert track_offsets_m(prior, there) == pytest.approx((along, across, up), abs=1e-3)


def test_a_step_up_raises_the_camera():
    start = camera(10.0, 20.0, 30.0)
    step = np.zeros(PARAMETERS)
    step[6] = 500.0
    risen = np.linalg.norm(step_camera(start, VELOCITY, step).position_ecef_m)
    assert risen - np.linalg.norm(start.position_ecef_m) == pytest.approx(500.0, abs=1e-6)


@given(off_nadir=st.floats(2.0, 50.0), azimuth=st.floats(0.0, 360.0), roll=st.floats(-180.0, 180.0))
def test_the_other_pose_sees_the_same_from_afar(
    off_nadir: float, azimuth: float, roll: float
) -> None:
    """Scaled orthography cannot tell the two apart, so that a narrow field hardly can."""
    narrow = camera_over(
        11.0, 43.0, off_nadir=off_nadir, azimuth=azimuth, roll=roll, focal_px=30_000.0
    )
    other = mirror_pose(narrow)
    assert other is not None
    assert np.linalg.det(other.matrix) == pytest.approx(1.0)
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 299, 5), np.linspace(0, 199, 4)))
    ground = narrow.pixel_to_ecef(x, y)
    apart = np.hypot(*(np.stack(other.ecef_to_pixel(ground)) - [x, y]))
    assert apart.max() < 4.0
    # It stands across the normal of the ground in the middle, as far away
    middle = narrow.pixel_to_ecef(149.5, 99.5)
    up = east_north_up(*(float(v) for v in geodetic(middle)[:2]))[2]
    here, there = (np.asarray(one.position_ecef_m) - middle for one in (narrow, other))
    assert here @ up == pytest.approx(there @ up, rel=1e-6)
    assert np.linalg.norm(here - (here @ up) * up + there - (there @ up) * up) < 1.0
    again = mirror_pose(other)
    assert again is not None
    assert np.allclose(again.position_ecef_m, narrow.position_ecef_m, atol=1.0)
    assert np.allclose(again.matrix, narrow.matrix, atol=1e-6)
