"""Windows of the map: wide enough, never across a gap of longitudes, read once."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from matchers.light_grid import LightGrid
from regengine.errors import LightMapError
from regengine.registration.candidates import Look
from regengine.registration.map_window import (
    FINER_OCTAVES,
    KEPT_WINDOWS,
    MAP_STEP_DEG,
    MARGIN_KM,
    PYRAMID_LEVELS,
    Held,
    SearchWindow,
    dense_parameters,
    footprint_window,
    ground_reach_km,
    window_around,
    within_budget,
)
from tests.matchers.lamp_world import camera_over, ecef, prior_of
from tests.regengine.registration.recording_map import RecordingMap

WGS84 = Geod(ellps="WGS84")


def over(lon: float, lat: float = 0.0) -> tuple[float, float, float]:
    x, y, z = ecef(lon, lat, 410e3).tolist()
    return x, y, z


def look(lon: float, lat: float, *, focal_px: float = 1400.0, far: bool = False) -> Look:
    prior = prior_of(camera_over(lon, lat, focal_px=focal_px))
    return Look(
        offset_km=0.0,
        scale=1.0,
        mirrored=False,
        prior=prior,
        speed_km_s=7.66,
        off_nadir_deg=(40.0, 90.0) if far else (0.0, 40.0),
    )


STORED = camera_over(0.0, 0.0, width=1000, height=667, focal_px=1400.0)


@given(height=st.floats(350e3, 430e3), off_nadir=st.floats(0.5, 66.0))
def test_reach_on_the_ground_and_slant_are_those_of_a_ray(height: float, off_nadir: float) -> None:
    camera = camera_over(0.0, 0.0, height, off_nadir=off_nadir, azimuth=90.0)
    lon, _ = camera.pixel_to_lonlat(149.5, 99.5)  # along the equator, a circle
    metres = WGS84.inv(0.0, 0.0, float(lon), 0.0)[2]
    assert ground_reach_km(height / 1e3, off_nadir) == pytest.approx(metres / 1e3, rel=1e-3)
    ground = camera.pixel_to_ecef(149.5, 99.5)
    distance_m = float(np.linalg.norm(ground - np.asarray(camera.position_ecef_m)))
    window = SearchWindow(RecordingMap(), height / 1e3)
    assert window.slant_km(off_nadir) == pytest.approx(distance_m / 1e3, rel=1e-6)


def test_reach_and_slant_end_at_the_horizon() -> None:
    """Where the ray touches the sphere: a right angle between it and the radius."""
    window = SearchWindow(RecordingMap(), 410.0)
    horizon = 6378.137 * np.arccos(6378.137 / 6788.137)
    tangent = math.sqrt(6788.137**2 - 6378.137**2)
    for angle in (71.0, 80.0, 90.0, 120.0):
        assert ground_reach_km(410.0, angle) == pytest.approx(horizon, rel=1e-6)
        assert window.slant_km(angle) == pytest.approx(tangent, rel=1e-6)
    assert ground_reach_km(410.0, 69.9) < horizon
    assert window.slant_km(69.0) < tangent
    assert window.slant_km(0.0) == pytest.approx(410.0)


def test_a_window_holds_everything_that_its_looks_can_see() -> None:
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    here = look(10.0, 10.0)
    window.levels(STORED, here, dense_parameters(STORED, here, 410.0))
    _, south, _, north, _ = light_map.asked[0]
    reach = ground_reach_km(410.0, 40.0) + MARGIN_KM
    assert (north - 10.0) * 110.6 >= reach
    assert (10.0 - south) * 110.6 >= reach


def test_long_lenses_are_searched_less_far_aside_and_with_fewer_pixels() -> None:
    wide = dense_parameters(STORED, look(0.0, 0.0, focal_px=1400.0), 410.0)
    tele = dense_parameters(STORED, look(0.0, 0.0, focal_px=22_000.0), 410.0)
    assert tele.max_off_nadir_deg < wide.max_off_nadir_deg
    assert tele.template_px < wide.template_px


def test_windows_of_long_lenses_are_coarser_than_the_template_sees_by_far() -> None:
    """And still finer than it, from where the looks begin."""
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    for far in (False, True):
        here = replace(look(10.0, 40.0, focal_px=11_000.0, far=far), flat=True)
        parameters = dense_parameters(STORED, here, 410.0)
        window.levels(STORED, here, parameters)
        pixel_km = 410.0 / 11_000.0 * 1000 / parameters.template_px
        slant = window.slant_km(40.0 if far else 0.0) / 410.0
        asked_km = light_map.asked[-1][-1] * 111.2
        # As coarse as the map's pixels doubled may be, and no coarser than that
        assert 0.5 < asked_km / (pixel_km * slant / 1.2) <= 1.0


def test_positions_in_a_row_share_windows_as_far_as_they_serve() -> None:
    """Along a track each window serves until it is `MARGIN_KM` behind, and is read once."""
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    step_deg = 50.0 / 111.2
    for k in range(61):  # 3,000 km
        before = len(light_map.asked)
        levels = window.around(over(k * step_deg), 800.0, 20.0)
        assert levels is not None
        west, _, east, _, _ = light_map.asked[-1]
        assert west <= k * step_deg - 800.0 / 111.4
        assert east >= k * step_deg + 800.0 / 111.4
        assert len(light_map.asked) - before <= 1
    assert len(light_map.asked) == math.ceil(3000.0 / (MARGIN_KM + 50.0))


def test_a_finer_or_larger_window_serves_too() -> None:
    """Other lenses at a place: what they want is in the pyramid that is at hand."""
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    pixel_km = light_map.info.resolution_deg * 111.2
    fine = window.around(over(10.0), 800.0, 2.1 * pixel_km)
    assert light_map.asked[0][4] == pytest.approx(2.0 * light_map.info.resolution_deg)
    for octave in range(1, 2 + FINER_OCTAVES):
        step_km = 2.0**octave * 1.2 * pixel_km
        levels = window.around(over(10.5), 700.0, step_km)
        # Just as fine as it was asked for, or up to twice finer
        assert 0.5 * step_km < levels[0].step_deg * 111.2 <= step_km
        assert levels == fine[octave - 1 :]
    assert len(light_map.asked) == 1
    window.around(over(10.0), 700.0, 2.0 ** (2 + FINER_OCTAVES) * 1.2 * pixel_km)  # much coarser
    window.around(over(10.0), 700.0, 1.2 * pixel_km)  # finer
    window.around(over(10.0), 900.0, 2.1 * pixel_km)  # farther
    assert len(light_map.asked) == 4


def test_windows_are_kept_as_far_as_memory_is_meant_for() -> None:
    def held(side: int) -> Held:
        grid = LightGrid(
            values=np.broadcast_to(np.float32(0.0), (side, side)),
            lon0_deg=0.0,
            lat0_deg=0.0,
            step_deg=0.01,
        )
        return Held(octave=0, reach_km=1.0, centre=(0.0, 0.0), levels=(grid,))

    small, large, huge = held(100), held(6_000), held(9_000)
    assert within_budget([small] * 99) == [small] * KEPT_WINDOWS
    assert within_budget([huge, small]) == [huge]
    assert within_budget([large, large, small]) == [large]
    nothing = Held(octave=0, reach_km=1.0, centre=(0.0, 0.0), levels=None)
    assert within_budget([large, nothing, small]) == [large, nothing, small]


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
