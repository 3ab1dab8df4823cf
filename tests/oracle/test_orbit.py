"""Where the station was, how the Earth has turned, where Sun and Moon stand: against astropy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import (
    GCRS,
    ITRS,
    TEME,
    AltAz,
    CartesianRepresentation,
    EarthLocation,
    get_body,
    get_body_barycentric_posvel,
    get_sun,
)
from astropy.time import Time
from astropy.utils import iers
from pyproj import Geod, Transformer

from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from regengine.errors import EphemerisError
from regengine.orbit import CameraPosition, ElementSet, TleSet, load_tle_file, propagation, rotation
from regengine.orbit import uncertainty as table
from regengine.orbit.position import choose_position, expect_height_km
from regengine.orbit.propagation import camera_position, position_from_elements
from regengine.orbit.rotation import (
    days_since_j2000,
    sun_direction,
    sun_moon,
    sun_moon_over,
    turn_about_pole,
)
from regengine.photo.formats import PhotoFile
from regengine.photo.frame import Frame
from regengine.registration.priors import make_tle_track
from tests.conftest import ROOT
from tests.world.elements import Elements

ARC_SECOND = math.pi / 648000.0
DAYS = np.linspace(days_since_j2000(datetime(1998, 11, 20, tzinfo=UTC)), 9700.0, 400)
MOMENTS = [datetime(year, 3, 28, 15, 46, 41, tzinfo=UTC) for year in (2001, 2012, 2024)]
BASE = Elements()
PHOTO = datetime(2016, 5, 1, 17, 23, 45, tzinfo=UTC)
PROJ = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True)
WGS84 = Geod(ellps="WGS84")


@pytest.fixture(autouse=True)
def bundled_tables_only() -> Iterator[None]:
    with iers.conf.set_temp("auto_download", False):
        yield


def element_set(elements: Elements = BASE) -> ElementSet:
    line1, line2 = elements.lines()
    return ElementSet(line1=line1, line2=line2, path=Path("iss.txt"), line_number=1)


def as_time(moment: datetime) -> Time:
    return Time(moment.astimezone(UTC).replace(tzinfo=None), scale="utc")


def by_astropy(teme_km: Any, when: Time) -> np.ndarray:
    """Earth-fixed places, metres, of places in SGP4's frame."""
    teme = TEME(CartesianRepresentation(np.transpose(teme_km) * u.km), obstime=when)
    return teme.transform_to(ITRS(obstime=when)).cartesian.xyz.to_value(u.m).T


# The turning Earth -------------------------------------------------------------------------------


def test_positions_agree_with_astropy_to_50_metres() -> None:
    place = np.tile([4000.0, 3000.0, 4500.0], (len(DAYS), 1))
    itrs = by_astropy(place, Time(2451545.0, DAYS, format="jd", scale="utc"))
    ours = rotation.teme_to_ecef(place, rotation.sidereal_angle_rad(DAYS)) * 1000.0
    assert np.linalg.norm(ours - itrs, axis=1).max() < 50.0
    # Without UT1 it would be hundreds of metres: the test can tell
    utc_only = turn_about_pole(ours, rotation.EARTH_RATE_RAD_S * rotation.ut1_minus_utc_s(DAYS))
    assert np.linalg.norm(utc_only - itrs, axis=1).max() > 150.0


@pytest.mark.parametrize("moment", MOMENTS)
def test_axes_and_velocity_agree_with_astropy(moment: datetime) -> None:
    """Polar motion, half an arc second, is left out."""
    time = as_time(moment)
    axes = GCRS(CartesianRepresentation(np.eye(3), unit=u.km), obstime=time)
    theirs = axes.transform_to(ITRS(obstime=time)).cartesian.xyz.to_value(u.km)
    ours = rotation.icrs_to_itrf(moment)
    assert np.abs(ours - theirs).max() < 0.7 * ARC_SECOND
    # Without UT1 - UTC it would be off by arc seconds: the test can tell
    assert np.abs(rotation.turn_by_clock(ours, 0.2) - theirs).max() > 1.5 * ARC_SECOND
    moving = get_body_barycentric_posvel("earth", time, ephemeris="builtin")[1].xyz
    light = moving.to_value(u.km / u.s) / 299792.458
    assert rotation.earth_velocity(moment) == pytest.approx(light, abs=0.01 * ARC_SECOND)


