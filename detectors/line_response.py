"""What tells the pixels of a streak: how bright they are, and how much a line runs there."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
BoolImage = NDArray[np.bool_]

LEVEL_PX = 41  # window of the local sky: wider than a streak, narrower than clouds
LEVELS_PER_SIGMA, DARKEST_SIGMA = 8.0, -8.0
# On pixels twice as large: 15 degrees apart, 22 px long, the sky taken 6 px beside
DIRECTIONS, LINE_PX, BESIDE_PX = 12, 11, 3.0
BRIGHTEST = 12.0  # in units of the sky's scatter: brighter is as good
SAMPLES = 100_000


def above_local_sky(grey: FloatImage) -> FloatImage:
    """The image less its running median, so that clouds do not count as light.

    Parameters
    ----------
    grey : ndarray of float32, shape (h, w)
        In units of the sky's noise.

    Returns
    -------
    ndarray of float32, shape (h, w)
    """
    levels = (grey - np.float32(DARKEST_SIGMA)) * np.float32(LEVELS_PER_SIGMA)
    levels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    median = cv2.medianBlur(levels, LEVEL_PX).astype(np.float32)
    median = cv2.blur(median, (LEVEL_PX // 2, LEVEL_PX // 2))
    return np.asarray(grey - (median / np.float32(LEVELS_PER_SIGMA) + np.float32(DARKEST_SIGMA)))


def line_response(grey: FloatImage) -> FloatImage:
    """Mean along the brightest of twelve short lines through each pixel, less that on either side.

    Made on pixels twice as large. What is taken away runs parallel to the line: so a pixel beside
    a streak does not respond to it by a line that crosses it.

    Parameters
    ----------
    grey : ndarray of float32, shape (h, w)

    Returns
    -------
    ndarray of float32, shape (h, w)
    """
    h, w = grey.shape
    small = cv2.resize(grey, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA)
    best = np.full(small.shape, -np.inf, np.float32)
    for kernel in line_kernels():
        cv2.max(best, cv2.filter2D(small, cv2.CV_32F, kernel), dst=best)
    return np.asarray(cv2.resize(best, (w, h), interpolation=cv2.INTER_LINEAR))


@cache
def line_kernels() -> tuple[FloatImage, ...]:
    """Lines through the middle of a square, less those beside them; each of sum 0."""
    middle = LINE_PX // 2
    offsets = np.arange(LINE_PX) - middle
    within = np.hypot(offsets[None, :], offsets[:, None]) <= middle + 0.5
    kernels = []
    for direction in range(DIRECTIONS):
        angle = np.pi * direction / DIRECTIONS
        across = np.abs(offsets[None, :] * np.sin(angle) - offsets[:, None] * np.cos(angle))
        line = np.maximum(1.0 - across, 0.0) * within
        beside = np.maximum(1.0 - np.abs(across - BESIDE_PX), 0.0) * within
        kernels.append((line / line.sum() - beside / beside.sum()).astype(np.float32))
    return tuple(kernels)


def pixel_features(grey: FloatImage, usable: BoolImage) -> FloatImage:
    """Brightness and line response of every pixel, each in units of the sky's scatter.

    Parameters
    ----------
    grey : ndarray of float32, shape (h, w)
        Denoised, above the local sky, stars removed.
    usable : ndarray of bool, shape (h, w)
        False where pixels tell nothing; their features are 0.

    Returns
    -------
    ndarray of float32, shape (h, w, 2)
        At most 12.
    """
    features = np.empty((*grey.shape, 2), np.float32)
    for number, image in enumerate((grey, line_response(grey))):
        middle, scatter = _sky(image[usable])
        features[..., number] = np.minimum((image - middle) / scatter, np.float32(BRIGHTEST))
    features[~usable] = 0.0
    return features


def _sky(values: FloatImage) -> tuple[np.float32, np.float32]:
    """Median of some values, and their scatter about it on the dark side, where no light is."""
    sample = values[:: max(1, values.size // SAMPLES)]
    low, middle = np.quantile(sample, (0.1587, 0.5)) if sample.size else (0.0, 0.0)
    scatter = max(float(middle - low), 1e-3)
    return np.float32(middle), np.float32(scatter)
