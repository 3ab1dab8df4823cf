"""Register a frame: propose cameras, test them against the references, and report the result.

These functions are the entry points of the package and call its other modules.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace

from regengine.photo.frame import Frame
from regengine.registration.accept import (
    REVIEW_PROBABILITY,
    choose_match,
    is_proven,
    place_probability,
)
from regengine.registration.align import (
    LOG10_ATTITUDES,
    align_hypothesis,
    is_same_view,
    merge_hypotheses,
    score_hypothesis,
    weigh_image,
)
from regengine.registration.fit import fit_with_lens_beliefs
from regengine.registration.generate_stages import generate_stages
from regengine.registration.parameters import REFINE, WORK_BUDGETS, RegisterParams, share_work
from regengine.registration.prepare_photo import prepare_photo
from regengine.registration.priors import (
    Track,
    expect_seen,
    make_tracks,
    measure_lit_ground,
    read_stage_yields,
)
from regengine.registration.propose_at_places import propose_asterisms, propose_dense, propose_light
from regengine.registration.propose_from_cameras import (
    propose_from_neighbours,
    propose_from_placement,
    propose_from_stars,
)
from regengine.registration.propose_horizon import propose_horizon
from regengine.registration.register_on_streets import (
    add_advice,
    advise_streets,
    is_proven_on_streets,
    register_on_streets,
    report_on_streets,
)
from regengine.registration.report_result import report_result, report_skipped
from regengine.registration.types import (
    Evidence,
    Hypothesis,
    LightMatch,
    Method,
    Photo,
    Prior,
    Problem,
    SearchReferences,
    SearchState,
    Stage,
    StopReason,
)
from regengine.registration.windows import MapWindows
from regengine.store.result import FrameResult


def state_problem(
    photo: Photo, prior: Prior, references: SearchReferences, params: RegisterParams
) -> Problem:
    """Make the problem of a photo; a photo that is skipped needs no tracks."""
    tracks: tuple[Track, ...] = ()  # those along which the camera may have been
    windows = None
    if photo.skip_reason is None and prior.position is not None:
        windows = MapWindows(references.light_map, prior.position)
        lit_dex = measure_lit_ground(references.light_map)
        tracks = make_tracks(prior.position, params.clock_window_s, lit_dex)
        seen = prior.seen
        if seen is not None:
            tracks = tuple(expect_seen(track, seen) for track in tracks)
    return Problem(
        photo=photo,
        prior=prior,
        references=references,
        params=params,
        tracks=tracks,
        windows=windows,
    )


PROPOSERS: dict[Method, Callable[[Problem, Stage], list[Hypothesis]]] = {
    "light": propose_light,
    "horizon": propose_horizon,
    "asterisms": propose_asterisms,
    "dense": propose_dense,
    "stars": propose_from_stars,
    "neighbours": propose_from_neighbours,
    "placement": propose_from_placement,
}


def register_frame(
    frame: Frame, prior: Prior, references: SearchReferences, params: RegisterParams | None = None
) -> FrameResult:
    """Register a photo: find the position on Earth of each of its pixels.

    Parameters
    ----------
    frame : Frame
        The photo and its metadata.
    prior : Prior
        What is known about its camera. Without a position the search is blind: only the lights
        determine the place.
    references : SearchReferences
        The map of night lights and its index, and street maps for telephoto frames.
    params : RegisterParams, optional
        Parameters of the search; the defaults if not given.

    Returns
    -------
    FrameResult
        Contains a proposal ("accepted" or "review"), or "no_match" with the reason.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    MapError
        If the map cannot be read.
    """
    params = params or RegisterParams()
    problem = state_problem(prepare_photo(frame, prior, params), prior, references, params)
    advice, skip_reason = advise_streets(problem), problem.photo.skip_reason
    if skip_reason is not None:
        skipped = report_skipped(problem)
        return add_advice(skipped, advice) if skip_reason.code == "few_lights" else skipped
    # Before the search, which takes seconds; of several places, the likeliest is reported
    if advice is not None and not problem.is_blind and prior.n_places == 1:
        logging.getLogger("regengine").info("%s: %s", frame.path, advice.text)
    state = search(problem)
    street_match = state.street_match
    if street_match is not None and is_proven_on_streets(street_match):
        return report_on_streets(problem, street_match)
    result = report_result(problem, state)
    if result.verdict != "accepted" and street_match is not None:
        on_streets = report_on_streets(problem, street_match)
        if on_streets.verdict != "no_match":
            return on_streets
    return add_advice(result, advice)


def search(problem: Problem) -> SearchState:
    """Search street maps and lights for a match until one is proven or the work budget is used up.

    If street maps are available, a telephoto frame is registered on them: first from the prior and,
    if that gives no proven match, from the match of the lights. Work on streets does not count
    against the budget. The given focal length may be wrong: if most of the budget finds no
    promising match with it, the rest is spent as if the lens was unknown.
    """
    params, photo, prior = problem.params, problem.photo, problem.prior
    # The time of preparation, loading and first-run compilation does not count
    started_s, state = params.clock(), SearchState()
    state.street_match = register_on_streets(problem, state, started_s)
    if is_proven_on_streets(state.street_match):
        state.stop_reason = StopReason.PROVEN
        return state
    share, work = share_work(prior.cities_probability), read_stage_yields()["work"]
    # Less work if the brightest thousandth of the image has a lower signal-to-noise ratio (both
    # numbers by eye)
    if photo.images is not None and photo.images.brightest_sigmas < 40.0:
        share = min(share, 0.2)
    if share * WORK_BUDGETS["normal"] < work["fit"]:  # a search finds nothing without a fit
        state.stop_reason = StopReason.WORK_BUDGET
        return state
    budget = share * params.work_budget
    max_work, stages = state.work + budget, generate_stages(problem)
    # Work that is left for other lenses than the given one, by eye
    freed_work = 0.15 * budget
    # The lens of a frame that a person placed, or that is searched again with a neighbour prior, is
    # already confirmed
    is_sure = prior.placement is not None or prior.neighbours is not None
    if not photo.focal_known or is_sure or freed_work < work["preparation"]:
        skipped = try_stages(problem, stages, state, max_work, started_s)
    else:
        skipped = try_stages(problem, stages, state, max_work - freed_work, started_s)
        # Whether a person should review the match
        is_promising = (
            state.match is not None
            and place_probability(state.match.evidence) >= REVIEW_PROBABILITY
        )
        if state.stop_reason in (StopReason.PROVEN, StopReason.CPU_LIMIT):
            pass
        elif is_promising:
            skipped = try_stages(problem, skipped, state, max_work, started_s)
        elif (freed := free_lens(problem)).photo.skip_reason is None:
            state.hypotheses, state.aligned, state.tested = [], {}, []
            skipped += try_stages(freed, generate_stages(freed), state, max_work, started_s)
    if state.stop_reason is None:
        state.stop_reason = StopReason.WORK_BUDGET if skipped else StopReason.EXHAUSTED
    if state.match is not None:
        found = (state.street_match, register_on_streets(problem, state, started_s, state.match))
        fitted = (match for match in found if match is not None)
        state.street_match = max(fitted, key=lambda match: match.score, default=None)
    return state


def free_lens(problem: Problem) -> Problem:
    """Prepare a photo again as if its lens was unknown.

    The light images change, because the separation of city light from glare depends on the focal
    length.
    """
    photo = problem.photo
    frame = replace(photo.frame, focal_mm=None, profile=None)
    unknown = prepare_photo(frame, problem.prior, problem.params)
    doubted_focal_px = photo.nominal.focal_px
    unknown = replace(unknown, frame=photo.frame, doubted_focal_px=doubted_focal_px)
    return replace(problem, photo=unknown)


def try_stages(
    problem: Problem, stages: list[Stage], state: SearchState, max_work: float, started_s: float
) -> list[Stage]:
    """Try stages in turn and fit their best hypotheses; return stages skipped for their work.

    A camera is fitted as soon as its image odds exceed the number of views tested. At the end, the
    best remaining hypothesis is fitted regardless of its odds.
    """
    params, skipped = problem.params, []
    for stage in stages:
        if params.clock() - started_s > params.max_seconds:
            state.stop_reason = StopReason.CPU_LIMIT
            break
        if state.work + stage.work > max_work:
            skipped.append(stage)
            continue
        proposed = PROPOSERS[stage.method](problem, stage)
        state.charge(stage.work, stage.method)
        state.n_views_tested += stage.region is None or stage.region.name != "earth"
        state.hypotheses = merge_hypotheses(state.hypotheses, proposed)
        if not any(hypothesis in state.hypotheses for hypothesis in proposed):
            continue
        while (best := choose_untested(problem, state)) is not None:
            if not stands_out(problem, state, best):
                break
            fit_and_weigh(problem, state, best)
            if is_proven(state.match, params.accept):
                state.stop_reason = StopReason.PROVEN
                return skipped
    best = choose_untested(problem, state)
    if best is not None:
        fit_and_weigh(problem, state, best)
        if is_proven(state.match, params.accept):
            state.stop_reason = StopReason.PROVEN
    return skipped


def choose_untested(problem: Problem, state: SearchState) -> Hypothesis | None:
    """Choose the hypothesis with the highest image odds that is not fitted yet, and align it.

    The best hypotheses of the first look are aligned at half the scale of the comparison. The best
    of these are aligned at the full scale, until one stands out. A view that is already fitted is
    fitted again only from a camera whose odds are ten times as high.
    """
    size_px = REFINE.compared_px
    leading = [one for one in state.hypotheses if one.n_stars][:8]
    # More of the clipped images, which resemble each other
    for kind, most in (("narrow", 8), ("clipped", 60)):
        leading += [one for one in state.hypotheses if one.image == kind and not one.n_stars][:most]

    def align_once(one: Hypothesis, size_px: int, work: str) -> Hypothesis | None:
        if (one, size_px) not in state.aligned:
            state.charge(read_stage_yields()["work"][work], "comparison")
            state.aligned[one, size_px] = align_hypothesis(problem, one, size_px)
        return state.aligned[one, size_px]

    def is_fitted(one: Hypothesis) -> bool:
        return any(
            one.n_stars == known.n_stars
            and is_same_view(one.camera, known.camera)
            and one.image_log10_odds < known.image_log10_odds + REFINE.better_log10_odds
            for known in state.tested
        )

    def rank(one: Hypothesis) -> tuple[float, float]:
        # Others were the best of many attitudes
        ahead = LOG10_ATTITUDES if one.n_stars else 0.0
        return -one.image_log10_odds - ahead, -score_hypothesis(one)

    halves = [align_once(one, size_px // 2, "comparison") for one in leading]
    state.compared = sorted((one for one in halves if one is not None), key=rank)
    untested = []
    for half in state.compared[: 4 + len(state.tested)]:
        one = align_once(half, size_px, "finer comparison")
        if one is not None and not is_fitted(one):
            untested.append(one)
            if stands_out(problem, state, one):
                break
    return min(untested, key=rank, default=None)


def stands_out(problem: Problem, state: SearchState, hypothesis: Hypothesis) -> bool:
    """Whether the image odds of a hypothesis exceed the number of views that were tested."""
    return hypothesis.image_log10_odds >= count_views(problem, state, hypothesis)


def count_views(problem: Problem, state: SearchState, hypothesis: Hypothesis) -> float:
    """Log10 of the number of views that were tested in the search that found a hypothesis."""
    # Number of boxes on the lit Earth: 10 million km2 in images of 64 pixels of 5 km, 60 rolls, 265
    # tilts, 8 scales, plain and mirrored
    boxes = 105_000.0 if hypothesis.is_blind else max(state.n_views_tested, 1.0)
    boxes *= problem.prior.n_places
    return LOG10_ATTITUDES + math.log10(boxes)


def fit_and_weigh(problem: Problem, state: SearchState, chosen: Hypothesis) -> None:
    """Fit an aligned hypothesis, weigh its evidence, and keep the better of old and new match."""
    state.tested.append(chosen)
    best, is_ambiguous, n_fits = fit_with_lens_beliefs(problem, chosen)
    state.charge(n_fits * read_stage_yields()["work"]["fit"], "fit")
    if best is None:
        return
    rivals = [one for one in state.compared if not is_same_view(one.camera, chosen.camera)]
    rivals.sort(key=lambda one: -one.image_log10_odds)
    views = count_views(problem, state, chosen)
    # Three odds against chance: of the lights, of the held-out patches, which do not support a fit
    # that another lens contradicts, and of the whole image
    fit, test = best
    camera = fit.image.stored_camera(fit.camera, problem.photo.nominal)
    patches = test.patch_log10_odds
    hypothesis = fit.hypothesis
    runner_up = next(iter(rivals), None)
    evidence = Evidence(
        ncc=hypothesis.ncc,
        runner_up_ncc=0.0 if runner_up is None else runner_up.ncc,
        light_log10_odds=fit.light_log10_odds,
        patch_log10_odds=min(patches, 0.0) if is_ambiguous else patches,
        image_log10_odds=weigh_image(fit.image, camera, fit.levels, REFINE.compared_px),
        log10_views_tested=views,
        runner_up_log10_odds=(0.0 if runner_up is None else runner_up.image_log10_odds) - views,
        n_lights=len(fit.light_peaks),
        n_matched_lights=len(fit.matched),
        residual_px=fit.refinement.rms_px,
        held_out_residual_px=test.residual_px,
    )
    match = LightMatch(
        fit=fit,
        camera=camera,
        evidence=evidence,
        rivals=tuple(rivals),
        pose_sigma_m=test.pose_sigma_m,
    )
    state.match = choose_match(match, state.match)
