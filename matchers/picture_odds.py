"""Proof against chance that photo and map agree: they do so less well where they should not.

The photo is laid on the map's view shifted by every amount, around the edges, and on its three
reflections. All these places are wrong, and have the view's own lights, gaps and grain: one blob on
one blob correlates there as often as anywhere. The best of each block of shifts is an extreme
value, and so is the best of the many cameras that a search tries; their distribution is Gumbel's.

References
----------
Gumbel, E. J. (1958). Statistics of Extremes. Columbia University Press.
Lotwick, H. W., Silverman, B. W. (1982). Methods for analysing spatial processes of several types of
points. Journal of the Royal Statistical Society B 44, 406-413 (shifts on a torus as the null).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]

# Blocks along each side of each of the four surfaces: 64 extreme values
BLOCKS = 4
EULER_GAMMA = 0.5772156649
# Where the view is emptier than this share of its mean variance, anything would correlate
LEAST_VARIANCE = 0.1
LEAST_SCALE = 1e-3


def picture_log10_odds(photo: Image, view: Image, weight: Image, nearest_px: float) -> float:
    """How much less than once a wrong place would be expected to agree so well.

    Parameters
    ----------
    photo, view : ndarray of float32, shape (h, w)
        Photo and rendered map without broad structure, their contrast evened.
    weight : ndarray of float32, shape (h, w)
        What of the photo counts, 0 to 1.
    nearest_px : float
        Shifts shorter than this are no other places.

    Returns
    -------
    float
        Decimal logarithm of 1 / (chance that one shift does as well); 0 where either picture is
        empty.
    """
    surfaces = displaced_correlations(photo, view, weight)
    height, width = photo.shape
    down = np.minimum(np.arange(height), height - np.arange(height))
    across = np.minimum(np.arange(width), width - np.arange(width))
    here = float(surfaces[0, 0, 0])
    surfaces[0][np.hypot(down[:, None], across) <= nearest_px] = -np.inf
    highest = np.array(
        [
            block.max()
            for surface in surfaces
            for rows in np.array_split(surface, BLOCKS)
            for block in np.array_split(rows, BLOCKS, axis=1)
            if block.size
        ]
    )
    highest = highest[np.isfinite(highest)]
    if not highest.any():
        return 0.0
    scale = max(float(highest.std()) * np.sqrt(6.0) / np.pi, LEAST_SCALE)
    mode = float(highest.mean()) - EULER_GAMMA * scale
    shifts_per_block = height * width / BLOCKS**2
    return float((here - mode) / scale / np.log(10.0) + np.log10(shifts_per_block))


def displaced_correlations(photo: Image, view: Image, weight: Image) -> FloatArray:
    """Correlation of a photo with a view at every shift on a torus, and with its reflections.

    Parameters
    ----------
    photo, view, weight : ndarray of float32, shape (h, w)
        As in `picture_log10_odds`.

    Returns
    -------
    ndarray, shape (4, h, w)
        Of the view, the view upside down, left to right, and both; entry (0, 0, 0) is without any
        shift. 0 where the photo is empty.
    """
    total = max(float(weight.sum()), 1e-9)
    centred = photo - float((weight * photo).sum()) / total
    spread = float((weight * centred**2).sum())
    if spread < 1e-9:
        return np.zeros((4, *photo.shape))
    of_photo, of_weight = np.conj(fft.rfft2(weight * centred)), np.conj(fft.rfft2(weight))

    def swept(image: Image, kernel: NDArray[np.complex128]) -> FloatArray:
        return np.asarray(fft.irfft2(fft.rfft2(image) * kernel, image.shape), float)

    found = np.empty((4, *photo.shape))
    for k, turned in enumerate((view, view[::-1], view[:, ::-1], view[::-1, ::-1])):
        variance = swept(turned**2, of_weight) - swept(turned, of_weight) ** 2 / total
        least = max(LEAST_VARIANCE * float(variance.mean()), 1e-9)
        found[k] = swept(turned, of_photo) / np.sqrt(np.maximum(variance, least) * spread)
    return found