# Sun and Moon ------------------------------------------------------------------------------------

RNG = np.random.default_rng(5)
CASES = [
    (
        datetime(2000, 11, 2, tzinfo=UTC) + timedelta(days=float(RNG.uniform(0.0, 9200.0))),
        float(RNG.uniform(-180.0, 180.0)),
        float(RNG.uniform(-52.0, 52.0)),
    )
    for _ in range(5)
]


def angle_deg(elevation: float, azimuth: float, other: Any) -> float:
    a, b, turn = np.radians([elevation, other.alt.deg, azimuth - other.az.deg])
    cosine = np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(turn)
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


@pytest.mark.parametrize(("time", "lon", "lat"), CASES)
def test_sun_and_moon_are_astropys(time: datetime, lon: float, lat: float) -> None:
    when = as_time(time)
    place = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, 0.0 * u.m)
    frame = AltAz(obstime=when, location=place)
    sun_there, moon_there = get_body("sun", when, place), get_body("moon", when, place)
    phase = sun_there.separation(moon_there).rad
    sun, moon = sun_there.transform_to(frame), moon_there.transform_to(frame)
    ours = sun_moon(time, lon, lat)
    assert angle_deg(ours.sun_elevation_deg, ours.sun_azimuth_deg, sun) < 0.02
    assert angle_deg(ours.moon_elevation_deg, ours.moon_azimuth_deg, moon) < 0.1
    assert ours.moon_illumination == pytest.approx((1.0 - np.cos(phase)) / 2.0, abs=0.015)
    over = sun_moon_over(
        np.array([days_since_j2000(time)] * 2), np.array([lon, 0.0]), np.array([lat, 0.0])
    )
    assert over["sun_elevation_deg"][0] == pytest.approx(sun.alt.deg, abs=0.01)
    assert over["moon_elevation_deg"][0] == pytest.approx(moon.alt.deg, abs=0.02)
    assert over["moon_illumination"][0] == pytest.approx((1.0 - np.cos(phase)) / 2.0, abs=0.005)
    there = get_sun(when).transform_to(ITRS(obstime=when)).cartesian.xyz.value
    there = there / np.linalg.norm(there)
    towards = sun_direction(time)
    assert np.linalg.norm(towards) == pytest.approx(1.0)
    assert np.degrees(np.arcsin(np.linalg.norm(np.cross(towards, there)))) < 0.02
    assert towards @ there > 0.0
    assert over["sun_elevation_deg"][1] == pytest.approx(np.degrees(np.arcsin(there[0])), abs=0.02)


# The station -------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-30.0, 0.4, 5.0, 23.0])
def test_the_station_is_where_astropy_has_it_to_50_metres(hours: float) -> None:
    time = BASE.epoch + timedelta(hours=hours)
    ours = position_from_elements(element_set(), time)
    when = as_time(time)
    _, teme_km, _ = element_set().satrec().sgp4(when.jd1, when.jd2)
    miss_m = by_astropy([teme_km], when)[0] - ours.position_ecef_m
    assert np.linalg.norm(miss_m) < 50.0
    assert ours.tle_age_h == pytest.approx(hours, abs=1e-6)
    there = (ours.lon, ours.lat, 1e3 * ours.altitude_km)
    assert PROJ.transform(*ours.position_ecef_m) == pytest.approx(there, abs=0.05)
    either = propagation.track_positions(element_set(), time, [-0.5, 0.5], 0.0)
    np.testing.assert_allclose(either[1] - either[0], ours.velocity_ecef_m_s, atol=0.5)


