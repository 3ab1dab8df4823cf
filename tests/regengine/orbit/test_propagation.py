"""Where the station was: by element sets, by a nadir, and with other drag."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ephem
import numpy as np
import pytest
import sgp4
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from regengine.orbit import (
    EARTH_RATE_RAD_S,
    ElementSet,
    days_since_j2000,
    load_tle_file,
    nadir_track_positions,
    position_from_elements,
    position_from_nadir,
    sidereal_angle_rad,
    track_positions,
    turn_about_pole,
    ut1_minus_utc_s,
)
from regengine.orbit.propagation import drag_shift_km
from tests.tle_lines import Elements

TYPICAL_BSTAR = 2.1e-4
USUAL_BSTAR = 2.1e-5, 8.2e-4

BASE = Elements()
PHOTO = datetime(2016, 5, 1, 17, 23, 45, tzinfo=UTC)
PROJ = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True)


def element_set(elements: Elements = BASE) -> ElementSet:
    line1, line2 = elements.lines()
    return ElementSet(line1=line1, line2=line2, path=Path("iss.txt"), line_number=1)


@pytest.fixture
def tles(tmp_path):
    path = tmp_path / "iss.txt"
    path.write_text(BASE.text() + BASE.later(2.0).text())
    return load_tle_file(path)


def test_published_sgp4_positions(tmp_path):
    """The verification run of AIAA 2006-6753 for satellite 06251, turned into ECEF and back."""
    folder = Path(sgp4.__file__).parent
    tles = load_tle_file(folder / "SGP4-VER.TLE", satellite="06251")
    lines = (folder / "tcppver.out").read_text().splitlines()
    start = lines.index("6251 xx")
    rows = np.array([line.split()[:4] for line in lines[start + 1 : start + 26]], float)
    jd = tles[0].satrec().jdsatepoch - 2451545.0 + tles[0].satrec().jdsatepochF
    for minutes, *published_km in rows:
        time = datetime(2000, 1, 1, 12, tzinfo=UTC) + timedelta(days=jd, minutes=minutes)
        position = position_from_elements(tles[0], time).position_ecef_m / 1000.0
        inertial = turn_about_pole(position, sidereal_angle_rad(days_since_j2000(time)))
        np.testing.assert_allclose(inertial, published_km, atol=2e-5)  # a microsecond of flight


@pytest.mark.parametrize("hours", [-30.0, -3.1, 0.0, 0.4, 0.8, 5.0, 11.3, 23.0])
def test_ephem_agrees_to_200_metres(hours):
    time = BASE.epoch + timedelta(hours=hours)
    ours = position_from_elements(element_set(), time)
    body = ephem.readtle("ISS", *BASE.lines())
    body.compute(time.replace(tzinfo=None))
    # ephem's latitude is geocentric, and it takes UTC for UT1.
    lon = math.degrees(body.sublong)
    lon -= math.degrees(EARTH_RATE_RAD_S) * float(ut1_minus_utc_s(days_since_j2000(time)))
    radius = np.linalg.norm(ours.position_ecef_m)
    geocentric = float(body.sublat)
    direction = [
        math.cos(geocentric) * math.cos(math.radians(lon)),
        math.cos(geocentric) * math.sin(math.radians(lon)),
        math.sin(geocentric),
    ]
    lon, lat, _ = PROJ.transform(*(radius * np.array(direction)))
    assert great_circle_km(lon, lat, ours.lon, ours.lat) < 0.2
    assert abs(body.elevation / 1000.0 - ours.altitude_km) < 0.2


def test_the_velocity_is_that_over_the_turning_earth():
    ours = position_from_elements(element_set(), PHOTO)
    step = 0.5
    either = track_positions(element_set(), PHOTO, [-step, step], 0.0)
    moved_m_s = (either[1] - either[0]) / (2 * step)
    np.testing.assert_allclose(moved_m_s, ours.velocity_ecef_m_s, atol=0.5)
    assert 7100.0 < np.linalg.norm(ours.velocity_ecef_m_s) < 7500.0


@given(st.floats(-4000.0, 4000.0))
def test_a_clock_offset_is_another_time(offset):
    there = position_from_elements(element_set(), PHOTO + timedelta(seconds=offset))
    found = track_positions(element_set(), PHOTO, [offset], [0.0])
    # A microsecond, which is what a datetime holds, is 8 mm of flight.
    np.testing.assert_allclose(found[0], there.position_ecef_m, atol=0.01)


def test_a_positive_slide_moves_forward():
    ours = position_from_elements(element_set(), PHOTO)
    ahead = track_positions(element_set(), PHOTO, 0.0, 10.0)[0] - ours.position_ecef_m
    assert ahead @ ours.velocity_ecef_m_s > 0
    assert 70e3 < np.linalg.norm(ahead) < 80e3


@given(st.floats(-180.0, 360.0), st.floats(-60.0, 60.0), st.floats(300.0, 450.0))
def test_position_from_a_nadir(lon, lat, altitude_km):
    given_nadir = position_from_nadir(lon, lat, altitude_km, "option")
    back = PROJ.transform(*given_nadir.position_ecef_m)
    assert great_circle_km(back[0], back[1], lon, lat) < 1e-3
    assert back[2] == pytest.approx(1000.0 * altitude_km, abs=0.05)  # PROJ rounds
    assert -180.0 <= given_nadir.lon < 180.0
    assert given_nadir.velocity_ecef_m_s is None
    assert given_nadir.tle_age_h is None


@pytest.mark.real
@pytest.mark.parametrize(
    ("time", "lon", "lat", "slide_s"),
    [
        ("2013-12-02T12:03:29Z", 136.0805, 35.4427, -7.0),
        ("2021-09-09T22:42:31Z", 4.3753, 44.4885, 8.5),
    ],
)
def test_solved_photographs_lie_on_the_slid_orbit(real_data, time, lon, lat, slide_s):
    """Nagoya and an oblique of Italy: nadirs found from their lights, TLEs 5.8 d and 1 min away."""
    tles = load_tle_file(real_data / "orbit" / "iss_tles.txt")
    when = datetime.fromisoformat(time)
    offsets = np.arange(slide_s - 20.0, slide_s + 20.0, 0.1)
    found = track_positions(tles.best_for(when), when, 0.0, offsets)
    at_lon, at_lat, _ = ecef_to_geodetic(found)
    distance_km = great_circle_km(at_lon, at_lat, lon, lat)
    assert distance_km.min() < 2.0
    assert abs(offsets[distance_km.argmin()] - slide_s) < 1.0


@pytest.fixture(scope="module")
def elements(tmp_path_factory):
    path: Path = tmp_path_factory.mktemp("tle") / "iss.txt"
    path.write_text(BASE.text())
    return load_tle_file(path)[0]


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


TYPICAL = Elements(drag=" 21000-3")  # 0.21e-3


def written(folder: Path, elements: Elements) -> ElementSet:
    path = folder / "iss.txt"
    path.write_text(elements.text(), encoding="utf-8")
    return load_tle_file(path).best_for(elements.epoch)


@pytest.mark.parametrize("drag", [" 00000-0", "-58500-2", " 17700-2", " 82000-3"])
def test_the_shift_is_what_usual_drag_makes_of_it(tmp_path: Path, drag: str) -> None:
    """A week on; the mean elements are the same, so only the drag moves the station."""
    own = written(tmp_path, replace(TYPICAL, drag=drag))
    typical = written(tmp_path, TYPICAL)
    photo = TYPICAL.epoch + timedelta(days=7.0)
    if USUAL_BSTAR[0] <= own.satrec().bstar <= USUAL_BSTAR[1]:
        assert drag_shift_km(own, photo) == 0.0
        return
    _, here, velocity = own.satrec().sgp4_tsince(7.0 * 1440.0)
    _, there, _ = typical.satrec().sgp4_tsince(7.0 * 1440.0)
    angle = np.arccos(np.dot(here, there) / np.linalg.norm(here) / np.linalg.norm(there))
    ahead = np.dot(np.subtract(there, here), velocity) > 0.0
    shift = drag_shift_km(own, photo)
    assert abs(shift) == pytest.approx(6780.0 * angle, rel=0.01)
    assert (shift > 0.0) == ahead == (own.satrec().bstar < TYPICAL_BSTAR)
