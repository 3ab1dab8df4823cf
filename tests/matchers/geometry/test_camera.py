"""The camera against OpenCV's, its conventions stated by hand, and many cameras at once."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy.spatial.transform import Rotation

from matchers.geometry.camera import Camera, ManyCameras, quaternion_matrix
from matchers.geometry.earth import geodetic_to_ecef, incidence_deg
from matchers.geometry.footprint import (
    MAX_INCIDENCE_DEG,
    trace_visible_outline,
    trace_visible_outlines,
)
from matchers.geometry.pose import off_nadir_attitude, point_at_nadir, turn_camera, with_attitude
from matchers.geometry.projection import distort, undistort
from tests.example_results import nadir_camera
from tests.matchers.geometry.any_cameras import BENT, any_cameras
from tests.matchers.lamp_world import (
    camera_over,
    east_north_up,
    ecef,
    geodetic,
    project,
)

WGS84 = Geod(ellps="WGS84")
small = st.floats(-0.02, 0.02)
lenses = st.one_of(
    st.just((0.0, 0.0, 0.0, 0.0, 0.0)),
    # A tenth at the corner of the widest lens below: beyond, the iteration needs more rounds
    st.tuples(st.floats(-0.08, 0.08), small, st.floats(-0.01, 0.01), st.floats(-0.01, 0.01), small),
)


@st.composite
def cameras(draw: st.DrawFn, max_off_nadir: float = 75.0) -> Camera:
    return camera_over(
        draw(st.floats(-180.0, 179.9)),
        draw(st.floats(-52.0, 52.0)),
        draw(st.floats(350e3, 430e3)),
        off_nadir=draw(st.floats(0.0, max_off_nadir)),
        azimuth=draw(st.floats(0.0, 360.0)),
        roll=draw(st.floats(-180.0, 180.0)),
        width=1000,
        height=700,
        focal_px=draw(st.floats(800.0, 5000.0)),
        distortion=draw(lenses),
        mirrored=draw(st.booleans()),
    )


@given(camera=cameras(), seed=st.integers(0, 1000))
def test_projection_is_opencvs(camera: Camera, seed: int) -> None:
    rng = np.random.default_rng(seed)
    local = np.stack([*rng.uniform(-0.7, 0.7, (2, 20)), np.ones(20)], axis=1)
    local *= rng.uniform(4e5, 2e6, (20, 1))
    matrix = Rotation.from_quat(camera.quaternion).as_matrix()
    points = np.asarray(camera.position_ecef_m) + local @ matrix.T
    x, y = camera.ecef_to_pixel(points)
    assert np.stack([x, y], axis=-1) == pytest.approx(project(camera, points), abs=1e-6)


@given(camera=cameras(60.0), x=st.floats(-0.5, 999.5), y=st.floats(-0.5, 699.5))
def test_pixels_see_the_ground_that_opencv_puts_there(camera: Camera, x: float, y: float) -> None:
    lon, lat = (float(v) for v in camera.pixel_to_lonlat(x, y))
    if np.isnan(lon):
        return
    assert -180.0 <= lon < 180.0
    assert project(camera, ecef(lon, lat)[None])[0] == pytest.approx([x, y], abs=1e-4)
    back = [float(v) for v in camera.lonlat_to_pixel(lon, lat)]
    assert back == pytest.approx([x, y], abs=1e-4)


@given(camera=cameras(), height=st.floats(-400.0, 5000.0))
def test_raised_ground_projects_back(camera: Camera, height: float) -> None:
    lon, lat = camera.pixel_to_lonlat(400.0, 300.0, height)
    if np.isnan(lon):
        return
    # The raised ellipsoid is exact to 0.2 % of the height, 20 m seen from 400 km or more
    x, y = camera.lonlat_to_pixel(lon, lat, height)
    assert [float(x), float(y)] == pytest.approx([400.0, 300.0], abs=0.3)
    assert geodetic(camera.pixel_to_ecef(400.0, 300.0, height))[2] == pytest.approx(
        height, abs=0.002 * abs(height) + 1e-3
    )


def test_the_sky_and_what_lies_behind_have_no_pixel() -> None:
    camera = camera_over(10.0, 40.0, off_nadir=70.0, azimuth=90.0, focal_px=150.0)
    lon, lat = camera.pixel_to_lonlat([150.0, 150.0], [0.0, 199.0])  # top: above the limb
    assert np.isnan(lon).tolist() == [True, False]
    assert np.isnan(lat).tolist() == [True, False]
    x, y = camera.lonlat_to_pixel([-170.0, -5.0], [-40.0, 40.0])  # antipode; behind the camera
    assert np.isnan(x).all()
    assert np.isnan(y).all()
    assert np.isnan(camera.ecef_to_pixel(ecef(10.0, 40.0, 900e3))[0])


@pytest.mark.parametrize("k1", [-0.15, -0.4, -1.5])
def test_places_beyond_what_the_lens_sees_have_no_pixel(k1: float) -> None:
    """The distorted radius r (1 + k1 r^2) is largest at r = sqrt(-1 / (3 k1)), and turns back."""
    whole = replace(nadir_camera(tilt_deg=40.0), focal_px=450.0)
    camera = replace(whole, distortion=(k1, 0.0, 0.0, 0.0, 0.0))
    lon, lat = np.meshgrid(np.linspace(115.0, 160.0, 91), np.linspace(18.0, 55.0, 75))
    ground = geodetic_to_ecef(lon, lat)
    towards = (ground - camera.position_ecef_m) @ Rotation.from_quat(camera.quaternion).as_matrix()
    off_axis = np.arctan2(np.hypot(towards[..., 0], towards[..., 1]), towards[..., 2])
    seen = np.isfinite(whole.lonlat_to_pixel(lon, lat)[0])
    within = off_axis < np.arctan(np.sqrt(-1.0 / (3.0 * k1)))
    x, y = camera.lonlat_to_pixel(lon, lat)
    assert (seen & ~within).any()
    assert (np.isfinite(x) == (seen & within)).all()
    # What has a pixel is what the pixel sees; at the fold itself, two places have the same
    clear = seen & (np.tan(off_axis) < 0.9 * np.sqrt(-1.0 / (3.0 * k1)))
    back_lon, back_lat = camera.pixel_to_lonlat(x[clear], y[clear])
    assert back_lon == pytest.approx(lon[clear], abs=1e-6)
    assert back_lat == pytest.approx(lat[clear], abs=1e-6)


def test_places_vanish_at_the_horizon() -> None:
    camera = camera_over(10.0, 0.0, 410e3, off_nadir=70.0, azimuth=90.0, focal_px=200.0)
    # On the equator the section is a circle of the semi-major axis
    horizon_deg = np.degrees(np.arccos(6378137.0 / (6378137.0 + 410e3)))
    x, _ = camera.lonlat_to_pixel(10.0 + horizon_deg + np.array([-0.01, 0.01]), [0.0, 0.0])
    assert np.isfinite(x).tolist() == [True, False]


def test_a_roll_turns_the_picture_the_other_way() -> None:
    """Looking straight down with north at the top, roll +10 degrees turns the camera clockwise.

    What lay to the right (east) then lies 10 degrees higher: the picture turns anticlockwise.
    """
    position = ecef(25.0, 45.0, 400e3)
    x, y, z = position.tolist()
    blank = replace(camera_over(25.0, 45.0, 400e3), position_ecef_m=(x, y, z))
    camera = with_attitude(blank, off_nadir_attitude(position, 0.0, 0.0, 10.0))
    east, _, _ = east_north_up(25.0, 45.0)
    at_x, at_y = (float(v) for v in camera.ecef_to_pixel(ecef(25.0, 45.0) + 50e3 * east))
    away = 50e3 * camera.focal_px / 400e3
    assert at_x - 149.5 == pytest.approx(away * np.cos(np.radians(10.0)), abs=1e-3)
    assert at_y - 99.5 == pytest.approx(-away * np.sin(np.radians(10.0)), abs=1e-3)


def test_straight_down_north_is_up_and_east_is_right() -> None:
    position = ecef(-60.0, -33.0, 400e3)
    x, y, z = position.tolist()
    blank = replace(camera_over(-60.0, -33.0, 400e3), position_ecef_m=(x, y, z))
    camera = with_attitude(blank, point_at_nadir(position))
    here = [float(v) for v in camera.lonlat_to_pixel(-60.0, -33.0)]
    assert here == pytest.approx([149.5, 99.5], abs=1e-3)
    north, east = camera.lonlat_to_pixel([-60.0, -59.9], [-32.9, -33.0])[1::-1]
    assert east[0] == pytest.approx(149.5, abs=0.05)
    assert north[0] < 99.0
    assert east[1] > 150.0


@given(vector=st.tuples(*[st.floats(-1.5, 1.5)] * 3))
def test_turning_is_about_the_cameras_own_axes(vector: tuple[float, float, float]) -> None:
    camera = camera_over(3.0, 50.0, off_nadir=30.0, azimuth=77.0, roll=12.0)
    expected = camera.matrix @ Rotation.from_rotvec(vector).as_matrix()
    assert turn_camera(camera, vector).matrix == pytest.approx(expected, abs=1e-12)


def test_off_nadir_is_counted_from_the_geodetic_nadir() -> None:
    """The direction to the Earth's centre is 0.18 degrees beside it at 45 degrees latitude."""
    camera = camera_over(0.0, 45.0, 400e3)
    assert camera.off_nadir_deg == pytest.approx(0.0, abs=0.01)
    centre = -np.asarray(camera.position_ecef_m)
    down = camera.boresight_ecef
    apart = np.degrees(np.arccos(down @ centre / np.linalg.norm(centre)))
    assert apart == pytest.approx(0.181, abs=0.005)


