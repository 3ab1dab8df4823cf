"""The search: look after look, and a full proof for what stands out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from detectors.limb import Limb
from matchers.camera import Camera
from regengine.registration.acceptance import Proven, better, is_proof
from regengine.registration.candidates import SAME_SHARE, Candidate, Look, merged, same_view
from regengine.registration.map_window import HasWindows, SearchWindow
from regengine.registration.propose_asterisms import take_sparse_look
from regengine.registration.propose_dense import PhotoLights, from_other_places, take_look
from regengine.registration.propose_limb import Sweep, take_sweep
from regengine.registration.refinement import (
    COMPARED_PX,
    Aligned,
    Finalist,
    compare_finalists,
    leading,
    picture_proof,
    preselected,
)
from regengine.registration.verification import (
    Evidence,
    Fit,
    agreeing_patches,
    best_fit,
    coarse_z,
    finalist_log10_odds,
    log10_tried,
    towns_proof,
)
from regengine.result import Reason
from regengine.sky.stars.attitude import StarAttitude

# What leads by this much at half the finalists' scale, in evened correlation, is worth a full proof
# before the search goes on
LEAD_WORTH_PROVING = 0.04
LEAST_GAIN = 0.02  # over the same view proven before
# the same, of the picture's log10 odds
LEAST_GAIN_LOG10_ODDS = 1.0


@dataclass(kw_only=True)
class SearchState:
    """What the search has found so far; the candidates are distinct, best first."""

    candidates: list[Candidate] = field(default_factory=list)
    looks: int = 0
    best: Proven | None = None
    aligned: Aligned = field(default_factory=dict)
    tried: list[Finalist] = field(default_factory=list)
    fitted: dict[Candidate, Fit | None] = field(default_factory=dict)
    exhausted: bool = True
    covered: bool = False
    nothing: Reason | None = None
    attitude: StarAttitude | None = None

    @property
    def proven(self) -> bool:
        """Whether searching on is pointless."""
        return self.best is not None and is_proof(self.best.evidence, pinned=self.best.pinned)


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
    levels = window.levels(stored, look, dense)
    state.looks += 1
    if levels is None:
        return
    state.covered = True
    if look.sparse:
        found = take_sparse_look(levels, lights, stored, look, window, dense)
    else:
        light = lights.of(look.hazy, look.flat)
        coarse = light.resized(dense.template_px, detail_px=dense.detail_px)
        found = take_look(levels, coarse, stored, look, dense)
    leader = add_candidates(found, lights, stored, light_map, state)
    while leader is not None and not leader.look.flat:
        state.looks += 1  # so that the odds bear these poses, too
        other = elsewhere(leader, lights, stored, window)
        leader = other and add_candidates([other], lights, stored, light_map, state)


def elsewhere(
    leader: Candidate, lights: PhotoLights, stored: Camera, window: SearchWindow
) -> Candidate | None:
    """What leads without being proven, from where along the track it correlates better."""
    dense = window.parameters_for(stored, leader.look)
    levels = window.levels(stored, leader.look, dense)
    if levels is None:
        return None
    light = lights.of(leader.look.hazy)
    picture = light.resized(dense.template_px, dense.smooth_px, dense.detail_px)
    if leader.look.mirrored:
        picture = picture.flipped()
    return from_other_places(levels, picture, stored, leader, dense)


def search_sweep(
    sweep: Sweep,
    limb: Limb,
    lights: PhotoLights,
    stored: Camera,
    window: SearchWindow,
    light_map: HasWindows,
    state: SearchState,
    expired: Callable[[], bool],
) -> None:
    """As `search_one`, for a stretch of the track and a photo that shows the limb."""
    found, covered = take_sweep(sweep, limb, lights, stored, window, expired)
    state.looks += 1
    state.covered |= covered
    add_candidates(found, lights, stored, light_map, state)


def add_candidates(
    found: Sequence[Candidate],
    lights: PhotoLights,
    stored: Camera,
    light_map: HasWindows,
    state: SearchState,
) -> Candidate | None:
    """Keep what a look has found, and prove the best where it stands out."""
    state.candidates = merged(state.candidates, found)
    if not state.candidates:
        return None
    first = leading(state.candidates)
    if any(c in first for c in found):
        selected = preselected(light_map, lights, stored, state.candidates, state.aligned)
        if leads(selected, state.looks) and not any(
            no_better(selected[0], other) for other in state.tried
        ):
            state.tried.append(selected[0])
            prove_best(lights, stored, light_map, state)
            return None if state.proven else selected[0].candidate
    return None


def leads(finalists: Sequence[Finalist], looks: int) -> bool:
    """Whether the first of some finalists stands out."""
    if not finalists:
        return False
    first, *others = finalists
    if first.picture_log10_odds >= log10_tried(looks):
        return True
    rivals = (o.score for o in others if not same_view(first.camera, o.camera, SAME_SHARE))
    return first.score - max(rivals, default=0.0) >= LEAD_WORTH_PROVING


def no_better(finalist: Finalist, other: Finalist) -> bool:
    """Whether a finalist is the same view as another and fits hardly better."""
    same = same_view(finalist.camera, other.camera, SAME_SHARE)
    return (
        same
        and finalist.score < other.score + LEAST_GAIN
        and finalist.picture_log10_odds < other.picture_log10_odds + LEAST_GAIN_LOG10_ODDS
    )


def prove_best(
    lights: PhotoLights, stored: Camera, light_map: HasWindows, state: SearchState
) -> None:
    """Steps 5 and 6: align the finalists, fit the best, weigh the evidence; keep the better."""
    finalists = compare_finalists(light_map, lights, stored, state.candidates, state.aligned)
    if not finalists:
        return
    for first in finalists:
        if first.candidate not in state.fitted:
            state.fitted[first.candidate] = best_fit(light_map, lights, stored, first)
        fit = state.fitted[first.candidate]
        if fit is not None:
            break
    else:
        return  # the photo holds too little, wherever it may lie
    others = [finalist for finalist in finalists if finalist is not first]
    solution, left_out = fit.solution, fit.left_out
    proof, photo_towns, view = towns_proof(solution.image, solution.camera, solution.levels)
    tried = log10_tried(state.looks)
    rival = others[0] if others else None
    share = first.share
    camera = solution.image.stored_camera(solution.camera, stored)
    picture = picture_proof(solution.image, camera, solution.levels, COMPARED_PX)
    evidence = Evidence(
        ncc=first.ncc,
        runner_up_ncc=max((f.ncc * f.share / share for f in others), default=0.0),
        field_share=share,
        even_ncc=first.even_ncc,
        runner_up_even_ncc=max((f.score / share for f in others), default=0.0),
        coarse_z=coarse_z([c.score for c in state.candidates]),
        town_log10_odds=proof.log10_odds - tried,
        patch_log10_odds=left_out.log10_odds - tried,
        runner_up_log10_odds=(
            finalist_log10_odds(light_map, lights, rival) - tried if rival else -tried
        ),
        picture_log10_odds=picture - tried,
        runner_up_picture_log10_odds=(rival.picture_log10_odds if rival else 0.0) - tried,
        towns=proof.towns,
        met_towns=proof.met,
        patches=agreeing_patches(solution.refinement),
        residual_px=solution.refinement.rms_px,
        held_out_residual_px=left_out.residual_px,
        spread_share=left_out.spread_share,
    )
    proven = Proven(
        solution=solution,
        camera=camera,
        evidence=evidence,
        finalists=(first, *others),
        photo_towns=photo_towns,
        met=proof.met_towns,
        view=view,
    )
    state.best = proven if state.best is None else better(proven, state.best)


def last_chance(
    lights: PhotoLights, stored: Camera, light_map: HasWindows, state: SearchState
) -> None:
    """At the end of the search, prove the best candidate even if it never stood out."""
    if state.candidates and not state.proven:
        prove_best(lights, stored, light_map, state)
