"""Between the stars and the Earth: ICRS to Earth-fixed axes, and the aberration of starlight.

`regengine.earth_rotation` turns SGP4's frame, which is all that orbits need. Stars need precession
and nutation, too: the library ERFA has the IAU's own routines for them. Polar motion (0.5 arc
seconds) is left out here as there.
"""

from __future__ import annotations

import warnings
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regengine.earth_rotation import (
    EARTH_RATE_RAD_S,
    J2000_JULIAN_DATE,
    days_since_j2000,
    ut1_minus_utc_s,
)

FloatArray = NDArray[np.float64]

SECONDS_PER_DAY = 86400.0
LIGHT_AU_PER_DAY = 173.1446326846693  # IAU 2012 system of astronomical constants


def terrestrial_days(time_utc: datetime) -> tuple[float, float]:
    """Terrestrial Time of a moment, as a Julian date in two parts."""
    import erfa

    days = days_since_j2000(time_utc)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # leap seconds of years to come
        tai = erfa.utctai(J2000_JULIAN_DATE, days)
    first, second = erfa.taitt(*tai)
    return float(first), float(second)


def icrs_to_itrf(time_utc: datetime) -> FloatArray:
    """Rotation matrix from ICRS to Earth-fixed axes at a moment.

    Parameters
    ----------
    time_utc : datetime
        A naive time is UTC.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        IAU 2006 precession, IAU 2000A nutation and the Earth rotation angle, without polar motion.

    References
    ----------
    Petit, G., Luzum, B. (2010). IERS Conventions 2010, chapter 5. IERS Technical Note 36.
    """
    import erfa

    days = days_since_j2000(time_utc)
    ut1 = days + float(ut1_minus_utc_s(days)) / SECONDS_PER_DAY
    terrestrial = terrestrial_days(time_utc)
    return np.asarray(erfa.c2t06a(*terrestrial, J2000_JULIAN_DATE, ut1, 0.0, 0.0), float)


def turned_by_clock(rotation: FloatArray, seconds: float) -> FloatArray:
    """The rotation of `icrs_to_itrf` some seconds later, good to 0.1 arc seconds in half a day.

    Parameters
    ----------
    rotation : ndarray of float64, shape (3, 3)
        ICRS to Earth-fixed axes.
    seconds : float
        How much later: the Earth turns by 15.04 arc seconds in each.

    Returns
    -------
    ndarray of float64, shape (3, 3)
    """
    angle = EARTH_RATE_RAD_S * seconds
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return np.asarray(turn @ rotation)


def earth_velocity(time_utc: datetime) -> FloatArray:
    """Velocity of the Earth about the Solar System's centre of mass, as a share of light's.

    Parameters
    ----------
    time_utc : datetime
        A naive time is UTC.

    Returns
    -------
    ndarray of float64, shape (3,)
        ICRS axes; about 1e-4 long, 20.5 arc seconds.
    """
    import erfa

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # good to an arc second for centuries
        _, barycentric = erfa.epv00(*terrestrial_days(time_utc))
    return np.asarray(barycentric["v"], float) / LIGHT_AU_PER_DAY


def aberration_turn(towards: ArrayLike, velocity: FloatArray) -> FloatArray:
    """By how much aberration turns the sky about a direction.

    A moving observer sees a star at s where it would stand at s + v - (v . s) s without motion,
    to first order. About one direction that is the turn s x v; across 30 degrees of sky it
    differs from it by at most half a radian's share, 10 arc seconds for the Earth's velocity.

    Parameters
    ----------
    towards : array_like, shape (3,)
        Unit vector.
    velocity : ndarray of float64, shape (3,)
        Of the observer, as a share of light's.

    Returns
    -------
    ndarray of float64, shape (3,)
        Rotation vector, radians, that takes directions of the catalogue to those seen.

    References
    ----------
    Klioner, S. A. (2003). A practical relativistic model for microarcsecond astrometry in space.
    Astron. J. 125, 1580-1597.
    """
    return np.cross(np.asarray(towards, float), velocity)
