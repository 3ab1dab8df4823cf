"""Convert evidence to a probability and a verdict, with additional tests of blind matches."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

import numpy as np

from detectors.types import FloatArray
from regengine.registration.align import is_same_view
from regengine.registration.control_points import compute_allowed_error_m
from regengine.registration.parameters import LENS, AcceptParams, read_shipped_calibration
from regengine.registration.types import Evidence, LightMatch, MapMatch
from regengine.store.reasons import Reason
from regengine.store.result import ControlPoint, Verdict

# Proposals below this, one in four, are not presented for review
REVIEW_PROBABILITY = 0.25
# Minimum odds of held-out patches for a fit to count as tested: ten to one
TESTED_LOG10_ODDS = 1.0
# Above these odds all control points of the right place were right, of 103 training trials
SURE_LOG10_ODDS = 8.0
# Lights with these odds cover the image, even if clouds hide patches (by eye)
COVERING_LOG10_ODDS = 25.0
# Minimum probability that all control points of a right camera are within the allowed error
MIN_POINTS_PROBABILITY = 0.95


def place_probability(evidence: Evidence) -> float:
    """Probability that the place is right, regardless of the accuracy of the fit."""
    return float(read_shipped_calibration().steps.probability(evidence.log10_odds))


def share_right(evidence: Evidence) -> float:
    """Share of fits at the right place whose control points are right, as estimated by trials."""
    odds = evidence.patch_log10_odds
    if is_tested(evidence) and evidence.light_log10_odds >= COVERING_LOG10_ODDS:
        return 1.0
    # Share of right places whose control points are right, for odds of patches below each limit: 41
    # of 53, 43 of 48 and 103 of 103 training trials by Laplace's rule
    right_below = ((TESTED_LOG10_ODDS, 0.76), (3.0, 0.88), (SURE_LOG10_ODDS, 0.99))
    return next((share for below, share in right_below if odds < below), 1.0)


def probability(evidence: Evidence) -> float:
    """Probability that a camera is right: that of its place, reduced if its fit is not tested.

    The probability of a record is this times that of its control points, given the camera.
    """
    return share_right(evidence) * place_probability(evidence)


def probability_interval(evidence: Evidence) -> tuple[float, float]:
    """Lower and upper bound of `probability`, from the trials of the calibration."""
    low, high = read_shipped_calibration().steps.interval(evidence.log10_odds)
    return share_right(evidence) * float(low), share_right(evidence) * float(high)


def is_tested(evidence: Evidence) -> bool:
    """Whether held-out patches lie where the fit predicts them.

    This test is necessary because the odds of lights and image confirm the place, but also agree
    with a camera that is off by kilometres.
    """
    return evidence.patch_log10_odds >= TESTED_LOG10_ODDS


def find_least_accepted(params: AcceptParams, is_blind: bool) -> float:
    """Lowest probability at which a match is accepted; infinite if no match is accepted."""
    least = params.accept_probability_blind if is_blind else params.accept_probability
    return math.inf if least is None else least


def decide(
    p_right: float, reasons: tuple[Reason, ...], params: AcceptParams, *, is_blind: bool = False
) -> Verdict:
    """Compare the probability with the thresholds; with a reason nothing is accepted."""
    if p_right < REVIEW_PROBABILITY:
        return "no_match"
    return (
        "accepted" if p_right >= find_least_accepted(params, is_blind) and not reasons else "review"
    )


def is_proven(match: LightMatch | None, params: AcceptParams) -> bool:
    """Whether the evidence is so strong that the search can stop.

    A certain place is not sufficient: the fit must be tested as well.
    """
    if match is None:
        return False
    least = find_least_accepted(params, match.hypothesis.is_blind)
    return is_tested(match.evidence) and place_probability(match.evidence) >= least


AnyMatch = TypeVar("AnyMatch", LightMatch, MapMatch)


def choose_match(new: AnyMatch, known: AnyMatch | None) -> AnyMatch:
    """Choose the better of two matches; for the same view, a tested fit is better.

    A match of another view is kept as a rival; the rival of the best odds is the runner-up.
    """
    if known is None:
        return new
    if is_same_view(new.camera, known.camera):
        return max((new, known), key=lambda m: (is_tested(m.evidence), m.evidence.log10_odds))
    is_known_ahead = known.evidence.log10_odds > new.evidence.log10_odds
    first: AnyMatch = known if is_known_ahead else new
    second: AnyMatch = new if is_known_ahead else known
    if first.rivals and first.evidence.runner_up_log10_odds >= second.evidence.log10_odds:
        return replace(first, rivals=(first.rivals[0], second.hypothesis, *first.rivals[1:]))
    return replace(
        first,
        rivals=(second.hypothesis, *first.rivals),
        evidence=replace(
            first.evidence,
            runner_up_log10_odds=second.evidence.log10_odds,
            runner_up_ncc=second.evidence.ncc,
        ),
    )


def check_blind_fit(
    points: tuple[ControlPoint, ...], match: LightMatch, focal_mm: float | None
) -> tuple[Reason, ...]:
    """List the reasons to review a blind match; empty if its control points are stable.

    The odds determine the place reliably if there are few alternatives. A blind search has billions
    of them, and compares only about a dozen. Tilt, altitude, focal length and the optical axis of a
    crop compensate each other, and errors of single lights. So the shift of the control points
    without some of the lights indicates whether the fit is reliable.
    """
    guessed = match.hypothesis.prior.sigma_log_focal > LENS.sigma_log_focal
    refits = match.fit.refits
    chance = 1.0
    if refits is not None:
        sigma_m = np.array([point.sigma_m for point in points])
        chance = bound_any_beyond(
            sigma_m, compute_allowed_error_m(match.camera), len(refits.without)
        )
    # Maximum probability that any control point exceeds the allowed error
    if chance <= (1e-3 if guessed else 0.02):
        return ()
    if not guessed:
        return (Reason(code="loose_fit"),)
    return (Reason(code="guessed_lens", values={"focal_mm_given": focal_mm}),)


def bound_any_beyond(sigma_m: FloatArray, allowed_m: float, n_refits: int) -> float:
    """Upper bound of the probability that any point exceeds the allowed error.

    A sigma estimated from n refits is itself uncertain. The ratio of error to sigma follows
    Student's distribution with n - 1 degrees of freedom. With the same sigma on both axes, the
    squared distance follows Fisher's distribution, whose tail is
    (1 + r^2 / (n - 1))^(-(n - 1) / 2). The bound is the sum over the points.
    """
    freedom = n_refits - 1
    square = (allowed_m / sigma_m) ** 2
    return float(((1.0 + square / freedom) ** (-0.5 * freedom)).sum())
