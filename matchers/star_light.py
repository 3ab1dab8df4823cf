"""Whether detections have the brightness of the stars that they are taken for.

A detection that falls on a star by chance is as likely to fall on any other that was predicted.
So the brightness of a detection is held against that of its star, over its mean chance among all
predicted stars: a factor whose expectation by chance is 1, whatever the errors assumed. The zero
point is that of the detections before it alone, which keeps the product a fair game.
"""

from __future__ import annotations

from bisect import insort

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# One sigma of a detection's magnitude against Gaia's G: colours 0.3, vignetting and clipping more.
# It counts as so many stars beside those that measure it
USUAL_MAG, USUAL_STARS = 0.5, 4.0
# A photo whose values were taken for sRGB and are linear has magnitudes 2.2 times too far apart
SLOPES = (1.0, 1.0 / 2.2)
STRANGE_SHARE = 0.2  # variables, doubles, clipped cores: of any brightness within
STRANGE_SPAN_MAG = 10.0
MEDIAN_VARIANCE = np.pi / 2.0  # of a median, in units of a mean's


def light_ratios(
    magnitude: FloatArray, star_magnitude: FloatArray, met: BoolArray, predicted: FloatArray
) -> FloatArray:
    """How much likelier each met star's brightness is than that of any predicted star.

    Parameters
    ----------
    magnitude : ndarray of float64, shape (n,)
        Of detections, from any zero point, in the order in which they are asked.
    star_magnitude : ndarray of float64, shape (n,)
        Of the star that each is nearest to.
    met : ndarray of bool, shape (n,)
        Whether it is taken for that star.
    predicted : ndarray of float64, shape (p,)
        Magnitudes of all stars that might have been met.

    Returns
    -------
    ndarray of float64, shape (n,)
        1 where nothing was met, and for the first that was.
    """
    ratios = np.ones(len(magnitude))
    zero_points: list[float] = []
    for i in np.flatnonzero(met).tolist():
        count = len(zero_points)
        if count:
            half = count // 2
            middle = 0.5 * (zero_points[half] + zero_points[(count - 1) // 2])
            squares = sum(min((zero - middle) ** 2, 1.0) for zero in zero_points)
            spread = (USUAL_STARS * USUAL_MAG**2 + squares) / (USUAL_STARS + count - 1)
            variance = spread * (1.0 + MEDIAN_VARIANCE / count)
            seen = magnitude[i] + middle
            ratios[i] = chance(seen - star_magnitude[i], variance) / np.mean(
                chance(seen - predicted, variance)
            )
        insort(zero_points, float(star_magnitude[i] - magnitude[i]))
    return ratios


def chance(off_mag: FloatArray, variance: float) -> FloatArray:
    """Density of a difference of magnitudes: a Gaussian, and now and then anything."""
    gauss = np.exp(-0.5 * off_mag**2 / variance) / np.sqrt(2.0 * np.pi * variance)
    return np.asarray((1.0 - STRANGE_SHARE) * gauss + STRANGE_SHARE / STRANGE_SPAN_MAG)
