"""The acceptance threshold that keeps a target rate of wrong among accepted proposals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.confidence_fit import BoolArray, FloatArray, Model, fit_curve
from benchmarks.confidence_table import Proposals
from benchmarks.trials.stats import upper_bound

# No proposal is accepted that is itself this many times likelier to be wrong than the target,
# however sure the others are: frames in use may be another mixture than the simulated ones
WORST_OF_TARGET = 10.0
REDRAWS = 300


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """What a threshold lets through among cases of known truth."""

    threshold: float
    accepted: int
    wrong: int
    expected_wrong_rate: float
    wrong_rate_upper_95: float


def choose_threshold(p: FloatArray, ceiling: float, target: float) -> float:
    """The smallest threshold whose accepted cases are expected to be wrong no oftener than allowed.

    Parameters
    ----------
    p : ndarray
        Probabilities of the training cases that no doubt stands against.
    ceiling : float
        The largest probability that the calibration gives.
    target : float
        Wrong among accepted.

    Returns
    -------
    float
        At most the ceiling.

    Notes
    -----
    What the ceiling leaves open no evidence can lower. Where the cases are so few that it exceeds
    half of the target, evidence may add as much again, and at most the target. Of 48 made-up
    tables of 300 to 3,000 cases whose true probability was known, 46 let through at most 0.1 %
    wrong ones so, one of 600 cases 0.18 %, one of 300 cases 0.36 %.
    """
    left_open = 1.0 - ceiling
    allowed = max(target, left_open + min(left_open, target))
    least = 1.0 - left_open - WORST_OF_TARGET * target
    ordered = np.sort(p)[::-1]
    expected = np.cumsum(1.0 - ordered) / np.arange(1, len(ordered) + 1)
    count = int((expected <= allowed).sum())
    next_below = ordered[count] if count < len(ordered) else 0.0
    # Stated with six digits, rounded up
    above = np.ceil(np.nextafter(max(next_below, least), 1.0) * 1e6) / 1e6
    return float(min(above, ceiling))


def acceptance(p: FloatArray, right: BoolArray, doubted: BoolArray, threshold: float) -> Acceptance:
    """What a threshold lets through, cases with doubts never."""
    accepted = (p >= threshold) & ~doubted
    count, wrong = int(accepted.sum()), int((accepted & ~right).sum())
    return Acceptance(
        threshold=threshold,
        accepted=count,
        wrong=wrong,
        expected_wrong_rate=float((1.0 - p[accepted]).mean()) if count else 1.0,
        wrong_rate_upper_95=upper_bound(wrong, count),
    )


def threshold_interval(
    model: Model, training: Proposals, target: float, redraws: int = REDRAWS
) -> tuple[float, float]:
    """Where 95 % of the thresholds fall when the blocks of cases are drawn anew (bootstrap)."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(training.blocks == one) for one in np.unique(training.blocks)]
    found: list[float] = []
    while len(found) < redraws:
        drawn = rng.integers(0, len(members), len(members))
        index = np.concatenate([members[k] for k in drawn])
        scores, truth = model.left_out_scores[index], training.right[index]
        if truth.all() or not truth.any():
            continue
        curve = fit_curve(scores, truth)
        undoubted = curve.probability(scores[~training.doubted[index]])
        found.append(choose_threshold(undoubted, curve.ceiling, target))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