def slid(clock_s: float, slide_s: float) -> np.ndarray:
    """SGP4 itself at the slid time, turned back by its node's motion, carried by astropy."""
    record = element_set().satrec()
    when = as_time(PHOTO) + clock_s * u.s
    later = when + slide_s * u.s
    _, teme_km, _ = record.sgp4(later.jd1, later.jd2)
    angle = -record.nodedot / 60.0 * slide_s
    cosine, sine = math.cos(angle), math.sin(angle)
    turned = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]) @ teme_km
    return by_astropy([turned], when)[0]


@pytest.mark.parametrize(("least_s", "most_s", "hours"), [(0, 120, 0), (120, 600, 0), (0, 120, -3)])
def test_the_track_of_an_element_set_is_divided_between_clock_and_orbit(
    least_s: float, most_s: float, hours: int
) -> None:
    position = position_from_elements(element_set(), PHOTO)
    belief = table.make_slide_belief(5.0, before=True)
    track = make_tle_track(position, belief, (least_s, most_s), hours, None)
    radius_m = float(np.linalg.norm(position.position_ecef_m))
    speed_km_s = math.sqrt(3.986004418e14 / radius_m) / 1e3
    clock_km, slide_km = 21.0 * speed_km_s, position.sigma_along_km
    share = 1.0 if least_s else clock_km**2 / (clock_km**2 + slide_km**2)
    assert track.speed_km_s == pytest.approx(speed_km_s, rel=1e-6)
    assert track.sigma_along_km == pytest.approx(math.hypot(clock_km, slide_km))
    assert (track.sigma_up_km, track.source) == (position.sigma_radial_km, "tle")
    prior = {0: 0.0, -3: 6.5 + 0.3}[hours] + (math.log(10.0) if least_s else 0.0)
    assert track.neg_log_prior == pytest.approx(prior)
    for offset_km in (-3000.0, -40.0, 0.0, 700.0, 9000.0):
        seconds = offset_km / speed_km_s
        clock_s = min(max(share * seconds, -most_s), most_s)
        assert track.clock_at(offset_km) == pytest.approx(3600.0 * hours + clock_s)
        there = slid(3600.0 * hours + clock_s, seconds - clock_s)
        assert np.linalg.norm(track.position(offset_km) - there) < 50.0
        unknown_s = min(abs(0.4 * seconds), most_s)
        unknown_s = min(unknown_s, slide_km / speed_km_s) if least_s else unknown_s
        east_km_s = 7.292115e-5 * radius_m / 1e3 * math.cos(math.radians(position.lat))
        across = math.hypot(position.sigma_cross_km, east_km_s * max(unknown_s, 10.5))
        assert track.sigma_across_km(offset_km) == pytest.approx(across)
    near = [track.position(one) for one in (-1.0, 1.0)]
    np.testing.assert_allclose(track.velocity(0.0), near[1] - near[0], atol=1e-3)
    offsets = np.linspace(-20_000.0, 20_000.0, 41)
    sun = get_sun(as_time(PHOTO + timedelta(hours=hours)))
    towards = sun.transform_to(ITRS(obstime=as_time(PHOTO + timedelta(hours=hours))))
    places = np.array([track.position(one) for one in offsets])
    height = places @ towards.cartesian.xyz.value / np.linalg.norm(places, axis=1)
    clear = np.abs(np.degrees(np.arcsin(height)) - 10.0) > 0.1
    assert (track.may_be_night(offsets) == (height < math.sin(math.radians(10.0))))[clear].all()
    assert 0 < track.may_be_night(offsets).sum() < 41


