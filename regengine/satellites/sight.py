"""Lines of sight from an observer to satellites: direction among the stars, range, hidden, sunlit.

All positions are along SGP4's axes (true equator, mean equinox of date: TEME), kilometres.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.earth import FLATTENING, SEMI_MAJOR_M
from regengine.celestial_rotation import icrs_to_itrf
from regengine.earth_rotation import (
    J2000_JULIAN_DATE,
    days_since_j2000,
    sidereal_angle_rad,
    turn_about_pole,
)
from regengine.sun_moon import sun_direction

if TYPE_CHECKING:
    from sgp4.api import Satrec

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LIGHT_KM_S = 299792.458
EARTH_KM = SEMI_MAJOR_M / 1000.0
# Refraction lifts what is 0.6 degrees below the horizontal plane above it: a line of sight that
# dips so far passes this much below a site at sea level
DIP_KM = 0.4
SUN_RADIUS_RAD = 0.004652  # 696,000 km at one astronomical unit: 16.0 arc minutes


def states(records: Sequence[Satrec], days: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities of many satellites at some moments, by SGP4.

    Parameters
    ----------
    records : sequence of Satrec, length n
    days : ndarray of float64, shape (T,)
        Days since 2000-01-01 12:00 UTC.

    Returns
    -------
    position_km, velocity_km_s : ndarray of float64, shape (n, T, 3)
        TEME; NaN where SGP4 gives up (a decayed orbit).

    References
    ----------
    Vallado, D. et al. (2006). Revisiting Spacetrack Report #3, AIAA 2006-6753.
    """
    from sgp4.api import SatrecArray

    error, position, velocity = SatrecArray(list(records)).sgp4(
        np.full(len(days), J2000_JULIAN_DATE), np.asarray(days, float)
    )
    position[error != 0] = np.nan
    return position, velocity


def teme_to_icrs(time_utc: datetime) -> FloatArray:
    """Rotation matrix from SGP4's axes to ICRS at a moment, shape (3, 3).

    By way of the turning Earth: the sidereal angle of 1982 that defines SGP4's axes, then the IAU's
    rotation of 2006. Neither has polar motion, so it drops out.
    """
    angle = sidereal_angle_rad(days_since_j2000(time_utc))
    to_earth = turn_about_pole(np.eye(3), -angle).T
    return np.asarray(icrs_to_itrf(time_utc).T @ to_earth)


def lines_of_sight(
    position_km: FloatArray, velocity_km_s: FloatArray, observer_km: FloatArray
) -> FloatArray:
    """From the observer to where satellites were when the light left them.

    Parameters
    ----------
    position_km, velocity_km_s : ndarray of float64, shape (..., 3)
        At the moment at which the light arrives.
    observer_km : ndarray of float64, broadcastable

    Returns
    -------
    ndarray of float64, shape (..., 3)
        Kilometres. Light takes 1 to 130 ms, in which satellites move by 8 to 400 m; one step is
        exact to a millimetre.
    """
    straight = position_km - observer_km
    delay_s = np.linalg.norm(straight, axis=-1, keepdims=True) / LIGHT_KM_S
    return np.asarray(straight - velocity_km_s * delay_s)


def among_stars(
    sight_km: FloatArray, to_icrs: FloatArray, earth_velocity: FloatArray
) -> FloatArray:
    """Directions as an attitude that was fitted to catalogued stars has them.

    The observer's motion shifts stars and satellites alike, so whoever leaves the aberration of
    stars in the attitude must take the Earth's motion out of a satellite's direction: the satellite
    moves along with the Earth while its light travels. That is up to 20.5 arc seconds.

    Parameters
    ----------
    sight_km : ndarray of float64, shape (..., 3)
        Of `lines_of_sight`, TEME.
    to_icrs : ndarray of float64, shape (3, 3)
        Of `teme_to_icrs`.
    earth_velocity : ndarray of float64, shape (3,)
        Of `regengine.celestial_rotation.earth_velocity`: ICRS, share of light's.

    Returns
    -------
    ndarray of float64, shape (..., 3)
        Unit vectors, ICRS.
    """
    unit = sight_km / np.linalg.norm(sight_km, axis=-1, keepdims=True)
    seen = unit @ to_icrs.T - earth_velocity
    return np.asarray(seen / np.linalg.norm(seen, axis=-1, keepdims=True))


def hidden_by_earth(position_km: FloatArray, observer_km: FloatArray) -> BoolArray:
    """Whether the Earth stands between an observer and satellites.

    Parameters
    ----------
    position_km : ndarray of float64, shape (..., 3)
    observer_km : ndarray of float64, broadcastable
        On the ground, or above it.

    Returns
    -------
    ndarray of bool, shape (...)
        On the ground: more than 0.6 degrees below the horizontal plane.
    """
    start, end = _rounded(observer_km), _rounded(position_km)
    step = end - start
    along = -np.sum(start * step, axis=-1) / np.sum(step * step, axis=-1)
    nearest = start + np.clip(along, 0.0, 1.0)[..., None] * step
    return np.asarray((along > 0.0) & (np.linalg.norm(nearest, axis=-1) < EARTH_KM - DIP_KM))


def sunlit_share(position_km: ArrayLike, sun_teme: FloatArray) -> FloatArray:
    """Share of the Sun's disc that satellites see past the Earth, 0 to 1.

    Parameters
    ----------
    position_km : array_like, shape (..., 3)
    sun_teme : ndarray of float64, shape (3,)
        Unit vector to the Sun.

    Returns
    -------
    ndarray of float64, shape (...)
        Of a disc behind a straight edge (the Earth's is 200 times larger); the air's refraction is
        left out.
    """
    position = _rounded(np.asarray(position_km, float))
    sun = _rounded(sun_teme)
    sun = sun / np.linalg.norm(sun)
    distance = np.linalg.norm(position, axis=-1)
    earth_rad = np.arcsin(np.clip(EARTH_KM / distance, 0.0, 1.0))
    apart = np.arccos(np.clip(-(position @ sun) / distance, -1.0, 1.0))
    edge = np.clip((apart - earth_rad) / SUN_RADIUS_RAD, -1.0, 1.0)
    return np.asarray(0.5 + (edge * np.sqrt(1.0 - edge**2) + np.arcsin(edge)) / np.pi)


def sun_teme(time_utc: datetime) -> FloatArray:
    """Unit vector to the Sun along SGP4's axes, shape (3,)."""
    angle = sidereal_angle_rad(days_since_j2000(time_utc))
    return turn_about_pole(sun_direction(time_utc), angle)


def _rounded(vector: FloatArray) -> FloatArray:
    """Stretched along the pole, so that the Earth's ellipsoid becomes a sphere."""
    return vector * np.array([1.0, 1.0, 1.0 / (1.0 - FLATTENING)])
