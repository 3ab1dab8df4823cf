"""Where predicted tracks pass the ends of a streak: when, how far beside it, and how fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Meeting:
    """Where each of n tracks comes nearest to one place of a picture.

    Attributes
    ----------
    seconds : ndarray of float64, shape (n,)
        When; beyond the ends of a track, on its last piece drawn out.
    beside_px : ndarray of float64, shape (n,)
        How far off the place lies, positive to the right of someone who goes along the track and
        sees y point down; infinite where there is no track.
    speed_px_s : ndarray of float64, shape (n,)
        Of the satellite there.
    along : ndarray of float64, shape (n, 2)
        Unit vector of its motion.
    step : ndarray of int, shape (n,)
        The moment of the track that is next to it.
    """

    seconds: FloatArray
    beside_px: FloatArray
    speed_px_s: FloatArray
    along: FloatArray
    step: NDArray[np.intp]

    @property
    def right(self) -> FloatArray:
        """Unit vectors to the right of the motion, shape (n, 2)."""
        return np.stack([-self.along[:, 1], self.along[:, 0]], axis=-1)


def meet(xy: FloatArray, seconds: FloatArray, place: FloatArray) -> Meeting:
    """Nearest points of tracks to a place.

    Parameters
    ----------
    xy : ndarray of float64, shape (n, T, 2)
        Tracks; NaN where there is none.
    seconds : ndarray of float64, shape (T,)
        Evenly spaced.
    place : ndarray of float64, shape (2,)

    Returns
    -------
    Meeting
    """
    piece = np.diff(xy, axis=1)
    length2 = np.maximum(np.sum(piece**2, axis=-1), 1e-12)
    share = np.sum((place - xy[:, :-1]) * piece, axis=-1) / length2
    bounded = np.clip(share, 0.0, 1.0)
    off = place - xy[:, :-1] - bounded[..., None] * piece
    distance2 = np.sum(off**2, axis=-1)
    distance2 = np.where(np.isfinite(distance2), distance2, np.inf)
    best = np.argmin(distance2, axis=1)
    rows = np.arange(len(xy))
    there = np.isfinite(distance2[rows, best])
    chosen, step_s = piece[rows, best], seconds[1] - seconds[0]
    size = np.sqrt(length2[rows, best])
    along = np.where(there[:, None], chosen / size[:, None], [1.0, 0.0])
    # The last piece goes on, so that a time is not clipped to the end of what was followed
    where = np.where(there, share[rows, best], 0.0)
    first, last = best == 0, best == xy.shape[1] - 2
    where = np.where(first & (where < 0.0) | last & (where > 1.0), where, np.clip(where, 0.0, 1.0))
    foot = xy[rows, best] + where[:, None] * chosen
    miss = place - foot
    beside = np.where(there, along[:, 0] * miss[:, 1] - along[:, 1] * miss[:, 0], np.inf)
    return Meeting(
        seconds=seconds[best] + where * step_s,
        beside_px=beside,
        speed_px_s=np.where(there, size / step_s, 1.0),
        along=along,
        step=np.where(where > 0.5, best + 1, best),
    )
