"""The orbit through a known nadir, where no element set tells it: a circle of known inclination."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.earth import ecef_to_geodetic, geodetic_to_ecef, local_axes
from regengine.earth_rotation import EARTH_RATE_RAD_S, turn_about_pole

FloatArray = NDArray[np.float64]

INCLINATION_DEG = 51.64  # the ISS's, within 0.03 degrees since 1998
GRAVITATION_M3_S2 = 3.986004418e14  # WGS84, NIMA TR8350.2, table 3.1
TYPICAL_ALTITUDE_KM = 400.0
# The plane turns westward by 5.0 degrees a day (the Earth's oblateness, at 400 km), the Earth
# eastward below it: what a track on the ground shows is both together.
NODE_RATE_RAD_S = np.radians(-5.0) / 86400.0
GROUND_RATE_RAD_S = EARTH_RATE_RAD_S - NODE_RATE_RAD_S


def track_azimuths_deg(lat_deg: float) -> tuple[float, float]:
    """Directions in which the ISS may cross a latitude, seen from the turning Earth.

    Parameters
    ----------
    lat_deg : float
        Geodetic latitude of the nadir.

    Returns
    -------
    ascending, descending : float
        Azimuths of the ground track, degrees east of north. Poleward of the orbit's greatest
        latitude (51.8) both are 90.
    """
    north_east = []
    for ascending in (True, False):
        _, velocity = _state(0.0, lat_deg, TYPICAL_ALTITUDE_KM, ascending)
        east, north, _ = local_axes(0.0, lat_deg) @ velocity
        north_east.append(float(np.degrees(np.arctan2(east, north))))
    return north_east[0], north_east[1]


def nadir_track_positions(
    lon_deg: float, lat_deg: float, altitude_km: float, along_km: ArrayLike, ascending: bool
) -> FloatArray:
    """Positions along the orbit through a nadir, over the turning Earth, at constant height.

    They are where the ISS was a little earlier or later: good to 2 km within 500 km of the nadir.

    Parameters
    ----------
    lon_deg, lat_deg : float
        Geodetic nadir.
    altitude_km : float
        Above the WGS84 ellipsoid.
    along_km : array_like, shape (n,)
        Distances on the ground along the track, forward positive.
    ascending : bool
        Whether the ISS flew northward there.

    Returns
    -------
    ndarray of float64, shape (n, 3)
        ECEF positions, metres.
    """
    position, velocity = _state(lon_deg, lat_deg, altitude_km, ascending)
    radius_m = float(np.linalg.norm(position))
    inertial = velocity + np.cross([0.0, 0.0, GROUND_RATE_RAD_S], position)
    speed_m_s = float(np.linalg.norm(inertial))
    ground_radius_m = float(np.linalg.norm(geodetic_to_ecef(lon_deg, lat_deg)))
    ground_speed_m_s = float(np.linalg.norm(velocity)) * ground_radius_m / radius_m
    seconds = 1000.0 * np.atleast_1d(np.asarray(along_km, float)) / ground_speed_m_s
    angle = (seconds * speed_m_s / radius_m)[:, None]
    circle = np.cos(angle) * position + np.sin(angle) * inertial * (radius_m / speed_m_s)
    lon, lat, _ = ecef_to_geodetic(turn_about_pole(circle, -GROUND_RATE_RAD_S * seconds))
    return geodetic_to_ecef(lon, lat, 1000.0 * altitude_km)


def _state(
    lon_deg: float, lat_deg: float, altitude_km: float, ascending: bool
) -> tuple[FloatArray, FloatArray]:
    """ECEF position (m) and velocity over the ground (m/s) of a circular orbit at a nadir."""
    position = geodetic_to_ecef(lon_deg, lat_deg, 1000.0 * altitude_km)
    radius_m = float(np.linalg.norm(position))
    up = position / radius_m
    east = np.array([-up[1], up[0], 0.0]) / np.hypot(up[0], up[1])
    north = np.cross(up, east)
    # The angle between plane and equator fixes the direction at a geocentric latitude.
    eastward = min(1.0, np.cos(np.radians(INCLINATION_DEG)) / np.hypot(up[0], up[1]))
    northward = np.sqrt(1.0 - eastward**2) * (1.0 if ascending else -1.0)
    speed_m_s = np.sqrt(GRAVITATION_M3_S2 / radius_m)
    inertial = speed_m_s * (eastward * east + northward * north)
    return position, inertial - np.cross([0.0, 0.0, GROUND_RATE_RAD_S], position)
