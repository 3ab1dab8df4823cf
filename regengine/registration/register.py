"""One frame's way through the registration: prepare, propose, refine, verify, accept, outcome."""

from __future__ import annotations

import heapq
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import groupby
from typing import cast

from matchers.camera import Camera
from matchers.verify import find_towns
from regengine import registration
from regengine.lights.map import LightMap
from regengine.orbit.propagation import CameraPosition
from regengine.photo.frame import Frame
from regengine.registration.acceptance import (
    REVIEW_PROBABILITY,
    better,
    probability,
)
from regengine.registration.candidates import (
    SAME_SHARE,
    Candidate,
    merged,
    same_hypothesis,
    same_view,
)
from regengine.registration.evidence import Evidence, Finalist, Verified, log10_tried
from regengine.registration.index.figures import SMOOTH_PX, USUAL_PX
from regengine.registration.map_window import HasOverview
from regengine.registration.outcome import out_of_budget, result_of
from regengine.registration.preparation import prepare
from regengine.registration.propose_index import LOOKS, anywhere, mostly_in_sight, position_of
from regengine.registration.refinement import (
    COMPARED_PX,
    compare_finalists,
    leading,
    picture_odds,
    preselected,
)
from regengine.registration.search import (
    SHARE_FOR_LOOKS,
    Proposals,
    Proposer,
    RegisterParams,
    Search,
    SearchAids,
    Step,
)
from regengine.registration.verification import (
    FEW_TOWNS,
    best_fit,
    finalist_log10_odds,
)
from regengine.result import FrameResult, Reason

# What leads by this much at half the finalists' scale, in evened correlation, is worth a full proof
# before the search goes on
LEAD_WORTH_VERIFYING = 0.04
# A photo of fewer lit places is not sought all over the Earth where it is said to be from elsewhere
LEAST_TOWNS_ANYWHERE = 15
LEAST_GAIN = 0.02  # over the same view proven before
# the same, of the picture's log10 odds
LEAST_GAIN_LOG10_ODDS = 1.0


def register_frame(
    frame: Frame,
    position: CameraPosition | None,
    light_map: LightMap,
    parameters: RegisterParams | None = None,
    aids: SearchAids | None = None,
) -> FrameResult:
    """Find out where on Earth a photo's pixels lie; without a position by its lights alone.

    The result has a proposal ("accepted" or "review"), or is "no_match" with the reason. Raises
    FrameError if the photo cannot be read, LightMapError if the map cannot be.
    """
    return result_of(search_frame(frame, position, light_map, parameters or RegisterParams(), aids))


def search_frame(
    frame: Frame,
    position: CameraPosition | None,
    light_map: HasOverview,
    parameters: RegisterParams,
    aids: SearchAids | None = None,
) -> Search:
    """Search until something is proven, everything was tried, or the time is over.

    Without a position the search has that of its best camera in the end, or one over the Gulf of
    Guinea.
    """
    search = prepare(frame, position or anywhere(), light_map, parameters, aids)
    if search.futile is None and search.anywhere:
        search.futile = too_few_towns(search)
    if search.futile is not None:
        return search
    explore(search)
    if nowhere_near(search):
        elsewhere = explore(search.freed(anywhere()))
        if elsewhere.best is not None and elsewhere.best.evidence.beyond_chance:
            return elsewhere
    return search


def explore(search: Search) -> Search:
    """Try everything that the proposers offer until something is proven, or the time is over."""
    if search.anywhere:
        search.looks_taken, search.covered = LOOKS, True
    for group in proposers():
        take_steps(search, [proposer.propose(search) for proposer in group])
        if search.conclusive or search.ended:
            break
    conclude(search)
    if search.anywhere and search.best is not None:
        search.position = position_of(search.best.camera)
    return search


def nowhere_near(search: Search) -> bool:
    """Whether nothing was found where the photo is said to be from, and it may be from elsewhere.

    What a person or an option bounds stays within these bounds.
    """
    aids = search.aids
    if search.anywhere or aids.index is None or aids.placement is not None or not aids.elsewhere:
        return False
    if search.parameters.clock_window_s is not None or search.given_up or search.telephoto:
        return False
    best = search.best
    if best is not None and probability(best.evidence) >= REVIEW_PROBABILITY:
        return False
    return town_count(search) >= LEAST_TOWNS_ANYWHERE and not mostly_in_sight(search)


def too_few_towns(search: Search) -> Reason | None:
    """That a photo which may be from anywhere shows too little to tell from where."""
    towns = town_count(search)
    if towns >= FEW_TOWNS:
        return None
    text = (
        f"only {towns} lit places can be told apart, too few to find them anywhere on Earth; give "
        "the time with element sets, or the nadir"
    )
    return Reason(code="few_lights", text=text)


def town_count(search: Search) -> int:
    """Lit places that can be told apart in the photo."""
    small = search.lights.sharp.resized(round(USUAL_PX), SMOOTH_PX)
    return len(find_towns(small.values, small.weight, LEAST_TOWNS_ANYWHERE))


def proposers() -> list[list[Proposer]]:
    """Whatever module ``propose_*.py`` of this package is there, by its order; some share one."""
    names = sorted(module.name for module in pkgutil.iter_modules(registration.__path__))
    modules = [
        import_module(f"{registration.__name__}.{name}")
        for name in names
        if name.startswith("propose_")
    ]
    found = sorted((cast(Proposer, module) for module in modules), key=lambda one: one.ORDER)
    return [list(group) for _, group in groupby(found, key=lambda one: one.ORDER)]


