"""One frame's way through the registration: prepare, propose, refine, verify, accept, outcome."""

from __future__ import annotations

import heapq
import pkgutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from itertools import groupby
from typing import Literal, cast

from regengine import registration
from regengine.lights.map import LightMap
from regengine.orbit.propagation import CameraPosition
from regengine.photo.frame import Frame
from regengine.registration.acceptance import Verified, better, default_accept_probability
from regengine.registration.candidates import SAME_SHARE, merged, same_view
from regengine.registration.map_window import HasOverview
from regengine.registration.outcome import result_of
from regengine.registration.preparation import prepare
from regengine.registration.refinement import (
    COMPARED_PX,
    Finalist,
    compare_finalists,
    leading,
    picture_odds,
    preselected,
)
from regengine.registration.search import Proposals, Proposer, Search, SearchAids, Step
from regengine.registration.verification import (
    Evidence,
    agreeing_patches,
    best_fit,
    coarse_z,
    finalist_log10_odds,
    log10_tried,
    towns_proof,
)
from regengine.result import FrameResult, Reason

Method = Literal["limb", "sparse", "dense"]
METHODS: tuple[Method, ...] = ("limb", "sparse", "dense")
# What leads by this much at half the finalists' scale, in evened correlation, is worth a full proof
# before the search goes on
LEAD_WORTH_VERIFYING = 0.04
LEAST_GAIN = 0.02  # over the same view proven before
# the same, of the picture's log10 odds
LEAST_GAIN_LOG10_ODDS = 1.0


@dataclass(frozen=True, kw_only=True)
class RegisterParams:
    """What the user decides about a registration.

    Attributes
    ----------
    clock_window_s : float or None
        The camera's clock is at most this wrong; None believes two minutes, and tries ten and
        whole hours where that leads nowhere.
    max_seconds : float
        The search ends after so much processor time with the best it has.
    any_category : bool
        Try frames that do not look like night cities, too.
    accept_probability : float
        Acceptance threshold.
    seed : int
        Kept with the result; the search itself draws no random numbers.
    methods : tuple of str
        What may propose cameras: "limb" (sweeps), "sparse" (figures of towns), "dense" (pictures).
    clock : callable
        Tells the seconds that ``max_seconds`` is held against: of this thread's work, so that a
        busy machine finds what an idle one does.
    """

    clock_window_s: float | None = None
    max_seconds: float = 15.0
    any_category: bool = False
    accept_probability: float = field(default_factory=default_accept_probability)
    seed: int = 0
    methods: tuple[Method, ...] = METHODS
    clock: Callable[[], float] = time.thread_time


def register_frame(
    frame: Frame,
    position: CameraPosition,
    light_map: LightMap,
    parameters: RegisterParams | None = None,
    aids: SearchAids | None = None,
) -> FrameResult:
    """Find out where on Earth a photo's pixels lie.

    Parameters
    ----------
    frame : Frame
        The photo and what is known of it.
    position : CameraPosition
        Where the camera is believed to have been.
    light_map : LightMap
        Night-light map (of `regengine.lights.map.open_light_map`).
    parameters : RegisterParams, optional
        User's decisions.
    aids : SearchAids, optional
        What else may tell: other frames of the batch, the stars, a person.

    Returns
    -------
    FrameResult
        With a proposal ("accepted" or "review"), or "no_match" with the reason.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    LightMapError
        If the map cannot be read.
    """
    parameters = parameters or RegisterParams()
    return result_of(search_frame(frame, position, light_map, parameters, aids))


def search_frame(
    frame: Frame,
    position: CameraPosition,
    light_map: HasOverview,
    parameters: RegisterParams,
    aids: SearchAids | None = None,
) -> Search:
    """Search until something is proven, everything was tried, or the time is over.

    Parameters
    ----------
    frame, position, light_map, parameters, aids
        As in `register_frame`.

    Returns
    -------
    Search
        What was found, with its evidence.
    """
    search = prepare(frame, position, light_map, parameters, aids)
    if search.futile is None:
        for group in proposers():
            take_steps(search, [proposer.propose(search) for proposer in group])
            if search.conclusive or search.ended:
                break
        conclude(search)
    return search


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
            search.exhausted = not step.required
            return
        for proposals in step.take():
            weigh(search, proposals)


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
            search.fitted[first.candidate] = best_fit(search, first)
        fit = search.fitted[first.candidate]
        if fit is not None:
            break
    else:
        return  # the photo holds too little, wherever it may lie
    others = [finalist for finalist in finalists if finalist is not first]
    solution, left_out = fit.solution, fit.left_out
    proof, photo_towns, view = towns_proof(solution.image, solution.camera, solution.levels)
    tried = log10_tried(search.looks_taken)
    rival = others[0] if others else None
    share = first.share
    camera = solution.image.stored_camera(solution.camera, search.stored)
    picture = picture_odds(solution.image, camera, solution.levels, COMPARED_PX)
    evidence = Evidence(
        ncc=first.ncc,
        runner_up_ncc=max((f.ncc * f.share / share for f in others), default=0.0),
        field_share=share,
        even_ncc=first.even_ncc,
        runner_up_even_ncc=max((f.score / share for f in others), default=0.0),
        coarse_z=coarse_z([c.score for c in search.candidates]),
        town_log10_odds=proof.log10_odds - tried,
        patch_log10_odds=left_out.log10_odds - tried,
        runner_up_log10_odds=finalist_log10_odds(search, rival) - tried if rival else -tried,
        picture_log10_odds=picture - tried,
        runner_up_picture_log10_odds=(rival.picture_log10_odds if rival else 0.0) - tried,
        towns=proof.towns,
        met_towns=proof.met,
        patches=agreeing_patches(solution.refinement),
        residual_px=solution.refinement.rms_px,
        held_out_residual_px=left_out.residual_px,
        spread_share=left_out.spread_share,
    )
    verified = Verified(
        solution=solution,
        camera=camera,
        evidence=evidence,
        finalists=(first, *others),
        photo_towns=photo_towns,
        met=proof.met_towns,
        view=view,
    )
    search.best = verified if search.best is None else better(verified, search.best)


def conclude(search: Search) -> None:
    """At the end verify the best candidate even if it never stood out, and say why nothing was."""
    if search.given_up:
        return
    if not search.covered:
        search.futile = why_futile(search)
    verify_best(search)


def why_futile(search: Search) -> Reason:
    """Why a search has seen nothing of the map."""
    if not search.exhausted:
        text = "time ran out before anything was tried; raise --max-seconds"
        return Reason(code="search_budget", text=text)
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
