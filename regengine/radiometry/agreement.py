"""How far two sets of values agree: squared correlation, and the slope of their logarithms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]
FloatArray = NDArray[np.float64]

FEWEST_BLOCKS = 3


def r_squared(first: Values, second: Values) -> float:
    """Squared correlation of Pearson; NaN of fewer than three values."""
    return float(np.corrcoef(first, second)[0, 1] ** 2) if len(first) > 2 else float("nan")


def exponent(
    luminance: Values, radiance: Values, weight: Values, blocks: NDArray[np.int64]
) -> tuple[float, float]:
    """Slope of ln(luminance) with ln(radiance), with errors on both axes.

    The reduced major axis: the ratio of their spreads, which does not favour an axis.

    Parameters
    ----------
    luminance, radiance : ndarray, shape (n,)
        What is not above 0 does not count.
    weight : ndarray, shape (n,)
        How much each pair counts.
    blocks : ndarray of int64, shape (n,)
        Pairs with equal numbers may err together.

    Returns
    -------
    slope, sigma : float
        Its sigma from leaving out one block at a time (jackknife); NaN of fewer than three blocks.
    """
    weight = weight * (luminance > 0.0) * (radiance > 0.0)
    x, y = (np.log(np.maximum(values, 1e-9)) for values in (radiance, luminance))
    parts = (np.ones_like(x), x, y, x * x, y * y)
    sums: FloatArray = np.stack([np.bincount(blocks, weights=weight * part) for part in parts])
    sums = sums[:, sums[0] > 0.0]
    count = sums.shape[1]
    if count < FEWEST_BLOCKS:
        return float("nan"), float("nan")
    whole = sums.sum(axis=1)
    without = _slope(whole[:, None] - sums)
    spread = np.sqrt((count - 1) / count * np.sum((without - without.mean()) ** 2))
    return float(_slope(whole)), float(spread)


def _slope(sums: FloatArray) -> FloatArray:
    count, x, y, xx, yy = sums
    across = np.maximum(xx - x * x / count, 1e-12)
    return np.asarray(np.sqrt(np.maximum(yy - y * y / count, 0.0) / across))
