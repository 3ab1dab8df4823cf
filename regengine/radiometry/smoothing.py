"""Photo and map brought to one sharpness: Gaussian blurs that know which cells count."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

LEAST_SIGMA = 0.15  # cells: less changes nothing
STEPS = 1.6  # between the blurs that a blur of changing width is mixed from


def blurred(image: Image, weight: Image, sigma: tuple[float, float]) -> Image:
    """A Gaussian mean of the cells that count (normalised convolution).

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Values.
    weight : ndarray of float32, shape (h, w)
        1 where they count, 0 where not.
    sigma : tuple of float
        Down and across, cells.

    Returns
    -------
    ndarray of float32, shape (h, w)
        0 where nothing near counts.

    References
    ----------
    Knutsson, H., Westin, C.-F. (1993). Normalized and differential convolution. CVPR, 515-523.
    """
    lit = _gauss(image * weight, sigma)
    counted = _gauss(weight, sigma)
    return np.asarray(np.where(counted > 1e-3, lit / np.maximum(counted, 1e-3), 0.0), np.float32)


def blurred_by(image: Image, weight: Image, sigma: Image, stretch: float) -> Image:
    """A Gaussian mean of a width that changes from cell to cell.

    It is mixed from a few blurs so that the variance is right.

    Parameters
    ----------
    image, weight : ndarray of float32, shape (h, w)
        As of `blurred`.
    sigma : ndarray of float32, shape (h, w)
        Down, cells; what is not finite counts as the mean of the others.
    stretch : float
        Sigma across over sigma down.

    Returns
    -------
    ndarray of float32, shape (h, w)
    """
    known = sigma[np.isfinite(sigma) & (weight > 0.0)]
    if not known.size:
        return image
    wanted = np.where(np.isfinite(sigma), sigma, np.float32(known.mean())) ** 2
    low, high = (float(np.quantile(known, q)) for q in (0.005, 0.995))
    low, high = max(low, LEAST_SIGMA), max(high, LEAST_SIGMA)
    count = int(np.ceil(np.log(high / low) / np.log(STEPS))) + 1
    levels = np.geomspace(low, high, count) if count > 1 else np.array([(low * high) ** 0.5])
    drawn = [blurred(image, weight, (level, level * stretch)) for level in levels]
    if count == 1:
        return drawn[0]
    found = drawn[0].copy()
    for k in range(1, count):
        share = (wanted - levels[k - 1] ** 2) / (levels[k] ** 2 - levels[k - 1] ** 2)
        share = np.clip(share, 0.0, 1.0).astype(np.float32)
        found += share * (drawn[k] - drawn[k - 1])
    return np.asarray(found, np.float32)


def _gauss(image: Image, sigma: tuple[float, float]) -> Image:
    down, across = sigma
    if max(down, across) < LEAST_SIGMA:
        return image
    return np.asarray(
        cv2.GaussianBlur(
            image,
            (0, 0),
            sigmaX=max(across, 1e-3),
            sigmaY=max(down, 1e-3),
            borderType=cv2.BORDER_CONSTANT,
        ),
        np.float32,
    )
