"""The piece of the map that looks and sweeps search: large enough, read once while it serves."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef
from matchers.light_grid import LightGrid
from matchers.pose import PosePrior
from regengine.registration.candidates import Look
from regengine.registration.map_window import (
    FINER_OCTAVES,
    KEPT_WINDOWS,
    MARGIN_KM,
    Held,
    SearchWindow,
    dense_parameters,
    ground_reach_km,
    within_budget,
)
from tests.matchers.lamp_world import camera_over, ecef
from tests.regengine.registration.recording_map import RecordingMap

WGS84 = Geod(ellps="WGS84")


def look(
    lon: float, lat: float, *, focal_px: float = 1400.0, far: bool = False, height_m: float = 410e3
) -> Look:
    x, y, z = geodetic_to_ecef(lon, lat, height_m).tolist()
    prior = PosePrior(
        position_ecef_m=(x, y, z),
        velocity_ecef=(0.0, 1.0, 1.0),
        focal_px=focal_px,
        sigma_along_m=1e4,
        sigma_across_m=1e3,
        sigma_up_m=1e3,
        sigma_log_focal=0.03,
        sigma_k1=0.05,
    )
    return Look(
        offset_km=0.0,
        scale=1.0,
        mirrored=False,
        prior=prior,
        speed_km_s=7.66,
        off_nadir_deg=(40.0, 90.0) if far else (0.0, 40.0),
    )


def stored(focal_px: float = 1400.0) -> Camera:
    return camera_over(0.0, 0.0, width=1000, height=667, focal_px=focal_px)


@given(height=st.floats(350e3, 430e3), off_nadir=st.floats(0.5, 66.0))
def test_reach_on_the_ground_is_that_of_a_ray(height: float, off_nadir: float) -> None:
    camera = camera_over(0.0, 0.0, height, off_nadir=off_nadir, azimuth=90.0)
    lon, _ = camera.pixel_to_lonlat(149.5, 99.5)  # along the equator, a circle
    metres = WGS84.inv(0.0, 0.0, float(lon), 0.0)[2]
    assert ground_reach_km(height / 1e3, off_nadir) == pytest.approx(metres / 1e3, rel=1e-3)


def test_the_reach_ends_at_the_horizon() -> None:
    horizon = 6378.137 * np.arccos(6378.137 / 6788.137)
    for angle in (71.0, 89.0, 90.0, 120.0):
        assert ground_reach_km(410.0, angle) == pytest.approx(horizon, rel=1e-6)
    assert ground_reach_km(410.0, 69.9) < horizon


def test_neighbouring_looks_share_a_window() -> None:
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    parameters = dense_parameters(stored(), look(10.0, 40.0), 410.0)
    first = window.levels(stored(), look(10.0, 40.0), parameters)
    near = window.levels(stored(), look(11.0, 40.5), parameters)
    assert len(light_map.asked) == 1
    assert near is first
    window.levels(stored(), look(20.0, 40.0), parameters)  # 850 km away
    assert len(light_map.asked) == 2


def test_near_and_far_looks_have_windows_of_their_own() -> None:
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    for far in (False, True, False, True):
        here = look(10.0, 40.0, far=far)
        window.levels(stored(), here, dense_parameters(stored(), here, 410.0))
    assert len(light_map.asked) == 2
    near, far_box = light_map.asked
    assert far_box[3] - far_box[1] > near[3] - near[1]


def test_a_window_holds_everything_that_its_looks_can_see() -> None:
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    here = look(10.0, 10.0)
    window.levels(stored(), here, dense_parameters(stored(), here, 410.0))
    _, south, _, north, _ = light_map.asked[0]
    reach = ground_reach_km(410.0, 40.0) + MARGIN_KM
    assert (north - 10.0) * 110.6 >= reach
    assert (10.0 - south) * 110.6 >= reach


def test_what_lies_outside_the_map_is_remembered_too() -> None:
    light_map = RecordingMap(outside="outside_map")
    window = SearchWindow(light_map, 410.0)
    parameters = dense_parameters(stored(), look(10.0, 40.0), 410.0)
    assert window.levels(stored(), look(10.0, 40.0), parameters) is None
    assert window.levels(stored(), look(10.5, 40.0), parameters) is None
    assert len(light_map.asked) == 1


def test_long_lenses_are_searched_less_far_aside_and_with_fewer_pixels() -> None:
    wide = dense_parameters(stored(), look(0.0, 0.0, focal_px=1400.0), 410.0)
    tele = dense_parameters(stored(), look(0.0, 0.0, focal_px=22_000.0), 410.0)
    assert tele.max_off_nadir_deg < wide.max_off_nadir_deg
    assert tele.template_px < wide.template_px


def test_windows_of_long_lenses_are_coarser_than_the_template_sees_by_far() -> None:
    """And still finer than it, from where the looks begin."""
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    for far in (False, True):
        here = replace(look(10.0, 40.0, focal_px=11_000.0, far=far), flat=True)
        parameters = dense_parameters(stored(), here, 410.0)
        window.levels(stored(), here, parameters)
        pixel_km = 410.0 / 11_000.0 * 1000 / parameters.template_px
        slant = window.slant_km(40.0 if far else 0.0) / 410.0
        asked_km = light_map.asked[-1][-1] * 111.2
        # As coarse as the map's pixels doubled may be, and no coarser than that
        assert 0.5 < asked_km / (pixel_km * slant / 1.2) <= 1.0


@given(height=st.floats(350e3, 430e3), off_nadir=st.floats(0.0, 66.0))
def test_the_slant_is_the_length_of_a_ray(height: float, off_nadir: float) -> None:
    camera = camera_over(0.0, 0.0, height, off_nadir=off_nadir, azimuth=90.0)
    ground = camera.pixel_to_ecef(149.5, 99.5)  # along the equator, a circle
    metres = float(np.linalg.norm(ground - np.asarray(camera.position_ecef_m)))
    window = SearchWindow(RecordingMap(), height / 1e3)
    assert window.slant_km(off_nadir) == pytest.approx(metres / 1e3, rel=1e-6)


def test_the_slant_ends_at_the_horizon() -> None:
    """Where the ray touches the sphere: a right angle between it and the radius."""
    window = SearchWindow(RecordingMap(), 410.0)
    tangent = math.sqrt(6788.137**2 - 6378.137**2)
    for angle in (70.5, 80.0, 90.0, 120.0):
        assert window.slant_km(angle) == pytest.approx(tangent, rel=1e-6)
    assert window.slant_km(69.0) < tangent
    assert window.slant_km(0.0) == pytest.approx(410.0)


def over(lon: float, lat: float = 0.0) -> tuple[float, float, float]:
    x, y, z = ecef(lon, lat, 410e3).tolist()
    return x, y, z


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


def test_windows_of_several_kinds_are_kept_and_the_oldest_goes() -> None:
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    places = [over(14.0 * k) for k in range(KEPT_WINDOWS)]
    for place in places * 2:
        window.around(place, 400.0, 20.0)
    assert len(light_map.asked) == KEPT_WINDOWS
    window.around(over(-14.0), 400.0, 20.0)
    window.around(places[0], 400.0, 20.0)  # was dropped for that
    assert len(light_map.asked) == KEPT_WINDOWS + 2


def test_that_the_map_holds_nothing_is_remembered_too() -> None:
    light_map = RecordingMap(outside="outside_map")
    window = SearchWindow(light_map, 410.0)
    assert window.around(over(10.0), 400.0, 20.0) is None
    assert window.around(over(10.5), 400.0, 20.0) is None
    assert len(light_map.asked) == 1


def test_a_finer_or_larger_window_serves_too() -> None:
    """Other lenses at a place: what they want is in the pyramid that is at hand."""
    light_map = RecordingMap()
    window = SearchWindow(light_map, 410.0)
    pixel_km = light_map.info.resolution_deg * 111.2
    fine = window.around(over(10.0), 800.0, 2.1 * pixel_km)
    assert fine is not None
    assert light_map.asked[0][4] == pytest.approx(2.0 * light_map.info.resolution_deg)
    for octave in range(1, 2 + FINER_OCTAVES):
        step_km = 2.0**octave * 1.2 * pixel_km
        levels = window.around(over(10.5), 700.0, step_km)
        assert levels is not None
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
