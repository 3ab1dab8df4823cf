"""Earth rotation (UTC to UT1 to sidereal angle, SGP4's frame to Earth-fixed), Sun and Moon.

Implemented here and not with astropy, whose import takes half a second. Tests compare it with
astropy to 50 m. Polar motion (0.5 arc seconds, 16 m at the orbit) is neglected.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from detectors.constants import DAY_S
from detectors.types import FloatArray
from matchers.geometry.earth import geodetic_to_ecef

J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
J2000_JULIAN_DATE = 2451545.0
J2000_MODIFIED_JULIAN_DATE = 51544.5
EARTH_RATE_RAD_S = 7.292115e-5  # WGS84, NIMA TR8350.2, table 3.1

LIGHT_AU_PER_DAY = 173.1446326846693  # IAU 2012 system of astronomical constants


def days_since_j2000(time_utc: datetime) -> float:
    """Return days of UTC since 2000-01-01 12:00, to a microsecond; a naive time is UTC."""
    if time_utc.tzinfo is None:
        time_utc = time_utc.replace(tzinfo=UTC)
    return (time_utc - J2000) / timedelta(days=1)


def utc_of(days: float) -> datetime:
    return J2000 + timedelta(days=float(days))


@lru_cache(maxsize=1)
def ut1_table() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Read UT1 − UTC by day, from the IERS table in the package astropy-iers-data."""
    import astropy_iers_data

    days, offsets = [], []
    with Path(astropy_iers_data.IERS_A_FILE).open(encoding="ascii") as table:
        for line in table:  # columns 8-15 and 59-68: ReadMe.finals2000A next to the table
            if line[58:68].strip():
                days.append(float(line[7:15]) - J2000_MODIFIED_JULIAN_DATE)
                offsets.append(float(line[58:68]))
    offset_s = np.array(offsets)
    leap_s = np.concatenate([[0.0], np.cumsum(np.round(np.diff(offset_s)))])
    return np.array(days), offset_s - leap_s, leap_s


def ut1_minus_utc_s(days: ArrayLike) -> FloatArray:
    """Return UT1 − UTC, seconds, at days since J2000 (UTC); beyond the table, its last value.

    One second of it is 465 m at the equator. The Earth drifts by less than half a second a year
    from the last tabulated value, so an old table causes an error of at most 0.2 km in a year.
    """
    tabulated, smooth_s, leap_s = ut1_table()
    wanted = np.asarray(days, float)
    row = np.clip(np.searchsorted(tabulated, wanted, side="right") - 1, 0, len(leap_s) - 1)
    return np.interp(wanted, tabulated, smooth_s) + leap_s[row]


def sidereal_angle_rad(days: ArrayLike) -> FloatArray:
    """Greenwich mean sidereal time of 1982, radians in [0, 2 pi), at days of UTC since J2000.

    It is the angle between SGP4's frame and the Earth.

    References
    ----------
    Aoki, S. et al. (1982). The new definition of universal time. Astron. Astrophys. 105, 359-361.
    Vallado, D. et al. (2006). Revisiting Spacetrack Report #3, AIAA 2006-6753, appendix C.
    """
    utc = np.asarray(days, float)
    ut1 = utc + ut1_minus_utc_s(utc) / DAY_S
    century = ut1 / 36525.0
    # Whole rotations are removed by the remainder of the day, to avoid rounding errors.
    seconds = (
        67310.54841
        + DAY_S * np.mod(ut1, 1.0)
        + century * (8640184.812866 + century * (0.093104 - 6.2e-6 * century))
    )
    return np.mod(seconds * (2.0 * np.pi / DAY_S), 2.0 * np.pi)


def teme_to_ecef(vector_teme: ArrayLike, angle_rad: ArrayLike) -> FloatArray:
    """Rotate vectors (..., 3) from SGP4's frame (true equator, mean equinox) to Earth-fixed axes.

    The angle is that of `sidereal_angle_rad`; velocities stay inertial.
    """
    return turn_about_pole(vector_teme, -np.asarray(angle_rad, float))


