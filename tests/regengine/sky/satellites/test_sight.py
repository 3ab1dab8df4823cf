"""Lines of sight against SGP4's scalar interface, astropy and ephem."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import ephem
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import (
    ITRS,
    TEME,
    AltAz,
    CartesianRepresentation,
    EarthLocation,
    get_body_barycentric_posvel,
)
from astropy.io import fits
from astropy.time import Time
from astropy.utils import iers
from sgp4.api import Satrec
from tle_lines import Elements

from matchers.geometry.earth import geodetic_to_ecef, local_axes
from regengine.orbit import (
    J2000_JULIAN_DATE,
    ElementSet,
    days_since_j2000,
    earth_velocity,
    icrs_to_itrf,
    load_tle_file,
    position_from_elements,
    sidereal_angle_rad,
    turn_about_pole,
)
from regengine.sky.satellites.observer import (
    SatelliteObserver,
    are_hidden_by_earth,
    lines_of_sight,
    states,
    sun_teme,
    sunlit_share,
    teme_to_icrs,
    turn_to_stars,
)

TIME = datetime(2016, 5, 2, 20, 30, tzinfo=UTC)
# Longitude, latitude, height of a place whose motion is that of the Earth
PLACE = (-17.5, 52.0, 1200.0)
ARC_SECOND = np.radians(1.0 / 3600.0)
ORBITS = [
    Elements(),
    Elements(inclination_deg=98.2, revolutions_a_day=14.2, node_deg=200.0, satellite="40001"),
    Elements(inclination_deg=55.0, revolutions_a_day=2.0057, eccentricity=0.01, satellite="40002"),
    Elements(inclination_deg=0.05, revolutions_a_day=1.0027, satellite="40003"),
    Elements(inclination_deg=63.4, revolutions_a_day=2.006, eccentricity=0.72, satellite="40004"),
]
RECORDS = [Satrec.twoline2rv(*one.lines()) for one in ORBITS]


def place_km(days):
    """Where the place is in SGP4's axes at some days, shape (n, 3)."""
    fixed = np.broadcast_to(geodetic_to_ecef(*PLACE) / 1e3, (len(days), 3))
    return turn_about_pole(fixed, sidereal_angle_rad(days))


@pytest.fixture(autouse=True)
def offline():
    with iers.conf.set_temp("auto_download", False):
        yield


def test_many_satellites_are_where_each_is_alone():
    days = days_since_j2000(TIME) + np.array([-0.01, 0.0, 0.3])
    position, velocity = states(RECORDS, days)
    assert position.shape == velocity.shape == (len(RECORDS), 3, 3)
    for row, record in enumerate(RECORDS):
        for k, day in enumerate(days):
            error, alone, moving = record.sgp4(J2000_JULIAN_DATE, day)
            assert error == 0
            np.testing.assert_allclose(position[row, k], alone, atol=1e-6)
            np.testing.assert_allclose(velocity[row, k], moving, atol=1e-9)


def test_a_decayed_orbit_is_nowhere_and_spoils_no_other():
    falling = Elements(revolutions_a_day=16.4, drag=" 99999-1")
    record = Satrec.twoline2rv(*falling.lines())
    position, _ = states([RECORDS[0], record], np.array([days_since_j2000(TIME) + 30.0]))
    assert np.isfinite(position[0]).all()
    assert np.isnan(position[1]).all()


def test_directions_from_a_place_are_astropys_within_two_arc_seconds():
    lon, lat, height_m = PLACE
    days = np.array([days_since_j2000(TIME)])
    position, _ = states(RECORDS, days)
    ours = lines_of_sight(position[:, 0], np.zeros((len(RECORDS), 3)), place_km(days))
    unit = turn_to_stars(ours, teme_to_icrs(TIME), np.zeros(3))
    east, north, up = (unit @ icrs_to_itrf(TIME).T @ local_axes(lon, lat).T).T

    when = Time(TIME.replace(tzinfo=None))
    place = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, height_m * u.m)
    teme = TEME(CartesianRepresentation(position[:, 0].T * u.km), obstime=when)
    fixed = teme.transform_to(ITRS(obstime=when)).cartesian - place.get_itrs(when).cartesian
    topocentric = ITRS(fixed, obstime=when, location=place)
    theirs = topocentric.transform_to(AltAz(obstime=when, location=place))
    altitude, azimuth = theirs.alt.rad, theirs.az.rad
    level = np.cos(altitude)
    expected = np.stack([level * np.sin(azimuth), level * np.cos(azimuth), np.sin(altitude)], -1)
    apart = np.linalg.norm(np.stack([east, north, up], -1) - expected, axis=1)
    # Polar motion, left out, is 0.5 arc seconds about the Earth's centre: 15 m at the site
    assert apart.max() < 0.8 * ARC_SECOND + 0.015 / theirs.distance.to_value(u.km).min()


def test_light_time_and_the_earths_motion_are_those_of_the_solar_system():
    """Built once more about the Solar System's centre: where the satellite was, seen from here."""
    record = RECORDS[3]
    days = np.array([days_since_j2000(TIME)])
    to_icrs = teme_to_icrs(TIME)
    position, velocity = states([record], days)
    sight = lines_of_sight(position[0], velocity[0], place_km(days))
    seen = turn_to_stars(sight, to_icrs, earth_velocity(TIME))[0]

    def earth_km(when):
        body = get_body_barycentric_posvel("earth", Time(when.replace(tzinfo=None)))
        return body[0].xyz.to_value(u.km)

    here = earth_km(TIME) + to_icrs @ place_km(days)[0]
    delay = 0.0
    for _ in range(4):
        then = TIME - timedelta(seconds=delay)
        there, _ = states([record], np.array([days_since_j2000(then)]))
        # Axes of the photo's moment: the place moves on while the light is under way
        path = earth_km(then) + to_icrs @ there[0, 0] - here
        delay = np.linalg.norm(path) / 299792.458
    assert delay > 0.1
    assert np.linalg.norm(seen - path / np.linalg.norm(path)) < 0.1 * ARC_SECOND
    straight = turn_to_stars(position[0] - place_km(days), to_icrs, np.zeros(3))[0]
    assert np.linalg.norm(seen - straight) > 5.0 * ARC_SECOND


