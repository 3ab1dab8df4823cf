"""Scoring against the simulator's camera, by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from example_results import control_point, nadir_camera
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from benchmarks.registration.scores import (
    MAP_PIXEL_M,
    ground_grid,
    normalised_errors,
    score_columns,
)
from benchmarks.simulate.camera import Pointing, SimCamera
from benchmarks.trials.attempt import camera_of
from matchers.geometry.earth import geodetic_to_ecef, incidence_deg

TRUTH = nadir_camera()
WGS84 = Geod(ellps="WGS84")


def sim_camera(
    focal_px: float, lean: float, roll: float, k1: float, mirrored: bool, shift: float
) -> SimCamera:
    camera = SimCamera.pointed(
        position_ecef_m=geodetic_to_ecef(12.0, 44.0, 410e3),
        pointing=Pointing(off_nadir_deg=lean, azimuth_deg=70.0, roll_deg=roll),
        width_px=900,
        height_px=600,
        focal_px=focal_px,
        k1=k1,
        mirrored=mirrored,
    )
    return replace(camera, principal_x=camera.principal_x + shift, principal_y=200.0)


@given(
    st.floats(700.0, 9000.0),
    st.floats(0.0, 62.0),
    st.floats(-180.0, 180.0),
    st.floats(-0.06, 0.06),
    st.booleans(),
    st.floats(-300.0, 300.0),
)
def test_both_cameras_project_alike(
    focal_px: float, lean: float, roll: float, k1: float, mirrored: bool, shift: float
) -> None:
    simulated = sim_camera(focal_px, lean, roll, k1, mirrored, shift)
    camera = camera_of(simulated)
    x, y = (side.ravel() for side in np.meshgrid(np.linspace(0, 899, 7), np.linspace(0, 599, 5)))
    lon, lat, _ = simulated.ground(x, y)
    seen = np.isfinite(lon)
    seen[seen] = (
        incidence_deg(camera.position_ecef_m, geodetic_to_ecef(lon[seen], lat[seen])) < 85.0
    )
    ours = camera.lonlat_to_pixel(lon[seen], lat[seen])
    theirs = simulated.project(lon[seen], lat[seen])[:2]
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    back = camera.pixel_to_lonlat(x[seen], y[seen])
    np.testing.assert_allclose(camera.lonlat_to_pixel(*back), [x[seen], y[seen]], atol=1e-4)


def moved(east_m: float, north_m: float) -> list:
    """Four control points that are off by so much."""
    points = []
    for x, y in ((50, 40), (600, 30), (590, 400), (30, 390)):
        point = control_point(float(x), float(y))
        azimuth = float(np.degrees(np.arctan2(east_m, north_m)))
        lon, lat, _ = WGS84.fwd(point.lon, point.lat, azimuth, float(np.hypot(east_m, north_m)))
        variance = (200.0**2, 0.0, 100.0**2)
        points.append(replace(point, lon=lon, lat=lat, covariance_m=variance))
    return points


def test_errors_in_metres_units_and_sigmas() -> None:
    columns = score_columns(TRUTH, moved(300.0, -250.0), TRUTH)
    assert columns["point_error_m"] == pytest.approx(4 * [np.hypot(300.0, 250.0)], abs=0.5)
    units = np.hypot(300.0, 250.0) / MAP_PIXEL_M  # the photo's pixels are finer
    assert columns["point_error_units"] == pytest.approx(4 * [units], rel=1e-3)
    assert columns["z_east"] == pytest.approx(4 * [1.5], rel=1e-2)
    assert columns["z_north"] == pytest.approx(4 * [-2.5], rel=1e-2)
    assert columns["grid_max_m"] == 0.0


def test_a_point_in_the_sky_has_no_true_place() -> None:
    oblique = nadir_camera(tilt_deg=70.0)
    points = [control_point(320.0, 2.0)]
    assert np.isnan(oblique.pixel_to_lonlat(320.0, 2.0)[0])
    columns = score_columns(TRUTH, points, oblique)
    assert not columns["right"]
    assert np.isinf(columns["point_error_m"]).all()
    assert np.isinf(normalised_errors(points, oblique)).all()


def test_the_grid_leaves_sky_and_limb_out() -> None:
    grid = ground_grid(nadir_camera(tilt_deg=62.0))
    assert 0 < len(grid) < 17 * 17
    assert len(ground_grid(TRUTH)) == 17 * 17
    assert len(ground_grid(nadir_camera(tilt_deg=120.0))) == 0
