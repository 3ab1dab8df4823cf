"""Web Mercator (EPSG:3857): a sphere in geodetic latitudes, the world in 2 ** zoom tiles a side."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_LAT_DEG = 85.0511287798066  # where the square map of the world ends


def mercator_row(lat_deg: ArrayLike, zoom: int) -> NDArray[np.float64]:
    """Latitudes counted in tiles from the northern edge of the map.

    Parameters
    ----------
    lat_deg : array_like
        Geodetic latitudes, degrees, short of the poles.
    zoom : int
        Zoom level.
    """
    lat = np.radians(np.asarray(lat_deg, float))
    return np.asarray((0.5 - np.arctanh(np.sin(lat)) / (2.0 * np.pi)) * 2.0**zoom)


def row_lat_deg(row: ArrayLike, zoom: int) -> NDArray[np.float64]:
    """Latitudes, degrees, of places counted in tiles from the northern edge."""
    height = np.pi * (1.0 - 2.0 * np.asarray(row, float) / 2.0**zoom)
    return np.asarray(np.degrees(np.arctan(np.sinh(height))))
