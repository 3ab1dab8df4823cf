"""Where the Sun and the Moon stood over a place, which makes it night, twilight or moonlit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class SunMoon:
    """Directions seen from a place on the ellipsoid (height 0), without refraction.

    Elevations are above the horizontal plane, azimuths east of north, degrees.
    ``moon_illumination`` is the lit fraction of the Moon's disc, 0 to 1.
    """

    sun_elevation_deg: float
    sun_azimuth_deg: float
    moon_elevation_deg: float
    moon_azimuth_deg: float
    moon_illumination: float


def sun_moon(time_utc: datetime, lon: float, lat: float) -> SunMoon:
    """Sun and Moon at a time and place, by ``ephem`` (good to 0.01 degrees).

    Parameters
    ----------
    time_utc : datetime
        A naive time is UTC.
    lon, lat : float
        Degrees, WGS84 geodetic. The Moon's parallax is that of this place at height 0; at the
        ISS's height the Moon stands up to 0.06 degrees elsewhere.
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


def sun_direction(time_utc: datetime) -> NDArray[np.float64]:
    """Direction of the Sun in ECEF, a unit vector, shape (3,)."""
    seen = sun_moon(time_utc, 0.0, 0.0)
    elevation, azimuth = np.radians([seen.sun_elevation_deg, seen.sun_azimuth_deg])
    # Where the equator meets the prime meridian, up is x, east y and north z
    return np.array(
        [
            np.sin(elevation),
            np.cos(elevation) * np.sin(azimuth),
            np.cos(elevation) * np.cos(azimuth),
        ]
    )
