"""Compute Sun and Moon over a place, which determine night, twilight and moonlight."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from detectors.types import FloatArray, IndexArray
from matchers.geometry.earth import geodetic_to_ecef
from regengine.orbit.rotation import (
    far_times,
    sidereal_angle_rad,
    teme_to_ecef,
    terrestrial_time,
)

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
    return np.array(
        [
            np.sin(elevation),
            np.cos(elevation) * np.sin(azimuth),
            np.cos(elevation) * np.cos(azimuth),
        ]
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class SunMoonOver:
    """Sun and Moon over places at given times; arrays of shape (n,).

    Elevations are those of the centres of the discs above the horizontal plane of the ellipsoid,
    without refraction, degrees. ``moon_illumination`` is the illuminated fraction of the disc, 0 to
    1.
    """

    sun_elevation_deg: FloatArray
    moon_elevation_deg: FloatArray
    moon_illumination: FloatArray

    def take(self, rows: IndexArray) -> SunMoonOver:
        """Return a subset."""
        return SunMoonOver(**{name: values[rows] for name, values in vars(self).items()})


def sun_moon_over(days: FloatArray, lon: FloatArray, lat: FloatArray) -> SunMoonOver:
    """Compute Sun and Moon over places (n,), at one time for each, to 0.01 degrees.

    Times are days since 2000-01-01 12:00 UTC.

    References
    ----------
    ERFA's ``epv00`` (the Earth, arc seconds) and ``moon98`` (Meeus 1998, 10 arc seconds), rotated
    by ``pnm06a``; hourly, with linear interpolation.
    """
    if len(days) == 0:
        none = np.empty(0)
        return SunMoonOver(sun_elevation_deg=none, moon_elevation_deg=none, moon_illumination=none)
    angle = sidereal_angle_rad(days)
    sun, moon = (teme_to_ecef(body, angle) for body in _compute_of_date(days))
    place = geodetic_to_ecef(lon, lat)
    up = geodetic_to_ecef(lon, lat, 1.0) - place
    to_sun, to_moon = sun - place, moon - place
    return SunMoonOver(
        sun_elevation_deg=_elevation_deg(to_sun, up),
        moon_elevation_deg=_elevation_deg(to_moon, up),
        # Of a sphere lit by the Sun, as viewed from the place
        moon_illumination=0.5 * (1.0 + _cosine(-to_moon, sun - moon)),
    )


def _compute_of_date(days: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return geocentric Sun and Moon, metres, in the equator of date, shape (n, 3)."""
    import erfa

    first = float(np.floor(days.min() / STEP_DAYS)) * STEP_DAYS
    knots = first + STEP_DAYS * np.arange(int((days.max() - first) / STEP_DAYS) + 2)
    times = terrestrial_time(knots)
    with far_times():
        earth, _ = erfa.epv00(*times)
        moon = erfa.moon98(*times)
    turn = erfa.pnm06a(*times)
    of_date = [np.einsum("kij,kj->ki", turn, vector) * AU_M for vector in (-earth["p"], moon["p"])]
    place = (days - first) / STEP_DAYS
    below = np.minimum(place.astype(int), len(knots) - 2)
    share = (place - below)[:, None]
    sun, moon_m = ((1.0 - share) * one[below] + share * one[below + 1] for one in of_date)
    return sun, moon_m


def _elevation_deg(towards: FloatArray, up: FloatArray) -> FloatArray:
    return np.asarray(np.degrees(np.arcsin(np.clip(_cosine(towards, up), -1.0, 1.0))))


def _cosine(one: FloatArray, other: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    return np.asarray(np.sum(one * other, axis=-1) / lengths)
