"""Scores of registrations: errors against truth by construction, and cameras out of points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from example_results import control_point, nadir_camera
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy.spatial.transform import Rotation

from benchmarks.registration.scores import (
    MAP_PIXEL_M,
    GroundPoints,
    camera_above,
    centre_distance_km,
    distance_m,
    fit_camera,
    ground_errors_m,
    pixel_errors_px,
    right_within_km,
    score_registration,
)
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, local_axes
from matchers.footprint import diagonal_km
from regengine.errors import ConfigError

WGS84 = Geod(ellps="WGS84")


def seen_by(camera: Camera, x: np.ndarray, y: np.ndarray) -> GroundPoints:
    lon, lat = camera.pixel_to_lonlat(x, y)
    return GroundPoints(x=x, y=y, lon=lon, lat=lat)


def lattice(camera: Camera, per_side: int = 5) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(
        np.linspace(20.0, camera.width_px - 21.0, per_side),
        np.linspace(20.0, camera.height_px - 21.0, per_side),
    )
    return x.ravel(), y.ravel()


def tilted(off_nadir_deg: float, azimuth_deg: float, roll_deg: float, **known: object) -> Camera:
    """A 1000 x 667 px camera over 10 E, 45 N that looks off to a side."""
    camera = camera_above(10.0, 45.0, 418.0, 1400.0, (1000, 667))
    _, north, up = local_axes(10.0, 45.0)
    turn = Rotation.from_rotvec(-up * azimuth_deg, degrees=True)
    axis = turn.apply(np.cross(north, -up))
    tilt = Rotation.from_rotvec(-axis * off_nadir_deg, degrees=True)
    roll = Rotation.from_rotvec([0.0, 0.0, roll_deg], degrees=True)
    attitude = tilt * Rotation.from_quat(camera.quaternion) * roll
    return replace(camera, quaternion=tuple(attitude.as_quat().tolist()), **known)


def test_the_tilted_cameras_look_off_nadir() -> None:
    assert tilted(0.0, 30.0, 10.0).off_nadir_deg == pytest.approx(0.0, abs=0.01)
    assert tilted(40.0, 30.0, 10.0).off_nadir_deg == pytest.approx(40.0, abs=0.01)


def test_distances_are_geodesic() -> None:
    # A degree of the equator, and 15 arc seconds of the mean great circle
    equator = np.pi * 6378137.0 / 180.0
    np.testing.assert_allclose(distance_m(10.0, 0.0, 11.0, 0.0), equator, atol=0.01)
    np.testing.assert_allclose(distance_m(179.5, 0.0, -179.5, 0.0), equator, atol=0.01)
    np.testing.assert_allclose(MAP_PIXEL_M, 6371008.8 * np.radians(15.0 / 3600.0), atol=0.1)


def test_the_sky_is_infinitely_far() -> None:
    distance = distance_m([10.0, np.nan, np.inf], [0.0, 0.0, 1.0], 10.0, 0.0)
    np.testing.assert_array_equal(distance, [0.0, np.inf, np.inf])


@settings(max_examples=25, deadline=None)
@given(
    off_nadir_deg=st.floats(0.0, 44.0),  # the corners, 23 degrees off the axis, still see ground
    azimuth_deg=st.floats(0.0, 360.0),
    roll_deg=st.floats(-180.0, 180.0),
    focal=st.floats(0.95, 1.05),
    k1=st.floats(-0.04, 0.02),
    moved_m=st.tuples(*3 * [st.floats(-3000.0, 3000.0)]),
)
def test_points_give_their_camera_back(
    off_nadir_deg: float,
    azimuth_deg: float,
    roll_deg: float,
    focal: float,
    k1: float,
    moved_m: tuple[float, float, float],
) -> None:
    start = camera_above(10.0, 45.0, 418.0, 1400.0, (1000, 667))
    place = tuple((np.array(start.position_ecef_m) + np.array(moved_m)).tolist())
    truth = tilted(
        off_nadir_deg,
        azimuth_deg,
        roll_deg,
        focal_px=1400.0 * focal,
        distortion=(k1, 0.0, 0.0, 0.0, 0.0),
        position_ecef_m=place,
    )
    fit = fit_camera(seen_by(truth, *lattice(truth)), start)
    assert fit.residual_px.max() < 0.03
    x, y = np.array([5.0, 700.0, 333.0]), np.array([650.0, 5.0, 222.0])  # between and beyond
    truly = seen_by(truth, x, y)
    assert pixel_errors_px(fit.camera, truly).max() < 0.1


def test_three_points_are_too_few() -> None:
    camera = nadir_camera()
    points = seen_by(camera, np.array([1.0, 2.0, 3.0]), np.array([5.0, 1.0, 9.0]))
    with pytest.raises(ConfigError, match="3 known places do not tell a camera: give at least 4"):
        fit_camera(points, camera)


def test_the_bar_is_one_percent_or_one_kilometre() -> None:
    assert right_within_km(60.0) == 1.0
    assert right_within_km(1650.0) == pytest.approx(16.5)


@pytest.mark.parametrize(("share", "right"), [(0.98, True), (1.02, False)])
def test_right_ends_at_the_bar(share: float, right: bool) -> None:
    truth = nadir_camera()
    bar_m = 1000.0 * right_within_km(diagonal_km(truth))
    points = [control_point(100, 90), control_point(520, 80), control_point(540, 330)]
    worst = control_point(90, 340)
    lon, lat, _ = WGS84.fwd(worst.lon, worst.lat, 77.0, share * bar_m)
    points.append(replace(worst, lon=lon, lat=lat))
    score = score_registration(truth, points, truth, seen_by(truth, *lattice(truth)))
    assert score.right is right
    np.testing.assert_allclose(score.control_point_error_m[:3], 0.0, atol=0.01)
    np.testing.assert_allclose(score.control_point_error_m[3], share * bar_m, atol=0.5)
    np.testing.assert_allclose(score.error_m, 0.0, atol=0.01)


def test_without_control_points_nothing_is_right() -> None:
    truth = nadir_camera()
    score = score_registration(truth, (), truth, seen_by(truth, *lattice(truth)))
    assert not score.right


def test_a_turned_camera_errs_by_the_turn() -> None:
    truth = nadir_camera()
    turn = Rotation.from_rotvec([0.0, 2.0 / truth.focal_px, 0.0])  # two pixels to the right
    attitude = Rotation.from_quat(truth.quaternion) * turn
    camera = replace(truth, quaternion=tuple(attitude.as_quat().tolist()))
    points = seen_by(truth, *lattice(truth))
    errors = ground_errors_m(camera, points)
    np.testing.assert_allclose(errors, 2.0 * 391.2e3 / truth.focal_px, rtol=0.08)
    np.testing.assert_allclose(pixel_errors_px(camera, points), 2.0, rtol=0.08)
    score = score_registration(camera, (), truth, points)
    assert score.share_of_diagonal(float(np.median(errors))) == pytest.approx(
        2.0 * 0.26 / diagonal_km(truth), rel=0.1
    )


def test_hidden_places_have_no_pixel() -> None:
    camera = nadir_camera()
    antipode = GroundPoints(
        x=np.array([3.0]), y=np.array([4.0]), lon=np.array([-43.1]), lat=np.array([-35.7])
    )
    np.testing.assert_array_equal(pixel_errors_px(camera, antipode), [np.inf])


def test_places_of_the_title() -> None:
    camera = nadir_camera()
    assert centre_distance_km(camera, 136.9, 35.7) < 0.3  # the centre is half a pixel off
    lon, lat, _ = WGS84.fwd(136.9, 35.7, 90.0, 60e3)
    assert centre_distance_km(camera, lon, lat) == pytest.approx(60.0, abs=0.3)


def test_a_camera_above_looks_down_with_north_up() -> None:
    camera = camera_above(-60.0, -35.0, 400.0, 800.0, (640, 426))
    assert camera.off_nadir_deg == pytest.approx(0.0, abs=0.01)
    lon, lat = camera.pixel_to_lonlat([319.5, 319.5, 400.0], [212.5, 100.0, 212.5])
    np.testing.assert_allclose([lon[0], lat[0]], [-60.0, -35.0], atol=1e-4)
    assert lat[1] > -34.9
    assert lon[2] > -59.9
    np.testing.assert_allclose(
        np.linalg.norm(np.array(camera.position_ecef_m) - geodetic_to_ecef(-60.0, -35.0)), 400e3
    )