@given(camera=cameras(50.0), x=st.floats(0.0, 999.0), y=st.floats(0.0, 699.0))
def test_a_mirrored_picture_is_the_other_one_flipped(camera: Camera, x: float, y: float) -> None:
    plain, flipped = replace(camera, mirrored=False), replace(camera, mirrored=True)
    ground = plain.pixel_to_ecef(x, y)
    assert flipped.pixel_to_ecef(999.0 - x, y) == pytest.approx(ground, abs=1e-6, nan_ok=True)
    if np.isfinite(ground).all():
        u, v = (float(a) for a in flipped.ecef_to_pixel(ground))
        assert (u, v) == pytest.approx((999.0 - x, y), abs=1e-4)


@given(factor=st.sampled_from([0.1, 0.5, 2.0, 3.0]), mirrored=st.booleans())
def test_a_resized_picture_keeps_its_corners(factor: float, mirrored: bool) -> None:
    """Pixels are areas: the outer corner (-0.5, -0.5) stays (-0.5, -0.5), the far one goes along"""
    camera = camera_over(
        8.0, 45.0, off_nadir=20.0, roll=33.0, distortion=(-0.1, 0, 0.01, 0, 0), mirrored=mirrored
    )
    resized = camera.scaled(factor, round(300 * factor), round(200 * factor))
    x, y = np.array([-0.5, 299.5, 77.25, 0.0]), np.array([-0.5, 199.5, 10.0, 0.0])
    ground = camera.pixel_to_ecef(x, y)
    new_x, new_y = resized.ecef_to_pixel(ground)
    assert new_x[:2] == pytest.approx([-0.5, 300 * factor - 0.5], abs=1e-4)
    assert new_y[:2] == pytest.approx([-0.5, 200 * factor - 0.5], abs=1e-4)
    assert new_x == pytest.approx((x + 0.5) * factor - 0.5, abs=1e-4)
    assert new_y == pytest.approx((y + 0.5) * factor - 0.5, abs=1e-4)