def take_steps(search: Search, proposed: Sequence[Iterator[Step]]) -> None:
    """Take the steps that some proposers offer, the likeliest first, while that makes sense."""
    for step in heapq.merge(*proposed, key=lambda step: step.surprise):
        if search.conclusive:
            return
        if step.time_share is not None and search.expired(step.time_share):
            search.exhausted &= not step.required
            if step.time_share >= SHARE_FOR_LOOKS:
                return
            continue
        before = search.work_done
        for proposals in step.take():
            candidates = [c for c in proposals.candidates if search.allows(c.camera)]
            weigh(search, replace(proposals, candidates=candidates))
            compare_opinions(search, step.kind, candidates)
        search.work_of[step.kind] += search.work_done - before


def kinds_of(search: Search, camera: Camera) -> set[str]:
    """The kinds of steps that have proposed a camera."""
    return {kind for kind, other in search.proposed if same_view(other, camera, SAME_SHARE)}


def compare_opinions(search: Search, kind: str, candidates: Sequence[Candidate]) -> None:
    """Note who proposed what; another way to the best camera is fitted, too, where that is unsure.

    Both are right or wrong about the place, but not about the last kilometres.
    """
    best = search.best
    if best is not None and not best.evidence.tested:
        twins = [c for c in candidates if same_view(c.camera, best.camera, SAME_SHARE)]
        if twins and kind not in kinds_of(search, best.camera):
            search.candidates = [twins[0]] + [
                known for known in search.candidates if not same_hypothesis(known, twins[0])
            ]
            search.candidates.sort(key=lambda candidate: -candidate.score)
            verify_best(search)
    search.proposed += [(kind, candidate.camera) for candidate in candidates]


def weigh(search: Search, proposals: Proposals) -> None:
    """Keep what was proposed, and verify the best where it stands out, or where it must be."""
    search.candidates = merged(search.candidates, proposals.candidates)
    search.leader = None
    if proposals.verified == "now":
        verify_best(search)
    if proposals.verified != "leading" or not search.candidates:
        return
    first = leading(search.candidates)
    if not any(c in first for c in proposals.candidates):
        return
    selected = preselected(search)
    if leads(selected, search.looks_taken) and not any(
        no_better(selected[0], other) for other in search.tried
    ):
        search.tried.append(selected[0])
        verify_best(search)
        search.leader = None if search.conclusive else selected[0].candidate


def leads(finalists: Sequence[Finalist], looks: int) -> bool:
    """Whether the first of some finalists stands out."""
    if not finalists:
        return False
    first, *others = finalists
    if first.picture_log10_odds >= log10_tried(looks):
        return True
    rivals = (o.score for o in others if not same_view(first.camera, o.camera, SAME_SHARE))
    return first.score - max(rivals, default=0.0) >= LEAD_WORTH_VERIFYING


def no_better(finalist: Finalist, other: Finalist) -> bool:
    """Whether a finalist is the same view as another and fits hardly better."""
    same = same_view(finalist.camera, other.camera, SAME_SHARE)
    return (
        same
        and finalist.score < other.score + LEAST_GAIN
        and finalist.picture_log10_odds < other.picture_log10_odds + LEAST_GAIN_LOG10_ODDS
    )


def verify_best(search: Search) -> None:
    """Align the finalists, fit the best and weigh its evidence; keep the better proof."""
    if not search.candidates or search.conclusive:
        return
    finalists = compare_finalists(search)
    for first in finalists:
        if first.candidate not in search.fitted:
            search.spend("fit")
            search.fitted[first.candidate] = best_fit(search, first)
        fit = search.fitted[first.candidate]
        if fit is not None:
            break
    else:
        return  # the photo holds too little, wherever it may lie
    others = [finalist for finalist in finalists if finalist is not first]
    solution, left_out, proof = fit.solution, fit.left_out, fit.proof
    rival = others[0] if others else None
    camera = solution.image.stored_camera(solution.camera, search.stored)
    picture = picture_odds(solution.image, camera, solution.levels, COMPARED_PX)
    evidence = Evidence(
        ncc=first.ncc,
        runner_up_ncc=rival.ncc * rival.share / first.share if rival else 0.0,
        town_log10_odds=proof.log10_odds,
        patch_log10_odds=fit.patch_log10_odds,
        runner_up_town_log10_odds=finalist_log10_odds(search, rival) if rival else 0.0,
        picture_log10_odds=picture,
        runner_up_picture_log10_odds=rival.picture_log10_odds if rival else 0.0,
        towns=proof.towns,
        met_towns=proof.met,
        residual_px=solution.refinement.rms_px,
        held_out_residual_px=left_out.residual_px,
        log10_tried=log10_tried(search.looks_taken),
    )
    verified = Verified(
        solution=solution,
        camera=camera,
        evidence=evidence,
        finalists=(first, *others),
        photo_towns=fit.photo_towns,
        met=proof.met_towns,
        view=fit.view,
    )
    search.best = verified if search.best is None else better(verified, search.best)


def conclude(search: Search) -> None:
    """At the end verify the best candidate even if it never stood out, and say why nothing was."""
    if not search.given_up:
        if not search.covered:
            search.futile = why_futile(search)
        verify_best(search)
    best = search.best
    if best is not None:
        agreeing = max(1, len(kinds_of(search, best.camera)))
        search.best = replace(best, evidence=replace(best.evidence, agreeing=agreeing))


def why_futile(search: Search) -> Reason:
    """Why a search has seen nothing of the map."""
    if not search.exhausted:
        return out_of_budget(search, "anything")
    if search.looks_taken == 0:
        text = (
            "by its time the photo was taken by day wherever the camera may have been; correct "
            "the time, or widen --clock-window"
        )
        return Reason(code="clock_suspect", text=text)
    return Reason(
        code="outside_map",
        text="the night-light map does not cover the ground that this frame can show; give one "
        "that does",
    )
