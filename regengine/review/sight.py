"""What can be said of a photo before it is placed: the track, and the ground in sight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matchers.earth import (
    SEMI_MAJOR_M,
    SEMI_MINOR_M,
    ecef_to_geodetic,
    geodetic_to_ecef,
    surface_to_lonlat,
)

LonLat = tuple[float, float]
HORIZON_POINTS = 72


def horizon(lon: float, lat: float, altitude_km: float) -> list[LonLat]:
    """Outline of the ground in sight from above a nadir.

    Rays that touch an ellipsoid touch it in a plane; scaled so that it is a unit sphere, the eye at
    distance d, those are the points at the angle arccos(1 / d) from the eye's direction.

    Parameters
    ----------
    lon, lat : float
        Geodetic nadir, degrees.
    altitude_km : float
        Above the WGS84 ellipsoid.

    Returns
    -------
    list of (lon, lat)
        A ring, degrees; its longitudes run on over the antimeridian unless it holds a pole.
    """
    axes = np.array([SEMI_MAJOR_M, SEMI_MAJOR_M, SEMI_MINOR_M])
    eye = geodetic_to_ecef(lon, lat, 1000.0 * altitude_km) / axes
    distance = float(np.linalg.norm(eye))
    towards = eye / distance
    # Any two directions across that one; the pole's own serves where it is not near
    beside = np.cross(towards, [0.0, 0.0, 1.0] if abs(towards[2]) < 0.9 else [1.0, 0.0, 0.0])
    beside /= np.linalg.norm(beside)
    upright = np.cross(beside, towards)
    turn = np.linspace(0.0, 2.0 * np.pi, HORIZON_POINTS + 1)[:, None]
    across = np.sqrt(1.0 - 1.0 / distance**2) * (np.cos(turn) * beside + np.sin(turn) * upright)
    ring_lon, ring_lat = surface_to_lonlat((towards / distance + across) * axes)
    return _unbroken(ring_lon.tolist(), ring_lat.tolist())


def ground_track(positions_ecef_m: NDArray[np.float64]) -> list[LonLat]:
    """Nadirs below positions (ECEF, metres, shape (n, 3)), unbroken at the antimeridian."""
    lon, lat, _ = ecef_to_geodetic(positions_ecef_m)
    return _unbroken(lon.tolist(), lat.tolist())


def _unbroken(lon: list[float], lat: list[float]) -> list[LonLat]:
    turned = np.unwrap(lon, period=360.0)
    return list(zip(turned.tolist(), lat, strict=True))
