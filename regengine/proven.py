"""A solved camera with its evidence, and which of two such is the better."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.towns import Towns
from regengine.candidates import SAME_SHARE, same_view
from regengine.confidence import probability
from regengine.evidence import Evidence
from regengine.finalists import Finalist, Solution


@dataclass(frozen=True, kw_only=True)
class Proven:
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


def better(new: Proven, known: Proven) -> Proven:
    """The better of two proofs, held against all that was seen.

    Parameters
    ----------
    new, known : Proven
        The latest proof, which has seen all candidates, and the best before it.

    Returns
    -------
    Proven
        Where both are the same view, the better fit of the two with the latest rivals; else the
        better one with the other among its rivals.
    """
    if same_view(new.camera, known.camera, SAME_SHARE):
        fit, rivals = new, new.evidence
        if known.evidence.log10_odds > new.evidence.log10_odds:
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


def standing(evidence: Evidence) -> tuple[float, float]:
    """What proofs are ordered by: the probability, and where that is at its limit, the odds."""
    return round(probability(evidence), 6), evidence.log10_odds
