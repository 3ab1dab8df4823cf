"""Where the lights of product B truly stand: its blocks lie up to two pixels off the ground.

Product B is a mosaic whose blocks were resampled one by one. Against product A they are off by up
to two pixels of 15 arc seconds: half a pixel west over most of Asia, a pixel east between 5 and
20 degrees east, more than a pixel south in southern India, a saw of a pixel along the latitude. A
itself agrees with monthly radiance composites of six cities (Cairo, Delhi, London, Paris, Shanghai,
Tokyo) to 32 m on each axis, root mean square, and B does not (190 m): so it is B that is moved.
`benchmarks.trials.measure_shift` has measured the shifts.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

TABLE = Path(__file__).with_name("world_shift.npz")
CELL_DEG = 0.5
WEST, NORTH = -25.0, 65.0
ROWS, COLS = 250, 410
UNIT_PX = 0.02  # of the stored whole numbers; a pixel has 15 arc seconds
STEP_DEG = 1.0 / 240.0


@lru_cache(maxsize=1)
def stored_shift() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Measured shifts east and north of every cell, pixels, shape (250, 410)."""
    with np.load(TABLE, allow_pickle=False) as table:
        east, north = (table[name].astype(np.float32) * UNIT_PX for name in ("east", "north"))
    return east, north


def true_place(lon_deg: FloatArray, lat_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ground under places of product B.

    Parameters
    ----------
    lon_deg, lat_deg : ndarray, shape (n,)
        By the product's own grid.

    Returns
    -------
    lon_deg, lat_deg : ndarray, shape (n,)
        Moved by what was measured for the half degree that the place lies in.
    """
    east, north = stored_shift()
    row = np.clip(((NORTH - lat_deg) / CELL_DEG).astype(int), 0, ROWS - 1)
    col = np.clip(((lon_deg - WEST) / CELL_DEG).astype(int), 0, COLS - 1)
    return lon_deg + STEP_DEG * east[row, col], lat_deg + STEP_DEG * north[row, col]
