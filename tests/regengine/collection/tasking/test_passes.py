"""Passes against brute force: every second, by astropy's frames, ellipsoid and Sun."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers.geometry.earth import geodetic_to_ecef
from regengine.collection.tasking.plan import find_passes
from regengine.orbit import (
    J2000_JULIAN_DATE,
    ElementSet,
    days_since_j2000,
    load_tle_file,
    sun_moon_over,
    track_positions,
)
from tests.world.elements import Elements

START = datetime(2016, 5, 1, 19, 12, tzinfo=UTC)
FIRST_DAY = days_since_j2000(START)
DAY_S = 86400.0
PLACES = [
    (2.35, 48.86),
    (-58.4, -34.6),
    (103.8, 1.3),
    (179.95, -16.8),
    (-149.9, 61.2),
    (30.3, 59.9),
]
LON, LAT = np.array(PLACES).T


@pytest.fixture(scope="module")
def orbit(tmp_path_factory: pytest.TempPathFactory) -> ElementSet:
    path = tmp_path_factory.mktemp("tle") / "iss.txt"
    path.write_text(Elements(eccentricity=0.0012).text())
    return load_tle_file(path).best_for(START)


@pytest.fixture(autouse=True)
def offline() -> Iterator[None]:
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        yield


def test_every_pass_is_where_brute_force_has_it(orbit: ElementSet) -> None:
    """A day in steps of five seconds: SGP4, astropy's TEME to ITRS, its ellipsoid."""
    import astropy.units as u
    from astropy.coordinates import ITRS, TEME, CartesianRepresentation, EarthLocation
    from astropy.time import Time

    def station_km(seconds: np.ndarray) -> np.ndarray:
        days = FIRST_DAY + seconds / DAY_S
        _, teme_km, _ = orbit.satrec().sgp4_array(np.full(len(days), J2000_JULIAN_DATE), days)
        time = Time(np.full(len(days), J2000_JULIAN_DATE), days, format="jd", scale="utc")
        there = TEME(CartesianRepresentation(*teme_km.T * u.km), obstime=time)
        return there.transform_to(ITRS(obstime=time)).cartesian.xyz.to_value(u.km).T

    def place_km(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        place = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, 0.0 * u.km)
        return np.stack([one.to_value(u.km) for one in place.geocentric], axis=-1)

    seconds = np.arange(0.0, DAY_S, 5.0)
    coarse, ground = station_km(seconds), place_km(LON, LAT)
    lows = []
    for number in range(len(PLACES)):
        slant = np.linalg.norm(ground[number] - coarse, axis=-1)
        for k in np.flatnonzero((slant[1:-1] < slant[:-2]) & (slant[1:-1] <= slant[2:])) + 1:
            if slant[k] < 3000.0:
                a, b, c = slant[k - 1] ** 2, slant[k] ** 2, slant[k + 1] ** 2
                # the vertex of a parabola
                lows.append((number, seconds[k] + 2.5 * (a - c) / (a - 2.0 * b + c)))
    number, moment = (np.array(some) for some in zip(*lows, strict=True))
    station = station_km(moment)
    below = EarthLocation.from_geocentric(*station.T, unit=u.km).to_geodetic()
    down = place_km(below.lon.deg, below.lat.deg) - station
    towards = ground[number] - station
    slant = np.linalg.norm(towards, axis=-1)
    cosine = np.sum(down * towards, axis=-1) / slant / np.linalg.norm(down, axis=-1)
    angle = np.degrees(np.arccos(cosine))
    seen = angle <= 65.0
    assert np.count_nonzero(seen) >= 10

    found = find_passes(orbit, START, DAY_S, LON, LAT, max_off_nadir_deg=65.0)
    np.testing.assert_array_equal(found.place, number[seen])
    np.testing.assert_allclose(found.seconds, moment[seen], atol=0.01, rtol=0.0)
    np.testing.assert_allclose(found.off_nadir_deg, angle[seen], atol=2e-3, rtol=0.0)
    np.testing.assert_allclose(found.slant_km, slant[seen], atol=0.02, rtol=0.0)


