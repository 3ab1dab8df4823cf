"""Evidence → probability → verdict."""

from __future__ import annotations

from dataclasses import replace

from regengine.registration.calibration import Calibration, shipped_calibration
from regengine.registration.candidates import SAME_SHARE, same_view
from regengine.registration.evidence import Evidence, Verified
from regengine.result import Reason, Verdict

# Below this, one in four, a proposal is not worth a person's look
REVIEW_PROBABILITY = 0.25


def default_accept_probability() -> float:
    """Acceptance threshold of the shipped calibration."""
    return shipped_calibration().accept_probability


def probability(evidence: Evidence, calibration: Calibration | None = None) -> float:
    """P(right) of a proposal."""
    steps = (calibration or shipped_calibration()).steps
    return float(steps.probability(evidence.lead_log10_odds))


def probability_interval(evidence: Evidence) -> tuple[float, float]:
    """The least and the most that the trials behind `probability` allow for."""
    low, high = shipped_calibration().steps.interval(evidence.lead_log10_odds)
    return float(low), float(high)


def decide(
    p_right: float, caveats: tuple[Reason, ...], accept_probability: float | None = None
) -> Verdict:
    """Verdict from the probability and what speaks against trusting it."""
    if p_right < REVIEW_PROBABILITY:
        return "no_match"
    threshold = default_accept_probability() if accept_probability is None else accept_probability
    return "accepted" if p_right >= threshold and not caveats else "review"


def better(new: Verified, known: Verified) -> Verified:
    """The better of two proofs, held against all that was seen."""
    if same_view(new.camera, known.camera, SAME_SHARE):
        fit = max((new, known), key=lambda one: (one.evidence.precise, one.evidence.log10_odds))
        rivals = (known if fit is new else new).evidence
        evidence = fit.evidence.held_against(
            rivals.runner_up_ncc,
            rivals.runner_up_even_ncc,
            rivals.runner_up_town_log10_odds,
            rivals.runner_up_picture_log10_odds,
        )
        return replace(fit, evidence=evidence, finalists=(fit.finalists[0], *new.finalists[1:]))
    first, second = sorted((new, known), key=lambda one: -one.evidence.lead_log10_odds)
    mine, other = first.evidence, second.evidence
    worth = other.field_share / mine.field_share
    rival_ncc, rival_even_ncc = other.ncc * worth, other.even_ncc * worth
    if mine.runner_up_ncc >= rival_ncc and mine.runner_up_even_ncc >= rival_even_ncc:
        return first
    evidence = mine.held_against(
        rival_ncc, rival_even_ncc, other.town_log10_odds, other.picture_log10_odds
    )
    finalists = (first.finalists[0], second.finalists[0], *first.finalists[1:])
    return replace(first, evidence=evidence, finalists=finalists)


def is_conclusive(evidence: Evidence, *, pinned: bool = False) -> bool:
    """Whether the evidence is so strong that searching on is pointless.

    The picture tells the place and not how precise the fit is: that is in towns and patches, or,
    where the fit is pinned by an attitude among the stars, in that.
    """
    return (
        not evidence.rivalled
        and evidence.precise
        and (pinned or evidence.supported)
        and probability(evidence) >= default_accept_probability()
    )
