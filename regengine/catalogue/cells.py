"""The globe in cells of about the same size: what lies in one cell is of one place.

Rows of one height run from pole to pole; each has as many cells as keep them about square. Unlike
cells of longitude and latitude they are neither slivers at the poles nor cut at the antimeridian.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regengine.place_table import EARTH_RADIUS_KM

CELL_KM = 5.0
ROWS = round(np.pi * EARTH_RADIUS_KM / CELL_KM)
MOST = 1 << 20  # more than a row has


def cell_of(lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.int64]:
    """Numbers of the cells of places.

    Parameters
    ----------
    lon_deg, lat_deg : array_like, shape (n,)
        Degrees, longitudes in any turn.

    Returns
    -------
    ndarray of int64, shape (n,)
        -1 for what is not finite.
    """
    lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = np.where(known, lon, 0.0), np.where(known, lat, 0.0)
    row = np.clip(((lat + 90.0) / 180.0 * ROWS).astype(np.int64), 0, ROWS - 1)
    across = np.maximum(np.round(2.0 * ROWS * np.sin((row + 0.5) / ROWS * np.pi)), 1.0)
    column = ((lon / 360.0 % 1.0) * across).astype(np.int64) % across.astype(np.int64)
    return np.where(known, row * MOST + column, -1)
