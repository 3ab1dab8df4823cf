"""The light around every town of the Earth, as rings that photos are compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from matchers.polar_patches import HARMONICS, RINGS_PX, PatchTable, harmonics, sampled, table_of
from regengine.blind.earth_towns import MARGIN_PX, PIECE_DEG, STRIP_DEG, piece_at, pieces
from regengine.light_windows import HasWindows

FloatArray = NDArray[np.float64]


def patches_of_earth(
    light_map: HasWindows,
    lon_deg: FloatArray,
    lat_deg: FloatArray,
    pixel_km: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PatchTable:
    """Patches of the map around towns.

    Parameters
    ----------
    light_map : HasWindows
        The map.
    lon_deg, lat_deg : ndarray of float64, shape (n,)
        Where the towns lie; longitudes from -180 to below 180.
    pixel_km : float
        Size of the pixels in which they were sought.
    progress : callable, optional
        Called with pieces done and in total.

    Returns
    -------
    PatchTable
        In the order of the towns; a town's right is east, its up north.

    Raises
    ------
    LightMapError
        If the map cannot be read.
    """
    found = np.zeros((len(lon_deg), len(RINGS_PX), HARMONICS), np.complex64)
    wanted = pieces()
    for done, (west, south) in enumerate(wanted):
        inside = (lon_deg >= west) & (lon_deg < west + PIECE_DEG)
        inside &= (lat_deg >= south) & (lat_deg < south + STRIP_DEG)
        piece = piece_at(light_map, west, south, pixel_km) if inside.any() else None
        if piece is not None:
            x, y = piece.pixels(lon_deg[inside], lat_deg[inside])
            # The piece's pixels are square on its middle parallel
            wide = piece.shrink / np.cos(np.radians(lat_deg[inside]))
            left, right = int(max(x.min() - MARGIN_PX, 0)), int(x.max()) + MARGIN_PX + 1
            picture = np.ascontiguousarray(piece.picture[:, left:right])
            found[inside] = harmonics(*sampled(picture, None, x - left, y, wide))
        progress(done + 1, len(wanted))
    return table_of(found)
