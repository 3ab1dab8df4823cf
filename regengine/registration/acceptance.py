"""Evidence → probability → verdict."""

from __future__ import annotations

from dataclasses import replace

from regengine.registration.calibration import shipped_calibration
from regengine.registration.candidates import SAME_SHARE, same_view
from regengine.registration.evidence import (
    CLEAR_LOG10_ODDS,
    SURE_LOG10_ODDS,
    TESTED_LOG10_ODDS,
    Evidence,
    Verified,
)
from regengine.result import Reason, Verdict

# Below this, one in four, a proposal is not worth a person's look
REVIEW_PROBABILITY = 0.25
# Of right places so many have right control points where the odds of patches are below these: of
# trials of the training half 41 of 53, 43 of 48 and 103 of 103 (by Laplace's rule); beyond, 197 of
# 197. Where towns say that the fit is whole all such points were within a quarter of the allowed
RIGHT_BELOW_LOG10_ODDS = (
    (TESTED_LOG10_ODDS, 0.76),
    (CLEAR_LOG10_ODDS, 0.88),
    (SURE_LOG10_ODDS, 0.99),
)


def default_accept_probability() -> float:
    """Acceptance threshold of the shipped calibration."""
    return shipped_calibration().accept_probability


def probability(evidence: Evidence) -> float:
    """P(right) of a proposal: that of its place, and less where its fit is not tested."""
    return share_right(evidence) * place_probability(evidence)


def place_probability(evidence: Evidence) -> float:
    """P(right) of the place alone."""
    return float(shipped_calibration().steps.probability(evidence.lead_log10_odds))


def probability_interval(evidence: Evidence) -> tuple[float, float]:
    """The least and the most that the trials behind `probability` allow for."""
    low, high = shipped_calibration().steps.interval(evidence.lead_log10_odds)
    return share_right(evidence) * float(low), share_right(evidence) * float(high)


def share_right(evidence: Evidence) -> float:
    """Of fits of the right place, those whose control points are right, as far as trials say."""
    if evidence.tested and evidence.whole:
        return 1.0
    odds = evidence.patch_log10_odds
    return next((share for below, share in RIGHT_BELOW_LOG10_ODDS if odds < below), 1.0)


def decide(
    p_right: float, doubts: tuple[Reason, ...], accept_probability: float | None = None
) -> Verdict:
    """Verdict from the probability and what speaks against trusting it."""
    if p_right < REVIEW_PROBABILITY:
        return "no_match"
    threshold = default_accept_probability() if accept_probability is None else accept_probability
    return "accepted" if p_right >= threshold and not doubts else "review"


def better(new: Verified, known: Verified) -> Verified:
    """The better of two proofs, held against all that was seen."""
    if same_view(new.camera, known.camera, SAME_SHARE):
        fit = max((new, known), key=lambda one: (one.evidence.tested, one.evidence.log10_odds))
        other = (known if fit is new else new).evidence
        evidence = fit.evidence.held_against(
            other.runner_up_ncc,
            other.runner_up_town_log10_odds,
            other.runner_up_picture_log10_odds,
        )
        return replace(fit, evidence=evidence, finalists=(fit.finalists[0], *new.finalists[1:]))
    first, second = sorted((new, known), key=lambda one: -one.evidence.lead_log10_odds)
    other, rival = second.evidence, second.finalists[0]
    worth = rival.share / first.finalists[0].share
    evidence = first.evidence.held_against(
        other.ncc * worth, other.town_log10_odds, other.picture_log10_odds
    )
    if evidence is first.evidence:
        return first
    return replace(
        first,
        evidence=evidence,
        finalists=(first.finalists[0], rival, *first.finalists[1:]),
    )


def is_conclusive(evidence: Evidence, *, pinned: bool = False) -> bool:
    """Whether the evidence is so strong that searching on is pointless.

    The place may be beyond doubt where the fit is not: see `Evidence.tested`. One that is pinned by
    an attitude among the stars gets no better.
    """
    tested = pinned or evidence.tested
    return tested and place_probability(evidence) >= default_accept_probability()
