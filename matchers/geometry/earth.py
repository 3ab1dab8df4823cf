"""The WGS84 ellipsoid: coordinate conversion, ray intersection, incidence and distances."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from detectors.constants import (
    EARTH_RADIUS_KM,
    ECCENTRICITY_SQ,
    FLATTENING,
    SEMI_MAJOR_M,
    SEMI_MINOR_M,
)
from detectors.types import FloatArray
from matchers.geometry.projection import meet_ellipsoid


def geodetic_to_ecef(
    lon_deg: ArrayLike, lat_deg: ArrayLike, height_m: ArrayLike = 0.0
) -> FloatArray:
    """Convert WGS84 geodetic positions (degrees, metres above the ellipsoid) to ECEF ones.

    Inputs of shape (...) give Earth-centred, Earth-fixed positions in metres, shape (..., 3).
    """
    lon, lat, height = np.broadcast_arrays(
        np.radians(np.asarray(lon_deg, float)),
        np.radians(np.asarray(lat_deg, float)),
        np.asarray(height_m, float),
    )
    prime_vertical = SEMI_MAJOR_M / np.sqrt(1.0 - ECCENTRICITY_SQ * np.sin(lat) ** 2)
    across = (prime_vertical + height) * np.cos(lat)
    return np.stack(
        [
            across * np.cos(lon),
            across * np.sin(lon),
            (prime_vertical * (1.0 - ECCENTRICITY_SQ) + height) * np.sin(lat),
        ],
        axis=-1,
    )


def ecef_to_geodetic(position_ecef_m: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Convert ECEF positions (..., 3), metres, to geodetic longitude, latitude and height.

    Longitudes are in [-180, 180), heights above the ellipsoid. Uses Bowring's formula with two
    iterations, accurate to better than 1e-9 degrees up to 2,000 km.

    References
    ----------
    Bowring, B. R. (1976). Transformation from spatial to geographical coordinates.
    Survey Review 23 (181), 323-327.
    """
    position = np.asarray(position_ecef_m, float)
    x, y, z = position[..., 0], position[..., 1], position[..., 2]
    across = np.hypot(x, y)
    second_eccentricity_sq = ECCENTRICITY_SQ / (1.0 - ECCENTRICITY_SQ)
    reduced = np.arctan2(z * SEMI_MAJOR_M, across * SEMI_MINOR_M)
    lat = reduced
    for _ in range(2):
        lat = np.arctan2(
            z + second_eccentricity_sq * SEMI_MINOR_M * np.sin(reduced) ** 3,
            across - ECCENTRICITY_SQ * SEMI_MAJOR_M * np.cos(reduced) ** 3,
        )
        reduced = np.arctan2((1.0 - FLATTENING) * np.sin(lat), np.cos(lat))
    prime_vertical = SEMI_MAJOR_M / np.sqrt(1.0 - ECCENTRICITY_SQ * np.sin(lat) ** 2)
    height = across * np.cos(lat) + z * np.sin(lat) - SEMI_MAJOR_M**2 / prime_vertical
    lon = (np.degrees(np.arctan2(y, x)) + 180.0) % 360.0 - 180.0
    return lon, np.degrees(lat), height


def surface_to_lonlat(position_ecef_m: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Convert points *on* the ellipsoid to geodetic longitude and latitude, in closed form.

    ECEF points of height 0 (1 km causes an error of 1e-5 degrees), metres, shape (..., 3), give
    longitudes in [-180, 180) and geodetic latitudes, degrees, shape (...).
    """
    x, y, z = np.moveaxis(np.asarray(position_ecef_m, float), -1, 0)
    across = (1.0 - ECCENTRICITY_SQ) * np.sqrt(x * x + y * y)
    lon, lat = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, across))
    return np.where(lon >= 180.0, lon - 360.0, lon), lat


def intersect_ellipsoid(
    origin_ecef_m: ArrayLike, direction: ArrayLike, height_m: float = 0.0
) -> FloatArray:
    """Find the first intersections of rays with the ellipsoid raised by a height (ECEF, metres).

    Origins (3,) or (..., 3) lie outside the ellipsoid, directions (..., 3) have any length. The
    height is added to both semi-axes (accurate to 0.2 % of it). Points have the shape (..., 3): NaN
    where a ray misses the Earth or points away from it.
    """
    start, rays = np.asarray(origin_ecef_m, float), np.asarray(direction, float)
    start, rays = (np.moveaxis(vectors, -1, 0) for vectors in (start, rays))
    return np.stack(meet_ellipsoid(start, rays, height_m), axis=-1)


def to_xyz(vector: ArrayLike) -> tuple[float, float, float]:
    """Return the components of a vector, shape (3,), as plain numbers."""
    x, y, z = np.asarray(vector, float).tolist()
    return x, y, z


def unit_vectors(lon_deg: ArrayLike, lat_deg: ArrayLike) -> FloatArray:
    """Convert longitudes and latitudes, or places in the sky, to unit vectors, shape (..., 3)."""
    lon, lat = np.radians(np.asarray(lon_deg, float)), np.radians(np.asarray(lat_deg, float))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def measure_lonlat(vectors: ArrayLike) -> FloatArray:
    """Convert vectors of any length, shape (..., 3), to longitudes and latitudes, (2, ...).

    The reverse of `unit_vectors`; degrees, longitudes in (-180, 180].
    """
    x, y, z = np.moveaxis(np.asarray(vectors, float), -1, 0)
    return np.degrees([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])


def local_axes(lon_deg: ArrayLike, lat_deg: ArrayLike) -> FloatArray:
    """Compute east, north and up unit vectors (ECEF) as rows, shape (..., 3, 3)."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    east = [-np.sin(lon), np.cos(lon), np.zeros_like(lon)]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    axes = [np.stack(east, axis=-1), np.stack(north, axis=-1), unit_vectors(lon_deg, lat_deg)]
    return np.stack(axes, axis=-2)


def incidence_deg(camera_ecef_m: ArrayLike, ground_ecef_m: ArrayLike) -> FloatArray:
    """Compute the incidence angle: between the local vertical and the line to the camera.

    For a camera (3,) and points (..., 3) on the ellipsoid, ECEF in metres: degrees, shape (...).
    Above 90 the camera is below the point's horizon; NaN for NaN points.
    """
    ground = np.asarray(ground_ecef_m, float)
    normal = ground / np.array([SEMI_MAJOR_M**2, SEMI_MAJOR_M**2, SEMI_MINOR_M**2])
    to_camera = np.asarray(camera_ecef_m, float) - ground
    cosine = np.sum(normal * to_camera, axis=-1) / (
        np.linalg.norm(normal, axis=-1) * np.linalg.norm(to_camera, axis=-1)
    )
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def great_circle_km(
    lon1_deg: ArrayLike, lat1_deg: ArrayLike, lon2_deg: ArrayLike, lat2_deg: ArrayLike
) -> FloatArray:
    """Compute distances on a sphere of mean Earth radius (haversine), accurate to 0.6 %."""
    lon1, lat1, lon2, lat2 = (
        np.radians(np.asarray(v, float)) for v in (lon1_deg, lat1_deg, lon2_deg, lat2_deg)
    )
    h = (
        np.sin((lat2 - lat1) / 2) ** 2
        + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    )
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(h, 0.0, 1.0)))
