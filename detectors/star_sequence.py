"""Hot pixels told by a sequence: stars move over the sensor, its defects do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.star_types import StarDetections, StarFlag
from detectors.types import FloatArray

SAME_PIXEL_PX = 0.7
LEAST_FRAMES = 3  # two stars of two frames may take each other's place by chance
# About the pole of the camera's turning stars move little: there, neighbours hardly move, either
NEIGHBOURS, MOST_STAYING, SLOW = 8, 0.4, 3.0


def fixed_to_the_sensor(
    frames: Sequence[StarDetections],
    *,
    least_frames: int = LEAST_FRAMES,
    same_px: float = SAME_PIXEL_PX,
) -> list[NDArray[np.bool_]]:
    """Detections that are seen at one place of the sensor in several frames of a sequence.

    Where many of the detections around one stay, too, the sky did not move there between the two
    frames (a short interval, the pole of the camera's turning, one photo twice), and the two tell
    nothing of it.

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
            gap, _ = cKDTree(others).query(mine, distance_upper_bound=SLOW * same_px)
            slow = _share_around(mine, np.isfinite(gap)) > MOST_STAYING
            seen[i] += (gap < same_px) & ~slow
    return [count >= least_frames for count in seen]


def marked_hot(frames: Sequence[StarDetections]) -> list[StarDetections]:
    """The detections of a sequence, those that are hot pixels flagged.

    Parameters
    ----------
    frames : sequence of StarDetections
        As of `fixed_to_the_sensor`.

    Returns
    -------
    list of StarDetections
    """
    return [
        replace(stars, flags=stars.flags | hot * np.uint8(StarFlag.HOT))
        for stars, hot in zip(frames, fixed_to_the_sensor(frames), strict=True)
    ]


def _share_around(places: FloatArray, again: NDArray[np.bool_]) -> FloatArray:
    """Share of the nearest neighbours of each place that are seen again; 1 without neighbours."""
    count = min(NEIGHBOURS, len(places) - 1)
    if count < 1:
        return np.ones(len(places))
    _, nearest = cKDTree(places).query(places, k=count + 1)
    return np.asarray(again[nearest[:, 1:]].mean(axis=1))
