"""Windows of the map: large enough, and never across a gap of longitudes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from matchers.light_grid import LightGrid
from regengine.errors import LightMapError
from regengine.registration.map_window import (
    MAP_STEP_DEG,
    PYRAMID_LEVELS,
    footprint_window,
    ground_sample_km,
    window_around,
)
from tests.matchers.lamp_world import camera_over
from tests.regengine.registration.recording_map import RecordingMap

WGS84 = Geod(ellps="WGS84")


@given(
    lon=st.floats(-180.0, 180.0),
    lat=st.floats(-60.0, 60.0),
    azimuth=st.floats(0.0, 360.0),
    margin=st.floats(10.0, 800.0),
)
def test_a_window_holds_the_margin_in_every_direction(
    lon: float, lat: float, azimuth: float, margin: float
) -> None:
    light_map = RecordingMap()
    window_around(light_map, np.array([lon]), np.array([lat]), margin, 20.0)
    west, south, east, north, _ = light_map.asked[0]
    there_lon, there_lat, _ = WGS84.fwd(lon, lat, azimuth, 0.99e3 * margin)
    turned = lon + (there_lon - lon + 180.0) % 360.0 - 180.0
    assert west <= turned <= east
    assert south <= there_lat <= north


def test_a_window_across_the_antimeridian_is_narrow() -> None:
    light_map = RecordingMap()
    lon, lat = np.array([179.5, -179.7, 179.9]), np.array([-17.0, -17.2, -16.5])
    levels = window_around(light_map, lon, lat, 10.0, 1.0)
    west, _, east, _, _ = light_map.asked[0]
    assert east - west < 1.1
    assert west == pytest.approx(179.5, abs=0.2)
    assert levels is not None
    assert levels[0].to_pixel(np.array([-179.7]), np.array([-17.0]))[0][0] > 0.0


def test_a_window_goes_round_the_earth_once_at_most() -> None:
    light_map = RecordingMap()
    window_around(light_map, np.array([20.0]), np.array([80.0]), 3500.0, 30.0)
    west, south, east, north, _ = light_map.asked[0]
    assert east - west == pytest.approx(360.0)
    assert (west + east) / 2.0 == pytest.approx(20.0)
    assert 80.0 < north <= 90.0
    assert south == pytest.approx(80.0 - 3500.0 / 111.2, abs=0.1)


@pytest.mark.parametrize(("step_km", "expected"), [(0.01, MAP_STEP_DEG), (5.56, 0.05)])
def test_the_resolution_is_never_finer_than_the_products(step_km: float, expected: float) -> None:
    light_map = RecordingMap()
    levels = window_around(light_map, np.array([5.0]), np.array([5.0]), 60.0, step_km)
    assert light_map.asked[0][4] == pytest.approx(expected, rel=1e-3)
    assert levels is not None
    assert 1 <= len(levels) <= PYRAMID_LEVELS


def test_outside_the_map_there_is_no_window_and_damage_is_told() -> None:
    place = (np.array([5.0]), np.array([5.0]))
    assert window_around(RecordingMap(outside="outside_map"), *place, 60.0, 1.0) is None
    with pytest.raises(LightMapError):
        window_around(RecordingMap(outside="light_map"), *place, 60.0, 1.0)


@pytest.mark.parametrize("turn", [0.0, 360.0, -360.0])
def test_a_window_is_cut_to_a_regional_map_with_a_rim(turn: float) -> None:
    """Four pixels of no data around the map tell the search where it ends."""
    regional = RecordingMap(bounds=(10.0, 40.0, 12.0, 41.0))
    window_around(regional, np.array([11.0 + turn]), np.array([40.5]), 900.0, 0.1)
    west, south, east, north, step = regional.asked[0]
    assert (west - turn, east - turn) == pytest.approx((10.0 - 4 * step, 12.0 + 4 * step))
    assert (south, north) == pytest.approx((40.0 - 4 * step, 41.0 + 4 * step))
    far = window_around(regional, np.array([60.0]), np.array([40.5]), 900.0, 0.1)
    assert far is None
    assert len(regional.asked) == 1


def test_holes_of_the_map_do_not_stand_out() -> None:
    class WithHole(RecordingMap):
        def window(self, *asked: float) -> LightGrid:  # type: ignore[override]
            valid = np.ones((40, 40), bool)
            valid[:, :20] = False
            values = np.where(valid, np.float32(2.0), np.float32(0.0))
            return LightGrid(
                values=values, valid=valid, lon0_deg=0.0, lat0_deg=9.0, step_deg=asked[4]
            )

    levels = window_around(WithHole(), np.array([5.0]), np.array([5.0]), 60.0, 1.0)
    assert levels is not None
    assert levels[0].values.min() == pytest.approx(2.0)
    assert levels[0].valid is not None


def test_the_window_of_a_footprint_holds_what_the_camera_sees() -> None:
    camera = camera_over(179.0, 20.0, off_nadir=30.0, azimuth=90.0, focal_px=300.0)
    light_map = RecordingMap()
    assert footprint_window(light_map, camera, 25.0, 5.0) is not None
    west, south, east, north, _ = light_map.asked[0]
    x, y = np.meshgrid(np.linspace(0, 299, 15), np.linspace(0, 199, 11))
    lon, lat = camera.pixel_to_lonlat(x, y)
    turned = west + (lon - west) % 360.0
    assert ((turned >= west) & (turned <= east)).all()
    assert ((lat >= south) & (lat <= north)).all()
    assert footprint_window(light_map, camera_over(0.0, 0.0, off_nadir=130.0), 25.0, 5.0) is None


def test_the_ground_sample_is_height_over_focal_length() -> None:
    assert ground_sample_km(camera_over(5.0, 5.0, 410e3, focal_px=820.0)) == pytest.approx(0.5)
