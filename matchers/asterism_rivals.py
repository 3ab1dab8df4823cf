"""Points that fall on one reference point: the nearest meets it, the others do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


def not_nearest(
    near: IndexArray, distance: FloatArray, inside: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which photo points are not the nearest to their reference point: it is met by that one alone.

    Parameters
    ----------
    near : ndarray of int, shape (v, n)
        Reference point of each photo point under each rotation.
    distance : ndarray of float64, shape (v, n)
        From it.
    inside : ndarray of bool, shape (v, n)
        The others meet none.

    Returns
    -------
    ndarray of bool, shape (v, n)
    """
    beaten = np.zeros(near.shape, bool)
    row, column = np.nonzero(inside)
    if len(row) == 0:
        return beaten
    theirs, apart = near[row, column], distance[row, column]
    order = np.lexsort((theirs, row))
    new = (np.diff(row[order], prepend=-1) != 0) | (np.diff(theirs[order], prepend=-1) != 0)
    least = np.minimum.reduceat(apart[order], np.flatnonzero(new))
    beaten[row[order], column[order]] = apart[order] > least[np.cumsum(new) - 1]
    return beaten