def turn_about_pole(vector: ArrayLike, angle_rad: ArrayLike) -> FloatArray:
    """Rotate vectors, shape (..., 3), eastward about the third axis by an angle in radians."""
    given = np.asarray(vector, float)
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return np.stack(
        [
            cosine * given[..., 0] - sine * given[..., 1],
            sine * given[..., 0] + cosine * given[..., 1],
            given[..., 2] + 0.0 * cosine,
        ],
        axis=-1,
    )


def terrestrial_time(days: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return Terrestrial Time at days of UTC since J2000, as two-part Julian dates."""
    import erfa

    # About future leap seconds and distant centuries
    with warnings.catch_warnings(action="ignore", category=erfa.ErfaWarning):
        first, second = erfa.taitt(*erfa.utctai(J2000_JULIAN_DATE, days))
    return first, second


def icrs_to_itrf(time_utc: datetime) -> FloatArray:
    """Return the rotation matrix (3, 3) from ICRS to Earth-fixed axes; a naive time is UTC.

    IAU 2006 precession, IAU 2000A nutation and the Earth rotation angle, without polar motion.

    References
    ----------
    Petit, G., Luzum, B. (2010). IERS Conventions 2010, chapter 5. IERS Technical Note 36.
    """
    import erfa

    days = days_since_j2000(time_utc)
    ut1 = days + float(ut1_minus_utc_s(days)) / DAY_S
    terrestrial = terrestrial_time(days)
    return np.asarray(erfa.c2t06a(*terrestrial, J2000_JULIAN_DATE, ut1, 0.0, 0.0), float)


def turn_by_clock(rotation: FloatArray, seconds: float) -> FloatArray:
    """Return `icrs_to_itrf` some seconds later, accurate to 0.1 arc seconds in half a day."""
    return turn_about_pole(rotation.T, -EARTH_RATE_RAD_S * seconds).T


def earth_velocity(time_utc: datetime) -> FloatArray:
    """Return the Earth's barycentric velocity (3,) in units of the speed of light.

    ICRS axes; magnitude about 1e-4, 20.5 arc seconds. A naive time is UTC.
    """
    import erfa

    with warnings.catch_warnings(action="ignore", category=erfa.ErfaWarning):
        _, barycentric = erfa.epv00(*terrestrial_time(days_since_j2000(time_utc)))
    return np.asarray(barycentric["v"], float) / LIGHT_AU_PER_DAY


def aberration_turn(towards: ArrayLike, velocity: FloatArray) -> FloatArray:
    """Return the rotation vector (radians) of stellar aberration about a direction.

    It rotates catalogue directions to apparent ones. To first order, a moving observer sees a star
    at s that would be at s + v - (v . s) s without motion. About one direction, this is the
    rotation s x v. Across 30 degrees of sky, the difference is at most half a radian's share, 10
    arc seconds for the Earth's velocity. The observer's velocity is in units of the speed of light.

    References
    ----------
    Klioner, S. A. (2003). A practical relativistic model for microarcsecond astrometry in space.
    Astron. J. 125, 1580-1597.
    """
    return np.cross(np.asarray(towards, float), velocity)


AU_M = 149_597_870_700.0  # IAU 2012, resolution B2
# The Moon's path deviates by 2 arc seconds from a straight line in this time
STEP_DAYS = 1.0 / 24.0


@dataclass(frozen=True, kw_only=True)
class SunMoon:
    """Directions from a place on the ellipsoid (height 0), without refraction.

    Elevations are above the horizontal plane, azimuths east of north, degrees.
    ``moon_illumination`` is the illuminated fraction of the Moon's disc, 0 to 1.
    """

    sun_elevation_deg: float
    sun_azimuth_deg: float
    moon_elevation_deg: float
    moon_azimuth_deg: float
    moon_illumination: float


def sun_moon(time_utc: datetime, lon: float, lat: float) -> SunMoon:
    """Compute Sun and Moon at a time (naive: UTC) and place, by ``ephem`` (to 0.01 degrees).

    The Moon's parallax is that of this place at height 0. At the ISS's height, the Moon's position
    differs by up to 0.06 degrees.
    """
    import ephem

    observer = ephem.Observer()
    observer.lon, observer.lat = np.radians(lon), np.radians(lat)
    observer.elevation = 0.0
    observer.pressure = 0.0  # no refraction
    aware = time_utc if time_utc.tzinfo is None else time_utc.astimezone(UTC).replace(tzinfo=None)
    observer.date = ephem.Date(aware)
    sun, moon = ephem.Sun(observer), ephem.Moon(observer)
    return SunMoon(
        sun_elevation_deg=float(np.degrees(sun.alt)),
        sun_azimuth_deg=float(np.degrees(sun.az)),
        moon_elevation_deg=float(np.degrees(moon.alt)),
        moon_azimuth_deg=float(np.degrees(moon.az)),
        moon_illumination=float(moon.moon_phase),
    )


def sun_direction(time_utc: datetime) -> FloatArray:
    """Return the direction of the Sun in ECEF, a unit vector, shape (3,)."""
    seen = sun_moon(time_utc, 0.0, 0.0)
    elevation, azimuth = np.radians([seen.sun_elevation_deg, seen.sun_azimuth_deg])
    # At the intersection of equator and prime meridian, up is x, east is y and north is z
    east, north = np.sin(azimuth), np.cos(azimuth)
    return np.array([np.sin(elevation), np.cos(elevation) * east, np.cos(elevation) * north])


def sun_moon_over(days: FloatArray, lon: FloatArray, lat: FloatArray) -> dict[str, FloatArray]:
    """Compute Sun and Moon over places (n,), at one time for each, to 0.01 degrees.

    Times are days since 2000-01-01 12:00 UTC. The arrays, by their names in `SunMoon`, are of shape
    (n,); elevations are those of the centres of the discs, without refraction.

    References
    ----------
    ERFA's ``epv00`` (the Earth, arc seconds) and ``moon98`` (Meeus 1998, 10 arc seconds), rotated
    by ``pnm06a``; hourly, with linear interpolation.
    """
    if len(days) == 0:
        names = ("sun_elevation_deg", "moon_elevation_deg", "moon_illumination")
        return {name: np.empty(0) for name in names}
    import erfa

    first = float(np.floor(days.min() / STEP_DAYS)) * STEP_DAYS
    knots = first + STEP_DAYS * np.arange(int((days.max() - first) / STEP_DAYS) + 2)
    times = terrestrial_time(knots)
    with warnings.catch_warnings(action="ignore", category=erfa.ErfaWarning):
        earth, _ = erfa.epv00(*times)
        moon_there = erfa.moon98(*times)
    below = np.minimum(((days - first) / STEP_DAYS).astype(int), len(knots) - 2)
    share = ((days - first) / STEP_DAYS - below)[:, None]
    turn, angle = erfa.pnm06a(*times), sidereal_angle_rad(days)
    # Geocentric, metres: in the equator of date at the knots, then Earth-fixed at the times
    bodies_au = -earth["p"], moon_there["p"]
    of_date = [np.einsum("kij,kj->ki", turn, body) * AU_M for body in bodies_au]
    between = ((1.0 - share) * one[below] + share * one[below + 1] for one in of_date)
    sun, moon = (teme_to_ecef(body, angle) for body in between)
    place = geodetic_to_ecef(lon, lat)
    up = geodetic_to_ecef(lon, lat, 1.0) - place
    to_moon = moon - place
    sines = (np.clip(_cosine(towards, up), -1.0, 1.0) for towards in (sun - place, to_moon))
    sun_deg, moon_deg = (np.degrees(np.arcsin(sine)) for sine in sines)
    return {
        "sun_elevation_deg": sun_deg,
        "moon_elevation_deg": moon_deg,
        # Of a sphere lit by the Sun, as viewed from the place
        "moon_illumination": 0.5 * (1.0 + _cosine(-to_moon, sun - moon)),
    }


def _cosine(one: FloatArray, other: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.asarray(np.sum(one * other, axis=-1) / lengths)
