"""The camera, the Earth, pixels of the sky and outlines, against OpenCV, PROJ and SciPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pyproj import Geod
from scipy.spatial.transform import Rotation

from matchers.geometry import compiled_view, projection
from matchers.geometry.camera import Camera, ManyCameras
from matchers.geometry.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    great_circle_km,
    incidence_deg,
    intersect_ellipsoid,
    local_axes,
    surface_to_lonlat,
    unit_vectors,
)
from matchers.geometry.footprint import (
    MAX_INCIDENCE_DEG,
    corner_lonlat,
    diagonal_km,
    trace_visible_outline,
)
from matchers.geometry.pose import (
    PARAMETERS,
    differentiate_pixels,
    off_nadir_attitude,
    track_axes,
    turn_camera,
    with_attitude,
)
from matchers.geometry.projection import POSITION, fill_views, to_ground, to_pixel
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from tests.world.towns import VELOCITY, camera_over, east_north_up, ecef, geodetic, project

longitudes = st.floats(-180.0, 180.0)
latitudes = st.floats(-90.0, 90.0)
orbit_heights = st.floats(300e3, 500e3)
WGS84 = Geod(ellps="WGS84")


@given(lon=longitudes, lat=latitudes, height=st.floats(-500.0, 2e6))
@example(lon=123.0, lat=-90.0, height=4e5)
@example(lon=180.0, lat=10.0, height=0.0)
@example(lon=-180.0, lat=0.0, height=0.0)
def test_places_are_those_of_proj(lon: float, lat: float, height: float) -> None:
    assert geodetic_to_ecef(lon, lat, height) == pytest.approx(ecef(lon, lat, height), abs=1e-6)
    raised = ecef_to_geodetic(ecef(lon, lat, height))
    assert raised[2] == pytest.approx(height, abs=1e-4)
    for found_lon, found_lat in (raised[:2], surface_to_lonlat(ecef(lon, lat))):
        assert found_lat == pytest.approx(lat, abs=1e-9)
        assert -180.0 <= found_lon < 180.0
        if abs(lat) < 89.9999:
            assert abs((found_lon - lon + 180.0) % 360.0 - 180.0) < 1e-9
    assert local_axes(lon, lat) == pytest.approx(east_north_up(lon, lat), abs=1e-8)


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


@given(lon=longitudes, lat=st.floats(-89.0, 89.0), azimuth=longitudes, apart=st.floats(1.0, 3e6))
def test_incidence_is_the_angle_to_the_local_vertical_and_distances_those_of_the_ellipsoid(
    lon: float, lat: float, azimuth: float, apart: float
) -> None:
    camera = ecef(lon, lat, 410e3)
    there_lon, there_lat, _ = WGS84.fwd(lon, lat, azimuth, apart)
    ground = ecef(there_lon, there_lat)
    east, north, up = east_north_up(there_lon, there_lat) @ (camera - ground)
    expected = np.degrees(np.arctan2(np.hypot(east, north), up))
    assert float(incidence_deg(camera, ground)) == pytest.approx(expected, abs=1e-5)
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
def cameras(draw: st.DrawFn, max_off_nadir: float = 75.0, stretched: bool = False) -> Camera:
    camera = camera_over(
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
    return replace(camera, pixel_aspect=draw(st.sampled_from([1.5, None])) if stretched else None)


@given(camera=cameras(), seed=st.integers(0, 1000))
def test_projection_is_opencvs(camera: Camera, seed: int) -> None:
    rng = np.random.default_rng(seed)
    local = np.stack([*rng.uniform(-0.7, 0.7, (2, 20)), np.ones(20)], axis=1)
    local *= rng.uniform(4e5, 2e6, (20, 1))
    matrix = Rotation.from_quat(camera.quaternion).as_matrix()
    points = np.asarray(camera.position_ecef_m) + local @ matrix.T
    x, y = camera.ecef_to_pixel(points)
    assert np.stack([x, y], axis=-1) == pytest.approx(project(camera, points), abs=1e-6)


@given(
    camera=cameras(60.0),
    x=st.floats(-0.5, 999.5),
    y=st.floats(-0.5, 699.5),
    height=st.floats(-400.0, 5000.0),
)
def test_pixels_see_the_ground_that_opencv_puts_there(
    camera: Camera, x: float, y: float, height: float
) -> None:
    lon, lat = (float(v) for v in camera.pixel_to_lonlat(x, y))
    if np.isnan(lon):
        return
    assert -180.0 <= lon < 180.0
    assert project(camera, ecef(lon, lat)[None])[0] == pytest.approx([x, y], abs=1e-4)
    back = [float(v) for v in camera.lonlat_to_pixel(lon, lat)]
    assert back == pytest.approx([x, y], abs=1e-4)
    # The raised ellipsoid is exact to 0.2 % of the height
    raised = float(geodetic(camera.pixel_to_ecef(x, y, height))[2])
    assert np.isnan(raised) or raised == pytest.approx(height, abs=0.002 * abs(height) + 1e-3)


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


@given(st.lists(cameras(95.0, stretched=True), min_size=1, max_size=5))
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


@given(camera=cameras(80.0, stretched=True), seed=st.integers(0, 1000))
def test_compiled_views_of_points_are_numpys(camera: Camera, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-50.0, 300.0, (2, 30))
    ground = camera.pixel_to_ecef(x, y)
    for at, place in zip(zip(x[:3], y[:3], strict=True), ground[:3], strict=True):
        one = np.array(to_ground(camera.numbers.tolist(), *at, 0.0))
        assert one == pytest.approx(place, abs=1e-6, nan_ok=True)
        if np.isfinite(place).all():
            assert to_pixel(camera.numbers.tolist(), *place) == pytest.approx(at, abs=1e-6)
    ground[0] = camera.numbers[POSITION : POSITION + 3] - 1e5 * camera.boresight_ecef  # behind
    pixels, motion = differentiate_pixels(camera, VELOCITY, ground)
    axes = track_axes(camera.position_ecef_m, VELOCITY) @ camera.matrix
    plain = np.zeros((30, 2, PARAMETERS))
    fill_views(camera.numbers.tolist(), axes, ground, np.empty((30, 2)), plain)
    expected = np.stack(camera.ecef_to_pixel(ground), axis=-1)
    np.testing.assert_allclose(pixels, expected, rtol=0.0, atol=1e-7)
    assert not motion[0].any()
    np.testing.assert_allclose(motion, plain, rtol=1e-9, atol=1e-9)


def test_the_outline_is_the_border_or_the_limit_of_incidence_and_the_sky_has_none() -> None:
    camera = camera_over(10.0, 40.0, off_nadir=58.0, roll=20.0, focal_px=200.0)
    x, y = trace_visible_outline(camera)
    angles = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    assert (angles <= MAX_INCIDENCE_DEG).all()
    border = (x == 0.0) | (x == 299.0) | (y == 0.0) | (y == 199.0)
    assert 0.2 < border.mean() < 0.8
    assert angles[~border] == pytest.approx(MAX_INCIDENCE_DEG, abs=0.05)
    for corner in ([0.0, 199.0], [299.0, 199.0]):
        assert np.hypot(x - corner[0], y - corner[1]).min() == 0.0
    sky: Camera = camera_over(10.0, 40.0, off_nadir=120.0)
    assert diagonal_km(sky) == 0.0
    assert corner_lonlat(sky) == (None, None, None, None)


@pytest.mark.parametrize(("turn_px", "less"), [(2.0, True), (20.0, False)])
def test_a_camera_that_is_hardly_turned_sees_the_same(turn_px: float, less: bool) -> None:
    camera = camera_over(10.0, 45.0, off_nadir=30.0, focal_px=500.0)
    other = turn_camera(camera, (turn_px / 500.0, 0.0, 0.0))
    shares = np.random.default_rng(0).uniform(size=(40, 2))
    for moves_less in (projection.moves_less, compiled_view.moves_less):
        assert moves_less(camera.numbers, other.numbers, 200, shares, 8.0) is less


def test_corners_go_round_from_the_top_left_and_those_in_the_sky_are_none() -> None:
    camera = camera_over(10.0, 40.0, off_nadir=20.0)
    places = np.stack(camera.pixel_to_lonlat([0.0, 299.0, 299.0, 0.0], [0.0, 0.0, 199.0, 199.0]), 1)
    assert np.array(corner_lonlat(camera)) == pytest.approx(places)
    over_the_limb = camera_over(10.0, 40.0, off_nadir=70.0, azimuth=0.0, focal_px=250.0)
    shown = [corner is not None for corner in corner_lonlat(over_the_limb)]
    assert shown == [False, False, True, True]


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
        x, y = sky_camera(mirrored=mirrored).project(unit_vectors([0.0, 1.0], [1.0, 0.0]))
        assert x == pytest.approx([749.5, 749.5 + side * degree_px])
        assert y == pytest.approx([500.0 - degree_px, 500.0])


def test_roll_is_the_position_angle_of_image_up_east_of_north() -> None:
    # The camera turned so that image-up points to the east (to its left): up = +RA
    quarter = Rotation.from_euler("z", -90.0, degrees=True).as_matrix()
    sky = sky_camera(NORTH_UP @ quarter)
    x, y = sky.project(unit_vectors([1.0], [0.0]))
    assert y[0] < 500.0
    assert x[0] == pytest.approx(749.5)
    assert sky.roll_deg == pytest.approx(90.0)


@given(seed=st.integers(0, 10_000), k1=st.floats(-0.15, 0.1), mirrored=st.booleans())
def test_pixels_come_back_from_the_sky(seed: int, k1: float, mirrored: bool) -> None:
    rng = np.random.default_rng(seed)
    sky = sky_camera(
        Rotation.random(random_state=seed).as_matrix(),
        distortion=(k1, 0.01, 1e-4, -2e-4, 0.0),
        mirrored=mirrored,
    )
    x, y = rng.uniform(0, 1499, 50), rng.uniform(0, 1000, 50)
    there = sky.to_sky(x, y)
    assert np.stack(sky.project(there)) == pytest.approx(np.stack([x, y]), abs=1e-4)
    half = sky.scaled(0.5, 750, 501)
    assert half.to_sky((x + 0.5) / 2 - 0.5, (y + 0.5) / 2 - 0.5) == pytest.approx(there, abs=1e-9)
    # What is behind the camera, or folded back by its lens, is not seen
    bent = sky_camera(distortion=(-0.3, 0.0, 0.0, 0.0, 0.0))
    assert np.isnan(bent.project(unit_vectors([180.0, 80.0], [0.0, 0.0]))[0]).all()