@pytest.mark.parametrize("minutes", [2, 30, 52, 80])
def test_the_track_through_a_nadir_is_that_of_a_real_orbit(minutes: int) -> None:
    time = BASE.epoch + timedelta(minutes=minutes)
    ours = position_from_elements(element_set(), time)
    assert abs(ours.lat) < 51.5
    seconds = np.linspace(-65.0, 65.0, 27)
    flown_lon, flown_lat, _ = ecef_to_geodetic(
        propagation.track_positions(element_set(), time, seconds, 0.0)
    )
    ascending = bool(ours.velocity_ecef_m_s[2] > 0.0)
    ahead = great_circle_km(ours.lon, ours.lat, flown_lon, flown_lat) * np.sign(seconds)
    nadir = ours.lon, ours.lat, ours.altitude_km
    lon, lat, height_m = ecef_to_geodetic(
        propagation.nadir_track_positions(*nadir, ahead, ascending)
    )
    assert great_circle_km(lon, lat, flown_lon, flown_lat).max() < 3.0
    np.testing.assert_allclose(height_m, 1000.0 * ours.altitude_km, atol=1e-3)
    lon, lat, _ = ecef_to_geodetic(propagation.nadir_track_positions(*nadir, ahead, not ascending))
    assert great_circle_km(lon, lat, flown_lon, flown_lat).max() > 100.0


# Which position a search starts from -------------------------------------------------------------


@pytest.fixture(scope="module")
def tles() -> TleSet:
    return load_tle_file(ROOT / "data_samples" / "tle.txt")


def frame(time: datetime | None, **known: Any) -> Frame:
    file = PhotoFile(path=Path("night.jpg"), format="jpeg", width_px=640, height_px=426)
    return Frame(file=file, frame_id="night", time_utc=time, **known)


@pytest.mark.parametrize(
    ("age", "east_deg", "source"),
    [
        (timedelta(hours=2), 0.3, "tle"),
        (timedelta(days=9), 0.3, "record"),  # more accurate along the track by then
        (timedelta(days=9), 60.0, "tle"),  # contradicts the orbit
    ],
)
def test_of_orbit_and_record_the_other_one_is_kept(
    tles: TleSet, age: timedelta, east_deg: float, source: str
) -> None:
    """For a search that finds nothing where the better known one has the camera."""
    time = tles[0].epoch_utc - age
    known = camera_position(tles, time)
    nadir = known.lon + east_deg, known.lat
    chosen = choose_position(frame(time, nadir=nadir, sources={"nadir": "record"}), tles)
    assert (chosen.source, {"tle", "record"} - {chosen.source}) == (
        source, {chosen.alternative.source}
    )  # fmt: skip
    assert chosen.alternative.alternative is None
    orbit, record = sorted([chosen, chosen.alternative], key=lambda one: one.source == "record")
    assert orbit.tle_age_h == pytest.approx(-age / timedelta(hours=1), abs=1e-6)
    assert great_circle_km(record.lon, record.lat, *nadir) < 0.001
    # The TLE still tells the height
    assert record.altitude_km == pytest.approx(orbit.altitude_km)
    assert (record.sigma_along_km, record.sigma_cross_km, record.sigma_radial_km) == (40, 4, 1)
    assert choose_position(frame(time), tles).alternative is None


OPTION = {"nadir": "option"}


@pytest.mark.parametrize(
    ("nadir_deg", "centre_deg", "radius_km", "expected"),  # degrees east of the station
    [
        (None, 20.0, 100.0, ["tle"]),
        (None, 60.0, 100.0, ["centre", "tle"]),
        (None, 31.0, 100.0, ["centre", "tle"]),
        (None, 31.0, 900.0, ["tle"]),  # a part of it is within the horizon
        (0.3, None, 100.0, ["option"]),
        (60.0, None, 100.0, ["option", "tle"]),
        (60.0, 62.0, 100.0, ["option", "tle"]),
        (60.0, 2.0, 100.0, ["option", "tle"]),
        (60.0, 150.0, 100.0, ["centre", "option", "tle"]),
    ],
)
def test_what_is_given_and_contradicts_the_orbit_is_kept_beside_it(
    tles: TleSet,
    nadir_deg: float | None,
    centre_deg: float | None,
    radius_km: float,
    expected: list[str],
) -> None:
    """Each may be wrong; what agrees leaves one position."""
    time = tles[0].epoch_utc
    known = camera_position(tles, time)

    def beside(east_deg: float | None) -> tuple[float, float] | None:
        return None if east_deg is None else (known.lon + east_deg, known.lat)

    nadir, centre = beside(nadir_deg), beside(centre_deg)
    given = frame(time, nadir=nadir, centre=centre, radius_km=radius_km, sources=OPTION)
    position: CameraPosition | None = choose_position(given, tles)
    found = []
    while position is not None:
        found.append(position.source)
        position = position.alternative
    assert found == expected


