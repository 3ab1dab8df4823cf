"""Element sets that plainly agree with their neighbours, found quickly among thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regengine.earth_rotation import J2000_JULIAN_DATE
from regengine.tle_neighbours import ALONG_TOLERANCE_KM, PLANE_TOLERANCE_DEG, SAME_EPOCH_DAYS

if TYPE_CHECKING:
    from sgp4.api import Satrec

FloatArray = NDArray[np.float64]

NEAR_DAYS = 10.0  # older neighbours say nothing of the place along the track


def supported(records: list[Satrec], epoch_days: FloatArray) -> NDArray[np.bool_]:
    """Sets that two or more of the four around them agree with: no need to look closer.

    Parameters
    ----------
    records : list of Satrec
        By epoch.
    epoch_days : ndarray of float64, shape (n,)
        Days since 2000-01-01 12:00 UTC, ascending.

    Returns
    -------
    ndarray of bool, shape (n,)

    Notes
    -----
    Closer is `regengine.tle.TleSet.disagreement`, which costs a hundred times as much and rejects
    no set that two neighbours support, in place and plane.
    """
    count = len(records)
    support = np.zeros(count, int)
    epochs = np.full(1, J2000_JULIAN_DATE)
    own = [
        record.sgp4_array(epochs, day[None])
        for record, day in zip(records, epoch_days, strict=True)
    ]
    position = np.array([state[1][0] for state in own]).reshape(-1, 3)
    normal = unit(np.cross(position, np.array([state[2][0] for state in own]).reshape(-1, 3)))
    for row, record in enumerate(records):
        others = np.array(
            [k for k in range(max(row - 2, 0), min(row + 3, count)) if k != row], dtype=int
        )
        others = others[np.abs(epoch_days[others] - epoch_days[row]) > SAME_EPOCH_DAYS]
        others = others[np.abs(epoch_days[others] - epoch_days[row]) < NEAR_DAYS]
        if len(others) == 0:
            continue
        _, there, velocity = record.sgp4_array(
            np.full(len(others), J2000_JULIAN_DATE), epoch_days[others]
        )
        apart = np.linalg.norm(there - position[others], axis=1)
        plane = np.sum(unit(np.cross(there, velocity)) * normal[others], axis=1)
        agree = (apart < ALONG_TOLERANCE_KM) & (plane > np.cos(np.radians(PLANE_TOLERANCE_DEG)))
        support[others[agree]] += 1
    return support >= 2


def unit(vectors: FloatArray) -> FloatArray:
    """Vectors of length one, shape (n, 3)."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