def test_sun_and_moon_stand_where_astropy_has_them(orbit: ElementSet) -> None:
    import astropy.units as u
    from astropy.coordinates import AltAz, EarthLocation, get_body
    from astropy.time import Time

    days = FIRST_DAY + np.linspace(0.0, 9.0, 40)
    lon, lat = np.resize(LON, 40), np.resize(LAT, 40)
    over = sun_moon_over(days, lon, lat)
    time = Time(np.full(40, J2000_JULIAN_DATE), days, format="jd", scale="utc")
    place = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, 0.0 * u.m)
    frame = AltAz(obstime=time, location=place)
    sun, moon = (get_body(name, time, place).transform_to(frame) for name in ("sun", "moon"))
    np.testing.assert_allclose(over.sun_elevation_deg, sun.alt.deg, atol=0.01)
    np.testing.assert_allclose(over.moon_elevation_deg, moon.alt.deg, atol=0.01)
    apart = sun.separation(moon).rad
    phase = np.arctan2(
        sun.distance.km * np.sin(apart), moon.distance.km - sun.distance.km * np.cos(apart)
    )
    np.testing.assert_allclose(over.moon_illumination, 0.5 * (1.0 + np.cos(phase)), atol=1e-3)


@given(lon=st.floats(-180.0, 179.99), lat=st.floats(-75.0, 75.0))
def test_no_pass_is_missed_anywhere(orbit: ElementSet, lon: float, lat: float) -> None:
    """The search by whole minutes against the orbit every five seconds, for half a day."""
    seconds = np.arange(-10.0, 0.5 * DAY_S + 11.0, 5.0)  # beyond both ends of what is searched
    station = track_positions(orbit, START, seconds, 0.0)
    place = geodetic_to_ecef(lon, lat)
    slant = np.linalg.norm(station - place, axis=-1)
    above = (station - place) @ place > 0.0
    lowest = (slant[1:-1] < slant[:-2]) & (slant[1:-1] <= slant[2:]) & above[1:-1]
    moments = seconds[1:-1][lowest]
    found = find_passes(
        orbit, START, 0.5 * DAY_S, np.array([lon]), np.array([lat]), max_off_nadir_deg=90.0
    )
    clear = found.elevation_deg > 0.5  # at the horizon itself the two ellipsoids' ups differ
    assert all(np.abs(moments - moment).min() < 6.0 for moment in found.seconds[clear])
    inside = (moments > 6.0) & (moments < 0.5 * DAY_S - 6.0)
    high = inside & (slant[1:-1][lowest] < 1800e3)
    assert all(np.abs(found.seconds - moment).min() < 6.0 for moment in moments[high])


def test_what_is_seen_is_geometry(orbit: ElementSet) -> None:
    """Law of sines between nadir angle and elevation; azimuths against PyProj's geodesics."""
    from pyproj import Geod

    found = find_passes(orbit, START, 3.0 * DAY_S, LON, LAT, max_off_nadir_deg=60.0)
    radius = np.linalg.norm(geodetic_to_ecef(found.nadir_lon, found.nadir_lat), axis=-1) / 1e3
    sine = np.sin(np.radians(found.off_nadir_deg)) * (radius + found.altitude_km) / radius
    np.testing.assert_allclose(found.elevation_deg, np.degrees(np.arccos(sine)), atol=0.6)
    ahead = Geod(ellps="WGS84").fwd(
        found.nadir_lon, found.nadir_lat, found.azimuth_deg, found.ground_km * 1e3
    )
    away = (np.array(ahead[0]) - LON[found.place] + 180.0) % 360.0 - 180.0
    np.testing.assert_allclose(away, 0.0, atol=1e-6)
    # At the closest approach a place lies across the track
    across = np.sin(np.radians(found.azimuth_deg - found.heading_deg))
    assert np.abs(across[found.ground_km > 100.0]).min() > 0.98


@pytest.mark.parametrize("limit_deg", [5.0, 30.0])
def test_a_narrow_limit_misses_no_pass_within_it(orbit: ElementSet, limit_deg: float) -> None:
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(-180.0, 180.0, 400), rng.uniform(-53.0, 53.0, 400)
    span = (START, 2.0 * DAY_S)
    narrow = find_passes(orbit, *span, lon, lat, max_off_nadir_deg=limit_deg)
    wide = find_passes(orbit, *span, lon, lat, max_off_nadir_deg=65.0)
    within = wide[wide.off_nadir_deg <= limit_deg]
    assert len(within) > 20
    np.testing.assert_array_equal(narrow.place, within.place)
    np.testing.assert_allclose(narrow.seconds, within.seconds, rtol=0.0, atol=1e-3)


