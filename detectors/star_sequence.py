"""Hot pixels told by a sequence: stars move over the sensor, its defects do not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.star_types import StarDetections

SAME_PIXEL_PX = 0.7


def fixed_to_the_sensor(
    frames: Sequence[StarDetections], *, least_frames: int = 2, same_px: float = SAME_PIXEL_PX
) -> list[NDArray[np.bool_]]:
    """Detections that are seen at one place of the sensor in several frames of a sequence.

    Where most of the detections of two frames coincide, the camera did not move between them (a
    tripod and a short interval, or one photo twice), and the two tell nothing.

    Parameters
    ----------
    frames : sequence of StarDetections
        Of frames of one camera at one size, in any order.
    least_frames : int, optional
        In how many frames, itself among them, a place must be bright.
    same_px : float, optional
        How far apart two detections of one place may lie.

    Returns
    -------
    list of ndarray of bool, shape (N,) each
        True where a detection is a hot pixel.
    """
    places = [np.column_stack([stars.x, stars.y]) for stars in frames]
    seen = [np.ones(len(stars), int) for stars in frames]
    for i, mine in enumerate(places):
        for j, others in enumerate(places):
            if i == j or len(mine) == 0 or len(others) == 0:
                continue
            gap, _ = cKDTree(others).query(mine, distance_upper_bound=same_px)
            again = np.isfinite(gap)
            if 2 * np.count_nonzero(again) <= min(len(mine), len(others)):
                seen[i] += again
    return [count >= least_frames for count in seen]
