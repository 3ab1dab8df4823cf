"""Evidence → probability → verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.verify import Towns
from regengine.registration.calibration import Calibration, feature_values, shipped_calibration
from regengine.registration.candidates import SAME_SHARE, same_view
from regengine.registration.refinement import Finalist, Solution
from regengine.registration.verification import CLEAR_MARGIN, FEW_TOWNS, Evidence
from regengine.result import Reason, Verdict

# Below this a proposal is not worth a person's look
REVIEW_PROBABILITY = 0.05


def default_accept_probability() -> float:
    """Acceptance threshold of the shipped calibration."""
    return shipped_calibration().accept_probability


def probability(evidence: Evidence, calibration: Calibration | None = None) -> float:
    """P(right) of a proposal."""
    calibration = calibration or shipped_calibration()
    score = calibration.score(feature_values(evidence, calibration.features))
    return float(calibration.probability_of(score))


def decide(
    p_right: float, caveats: tuple[Reason, ...], accept_probability: float | None = None
) -> Verdict:
    """Verdict from the probability and what speaks against trusting it."""
    if p_right < REVIEW_PROBABILITY:
        return "no_match"
    threshold = default_accept_probability() if accept_probability is None else accept_probability
    return "accepted" if p_right >= threshold and not caveats else "review"


# A solved camera with its evidence, and which of two such is the better.


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A solution with its evidence and the finalists that it was chosen from."""

    solution: Solution
    camera: Camera
    evidence: Evidence
    finalists: tuple[Finalist, ...]
    photo_towns: Towns
    met: NDArray[np.intp]
    view: NDArray[np.float32]

    @property
    def pinned(self) -> bool:
        """Whether stars hold its attitude."""
        return self.finalists[0].candidate.look.prior.quaternion is not None


def better(new: Verified, known: Verified) -> Verified:
    """The better of two proofs, held against all that was seen."""
    if same_view(new.camera, known.camera, SAME_SHARE):
        fit, rivals = new, new.evidence
        if soundness(known.evidence) > soundness(new.evidence):
            fit = known
        evidence = replace(
            fit.evidence,
            coarse_z=rivals.coarse_z,
            runner_up_ncc=max(known.evidence.runner_up_ncc, rivals.runner_up_ncc),
            runner_up_even_ncc=max(known.evidence.runner_up_even_ncc, rivals.runner_up_even_ncc),
            runner_up_log10_odds=max(
                known.evidence.runner_up_log10_odds, rivals.runner_up_log10_odds
            ),
            runner_up_picture_log10_odds=max(
                known.evidence.runner_up_picture_log10_odds, rivals.runner_up_picture_log10_odds
            ),
        )
        return replace(fit, evidence=evidence, finalists=(fit.finalists[0], *new.finalists[1:]))
    first, second = new, known
    if standing(known.evidence) > standing(new.evidence):
        first, second = known, new
    mine, other = first.evidence, second.evidence
    worth = other.field_share / mine.field_share
    rival_ncc, rival_even_ncc = other.ncc * worth, other.even_ncc * worth
    if mine.runner_up_ncc >= rival_ncc and mine.runner_up_even_ncc >= rival_even_ncc:
        return first
    evidence = replace(
        mine,
        runner_up_ncc=max(mine.runner_up_ncc, rival_ncc),
        runner_up_even_ncc=max(mine.runner_up_even_ncc, rival_even_ncc),
        runner_up_log10_odds=max(mine.runner_up_log10_odds, other.town_log10_odds),
        runner_up_picture_log10_odds=max(
            mine.runner_up_picture_log10_odds, other.picture_log10_odds
        ),
    )
    finalists = (first.finalists[0], second.finalists[0], *first.finalists[1:])
    return replace(first, evidence=evidence, finalists=finalists)


def soundness(evidence: Evidence) -> tuple[bool, float]:
    """What fits of one view are ordered by."""
    return evidence.precise, evidence.log10_odds


def standing(evidence: Evidence) -> tuple[float, float]:
    """What proofs are ordered by: the probability, and where that is at its limit, the odds."""
    return round(probability(evidence), 6), evidence.log10_odds


# When the evidence is so strong that a search may end.

# A proof this strong ends the search
CONCLUSIVE_LOG10_ODDS = 9.0  # astrometry.net accepts at odds of 1e9
CONCLUSIVE_MARGIN = 0.12
# and so does a weaker one where nothing else comes near: telephoto frames hold few towns
LONELY_LOG10_ODDS = 3.0
LONELY_MARGIN = 0.3
LONELY_Z = 8.0
# and so does what is probable enough to be accepted and leads, contrast evened, as no wrong camera
# does
EVEN_NCC = 0.2
# and so does such a one whose picture one of ten thousand searches would bring about by chance;
# of 107 proposals of the training half that were elsewhere four were above 0, the largest 1.5
CONCLUSIVE_PICTURE_LOG10_ODDS = 4.0
# and all of that only where towns or patches say so, too: they fall first when the place is right
# and the fit is not, and then a search that goes on often finds the better camera
CONFIRMED_LOG10_ODDS = 6.0


def is_conclusive(evidence: Evidence, *, pinned: bool = False) -> bool:
    """Whether the evidence is so strong that searching on is pointless."""
    sure = evidence.log10_odds >= CONCLUSIVE_LOG10_ODDS and evidence.margin >= CONCLUSIVE_MARGIN
    return (
        sure
        or stands_alone(evidence, pinned=pinned)
        or (
            evidence.log10_odds >= LONELY_LOG10_ODDS
            and evidence.margin >= LONELY_MARGIN
            and evidence.coarse_z >= LONELY_Z
        )
    )


def is_confirmed(evidence: Evidence) -> bool:
    """Whether towns or patches say that the fit is right, and not the place alone."""
    return max(evidence.town_log10_odds, evidence.patch_log10_odds) >= CONFIRMED_LOG10_ODDS


def stands_alone(evidence: Evidence, *, pinned: bool = False) -> bool:
    """Whether the picture is no chance, or leads as that of no wrong camera does, and all agrees.

    The picture tells the place and not how precise the fit is: that is in towns and patches, or,
    where the fit is pinned by an attitude among the stars, in that: no search that goes on finds a
    better one.
    """
    clear = evidence.clear_picture and evidence.picture_log10_odds >= CONCLUSIVE_PICTURE_LOG10_ODDS
    leads = (
        evidence.met_towns >= FEW_TOWNS
        and evidence.even_ncc * evidence.field_share >= EVEN_NCC
        and evidence.even_margin >= CLEAR_MARGIN
    )
    confirmed = pinned or is_confirmed(evidence)
    probable = probability(evidence) >= default_accept_probability()
    return (clear or leads) and confirmed and evidence.precise and probable
