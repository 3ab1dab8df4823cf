"""How true probabilities are, bin by bin, and what chance alone would show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from benchmarks.confidence_fit import BoolArray, FloatArray
from benchmarks.trials.stats import CALIBRATION_BINS, calibration

REDRAWS = 300


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Cases whose probability lies in one range; the interval is Clopper and Pearson's, 95 %."""

    low: float
    high: float
    cases: int
    mean_probability: float
    share_right: float
    interval: tuple[float, float]


def exact_interval(successes: int, of: int) -> tuple[float, float]:
    """Exact two-sided 95 % confidence interval of a rate."""
    low = 0.0 if successes == 0 else float(beta.ppf(0.025, successes, of - successes + 1))
    high = 1.0 if successes == of else float(beta.ppf(0.975, successes + 1, of - successes))
    return low, high


def reliability(p: FloatArray, right: BoolArray) -> list[Bin]:
    """Reliability table over the bins of the calibration error, the empty ones left out."""
    found = calibration(p, right)
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    return [
        Bin(
            low=float(edges[k]),
            high=float(edges[k + 1]),
            cases=int(found.count[k]),
            mean_probability=float(found.stated[k]),
            share_right=float(found.came_true[k]),
            interval=exact_interval(
                round(float(found.came_true[k] * found.count[k])), int(found.count[k])
            ),
        )
        for k in np.flatnonzero(found.count)
    ]


def calibration_error_by_chance(p: FloatArray) -> tuple[float, float]:
    """What so many cases would show if the probabilities were true: mean and 95 % quantile."""
    rng = np.random.default_rng(0)
    drawn = [calibration(p, rng.random(len(p)) < p).expected_error for _ in range(REDRAWS)]
    return float(np.mean(drawn)), float(np.quantile(drawn, 0.95))
