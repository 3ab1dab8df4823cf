"""ICRS to Earth-fixed axes and aberration, against astropy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.orbit.rotation import aberration_turn, earth_velocity, icrs_to_itrf, turned_by_clock

ARC_SECOND = np.pi / 648000.0
MOMENTS = [datetime(year, 3, 28, 15, 46, 41, tzinfo=UTC) for year in (2001, 2012, 2024)]


@pytest.fixture(autouse=True)
def bundled_tables_only() -> Iterator[None]:
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        yield


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
    assert np.abs(turned_by_clock(ours, 0.2) - theirs).max() > 1.5 * ARC_SECOND


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
    turned = turned_by_clock(icrs_to_itrf(moment), seconds)
    assert np.abs(turned - exact).max() < 0.1 * ARC_SECOND


def test_a_second_of_clock_is_fifteen_arc_seconds() -> None:
    first, second = (icrs_to_itrf(MOMENTS[1] + timedelta(seconds=s)) for s in (0.0, 1.0))
    cosine = 0.5 * (np.trace(first.T @ second) - 1.0)
    angle = np.arccos(cosine) / ARC_SECOND
    assert angle == pytest.approx(15.041, abs=0.01)


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
