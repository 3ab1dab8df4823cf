"""Evidence → probability → verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass

from regengine.evidence import Evidence
from regengine.result import Reason, Verdict

# Default acceptance threshold: at most one in a thousand accepted frames may be wrong
ACCEPT_PROBABILITY = 0.999
# Below this a proposal is not worth a person's look
REVIEW_PROBABILITY = 0.05
MOST_PROBABLE = 0.99999  # never 0 or 1
# Each feature spans about ten units between hopeless and certain, so that the regression's penalty
# treats them alike and none decides alone
MARGIN_UNIT = 25.0
NCC_UNIT = 10.0
RESIDUAL_UNIT = 3.0


@dataclass(frozen=True, kw_only=True)
class LogisticModel:
    """Weights of the logistic regression from evidence to P(right)."""

    intercept: float
    weights: tuple[float, ...]


# Fitted on 130 proposals of simulated frames (92 right, 38 wrong; world VIIRS 2023, map 2016),
# seeds 0 to 149 of `python -m benchmarks confidence`, logistic regression with C = 1. The two kinds
# separate wholly there, so the penalty, not the data, sets how steep the curve is.
MODEL = LogisticModel(intercept=-3.782, weights=(0.617, 0.751, 0.192, 0.218, -0.163))


def features(evidence: Evidence) -> tuple[float, ...]:
    """What the probability depends on, each bounded so that none can decide alone.

    Parameters
    ----------
    evidence : Evidence
        Figures of one solution.

    Returns
    -------
    tuple of float
        Mean of the log-odds of towns and patches over the runner-up's, margin in correlation,
        correlation, coarse z, logarithm of the held-out residual.
    """
    rival = max(evidence.runner_up_log10_odds, 0.0)
    town, patch = evidence.town_log10_odds, evidence.patch_log10_odds
    return (
        0.5 * (bounded(town - rival, -10.0, 12.0) + bounded(patch - rival, -10.0, 12.0)),
        bounded(MARGIN_UNIT * evidence.margin, 0.0, 10.0),
        bounded(NCC_UNIT * evidence.ncc, 0.0, 10.0),
        bounded(evidence.coarse_z, 0.0, 12.0),
        RESIDUAL_UNIT * math.log(bounded(evidence.held_out_residual_px, 0.2, 5.0)),
    )


def bounded(value: float, low: float, high: float) -> float:
    """A value kept within limits."""
    return min(max(value, low), high)


def probability(evidence: Evidence, model: LogisticModel = MODEL) -> float:
    """P(right) of a proposal.

    Parameters
    ----------
    evidence : Evidence
        Figures of one solution.
    model : LogisticModel, optional
        Fitted weights.

    Returns
    -------
    float
        Strictly between 0 and 1.
    """
    logit = model.intercept + sum(
        w * f for w, f in zip(model.weights, features(evidence), strict=True)
    )
    p = 1.0 / (1.0 + math.exp(-max(min(logit, 50.0), -50.0)))
    return min(max(p, 1.0 - MOST_PROBABLE), MOST_PROBABLE)


def decide(
    p_right: float, doubts: tuple[Reason, ...], accept_probability: float = ACCEPT_PROBABILITY
) -> Verdict:
    """Verdict from the probability and what speaks against trusting it.

    Parameters
    ----------
    p_right : float
        Probability that the proposal is right.
    doubts : tuple of Reason
        Anything that a person must look at, whatever the probability.
    accept_probability : float
        Acceptance threshold.

    Returns
    -------
    Verdict
        "accepted", "review" or "no_match".
    """
    if p_right < REVIEW_PROBABILITY:
        return "no_match"
    return "accepted" if p_right >= accept_probability and not doubts else "review"
