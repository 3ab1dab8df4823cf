"""Shares with their intervals, calibration, receiver operating characteristic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.types import FloatArray

NORMAL_95 = 1.959963984540054
CALIBRATION_BINS = 15  # of equal width, as Guo et al. 2017 count the calibration error


def wilson_interval(hits: int, tried: int) -> tuple[float, float]:
    """Two-sided 95 % interval of a share.

    References
    ----------
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference.
    Journal of the American Statistical Association 22, 209-212.
    """
    if tried == 0:
        return float("nan"), float("nan")
    share, z2 = hits / tried, NORMAL_95**2
    middle = (share + z2 / (2 * tried)) / (1 + z2 / tried)
    spread = math.sqrt(share * (1 - share) / tried + z2 / (4 * tried**2))
    half = NORMAL_95 * spread / (1 + z2 / tried)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def upper_bound(hits: int, tried: int, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a share (Clopper and Pearson 1934); 1 where none was tried."""
    from scipy.stats import beta

    if tried == 0 or hits >= tried:
        return 1.0
    return float(beta.ppf(confidence, hits + 1, tried - hits))


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Stated probabilities against what came true, bin by bin; arrays of shape (bins,)."""

    # stated and came_true: mean probability and share of right ones; NaN in an empty bin.
    stated: FloatArray
    came_true: FloatArray
    count: NDArray[np.int64]
    # Mean distance of the two, weighted by the counts (expected calibration error)
    expected_error: float
    brier: float  # mean square of probability minus outcome


def calibration(
    probability: ArrayLike, right: ArrayLike, bins: int = CALIBRATION_BINS
) -> Calibration:
    """Hold probabilities against outcomes.

    References
    ----------
    Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On calibration of modern neural
    networks. ICML. Brier, G. W. (1950). Monthly Weather Review 78, 1-3.
    """
    stated, hit = np.asarray(probability, float), np.asarray(right, float)
    index = np.minimum((stated * bins).astype(np.intp), bins - 1)
    count = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_stated = np.bincount(index, stated, minlength=bins) / count
        share = np.bincount(index, hit, minlength=bins) / count
    known = len(stated) > 0
    apart = np.abs(np.nan_to_num(mean_stated) - np.nan_to_num(share))
    return Calibration(
        stated=mean_stated,
        came_true=share,
        count=count,
        expected_error=float((apart * count).sum() / len(stated)) if known else float("nan"),
        brier=float(np.mean((stated - hit) ** 2)) if known else float("nan"),
    )


@dataclass(frozen=True, kw_only=True)
class Roc:
    """Receiver operating characteristic: shares above each threshold, from none to all."""

    # false_positive and true_positive: shape (k,)
    false_positive: FloatArray
    true_positive: FloatArray
    # Probability that a right one scores above a wrong one, ties half; NaN without both kinds.
    area: float


def roc(score: ArrayLike, right: ArrayLike) -> Roc:
    """Receiver operating characteristic of a score."""
    height, hit = np.asarray(score, float), np.asarray(right, bool)
    positives, negatives = int(hit.sum()), int((~hit).sum())
    if not positives or not negatives:
        return Roc(false_positive=np.zeros(0), true_positive=np.zeros(0), area=float("nan"))
    order = np.argsort(-height, kind="stable")
    last = np.flatnonzero(np.diff(height[order], append=-np.inf))  # of each run of equal scores
    true = np.concatenate([[0.0], np.cumsum(hit[order])[last] / positives])
    false = np.concatenate([[0.0], np.cumsum(~hit[order])[last] / negatives])
    return Roc(false_positive=false, true_positive=true, area=float(np.trapezoid(true, false)))


def within_one_sigma(z: Sequence[float] | FloatArray) -> float:
    """Share of errors, in units of their sigma, of at most one; NaN for none."""
    size = np.abs(np.asarray(z, float))
    return float((size <= 1.0).mean()) if len(size) else float("nan")


def quantile(errors: ArrayLike, share: float) -> float | None:
    """The least of some numbers that so large a share does not exceed; None of nothing.

    NaNs are left out. Unlike an interpolated quantile it is defined where errors are infinite.
    """
    known = np.asarray(errors, float)
    known = np.sort(known[~np.isnan(known)])
    return float(known[max(math.ceil(share * len(known)) - 1, 0)]) if len(known) else None