def test_a_picture_halved_by_opencv_is_the_scaled_cameras() -> None:
    """A light spread over pixels 10 and 11 falls on pixel 5 of the halved picture."""
    image = np.zeros((200, 300), np.float32)
    image[40:42, 10:12] = 1.0
    half = cv2.resize(image, (150, 100), interpolation=cv2.INTER_AREA)
    row, col = np.unravel_index(np.argmax(half), half.shape)
    camera = camera_over(8.0, 45.0)
    ground = camera.pixel_to_ecef(10.5, 40.5)
    x, y = camera.scaled(0.5, 150, 100).ecef_to_pixel(ground)
    assert (float(x), float(y)) == pytest.approx((col, row), abs=1e-6)


@given(quaternion=st.tuples(*[st.floats(-3.0, 3.0)] * 4))
def test_quaternions_are_scipys(quaternion: tuple[float, float, float, float]) -> None:
    if np.linalg.norm(quaternion) < 0.1:
        return
    expected = Rotation.from_quat(quaternion).as_matrix()
    assert quaternion_matrix(quaternion) == pytest.approx(expected, abs=1e-12)


@given(lens=lenses, seed=st.integers(0, 100))
def test_undistorting_undoes_distortion(
    lens: tuple[float, float, float, float, float], seed: int
) -> None:
    u, v = np.random.default_rng(seed).uniform(-0.4, 0.4, (2, 30))
    bent = distort(u, v, lens)
    straight = undistort(*bent, lens)
    assert np.stack(straight) == pytest.approx(np.stack([u, v]), abs=1e-6)


