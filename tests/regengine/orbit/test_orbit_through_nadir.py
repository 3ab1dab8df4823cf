from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from tle_lines import Elements

from matchers.earth import ecef_to_geodetic, great_circle_km, local_axes
from regengine.orbit.propagation import (
    nadir_track_positions,
    position_from_elements,
    track_azimuths_deg,
    track_positions,
)
from regengine.orbit.tle import load_tle_file

BASE = Elements()


@pytest.fixture(scope="module")
def elements(tmp_path_factory):
    path: Path = tmp_path_factory.mktemp("tle") / "iss.txt"
    path.write_text(BASE.text())
    return load_tle_file(path)[0]


@pytest.mark.parametrize("minutes", range(0, 93, 4))
def test_directions_are_those_of_a_real_orbit(elements, minutes):
    ours = position_from_elements(elements, BASE.epoch + timedelta(minutes=minutes))
    east, north, _ = local_axes(ours.lon, ours.lat) @ ours.velocity_ecef_m_s
    flown = np.degrees(np.arctan2(east, north))
    ascending, descending = track_azimuths_deg(ours.lat)
    tolerance = 0.3 if abs(ours.lat) < 50.0 else 5.0  # the direction turns fast at the summit
    assert flown == pytest.approx(ascending if north > 0 else descending, abs=tolerance)


def test_the_two_directions_meet_at_the_greatest_latitude():
    for lat in (51.83, 52.5, 60.0, -55.0):
        ascending, descending = track_azimuths_deg(lat)
        assert ascending == pytest.approx(descending, abs=2.0)
        assert ascending == pytest.approx(90.0, abs=1.0)


@given(st.floats(-51.7, 51.7))
def test_directions_mirror_each_other(lat):
    ascending, descending = track_azimuths_deg(lat)
    assert ascending + descending == pytest.approx(180.0, abs=1e-6)
    assert track_azimuths_deg(-lat)[0] == pytest.approx(ascending, abs=1e-6)
    assert 35.0 < ascending <= 90.0


@pytest.mark.parametrize("minutes", [2, 17, 30, 41, 52, 66, 80])
def test_the_track_is_that_of_a_real_orbit(elements, minutes):
    time = BASE.epoch + timedelta(minutes=minutes)
    ours = position_from_elements(elements, time)
    assert abs(ours.lat) < 51.5
    seconds = np.linspace(-65.0, 65.0, 27)
    flown_lon, flown_lat, _ = ecef_to_geodetic(track_positions(elements, time, seconds, 0.0))
    ascending = bool(ours.velocity_ecef_m_s[2] > 0.0)
    ahead = great_circle_km(ours.lon, ours.lat, flown_lon, flown_lat) * np.sign(seconds)
    modelled = nadir_track_positions(ours.lon, ours.lat, ours.altitude_km, ahead, ascending)
    lon, lat, height_m = ecef_to_geodetic(modelled)
    assert great_circle_km(lon, lat, flown_lon, flown_lat).max() < 3.0
    np.testing.assert_allclose(height_m, 1000.0 * ours.altitude_km, atol=1e-3)
    other = nadir_track_positions(ours.lon, ours.lat, ours.altitude_km, ahead, not ascending)
    lon, lat, _ = ecef_to_geodetic(other)
    assert great_circle_km(lon, lat, flown_lon, flown_lat).max() > 100.0


@given(st.floats(-180.0, 180.0), st.floats(-52.0, 52.0), st.booleans())
def test_distances_are_those_on_the_ground(lon, lat, ascending):
    along = np.array([-100.0, 0.0, 100.0])
    places = nadir_track_positions(lon, lat, 415.0, along, ascending)
    at_lon, at_lat, _ = ecef_to_geodetic(places)
    assert great_circle_km(at_lon[1], at_lat[1], lon, lat) < 1e-3
    geod = Geod(ellps="WGS84")
    for end in (0, 2):
        _, _, metres = geod.inv(lon, lat, at_lon[end], at_lat[end])
        assert metres == pytest.approx(100e3, rel=0.01)
    assert (at_lat[2] > at_lat[0]) == ascending or abs(lat) > 50.0
    assert (at_lon[2] - at_lon[0]) % 360.0 < 180.0  # the ISS flies eastward
