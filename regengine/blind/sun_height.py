"""How high the Sun stood over one place at thousands of times, spread over decades."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regengine.earth_rotation import sidereal_angle_rad

FloatArray = NDArray[np.float64]


def sun_height_deg(days: FloatArray, lon: float, lat: float) -> FloatArray:
    """Elevation of the Sun's middle, without refraction.

    Parameters
    ----------
    days : ndarray of float64, shape (n,)
        Days since 2000-01-01 12:00 UTC.
    lon, lat : float
        Degrees, WGS84 geodetic.

    Returns
    -------
    ndarray of float64, shape (n,)
        Degrees, good to 0.02 from 1950 to 2050.

    References
    ----------
    The Astronomical Almanac, page C5: low-precision formulas for the Sun's coordinates.
    """
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = np.radians(
        280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly)
    )
    obliquity = np.radians(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    sine = np.sin(obliquity) * np.sin(longitude)
    hour = sidereal_angle_rad(days) + np.radians(lon) - ascension
    north = np.radians(lat)
    height = np.sin(north) * sine + np.cos(north) * np.sqrt(1.0 - sine**2) * np.cos(hour)
    return np.asarray(np.degrees(np.arcsin(np.clip(height, -1.0, 1.0))))