@pytest.mark.parametrize("aspect", [1.5, 2.0 / 3.0])
def test_a_stretched_image_shows_the_same_ground_at_stretched_pixels(aspect: float) -> None:
    camera = replace(nadir_camera(), distortion=BENT)
    middle = (camera.height_px - 1) / 2.0
    axis = camera.principal_point[0], middle + aspect * (camera.principal_point[1] - middle)
    stretched = replace(camera, pixel_aspect=aspect, principal_point=axis)
    x, y = np.array([0.0, 200.0, 500.0]), np.array([30.0, 300.0, 10.0])
    ground = camera.pixel_to_ecef(x, y)
    there = middle + aspect * (y - middle)
    np.testing.assert_allclose(stretched.pixel_to_ecef(x, there), ground, atol=1e-6)
    np.testing.assert_allclose(stretched.ecef_to_pixel(ground), [x, there], atol=1e-6)


@given(st.lists(any_cameras(), min_size=1, max_size=5))
def test_pixels_see_the_same_ground(some: list[Camera]) -> None:
    many = ManyCameras.of(some)
    x, y = np.meshgrid(np.linspace(0.0, 1.0, 7), np.linspace(0.0, 1.0, 5))
    xs, ys = x.ravel() * (many.width_px - 1.0), y.ravel() * (many.height_px - 1.0)
    ground = many.pixel_to_ecef(xs, ys)
    for row, camera in enumerate(some):
        alone = camera.pixel_to_ecef(xs[row], ys[row])
        np.testing.assert_allclose(ground[row], alone, rtol=0.0, atol=1e-3)
    again = many[np.array([len(some) - 1, 0])].pixel_to_ecef(xs[[-1, 0]], ys[[-1, 0]])
    np.testing.assert_allclose(again, ground[[-1, 0]], rtol=0.0, atol=1e-6)


@settings(max_examples=15)
@given(st.lists(any_cameras(), min_size=2, max_size=5))
def test_outlines_are_those_of_each_and_end_at_the_limit(some: list[Camera]) -> None:
    x, y, seen = trace_visible_outlines(ManyCameras.of(some), 9)
    for row, camera in enumerate(some):
        alone_x, alone_y = trace_visible_outline(camera, 9)
        assert bool(seen[row]) == bool(len(alone_x))
        if not seen[row]:
            continue
        np.testing.assert_allclose(x[row], alone_x, rtol=0.0, atol=1e-6)
        np.testing.assert_allclose(y[row], alone_y, rtol=0.0, atol=1e-6)
        angle = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x[row], y[row]))
        assert (angle <= MAX_INCIDENCE_DEG + 1e-6).all()