def test_the_station_is_where_the_engine_has_it():
    line1, line2 = ORBITS[0].lines()
    elements = ElementSet(line1=line1, line2=line2, path=Path("iss"), line_number=1)
    station = SatelliteObserver(element_set=elements)
    days = days_since_j2000(TIME)
    found = station.describe(days)
    known = position_from_elements(elements, TIME)
    assert found["lat"] == pytest.approx(known.lat, abs=1e-3)
    assert found["lon"] == pytest.approx(known.lon, abs=1e-3)
    assert found["altitude_km"] == pytest.approx(known.altitude_km, abs=0.01)
    along, across, up = station.uncertainty_km(days)
    sizes = [np.linalg.norm(one) for one in (along, across, up)]
    wanted = [known.sigma_along_km, known.sigma_cross_km, known.sigma_radial_km]
    np.testing.assert_allclose(sizes, wanted)
    position = station.position_km(np.array([days, days + 1.0 / 86400.0]))
    moved = position[1] - position[0]
    assert moved @ along / np.linalg.norm(along) == pytest.approx(7.66, abs=0.05)
    # Held still aboard, a camera keeps its view of the Earth: it turns once in an orbit
    turned = np.cross(station.turning_rad_s(days), position[0])
    np.testing.assert_allclose(turned, moved, atol=0.02)


def test_shadow_is_ephems():
    record = RECORDS[0]
    lit, eclipsed, edge = [], [], []
    body = ephem.readtle("A", *ORBITS[0].lines())
    for minute in range(0, 186, 3):
        time = TIME + timedelta(minutes=minute)
        position, _ = states([record], np.array([days_since_j2000(time)]))
        share = float(sunlit_share(position[0, 0], sun_teme(time)))
        body.compute(ephem.Date(time.replace(tzinfo=None)))
        lit.append(share > 0.5)
        eclipsed.append(body.eclipsed)
        # ephem's Earth is round: at the edge of the shadow both may be right
        turned = [
            sunlit_share(states([record], np.array([days_since_j2000(time + step)]))[0][0, 0],
                         sun_teme(time + step))
            for step in (timedelta(seconds=-25), timedelta(seconds=25))
        ]  # fmt: skip
        edge.append(not 0.01 < min(turned) + max(turned) < 1.99)
    clear = np.array(edge)
    assert clear.sum() > 40
    assert 10 < np.array(eclipsed)[clear].sum() < 35
    np.testing.assert_array_equal(np.array(lit)[clear], ~np.array(eclipsed)[clear])


def test_in_full_shadow_behind_the_earth_and_lit_before_it():
    sun = np.array([1.0, 0.0, 0.0])
    places = np.array([[-7000.0, 0, 0], [7000.0, 0, 0], [0, 7000.0, 0], [-42164.0, 7000.0, 0]])
    np.testing.assert_allclose(sunlit_share(places, sun), [0.0, 1.0, 1.0, 1.0], atol=1e-9)
    # 7,000 km from the centre the edge of the shadow is where the Sun's middle sets
    edge = np.arcsin(6378.137 / 7000.0)
    half = 7000.0 * np.array([-np.cos(edge), np.sin(edge), 0.0])
    assert sunlit_share(half, sun) == pytest.approx(0.5, abs=1e-6)


def test_the_earth_hides_what_is_below_the_horizon():
    observer = np.array([6378.2, 0.0, 0.0])
    places = np.array([[7000.0, 0, 0], [6379.0, 3000.0, 0], [6300.0, 3000.0, 0], [-7000.0, 0, 0]])
    np.testing.assert_array_equal(are_hidden_by_earth(places, observer), [False, False, True, True])


@pytest.mark.real
def test_the_station_is_where_others_have_it(real_data):
    """Positions in GCRS that another program wrote beside a real frame, by another set."""
    folder = real_data / "orbit" / "samples" / "auromat"
    header = fits.getheader(folder / "ISS029-E-8492.wcs")
    time = datetime.fromisoformat(str(header["DATE-OBS"])).replace(tzinfo=UTC)
    days = days_since_j2000(time)
    tles = load_tle_file(real_data / "orbit" / "iss_tles.txt")
    station = SatelliteObserver(element_set=tles.best_for(time))
    to_icrs = teme_to_icrs(time)
    there = np.array([float(header[f"POS{axis}"]) for axis in "XYZ"])
    apart = there - to_icrs @ station.position_km(np.array([days]))[0]
    along, across, up = station.uncertainty_km(days) @ to_icrs.T
    # The set is eight days younger than the frame: along the track it leads astray, not across
    assert abs(apart @ along) / (along @ along) < 2.0
    assert abs(apart @ across) / np.linalg.norm(across) < 2.0
    bulge_km = (apart @ along) ** 2 / (along @ along) / (2.0 * np.linalg.norm(there))
    assert abs(apart @ up / np.linalg.norm(up) + bulge_km) < 4.0
