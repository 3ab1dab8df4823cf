"""The search: look after look, and a full proof for what stands out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.refine import RefineParameters
from matchers.towns import Towns
from regengine.evidence import (
    Evidence,
    agreeing_patches,
    coarse_z,
    finalist_log10_odds,
    held_out,
    log10_tried,
    towns_proof,
)
from regengine.finalists import Finalist, Solution, compare_finalists, solve
from regengine.hypotheses import (
    SAME_SHARE,
    Candidate,
    Look,
    PhotoLights,
    merged,
    same_view,
    take_look,
)
from regengine.light_windows import HasWindows
from regengine.result import Reason
from regengine.search_window import SearchWindow

# Coarse correlation that stands out this far is worth a full proof before the search goes on
Z_WORTH_PROVING = 4.5
# and so is what the likeliest looks have found, whatever it is: near and far, at the expected place
LOOKS_BEFORE_FIRST_PROOF = 6
LEAST_GAIN = 0.02  # in correlation over the candidate that was proven last
# A proof this strong ends the search
PROVEN_LOG10_ODDS = 9.0  # astrometry.net accepts at odds of 1e9
PROVEN_MARGIN = 0.12
# and so does a weaker one where nothing else comes near: telephoto frames hold few towns
LONELY_LOG10_ODDS = 3.0
LONELY_MARGIN = 0.3
LONELY_Z = 8.0


@dataclass(kw_only=True)
class SearchState:
    """What the search has found so far; the candidates are distinct, best first."""

    candidates: list[Candidate] = field(default_factory=list)
    looks: int = 0
    best: Proven | None = None
    proven_ncc: float = 0.0
    exhausted: bool = True
    covered: bool = False
    nothing: Reason | None = None


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


def search_one(
    look: Look,
    lights: PhotoLights,
    stored: Camera,
    window: SearchWindow,
    light_map: HasWindows,
    state: SearchState,
) -> None:
    """Steps 3 and 4 for one look, and steps 5 and 6 where it stands out."""
    dense = window.parameters_for(stored, look)
    coarse = lights.of(look).resized(dense.template_px, detail_px=dense.detail_px)
    levels = window.levels(stored, look, dense)
    state.looks += 1
    if levels is None:
        return
    state.covered = True
    found = take_look(levels, coarse, stored, look, dense)
    state.candidates = merged(state.candidates, found)
    if not state.candidates:
        return
    gained = bool(found) and found[0].ncc >= state.proven_ncc + LEAST_GAIN
    stands_out = gained and coarse_z([c.ncc for c in state.candidates]) >= Z_WORTH_PROVING
    if stands_out or state.looks == LOOKS_BEFORE_FIRST_PROOF:
        prove_best(lights, stored, light_map, state)


def prove_best(
    lights: PhotoLights, stored: Camera, light_map: HasWindows, state: SearchState
) -> None:
    """Steps 5 and 6: align the finalists, fit the best, weigh the evidence; keep the better."""
    state.proven_ncc = state.candidates[0].ncc
    fine = lights.of(state.candidates[0].look)
    finalists = compare_finalists(light_map, fine, stored, state.candidates)
    if not finalists:
        return
    refine_parameters = RefineParameters()
    solution = solve(light_map, fine, finalists[0], refine_parameters)
    if solution is None:
        return
    proof, photo_towns, view = towns_proof(solution.image, solution.camera, solution.levels)
    tried = log10_tried(state.looks)
    rival = finalists[1] if len(finalists) > 1 else None
    left_out = held_out(solution, refine_parameters)
    evidence = Evidence(
        ncc=finalists[0].ncc,
        runner_up_ncc=rival.ncc if rival else 0.0,
        coarse_z=coarse_z([c.ncc for c in state.candidates]),
        town_log10_odds=proof.log10_odds - tried,
        patch_log10_odds=left_out.log10_odds - tried,
        runner_up_log10_odds=(
            finalist_log10_odds(light_map, fine, rival) - tried if rival else -tried
        ),
        towns=proof.towns,
        met_towns=proof.met,
        patches=agreeing_patches(solution.refinement),
        residual_px=solution.refinement.rms_px,
        held_out_residual_px=left_out.residual_px,
    )
    proven = Proven(
        solution=solution,
        camera=solution.image.stored_camera(solution.camera, stored),
        evidence=evidence,
        finalists=tuple(finalists),
        photo_towns=photo_towns,
        met=proof.met_towns,
        view=view,
    )
    state.best = proven if state.best is None else better(proven, state.best)


def better(new: Proven, known: Proven) -> Proven:
    """The better of two proofs, with the other among what it was held against.

    Parameters
    ----------
    new, known : Proven
        The latest proof, which has seen all candidates, and the best before it.

    Returns
    -------
    Proven
        The new one where both are the same view, whatever the old one's margin was: more has been
        held against it since.
    """
    if same_view(new.camera, known.camera, SAME_SHARE):
        return new
    first, second = new, known
    if known.evidence.log10_odds > new.evidence.log10_odds:
        first, second = known, new
    mine, other = first.evidence, second.evidence
    if mine.runner_up_ncc >= other.ncc:
        return first
    evidence = replace(
        mine,
        runner_up_ncc=other.ncc,
        runner_up_log10_odds=max(mine.runner_up_log10_odds, other.town_log10_odds),
    )
    finalists = (first.finalists[0], second.finalists[0], *first.finalists[1:])
    return replace(first, evidence=evidence, finalists=finalists)


def is_proof(evidence: Evidence) -> bool:
    """Whether the evidence is so strong that searching on is pointless."""
    sure = evidence.log10_odds >= PROVEN_LOG10_ODDS and evidence.margin >= PROVEN_MARGIN
    return sure or (
        evidence.log10_odds >= LONELY_LOG10_ODDS
        and evidence.margin >= LONELY_MARGIN
        and evidence.coarse_z >= LONELY_Z
    )


def last_chance(
    lights: PhotoLights, stored: Camera, light_map: HasWindows, state: SearchState
) -> None:
    """At the end of the search, prove the best candidate even if it never stood out."""
    if state.candidates and (state.best is None or not is_proof(state.best.evidence)):
        prove_best(lights, stored, light_map, state)
