"""Aims: cameras from what a person knows, held against what the cameras then see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from matchers.camera import Lens
from tests.regengine.review.aiming import Aim, aimed_camera

WGS84 = Geod(ellps="WGS84")
LENS = Lens(width_px=4256, height_px=2832, focal_px=5900.0, principal_point=(2127.5, 1415.5))


@st.composite
def aims(draw: st.DrawFn) -> Aim:
    lon, lat = draw(st.floats(-180.0, 179.99)), draw(st.floats(-89.0, 89.0))
    azimuth, km = draw(st.floats(0.0, 360.0)), draw(st.floats(0.0, 1800.0))
    at_lon, at_lat, _ = WGS84.fwd(lon, lat, azimuth, 1e3 * km)
    return Aim(
        nadir_lon=lon,
        nadir_lat=lat,
        altitude_km=415.0,
        lon=float(at_lon),
        lat=float(at_lat),
        turn_deg=draw(st.floats(-179.0, 179.0)),
    )


@given(aim=aims(), mirrored=st.booleans(), shift=st.floats(-600.0, 600.0))
def test_the_middle_shows_the_place(aim: Aim, mirrored: bool, shift: float) -> None:
    lens = replace(LENS, mirrored=mirrored, principal_point=(2127.5 + shift, 1415.5 - shift / 2))
    camera = aimed_camera(aim, lens)
    assert camera is not None
    x, y = camera.lonlat_to_pixel(aim.lon, aim.lat)
    assert np.hypot(x - 2127.5, y - 1415.5) < 1e-4


@pytest.mark.parametrize(("turn_deg", "azimuth"), [(0.0, 0.0), (90.0, 90.0), (-135.0, 225.0)])
def test_straight_down_the_top_of_the_picture_lies_in_the_direction_of_the_turn(
    turn_deg: float, azimuth: float
) -> None:
    aim = Aim(nadir_lon=10, nadir_lat=45, altitude_km=400, lon=10, lat=45, turn_deg=turn_deg)
    camera = aimed_camera(aim, LENS)
    assert camera is not None
    lon, lat = camera.pixel_to_lonlat(2127.5, 1315.5)
    assert WGS84.inv(10.0, 45.0, float(lon), float(lat))[0] % 360.0 == pytest.approx(
        azimuth % 360.0, abs=1e-3
    )


def test_no_camera_sees_beyond_its_horizon() -> None:
    beyond = Aim(nadir_lon=0, nadir_lat=0, altitude_km=400, lon=25, lat=0, turn_deg=0)
    assert aimed_camera(beyond, LENS) is None
