"""In which direction the camera flew when a photo was taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from matchers.earth import geodetic_to_ecef
from regengine.review.context import ReviewContext
from regengine.review.tracks import track

KEPT_FRAMES = 256


def flights(context: ReviewContext) -> Callable[[int], NDArray[np.float64] | None]:
    """A function that tells the direction of flight, ECEF of any length, of a frame's number.

    Parameters
    ----------
    context : ReviewContext
        The review.

    Returns
    -------
    callable
        Its answer is None where nothing tells the track. Raises `KeyError` for unknown numbers.
    """

    @lru_cache(maxsize=KEPT_FRAMES)
    def flight(number: int) -> NDArray[np.float64] | None:
        result = context.frames.frame(number).result
        rows = context.frames.rows
        nadirs = track(rows, int(rows.rows_of([number])[0]), result.nadir, context.tles)
        if len(nadirs) < 3:
            return None
        middle = len(nadirs) // 2
        before, after = (geodetic_to_ecef(*nadirs[k]) for k in (middle - 1, middle + 1))
        return np.asarray(after - before, float)

    return flight
