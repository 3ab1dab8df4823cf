from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from regengine.orbit import sun_direction, sun_moon

RNG = np.random.default_rng(5)
CASES = [
    (
        datetime(2000, 11, 2, tzinfo=UTC) + timedelta(days=float(RNG.uniform(0.0, 9200.0))),
        float(RNG.uniform(-180.0, 180.0)),
        float(RNG.uniform(-52.0, 52.0)),
    )
    for _ in range(12)
]


def angle_deg(elevation, azimuth, other_elevation, other_azimuth) -> float:
    a, b, turn = np.radians([elevation, other_elevation, azimuth - other_azimuth])
    cosine = np.sin(a) * np.sin(b) + np.cos(a) * np.cos(b) * np.cos(turn)
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


@pytest.mark.parametrize(("time", "lon", "lat"), CASES)
def test_astropy_agrees(time, lon, lat):
    import astropy.units as u
    from astropy.coordinates import AltAz, EarthLocation, get_body
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        when = Time(time)
        place = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, 0.0 * u.m)
        frame = AltAz(obstime=when, location=place)
        sun_there, moon_there = get_body("sun", when, place), get_body("moon", when, place)
        phase = np.radians(sun_there.separation(moon_there).deg)
        sun, moon = sun_there.transform_to(frame), moon_there.transform_to(frame)
    ours = sun_moon(time, lon, lat)
    assert angle_deg(sun.alt.deg, sun.az.deg, ours.sun_elevation_deg, ours.sun_azimuth_deg) < 0.05
    assert (
        angle_deg(moon.alt.deg, moon.az.deg, ours.moon_elevation_deg, ours.moon_azimuth_deg) < 0.1
    )
    assert ours.moon_illumination == pytest.approx((1.0 - np.cos(phase)) / 2.0, abs=0.02)


def test_a_full_moon_and_a_new_one():
    assert sun_moon(datetime(2012, 5, 6, 3, 35), 0.0, 0.0).moon_illumination > 0.99
    assert sun_moon(datetime(2012, 5, 20, 23, 47), 0.0, 0.0).moon_illumination < 0.01


def test_times_with_other_zones():
    from datetime import timezone

    utc = datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
    japan = utc.astimezone(timezone(timedelta(hours=9)))
    assert sun_moon(japan, 136.3, 34.8) == sun_moon(utc, 136.3, 34.8)
    assert sun_moon(utc, 136.3, 34.8).sun_elevation_deg < -40.0
    assert sun_moon(utc.replace(tzinfo=None), 136.3, 34.8) == sun_moon(utc, 136.3, 34.8)


@pytest.mark.parametrize("time", [time for time, _, _ in CASES])
def test_astropy_has_the_sun_in_the_same_direction_of_the_turning_earth(time):
    from astropy.coordinates import ITRS, get_sun
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        when = Time(time)
        there = get_sun(when).transform_to(ITRS(obstime=when)).cartesian.xyz.value
    ours = sun_direction(time)
    assert ours.shape == (3,)
    assert np.linalg.norm(ours) == pytest.approx(1.0)
    angle = np.arctan2(np.linalg.norm(np.cross(ours, there)), ours @ there)
    assert np.degrees(angle) < 0.05
