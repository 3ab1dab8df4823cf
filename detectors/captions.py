"""White strips along a picture's borders, as archives print captions into."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# A strip: rows that are mostly white, from the border at most this far in
CAPTION_SHARE = 0.6
CAPTION_REACH = 0.12


def caption_strips(white: NDArray[np.bool_], *, margin_px: int) -> NDArray[np.bool_]:
    """Mask the caption strips of a picture.

    Parameters
    ----------
    white : ndarray of bool, shape (h, w)
        Where the picture is white.
    margin_px : int
        A strip begins within so many rows of the border; as many beyond its last white row, the
        blur at its edge, belong to it (that row among them).

    Returns
    -------
    ndarray of bool, shape (h, w)
    """
    masked = np.zeros(white.shape, bool)
    for axis in (0, 1):
        share = white.mean(axis=1 - axis)
        for step in (1, -1):
            rows = share[::step] >= CAPTION_SHARE
            # Letters in the strip and the blur at its edge: as far as the last white row in reach
            reach = int(CAPTION_REACH * len(rows)) + 1
            found = np.flatnonzero(rows[:reach])
            if rows[:margin_px].any() and len(found):
                depth = int(found[-1]) + margin_px
                strip = np.s_[:depth] if step == 1 else np.s_[-depth:]
                np.moveaxis(masked, axis, 0)[strip] = True
    return masked
