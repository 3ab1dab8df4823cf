"""Which tiles a circle on the ground touches."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.earth import great_circle_km
from regengine.lights.mercator import MAX_LAT_DEG, mercator_row, row_lat_deg

SPHERE_MARGIN = 1.005  # great_circle_km is on a sphere: within 0.5 % of the ellipsoid
KM_PER_DEG = 111.19  # of a great circle on that sphere


def distance_to_box_km(
    lon: float, lat: float, west: ArrayLike, south: ArrayLike, east: ArrayLike, north: ArrayLike
) -> NDArray[np.float64]:
    """Distances of a place from the nearest points of boxes of longitudes and latitudes.

    Parameters
    ----------
    lon, lat : float
        The place, degrees.
    west, south, east, north : array_like
        Edges of the boxes, degrees; west < east.

    Returns
    -------
    ndarray of float64
        Kilometres on a sphere; 0 inside.
    """
    west, south, east, north = (
        np.asarray(edge, float) for edge in np.broadcast_arrays(west, south, east, north)
    )
    beside = (lon - west) % 360.0 <= east - west
    straight = great_circle_km(lon, lat, lon, np.clip(lat, south, north))
    nearest = np.where(beside, straight, np.inf)
    for edge in (west, east):
        # On a meridian at some difference of longitude: tan(lat') = tan(lat) / cos(difference).
        difference = np.radians(edge - lon)
        turning = np.degrees(
            np.arctan2(np.sin(np.radians(lat)), np.cos(np.radians(lat)) * np.cos(difference))
        )
        for place in (np.clip(turning, south, north), south, north):
            nearest = np.minimum(nearest, great_circle_km(lon, lat, edge, place))
    return nearest


def map_tiles_in_circle(
    lon: float, lat: float, radius_km: float, zoom: int
) -> list[tuple[int, int]]:
    """Web-Mercator tiles (x, y) that a circle touches, row by row from the north.

    Parameters
    ----------
    lon, lat : float
        Centre, degrees.
    radius_km : float
        Radius on the ground, kilometres.
    zoom : int
        Zoom level; 2 ** zoom tiles span the world on each side.
    """
    count = 2**zoom
    reach_deg = radius_km * SPHERE_MARGIN / KM_PER_DEG
    north, south = (min(max(lat + d, -MAX_LAT_DEG), MAX_LAT_DEG) for d in (reach_deg, -reach_deg))
    first_y = min(max(math.floor(mercator_row(north, zoom)), 0), count - 1)
    last_y = min(max(math.floor(mercator_row(south, zoom)), 0), count - 1)
    first_x, last_x = 0, count - 1
    if abs(lat) + reach_deg < 90.0:
        width = math.degrees(
            math.asin(math.sin(math.radians(reach_deg)) / math.cos(math.radians(lat)))
        )
        if width < 179.0:
            first_x = math.floor((lon - width + 180.0) / 360.0 * count)
            last_x = min(math.floor((lon + width + 180.0) / 360.0 * count), first_x + count - 1)
    x, y = np.meshgrid(np.arange(first_x, last_x + 1), np.arange(first_y, last_y + 1))
    tile_deg = 360.0 / count
    west = -180.0 + tile_deg * x
    distance = distance_to_box_km(
        lon, lat, west, row_lat_deg(y + 1, zoom), west + tile_deg, row_lat_deg(y, zoom)
    )
    touched = distance <= radius_km * SPHERE_MARGIN
    return [(int(a) % count, int(b)) for a, b in zip(x[touched], y[touched], strict=True)]


def ten_degree_tiles_in_circle(lon: float, lat: float, radius_km: float) -> list[tuple[int, int]]:
    """Black Marble tiles (horizontal, vertical) that a circle touches, row by row from the north.

    Parameters
    ----------
    lon, lat : float
        Centre, degrees.
    radius_km : float
        Radius on the ground, kilometres.
    """
    h, v = np.meshgrid(np.arange(36), np.arange(18))
    west, north = -180.0 + 10.0 * h, 90.0 - 10.0 * v
    distance = distance_to_box_km(lon, lat, west, north - 10.0, west + 10.0, north)
    touched = distance <= radius_km * SPHERE_MARGIN
    return [(int(a), int(b)) for a, b in zip(h[touched], v[touched], strict=True)]