def test_a_time_that_no_element_set_reaches_needs_a_nadir(tles: TleSet) -> None:
    late = datetime(2031, 1, 1, tzinfo=UTC)
    with pytest.raises(EphemerisError, match="more than a year"):
        choose_position(frame(late), tles)
    placed = replace(frame(late), nadir=(10.0, 20.0), sources={"nadir": "record"})
    assert choose_position(placed, tles).source == "record"
    for known, sets, what in ((None, tles, "time is unknown"), (late, None, "is unknown: give")):
        with pytest.raises(EphemerisError, match=what):
            choose_position(frame(known), sets)


def test_an_unknown_height_is_that_of_the_year_then_of_the_mission_then_todays() -> None:
    """The years' by Kepler's third law from the mean motions of the packaged element sets."""
    pairs = load_tle_file(ROOT / "regengine" / "data" / "element_sets.npz").pairs
    turns = np.array([float(pair.line2[52:63]) for pair in pairs])  # a day
    axis_km = np.cbrt(398600.4418 * (43200.0 / (math.pi * turns)) ** 2)
    height_km = axis_km - 6371.6  # radius of the ellipsoid under an orbit of 51.6 degrees, mean
    years = np.array([pair.epoch_utc.year for pair in pairs])
    for year in range(1999, 2027):
        flown_km, time = height_km[years == year], datetime(year, 1, 2, tzinfo=UTC)
        assumed = choose_position(frame(time, nadir=(10.0, 20.0)), None)
        assert assumed.altitude_km == pytest.approx(flown_km.mean(), abs=1.5)
        assert flown_km.std() < 1.5 * assumed.sigma_radial_km
    expected = {"ISS016-E-25314": (365, 23), "ISS030-E-68922": (415, 14), "night": (415, 15)}
    for name, wanted in expected.items():
        undated = replace(frame(None), frame_id=name)
        assert expect_height_km(undated) == pytest.approx(wanted, abs=0.5)


# How far an element set may be trusted -----------------------------------------------------------


RESULT = (ROOT / "benchmarks" / "results" / "orbit-uncertainty.md").read_text(encoding="utf-8")


def rows_of(text: str) -> dict[float, list[str]]:
    """Cells of the page's tables by signed age, without the number of sets."""
    lines = [line for line in text.splitlines() if line.startswith(("| +", "| -"))]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {float(row[0]): row[2:] for row in cells}


def test_the_numbers_are_those_of_the_benchmark() -> None:
    sizes, sides = RESULT.split("## On which side")
    measured, offsets = rows_of(sizes), rows_of(sides.split("\n## ")[0])
    assert len(measured) == 2 * len(table.AGE_DAYS)
    for sign, side in ((1.0, "BEFORE"), (-1.0, "AFTER")):
        for column, part in enumerate(("ALONG", "CROSS", "RADIAL")):
            cells = [measured[sign * age][column].split("/")[:2] for age in table.AGE_DAYS]
            rising = np.maximum.accumulate(np.array(cells, float).T, axis=1)
            constants = getattr(table, f"{part}_{side}_KM")
            np.testing.assert_allclose(constants, rising, rtol=0.006, atol=0.006)
        ages = table.AGE_DAYS[table.AGE_DAYS <= 120.0]
        constants = getattr(table, f"SLIDE_{side}_KM")
        np.testing.assert_array_equal(
            constants, [[float(cell) for cell in offsets[sign * age]] for age in ages]
        )
        assert (np.diff(constants, axis=1) > 0.0).all()
    section = RESULT.split("## Sets with unusual drag")[1]
    (row,) = [line for line in section.splitlines() if line.startswith("| 800 to 21,300")]
    shares = [float(cell) for cell in row.strip("|").split("|")[2:]]
    np.testing.assert_array_equal(table.DRAG_SHARES[1:4], shares[2:5])
