"""A scale on which noise and scatter are alike: linear in the dark, logarithmic in the light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]


def glog(value: Values, knee: Values | float) -> Values:
    """Generalised logarithm: ``arsinh(value / knee)``.

    With an additive error s and a relative error t, of ``knee = s / t`` the result has the error t
    throughout, near zero as well as far above the knee.

    Parameters
    ----------
    value : ndarray
        Of any sign.
    knee : ndarray or float
        Above 0, same unit.

    Returns
    -------
    ndarray
        0 for 0, about ``ln(2 value / knee)`` far above the knee.

    References
    ----------
    Rocke, D. M., Durbin, B. (2001). A model for measurement error for gene expression arrays.
    Journal of Computational Biology 8, 557-569. ·
    Durbin, B. P. et al. (2002). A variance-stabilizing transformation for gene-expression
    microarray data. Bioinformatics 18, S105-S110.
    """
    return np.arcsinh(value / knee)


def steepness(value: Values, knee: Values | float) -> Values:
    """Derivative of `glog` by the logarithm of the value: 0 for 0, 1 far above the knee."""
    return value / np.hypot(value, knee)


def neighbour_step(levels: Values, counts: NDArray[np.bool_]) -> Values:
    """The greatest step from each cell to one of its four neighbours.

    Parameters
    ----------
    levels : ndarray, shape (h, w)
        Values on the scale of `glog`.
    counts : ndarray of bool, shape (h, w)
        Cells that count: no step leads to another.

    Returns
    -------
    ndarray, shape (h, w)
        Not negative.
    """
    step = np.zeros_like(levels)
    for axis in (0, 1):
        size = levels.shape[axis]
        if size < 2:
            continue
        low, high = (np.take(levels, np.arange(a, b), axis) for a, b in ((0, size - 1), (1, size)))
        both = np.take(counts, np.arange(size - 1), axis) & np.take(
            counts, np.arange(1, size), axis
        )
        change = np.abs(high - low) * both
        for first in (0, 1):
            here = [slice(None), slice(None)]
            here[axis] = slice(first, first + size - 1)
            part = step[tuple(here)]
            np.maximum(part, change, out=part)
    return step
