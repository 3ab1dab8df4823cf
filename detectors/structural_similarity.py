"""Structural similarity of two images."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]

WINDOW_SIGMA_PX, WINDOW_PX = 1.5, 11
K1, K2 = 0.01, 0.03


def structural_similarity(one: FloatImage, other: FloatImage, data_range: float) -> float:
    """Mean SSIM of two images under Gaussian windows.

    Parameters
    ----------
    one, other : ndarray of float32, shape (h, w)
    data_range : float
        Difference of the greatest and least value that pixels can have.

    Returns
    -------
    float
        1 for equal images.

    References
    ----------
    Wang, Z., et al. (2004). Image quality assessment: from error visibility to structural
    similarity. IEEE TIP 13, 600-612; window and constants are theirs.
    """
    mean_one, mean_other = _windowed(one), _windowed(other)
    both = mean_one * mean_other
    squares = np.square(mean_one) + np.square(mean_other)
    spreads = _windowed(np.square(one) + np.square(other)) - squares
    covariance = _windowed(one * other) - both
    c1, c2 = np.float32((K1 * data_range) ** 2), np.float32((K2 * data_range) ** 2)
    similarity = (2 * both + c1) * (2 * covariance + c2) / ((squares + c1) * (spreads + c2))
    return float(similarity.mean(dtype=np.float64))


def _windowed(image: FloatImage) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(image, (WINDOW_PX, WINDOW_PX), WINDOW_SIGMA_PX))