def test_a_pass_is_the_moment_of_least_distance_to_a_millisecond(orbit: ElementSet) -> None:
    from scipy.optimize import minimize_scalar

    found = find_passes(orbit, START, DAY_S, LON, LAT, max_off_nadir_deg=65.0)
    assert len(found) >= 10
    for one in found.itertuples():
        place = geodetic_to_ecef(LON[one.place], LAT[one.place])

        def metres(seconds: float, place: np.ndarray = place) -> float:
            (station,) = track_positions(orbit, START, np.array([seconds]), 0.0)
            return float(np.sum((station - place) ** 2)) / 1e6

        around = (one.seconds - 20.0, one.seconds + 15.0)
        least = minimize_scalar(metres, bounds=around, method="bounded", options={"xatol": 1e-5})
        assert one.seconds == pytest.approx(least.x, abs=1e-3)
        assert one.slant_km == pytest.approx(np.sqrt(least.fun), abs=1e-6)


def test_passes_of_a_span_are_those_of_its_parts(orbit: ElementSet) -> None:
    """Wherever a span is cut, from the first moment on and without the last."""
    whole = find_passes(orbit, START, DAY_S, LON, LAT, max_off_nadir_deg=60.0)
    moments = np.sort(whole.seconds.to_numpy())
    for cut_s in (0.0, *(moments[[2, 5]] - 1e-3), *(moments[[2, 5]] + 1e-3), 41_003.0):
        first = find_passes(orbit, START, cut_s, LON, LAT, max_off_nadir_deg=60.0)
        later = START + timedelta(seconds=cut_s)
        second = find_passes(orbit, later, DAY_S - cut_s, LON, LAT, max_off_nadir_deg=60.0)
        both = np.sort(np.concatenate([first.seconds, second.seconds + cut_s]))
        np.testing.assert_allclose(both, moments, rtol=0.0, atol=1e-3)


def test_a_limit_at_the_horizon_takes_what_stands_above_it(orbit: ElementSet) -> None:
    """By the orbit every quarter of a second, nadirs and horizons of PyProj's ellipsoid."""
    from pyproj import Transformer

    to_ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    rng = np.random.default_rng(8)
    lon, lat = rng.uniform(-180.0, 180.0, 300), rng.uniform(-72.0, 72.0, 300)
    seconds = np.arange(-2.0, 6002.0, 0.25)
    track = track_positions(orbit, START, seconds, 0.0)
    nadir_lon, nadir_lat, _ = to_ecef.transform(*track.T, direction="INVERSE")
    down = np.stack(to_ecef.transform(nadir_lon, nadir_lat, np.zeros(len(track))), axis=-1) - track
    approaches = []
    for number in range(len(lon)):
        place = np.array(to_ecef.transform(lon[number], lat[number], 0.0))
        up = np.array(to_ecef.transform(lon[number], lat[number], 1.0)) - place
        towards = place - track
        slant = np.linalg.norm(towards, axis=-1)
        for k in np.flatnonzero((slant[1:-1] < slant[:-2]) & (slant[1:-1] <= slant[2:])) + 1:
            cosine = towards[k] @ down[k] / slant[k] / np.linalg.norm(down[k])
            if 0.0 <= seconds[k] < 6000.0 and -towards[k] @ up > 0.0:
                approaches.append((number, seconds[k], np.degrees(np.arccos(cosine))))
    for limit_deg in (20.0, 64.0, 90.0):
        found = find_passes(orbit, START, 6000.0, lon, lat, max_off_nadir_deg=limit_deg)
        expected = [(n, s) for n, s, angle_deg in approaches if angle_deg <= limit_deg]
        assert found.place.tolist() == [n for n, _ in expected]
        np.testing.assert_allclose(found.seconds, [s for _, s in expected], atol=0.15, rtol=0.0)
        assert len(expected) > 5


def test_no_places_and_short_spans_have_no_passes(orbit: ElementSet) -> None:
    none = np.empty(0)
    assert len(find_passes(orbit, START, DAY_S, none, none, max_off_nadir_deg=45.0)) == 0
    assert len(find_passes(orbit, START, 8.6, LON, LAT, max_off_nadir_deg=1.0)) == 0
