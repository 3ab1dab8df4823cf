"""Positions on the Earth by PROJ: the simulator's only source of geodesy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Geod, Transformer

FloatArray = NDArray[np.float64]


@lru_cache(maxsize=1)
def _to_ecef() -> Transformer:
    return Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


@lru_cache(maxsize=1)
def wgs84() -> Geod:
    """The WGS84 ellipsoid, for distances and azimuths along it."""
    return Geod(ellps="WGS84")


def ecef_of(lon_deg: ArrayLike, lat_deg: ArrayLike, height_m: ArrayLike = 0.0) -> FloatArray:
    """ECEF positions in metres, shape (..., 3), of WGS84 geodetic ones in degrees and metres."""
    lon, lat, height = np.broadcast_arrays(
        np.asarray(lon_deg, float), np.asarray(lat_deg, float), np.asarray(height_m, float)
    )
    return np.stack(_to_ecef().transform(lon, lat, height), axis=-1)


def geodetic_of(position_ecef_m: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Longitude, latitude (degrees) and height (metres) of ECEF positions, shape (..., 3)."""
    position = np.asarray(position_ecef_m, float)
    lon, lat, height = _to_ecef().transform(
        position[..., 0], position[..., 1], position[..., 2], direction="INVERSE"
    )
    return np.asarray(lon), np.asarray(lat), np.asarray(height)


def east_north_up(lon_deg: float, lat_deg: float) -> FloatArray:
    """Unit vectors east, north and up (rows) of a place, by differences of PROJ's positions."""
    step_deg = 1e-4
    east = ecef_of(lon_deg + step_deg, lat_deg) - ecef_of(lon_deg - step_deg, lat_deg)
    up = ecef_of(lon_deg, lat_deg, 1000.0) - ecef_of(lon_deg, lat_deg, 0.0)
    east, up = east / np.linalg.norm(east), up / np.linalg.norm(up)
    return np.stack([east, np.cross(up, east), up])


def _vertical(lon_deg: FloatArray, lat_deg: FloatArray) -> FloatArray:
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def perigee_height_m(origin_ecef_m: FloatArray, rays: FloatArray) -> FloatArray:
    """Least height that rays reach, metres: negative where they hit the ground.

    Parameters
    ----------
    origin_ecef_m : ndarray, shape (3,)
    rays : ndarray, shape (..., 3)
        Unit vectors.

    Returns
    -------
    ndarray, shape (...)
        The height at the point nearest to the Earth's centre, metres above the ellipsoid (that
        point and the lowest one differ by less than 40 m in height).
    """
    along = np.maximum(-(rays @ origin_ecef_m), 0.0)
    return geodetic_of(origin_ecef_m + along[..., None] * rays)[2]


def ground_of_rays(
    origin_ecef_m: FloatArray, rays: FloatArray, steps: int = 12
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where rays first meet the ground, by Newton's method on PROJ's geodetic height.

    The height along a ray is convex, so steps from the near side never overshoot.

    Parameters
    ----------
    origin_ecef_m : ndarray, shape (3,)
        Metres; outside the Earth.
    rays : ndarray, shape (..., 3)
        Unit vectors.
    steps : int
        Newton steps.

    Returns
    -------
    lon_deg, lat_deg, distance_m : ndarray, shape (...)
        NaN where a ray does not come down to the ground.
    """
    nearest = -(rays @ origin_ecef_m)
    radius_m = 6_378_140.0  # a sphere just around the whole ellipsoid
    reach_sq = radius_m**2 - (origin_ecef_m @ origin_ecef_m - nearest**2)
    distance = nearest - np.sqrt(np.maximum(reach_sq, 0.0))
    lon, lat, height = geodetic_of(origin_ecef_m + distance[..., None] * rays)
    for _ in range(steps):
        slope = np.sum(_vertical(lon, lat) * rays, axis=-1)
        step = np.where(slope < -1e-6, -height / np.minimum(slope, -1e-6), 0.0)
        distance = np.minimum(distance + step, nearest)
        lon, lat, height = geodetic_of(origin_ecef_m + distance[..., None] * rays)
    seen = (nearest > 0.0) & (np.abs(height) < 1.0)
    return tuple(np.where(seen, value, np.nan) for value in (lon, lat, distance))  # type: ignore[return-value]
