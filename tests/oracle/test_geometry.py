"""The camera, the Earth, pixels of the sky and outlines, against OpenCV, PROJ and SciPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy.spatial.transform import Rotation

from detectors.constants import SEMI_MAJOR_M, SEMI_MINOR_M
from detectors.types import FloatArray
from matchers.geometry import compiled_view, projection
from matchers.geometry.camera import Camera, ManyCameras, quaternion_matrix, widest_tangent
from matchers.geometry.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    great_circle_km,
    incidence_deg,
    intersect_ellipsoid,
    local_axes,
    surface_to_lonlat,
)
from matchers.geometry.footprint import (
    MAX_INCIDENCE_DEG,
    corner_lonlat,
    diagonal_km,
    trace_visible_outline,
    trace_visible_outlines,
)
from matchers.geometry.pose import (
    PARAMETERS,
    off_nadir_attitude,
    pixel_derivatives,
    point_at_nadir,
    track_axes,
    turn_camera,
    with_attitude,
)
from matchers.geometry.projection import POSITION, distort, to_ground, to_pixel, undistort
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion, sky_vectors
from tests.world.results import nadir_camera
from tests.world.towns import (
    BENT,
    VELOCITY,
    any_cameras,
    camera_over,
    east_north_up,
    ecef,
    geodetic,
    project,
)

longitudes = st.floats(-180.0, 180.0)
latitudes = st.floats(-90.0, 90.0)
orbit_heights = st.floats(300e3, 500e3)
WGS84 = Geod(ellps="WGS84")


def lon_apart(a: float, b: float) -> float:
    return abs((a - b + 180.0) % 360.0 - 180.0)


@given(lon=longitudes, lat=latitudes, height=st.floats(-500.0, 2e6))
@example(lon=0.0, lat=90.0, height=0.0)
@example(lon=123.0, lat=-90.0, height=4e5)
@example(lon=180.0, lat=10.0, height=0.0)
@example(lon=-180.0, lat=0.0, height=0.0)
def test_geodetic_to_ecef_is_that_of_proj(lon: float, lat: float, height: float) -> None:
    assert geodetic_to_ecef(lon, lat, height) == pytest.approx(ecef(lon, lat, height), abs=1e-6)


@given(lon=longitudes, lat=latitudes, height=st.floats(-500.0, 2e6))
@example(lon=77.0, lat=90.0, height=0.0)
@example(lon=77.0, lat=-90.0, height=4e5)
@example(lon=180.0, lat=-45.0, height=0.0)
@example(lon=-180.0, lat=45.0, height=0.0)
@example(lon=12.0, lat=0.0, height=1e6)
def test_ecef_to_geodetic_undoes_proj(lon: float, lat: float, height: float) -> None:
    found_lon, found_lat, found_height = ecef_to_geodetic(ecef(lon, lat, height))
    assert found_lat == pytest.approx(lat, abs=1e-9)
    assert found_height == pytest.approx(height, abs=1e-4)
    assert -180.0 <= found_lon < 180.0
    if abs(lat) < 89.9999:
        assert lon_apart(float(found_lon), lon) < 1e-9


@given(lon=longitudes, lat=latitudes)
@example(lon=180.0, lat=0.0)
@example(lon=-180.0, lat=60.0)
@example(lon=5.0, lat=90.0)
def test_places_on_the_ground_have_a_closed_form(lon: float, lat: float) -> None:
    found_lon, found_lat = surface_to_lonlat(ecef(lon, lat))
    assert found_lat == pytest.approx(lat, abs=1e-9)
    assert -180.0 <= found_lon < 180.0
    if abs(lat) < 89.9999:
        assert lon_apart(float(found_lon), lon) < 1e-9
    # A kilometre of height costs little
    assert surface_to_lonlat(ecef(lon, lat, 1000.0))[1] == pytest.approx(lat, abs=5e-5)


@given(
    lon=longitudes,
    lat=latitudes,
    height=orbit_heights,
    direction=st.tuples(*[st.floats(-1.0, 1.0)] * 3),
    length=st.floats(0.01, 1e7),
)
def test_rays_meet_the_ground_where_they_first_come_down(
    lon: float, lat: float, height: float, direction: tuple[float, float, float], length: float
) -> None:
    ray = np.array(direction)
    assume(np.linalg.norm(ray) > 0.1)
    ray /= np.linalg.norm(ray)
    start = ecef(lon, lat, height)
    ground = intersect_ellipsoid(start, length * ray)
    along = np.linspace(0.0, 2.6e6, 2001)  # the horizon is 2,600 km away at 500 km
    heights = geodetic(start + along[:, None] * ray)[2]
    if np.isnan(ground).any():
        assert heights.min() > -100.0  # between samples 1.3 km apart a grazing ray sinks by 0.03 m
        return
    assert float(geodetic(ground)[2]) == pytest.approx(0.0, abs=1e-3)
    distance = float(np.linalg.norm(ground - start))
    assert (ground - start) / distance == pytest.approx(ray, abs=1e-9)
    assert heights[along < distance - 1.0].min() > -1e-3


def test_rays_that_graze_miss_or_point_away() -> None:
    start = np.array([SEMI_MAJOR_M + 400e3, 0.0, 0.0])
    horizon = np.arcsin(SEMI_MAJOR_M / start[0])
    turn = np.array([horizon - 1e-6, horizon + 1e-6, np.pi, np.pi / 2])
    rays = np.stack([-np.cos(turn), np.sin(turn), 0.0 * turn], axis=-1)
    seen = np.isfinite(intersect_ellipsoid(start, rays)).all(axis=-1)
    assert seen.tolist() == [True, False, False, False]
    down = intersect_ellipsoid([[0.0, 0.0, 7e6], [7e6, 0.0, 0.0]], [[0.0, 0, -2], [-3.0, 0, 0]])
    assert down == pytest.approx(np.array([[0.0, 0.0, SEMI_MINOR_M], [SEMI_MAJOR_M, 0.0, 0.0]]))


@given(lat=latitudes, height=st.floats(-400.0, 5000.0), slant=st.floats(0.0, 60.0))
def test_raised_ground_lies_at_its_height(lat: float, height: float, slant: float) -> None:
    start = ecef(20.0, lat, 410e3)
    east, _, up = east_north_up(20.0, lat)
    ray = np.sin(np.radians(slant)) * east - np.cos(np.radians(slant)) * up
    ground = intersect_ellipsoid(start, ray, height)
    assert float(geodetic(ground)[2]) == pytest.approx(height, abs=0.002 * abs(height) + 1e-3)


@given(lon=longitudes, lat=latitudes)
def test_local_axes_are_those_of_proj(lon: float, lat: float) -> None:
    axes = local_axes(lon, lat)
    assert axes == pytest.approx(east_north_up(lon, lat), abs=1e-8)
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.cross(axes[0], axes[1]) == pytest.approx(axes[2], abs=1e-12)


@given(lon=longitudes, lat=st.floats(-89.0, 89.0), azimuth=longitudes, apart=st.floats(1.0, 3e6))
def test_incidence_is_the_angle_to_the_local_vertical(
    lon: float, lat: float, azimuth: float, apart: float
) -> None:
    camera = ecef(lon, lat, 410e3)
    there_lon, there_lat, _ = WGS84.fwd(lon, lat, azimuth, apart)
    ground = ecef(there_lon, there_lat)
    east, north, up = east_north_up(there_lon, there_lat) @ (camera - ground)
    expected = np.degrees(np.arctan2(np.hypot(east, north), up))
    assert float(incidence_deg(camera, ground)) == pytest.approx(expected, abs=1e-5)


def test_incidence_at_the_nadir_and_beyond_the_horizon() -> None:
    camera = ecef(30.0, 45.0, 400e3)
    assert float(incidence_deg(camera, ecef(30.0, 45.0))) == pytest.approx(0.0, abs=1e-5)
    assert float(incidence_deg(camera, ecef(-150.0, -45.0))) == pytest.approx(180.0, abs=1.0)
    assert np.isnan(incidence_deg(camera, np.full(3, np.nan)))


@given(lon=longitudes, lat=latitudes, azimuth=longitudes, apart=st.floats(10.0, 15e6))
def test_distances_are_those_of_the_ellipsoid_to_half_a_percent(
    lon: float, lat: float, azimuth: float, apart: float
) -> None:
    there_lon, there_lat, _ = WGS84.fwd(lon, lat, azimuth, apart)
    # The least and the greatest radius of curvature stand to the mean radius as 0.9944 and 1.0045
    found = float(great_circle_km(lon, lat, there_lon, there_lat))
    assert found == pytest.approx(apart / 1e3, rel=0.006, abs=1e-6)


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


@given(camera=any_cameras(80.0), x=st.floats(0.0, 299.0), y=st.floats(0.0, 199.0))
def test_numbers_are_arrays_of_one(camera: Camera, x: float, y: float) -> None:
    numbers = camera.numbers.tolist()
    ground = np.array(to_ground(numbers, x, y, 500.0))
    assert ground == pytest.approx(camera.pixel_to_ecef([x], [y], 500.0)[0], abs=1e-6, nan_ok=True)
    if np.isfinite(ground).all():
        assert to_pixel(numbers, *ground) == pytest.approx((x, y), abs=1e-6)


@given(camera=any_cameras(80.0), seed=st.integers(0, 1000))
def test_compiled_views_of_points_are_numpys(camera: Camera, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ground = camera.pixel_to_ecef(*rng.uniform(-50.0, 300.0, (2, 30)))
    ground[0] = camera.numbers[POSITION : POSITION + 3] - 1e5 * camera.boresight_ecef  # behind
    pixels, motion = np.empty((30, 2)), np.zeros((30, 2, PARAMETERS))
    axes = track_axes(camera.position_ecef_m, VELOCITY) @ camera.matrix
    compiled_view.fill_views(camera.numbers, axes, ground, pixels, motion)
    expected = np.stack(camera.ecef_to_pixel(ground), axis=-1)
    np.testing.assert_allclose(pixels, expected, rtol=0.0, atol=1e-7)
    derivatives = pixel_derivatives(camera, VELOCITY, ground)
    assert not motion[0].any()
    np.testing.assert_allclose(motion, derivatives, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("turn_px", "less"), [(2.0, True), (20.0, False)])
def test_a_camera_that_is_hardly_turned_sees_the_same(turn_px: float, less: bool) -> None:
    camera = camera_over(10.0, 45.0, off_nadir=30.0, focal_px=500.0)
    other = turn_camera(camera, (turn_px / 500.0, 0.0, 0.0))
    shares = np.random.default_rng(0).uniform(size=(40, 2))
    for moves_less in (projection.moves_less, compiled_view.moves_less):
        assert moves_less(camera.numbers, other.numbers, 200, shares, 8.0) is less


def visible_ground(camera: Camera, per_side: int = 33) -> tuple[FloatArray, FloatArray]:
    """Longitudes and latitudes (n,) of a grid over the image with incidence of at most 80 degrees.

    The grid has so many points along each side, the corners included; empty where the image shows
    no ground.
    """
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, per_side),
        np.linspace(0.0, camera.height_px - 1.0, per_side),
    )
    ground = camera.pixel_to_ecef(x, y)
    seen = incidence_deg(camera.position_ecef_m, ground) <= MAX_INCIDENCE_DEG
    lon, lat = camera.pixel_to_lonlat(x[seen], y[seen])
    return lon, lat


def test_corners_go_round_from_the_top_left_and_those_in_the_sky_are_none() -> None:
    camera = camera_over(10.0, 40.0, off_nadir=20.0)
    places = np.stack(camera.pixel_to_lonlat([0.0, 299.0, 299.0, 0.0], [0.0, 0.0, 199.0, 199.0]), 1)
    assert np.array(corner_lonlat(camera)) == pytest.approx(places)
    over_the_limb = camera_over(10.0, 40.0, off_nadir=70.0, azimuth=0.0, focal_px=250.0)
    shown = [corner is not None for corner in corner_lonlat(over_the_limb)]
    assert shown == [False, False, True, True]


@given(off_nadir=st.floats(0.0, 75.0), roll=st.floats(0.0, 360.0), focal=st.floats(150.0, 2000.0))
def test_flat_ground_is_left_out(off_nadir: float, roll: float, focal: float) -> None:
    camera = camera_over(10.0, 40.0, off_nadir=off_nadir, roll=roll, focal_px=focal)
    lon, lat = visible_ground(camera)
    assert np.isfinite(lon).all()
    angles = incidence_deg(camera.position_ecef_m, ecef(lon, lat))
    assert (angles <= MAX_INCIDENCE_DEG + 1e-6).all()
    if len(lon) > 1:
        some = np.linspace(0, len(lon) - 1, 12).astype(int)
        far = max(
            WGS84.inv(lon[i], lat[i], lon[j], lat[j])[2] / 1e3 for i in some for j in some if i < j
        )
        assert diagonal_km(camera) >= 0.993 * far


def test_an_oblique_ends_where_the_incidence_reaches_80_degrees() -> None:
    """Looking at the limb from 410 km, 80 degrees of incidence lie 1,370 km from the nadir."""
    radius_km, height_km = 6378.137, 410.0  # along the equator the section is a circle
    side = (radius_km + height_km) / radius_km

    def reach_km(off_nadir_deg: float) -> float:
        off_nadir = np.radians(off_nadir_deg)
        return float(radius_km * (np.arcsin(side * np.sin(off_nadir)) - off_nadir))

    farthest = float(np.degrees(np.arcsin(np.sin(np.radians(80.0)) / side)))
    nearest = 60.0 - float(np.degrees(np.arctan(1000.0 / 2000.0)))
    camera = camera_over(
        0.0, 0.0, off_nadir=60.0, azimuth=90.0, width=3, height=2001, focal_px=2000.0
    )
    expected = reach_km(farthest) - reach_km(nearest)
    assert reach_km(farthest) == pytest.approx(1370.0, abs=10.0)
    assert diagonal_km(camera) == pytest.approx(expected, rel=0.001)


@pytest.mark.parametrize(("off_nadir", "roll"), [(67.0, 0.0), (55.0, 30.0), (48.0, 90.0)])
def test_the_diagonal_of_a_view_that_ends_at_the_limb(off_nadir: float, roll: float) -> None:
    """The farthest pair lies where 80 degrees are reached, between the points of any grid."""
    camera = camera_over(179.0, 51.0, off_nadir=off_nadir, azimuth=70.0, roll=roll, focal_px=200.0)
    lon, lat = visible_ground(camera, 400)
    turns = np.random.default_rng(0).normal(size=(3, 300))
    outer = np.unique(np.argmax(ecef(lon, lat) @ turns, axis=0))
    lon, lat = lon[outer], lat[outer]
    i, j = np.triu_indices(len(outer), 1)
    longest = float(WGS84.inv(lon[i], lat[i], lon[j], lat[j])[2].max()) / 1e3
    assert diagonal_km(camera) == pytest.approx(longest, rel=0.01)


def test_the_outline_is_the_border_or_the_limit_of_incidence() -> None:
    camera = camera_over(10.0, 40.0, off_nadir=58.0, roll=20.0, focal_px=200.0)
    x, y = trace_visible_outline(camera)
    angles = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    assert (angles <= MAX_INCIDENCE_DEG).all()
    border = (x == 0.0) | (x == 299.0) | (y == 0.0) | (y == 199.0)
    assert 0.2 < border.mean() < 0.8
    assert angles[~border] == pytest.approx(MAX_INCIDENCE_DEG, abs=0.05)
    for corner in ([0.0, 199.0], [299.0, 199.0]):
        assert np.hypot(x - corner[0], y - corner[1]).min() == 0.0


def test_the_sky_has_no_footprint() -> None:
    camera: Camera = camera_over(10.0, 40.0, off_nadir=120.0)
    assert diagonal_km(camera) == 0.0
    assert corner_lonlat(camera) == (None, None, None, None)
    assert len(visible_ground(camera)[0]) == 0


# Looks at RA 0, Dec 0 with north up and, as on the sky, east to the left
NORTH_UP = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def sky_camera(matrix: np.ndarray = NORTH_UP, **changes: object) -> SkyCamera:
    values = {
        "width_px": 1500,
        "height_px": 1001,
        "focal_px": 2000.0,
        "principal_point": (749.5, 500.0),
        "quaternion_icrs": matrix_quaternion(matrix),
    } | changes
    return SkyCamera(**values)


def test_image_centre_and_north() -> None:
    sky = sky_camera()
    ra_deg, dec_deg = sky.ra_dec_deg
    assert ((ra_deg + 180.0) % 360.0, dec_deg) == pytest.approx((180.0, 0.0), abs=1e-9)
    assert sky.roll_deg % 360.0 == pytest.approx(0.0, abs=1e-6)
    assert sky.fov_x_deg == pytest.approx(2 * np.degrees(np.arctan(750.0 / 2000.0)))
    degree_px = 2000.0 * np.tan(np.radians(1.0))
    for mirrored, side in ((False, -1.0), (True, 1.0)):
        x, y = sky_camera(mirrored=mirrored).project(sky_vectors([0.0, 1.0], [1.0, 0.0]))
        assert x == pytest.approx([749.5, 749.5 + side * degree_px])
        assert y == pytest.approx([500.0 - degree_px, 500.0])


def test_roll_is_the_position_angle_of_image_up_east_of_north() -> None:
    # The camera turned so that image-up points to the east (to its left): up = +RA
    quarter = Rotation.from_euler("z", -90.0, degrees=True).as_matrix()
    sky = sky_camera(NORTH_UP @ quarter)
    x, y = sky.project(sky_vectors([1.0], [0.0]))
    assert y[0] < 500.0
    assert x[0] == pytest.approx(749.5)
    assert sky.roll_deg == pytest.approx(90.0)


@given(
    seed=st.integers(0, 10_000),
    k1=st.floats(-0.15, 0.1),
    mirrored=st.booleans(),
)
def test_pixels_come_back_from_the_sky(seed: int, k1: float, mirrored: bool) -> None:
    rng = np.random.default_rng(seed)
    sky = sky_camera(
        Rotation.random(random_state=seed).as_matrix(),
        distortion=(k1, 0.01, 1e-4, -2e-4, 0.0),
        mirrored=mirrored,
    )
    x, y = rng.uniform(0, 1499, 50), rng.uniform(0, 1000, 50)
    back_x, back_y = sky.project(sky.to_sky(x, y))
    assert back_x == pytest.approx(x, abs=1e-4)
    assert back_y == pytest.approx(y, abs=1e-4)


def test_what_is_behind_or_folded_back_is_not_seen() -> None:
    sky = sky_camera(distortion=(-0.3, 0.0, 0.0, 0.0, 0.0))
    x, _ = sky.project(sky_vectors([180.0, 80.0], [0.0, 0.0]))
    assert np.isnan(x).all()


@given(
    k1=st.integers(-50, 50).map(lambda n: n / 100),
    k2=st.integers(-30, 30).map(lambda n: n / 100),
    k3=st.integers(-10, 10).map(lambda n: n / 100),
)
def test_distorted_radius_grows_up_to_the_widest_tangent(k1: float, k2: float, k3: float) -> None:
    lens = (k1, k2, 0.0, 0.0, k3)
    widest = widest_tangent(lens)
    r = np.linspace(0.0, min(widest, 3.0), 400)
    bent, _ = distort(r, np.zeros_like(r), lens)
    assert (np.diff(bent) > -1e-9).all()
    if widest < 1e3:
        past, _ = distort(widest * np.array([0.999, 1.0, 1.001]), np.zeros(3), lens)
        assert past[1] >= past[2] - 1e-9 * max(1.0, abs(past[1]))


def test_scaled_camera_sees_the_same_sky() -> None:
    sky = sky_camera(distortion=(-0.05, 0.01, 0.0, 0.0, 0.0))
    half = sky.scaled(0.5, 750, 501)
    assert half.to_sky(100.0, 50.0) == pytest.approx(sky.to_sky(200.5, 100.5), abs=1e-9)
