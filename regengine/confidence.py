"""Evidence → probability → verdict."""

from __future__ import annotations

from regengine.calibration import Calibration, shipped_calibration
from regengine.calibration_features import feature_values
from regengine.evidence import Evidence
from regengine.result import Reason, Verdict

# Below this a proposal is not worth a person's look
REVIEW_PROBABILITY = 0.05


def default_accept_probability() -> float:
    """Acceptance threshold of the shipped calibration.

    Returns
    -------
    float
        Chosen so that of a thousand accepted proposals at most one is expected to be wrong.

    Raises
    ------
    ConfigError
        If the calibration's file is damaged.
    """
    return shipped_calibration().accept_probability


def probability(evidence: Evidence, calibration: Calibration | None = None) -> float:
    """P(right) of a proposal.

    Parameters
    ----------
    evidence : Evidence
        Figures of one solution.
    calibration : Calibration, optional
        Weights and curve; the shipped ones by default.

    Returns
    -------
    float
        Between the calibration's floor and ceiling, never 0 or 1.

    Raises
    ------
    ConfigError
        If the shipped calibration's file is damaged.
    """
    calibration = calibration or shipped_calibration()
    score = calibration.score(feature_values(evidence, calibration.features))
    return float(calibration.probability_of(score))


def decide(
    p_right: float, doubts: tuple[Reason, ...], accept_probability: float | None = None
) -> Verdict:
    """Verdict from the probability and what speaks against trusting it.

    Parameters
    ----------
    p_right : float
        Probability that the proposal is right.
    doubts : tuple of Reason
        Anything that a person must look at, whatever the probability.
    accept_probability : float, optional
        Acceptance threshold; that of the shipped calibration by default.

    Returns
    -------
    Verdict
        "accepted", "review" or "no_match".
    """
    if p_right < REVIEW_PROBABILITY:
        return "no_match"
    threshold = default_accept_probability() if accept_probability is None else accept_probability
    return "accepted" if p_right >= threshold and not doubts else "review"
