"""Clipped pixels: stars with their bleeding columns are hidden, clipped streaks are light."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray

BoolImage = NDArray[np.bool_]

LONGEST_SHARE, LEAST_LENGTH_PX = 6.0, 15.0
ALONG_AXIS = np.sin(np.radians(1.5))  # charge bleeds along columns or rows


def clipped_streaks(clipped: BoolImage) -> BoolImage:
    """Clipped areas that are long, thin and lie askew: no stars, and nothing that bled.

    Parameters
    ----------
    clipped : ndarray of bool, shape (h, w)

    Returns
    -------
    ndarray of bool, shape (h, w)
    """
    if not clipped.any():
        return np.zeros(clipped.shape, bool)
    count, labels = cv2.connectedComponents(clipped.astype(np.uint8))
    rows, cols = np.nonzero(clipped)
    label = labels[rows, cols]

    def mean(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(label, values, count) / np.maximum(size, 1), float)

    size = np.bincount(label, minlength=count)
    x, y = cols.astype(float), rows.astype(float)
    mx, my = mean(x), mean(y)
    x, y = x - mx[label], y - my[label]
    xx, yy, xy = mean(x * x), mean(y * y), mean(x * y)
    middle, apart = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    long = np.sqrt(12.0 * (middle + apart) + 1.0)
    short = np.sqrt(12.0 * np.maximum(middle - apart, 0.0) + 1.0)
    angle = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    askew = np.minimum(np.abs(np.sin(angle)), np.abs(np.cos(angle))) > ALONG_AXIS
    streak = (long > LEAST_LENGTH_PX) & (long > LONGEST_SHARE * short) & askew
    streak[0] = False
    return np.asarray(streak[labels])
