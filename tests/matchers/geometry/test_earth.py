"""Positions, rays and distances on the ellipsoid, against PROJ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pyproj import Geod

from detectors.constants import SEMI_MAJOR_M, SEMI_MINOR_M
from matchers.geometry.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    great_circle_km,
    incidence_deg,
    intersect_ellipsoid,
    local_axes,
    surface_to_lonlat,
)
from tests.matchers.lamp_world import east_north_up, ecef, geodetic

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


def test_a_kilometre_of_height_costs_little_in_the_closed_form() -> None:
    lon, lat = surface_to_lonlat(ecef(10.0, 45.0, 1000.0))
    assert lon == pytest.approx(10.0, abs=1e-12)
    assert lat == pytest.approx(45.0, abs=5e-5)


def test_latitude_is_geodetic_not_geocentric() -> None:
    """The two differ by 11.55' (21 km) at 45 degrees: the reduced one by half of that."""
    place = geodetic_to_ecef(0.0, 45.0)
    geocentric = np.degrees(np.arctan2(place[2], place[0]))
    assert geocentric == pytest.approx(44.8075768, abs=1e-6)  # atan((1 - e^2) tan 45)
    assert place == pytest.approx([4517590.8788, 0.0, 4487348.4089], abs=1e-3)
    above = np.array([4517590.8788, 0.0, 4487348.4089]) * 1.0627
    lat, apart = float(ecef_to_geodetic(above)[1]), 45.0 - geocentric
    # On the line from the centre, the geodetic latitude comes down towards the geocentric one
    assert geocentric + 0.9 * apart < lat < 45.0
    assert float(surface_to_lonlat(place)[1]) == pytest.approx(45.0, abs=1e-9)


def test_arrays_keep_their_shape() -> None:
    lon, lat = np.meshgrid([1.0, 2.0, 3.0], [40.0, 50.0])
    position = geodetic_to_ecef(lon, lat, 1e3)
    assert position.shape == (2, 3, 3)
    back = ecef_to_geodetic(position)
    assert [v.shape for v in back] == [(2, 3)] * 3
    assert back[0] == pytest.approx(lon)


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


def test_rays_down_the_poles_and_the_equator() -> None:
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
