"""Who is right: the reference camera decides, the photo's own lights and older points beside it."""

from __future__ import annotations

from benchmarks.registration_run import Outcome


def judgement(outcome: Outcome) -> str:
    """Whether a proposal is right: every control point near where the reference camera has it.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    str
        "no proposal", "right", "wrong", or "unknown" where there is no reference camera.
    """
    if outcome.camera is None:
        return "no proposal"
    if outcome.score is None:
        return "unknown"
    return "right" if outcome.score.right else "wrong"


def is_accepted(outcome: Outcome, word: str) -> bool:
    """Whether an outcome is accepted and judged so."""
    return outcome.verdict == "accepted" and judgement(outcome) == word


def points_disagree(outcome: Outcome) -> bool:
    """Whether the older reference points judge a proposal otherwise than the reference camera."""
    score, points_score = outcome.score, outcome.points_score
    return score is not None and points_score is not None and score.right != points_score.right


def agrees_locally(outcome: Outcome) -> bool:
    """Whether most patches at the older reference points lie near where our camera has them."""
    shift, score = outcome.shift, outcome.score
    if shift is None or score is None:
        return False
    within = shift.median_m <= 1000.0 * score.bar_km
    return bool(2 * shift.found >= shift.tried > 0 and within)


def contradicts_points(outcome: Outcome) -> bool:
    """Whether the photo's own lights, and no hand point, speak for us against the older points.

    The lights do if they lie where our camera puts them, and more than twice as far from where
    the camera of the older reference points does.
    """
    ours, theirs = outcome.shift, outcome.shift_of_points
    if ours is None or theirs is None or not agrees_locally(outcome):
        return False
    hand, hand_of_points = outcome.hand_px, outcome.hand_of_points_px
    if hand is not None and hand_of_points is not None and hand > hand_of_points:
        return False
    return not theirs.median_m <= 2.0 * ours.median_m
