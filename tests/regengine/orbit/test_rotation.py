"""How the Earth has turned, and aberration, against astropy and published examples."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.orbit import (
    EARTH_RATE_RAD_S,
    aberration_turn,
    days_since_j2000,
    earth_velocity,
    icrs_to_itrf,
    sidereal_angle_rad,
    teme_to_ecef,
    turn_about_pole,
    turn_by_clock,
    ut1_minus_utc_s,
    utc_of,
)
from regengine.orbit.rotation import ut1_table

DAYS = np.linspace(days_since_j2000(datetime(1998, 11, 20, tzinfo=UTC)), 9700.0, 400)


@pytest.fixture(autouse=True)
def bundled_tables_only():
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        yield


def test_days_and_times_are_inverse():
    time = datetime(2012, 3, 28, 15, 46, 41, 250000, tzinfo=UTC)
    assert days_since_j2000(datetime(2000, 1, 1, 12, tzinfo=UTC)) == 0.0
    assert abs(utc_of(days_since_j2000(time)) - time) <= timedelta(microseconds=1)
    assert days_since_j2000(time.replace(tzinfo=None)) == days_since_j2000(time)


def test_vallados_published_example():
    """Vallado's book and AIAA 2006-6753: SGP4's frame to the pseudo Earth-fixed one, in km."""
    days = days_since_j2000(datetime(2004, 4, 6, 7, 51, 28, 386009, tzinfo=UTC))
    teme = [5094.18016210, 6127.64465950, 6380.34453270]
    pef = [-1033.47503130, 7901.30558560, 6380.34453270]
    np.testing.assert_allclose(teme_to_ecef(teme, sidereal_angle_rad(days)), pef, atol=0.002)


def test_positions_agree_with_astropy_to_50_metres():
    import astropy.units as u
    from astropy.coordinates import ITRS, TEME, CartesianRepresentation
    from astropy.time import Time

    time = Time(2451545.0, DAYS, format="jd", scale="utc")
    place = np.tile([4000.0, 3000.0, 4500.0], (len(DAYS), 1))
    teme = TEME(CartesianRepresentation(*place.T * u.km), obstime=time)
    itrs = teme.transform_to(ITRS(obstime=time)).cartesian.xyz.to_value(u.m).T
    ours = teme_to_ecef(place, sidereal_angle_rad(DAYS)) * 1000.0
    distance = np.linalg.norm(ours - itrs, axis=1)
    assert distance.max() < 50.0
    # Without UT1 it would be hundreds of metres: the test can tell.
    utc_only = turn_about_pole(ours, EARTH_RATE_RAD_S * ut1_minus_utc_s(DAYS))
    assert np.linalg.norm(utc_only - itrs, axis=1).max() > 150.0


@pytest.mark.parametrize("day", ["2012-06-30", "2012-07-01", "2016-12-31", "2017-01-01"])
def test_ut1_keeps_its_step_at_leap_seconds(day):
    from astropy.time import Time

    times = Time([f"{day}T00:00:00", f"{day}T12:00:00", f"{day}T23:00:00"], scale="utc")
    days = [days_since_j2000(one.to_datetime(timezone=UTC)) for one in times]
    np.testing.assert_allclose(ut1_minus_utc_s(days), times.delta_ut1_utc, atol=1e-3)


def test_ut1_past_the_tables_end_is_its_last_value():
    days, smooth_s, leap_s = ut1_table()
    last = smooth_s[-1] + leap_s[-1]
    assert float(ut1_minus_utc_s(days[-1] + 3000.0)) == pytest.approx(last)
    assert float(ut1_minus_utc_s(days[0] - 3000.0)) == pytest.approx(smooth_s[0] + leap_s[0])
    assert abs(last) < 0.9


ARC_SECOND = np.pi / 648000.0
MOMENTS = [datetime(year, 3, 28, 15, 46, 41, tzinfo=UTC) for year in (2001, 2012, 2024)]


@pytest.mark.parametrize("moment", MOMENTS)
def test_axes_agree_with_astropy_to_an_arc_second(moment: datetime) -> None:
    """Polar motion, half an arc second, is left out."""
    import astropy.units as u
    from astropy.coordinates import GCRS, ITRS, CartesianRepresentation
    from astropy.time import Time

    time = Time(moment.replace(tzinfo=None), scale="utc")
    axes = GCRS(CartesianRepresentation(np.eye(3), unit=u.km), obstime=time)
    theirs = axes.transform_to(ITRS(obstime=time)).cartesian.xyz.to_value(u.km)
    ours = icrs_to_itrf(moment)
    assert np.abs(ours - theirs).max() < 0.7 * ARC_SECOND
    # Without UT1 - UTC it would be off by arc seconds: the test can tell
    assert np.abs(turn_by_clock(ours, 0.2) - theirs).max() > 1.5 * ARC_SECOND


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_earths_velocity_is_astropys(moment: datetime) -> None:
    import astropy.units as u
    from astropy.coordinates import get_body_barycentric_posvel
    from astropy.time import Time

    time = Time(moment.replace(tzinfo=None), scale="utc")
    theirs = get_body_barycentric_posvel("earth", time, ephemeris="builtin")[1].xyz
    assert earth_velocity(moment) == pytest.approx(
        theirs.to_value(u.km / u.s) / 299792.458, abs=0.01 * ARC_SECOND
    )


@pytest.mark.parametrize("seconds", [-43200.0, -90.0, 3600.0, 43200.0])
def test_a_wrong_clock_turns_the_earth(seconds: float) -> None:
    moment = MOMENTS[1]
    exact = icrs_to_itrf(moment + timedelta(seconds=seconds))
    turned = turn_by_clock(icrs_to_itrf(moment), seconds)
    assert np.abs(turned - exact).max() < 0.1 * ARC_SECOND


directions = st.tuples(*3 * [st.floats(-1.0, 1.0)]).filter(lambda v: float(np.linalg.norm(v)) > 0.1)


@given(directions)
def test_aberration_moves_stars_towards_the_earths_motion(direction: tuple[float, ...]) -> None:
    towards = np.array(direction) / np.linalg.norm(direction)
    velocity = earth_velocity(MOMENTS[0])
    turn = aberration_turn(towards, velocity)
    seen = towards + np.cross(turn, towards)
    exact = towards + velocity  # of classical physics, good to v^2
    exact /= np.linalg.norm(exact)
    assert np.linalg.norm(seen - exact) < 0.005 * ARC_SECOND
