"""A photo's path: propose cameras, test them against the references, report the proven one.

Everything else of this package is called from these functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from regengine.photo.frame import Frame
from regengine.registration.accept import (
    choose_match,
    is_proven,
    is_tested,
    place_probability,
)
from regengine.registration.align import (
    align_hypothesis,
    is_same_view,
    merge_hypotheses,
    score_hypothesis,
)
from regengine.registration.generate_stages import generate_stages
from regengine.registration.parameters import AcceptParams, RegisterParams
from regengine.registration.pose_problem import pose_problem
from regengine.registration.prepare_photo import prepare_photo
from regengine.registration.propose_dense import propose_dense
from regengine.registration.propose_from_index import propose_asterisms, propose_from_index
from regengine.registration.propose_from_neighbours import propose_from_neighbours
from regengine.registration.propose_from_placement import propose_from_placement
from regengine.registration.propose_from_stars import propose_from_stars
from regengine.registration.refine import fit_with_confirmed_lens
from regengine.registration.report_result import report_result, report_skipped
from regengine.registration.stage_yields import read_stage_yields
from regengine.registration.streets.register_on_streets import StreetMatch, register_on_streets
from regengine.registration.streets.report_on_streets import (
    advise_streets,
    is_proven_on_streets,
    report_on_streets,
)
from regengine.registration.types import (
    Hypothesis,
    Match,
    Method,
    Prior,
    Problem,
    References,
    SearchState,
    Stage,
    StopReason,
)
from regengine.registration.weigh_evidence import weigh_evidence
from regengine.result import FrameResult

PROPOSERS: dict[Method, Callable[[Problem, Stage], list[Hypothesis]]] = {
    "light": propose_from_index,
    "asterisms": propose_asterisms,
    "dense": propose_dense,
    "stars": propose_from_stars,
    "neighbours": propose_from_neighbours,
    "placement": propose_from_placement,
}


def register_frame(
    frame: Frame, prior: Prior, references: References, params: RegisterParams | None = None
) -> FrameResult:
    """Find out where on Earth a photo's pixels lie.

    Parameters
    ----------
    frame : Frame
        The photo and its metadata.
    prior : Prior
        What is known of its camera; without a position its lights alone tell.
    references : References
        The map of night lights and its index, and street maps for telephoto frames.

    Returns
    -------
    FrameResult
        With a proposal ("accepted" or "review"), or "no_match" with the reason.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    LightMapError
        If the map cannot be.
    """
    problem, state, street_match = search_frame(frame, prior, references, params)
    if state is None:
        result = report_skipped(problem)
        too_few = any(reason.code == "few_lights" for reason in result.reasons)
        return advise_streets(problem, result) if too_few else result
    if street_match is not None and is_proven_on_streets(street_match, problem.params.streets):
        return report_on_streets(problem, street_match)
    result = report_result(problem, state)
    if result.verdict != "accepted" and street_match is not None:
        on_streets = report_on_streets(problem, street_match)
        if on_streets.verdict != "no_match":
            return on_streets
    return advise_streets(problem, result)


def search_frame(
    frame: Frame, prior: Prior, references: References, params: RegisterParams | None = None
) -> tuple[Problem, SearchState | None, StreetMatch | None]:
    """Prepare a photo and search: the problem, how far the search came, what fits streets best.

    No search where the photo shows a reason to skip it, and None for streets that fit nowhere.
    """
    params = params or RegisterParams()
    started_s = params.clock()
    photo = prepare_photo(frame, prior, params)
    problem = pose_problem(photo, prior, references, params)
    if photo.skip_reason:
        return problem, None, None
    # Where streets are at hand a telephoto frame is placed on them, from the prior or, where that
    # shows nothing, from what lights tell
    state = SearchState()
    street_match = register_on_streets(problem, state)
    if is_proven_on_streets(street_match, params.streets):
        state.stop_reason = StopReason.PROVEN
    else:
        search(problem, started_s, state)
        if state.match is not None:
            found = (street_match, register_on_streets(problem, state, state.match))
            fitted = (match for match in found if match is not None)
            street_match = max(fitted, key=lambda match: match.score, default=None)
    return problem, state, street_match


def search(problem: Problem, started_s: float, state: SearchState | None = None) -> SearchState:
    """Try stage after stage until something is proven, or the work of a photo is done.

    A lens that was told may be any other. Where most of the work leads nowhere with it, the rest is
    done as if nothing was known of the lens; else with what is left to try.
    What a state says was done before is not taken from that work.
    """
    params = problem.params
    state = state or SearchState()
    budget = params.work_budget
    if problem.prior.cities_probability < params.search.min_cities_probability:
        budget *= params.search.share_without_cities
    images = problem.photo.images
    if images is not None and images.brightest_sigmas < params.search.min_brightest_sigmas:
        budget = min(budget, params.work_budget * params.search.share_faint)
    most_work, stages = state.work + budget, generate_stages(problem)
    if may_doubt_lens(problem):
        told_work = state.work + params.search.share_told_lens * budget
        stages = try_stages(problem, stages, state, told_work, started_s)
    if state.is_over:
        return state
    if may_doubt_lens(problem) and not is_promising(state.match, params.accept):
        stages += try_any_lens(problem, state, most_work, started_s)
    else:
        stages = try_stages(problem, stages, state, most_work, started_s)
    if state.stop_reason is None:
        state.stop_reason = StopReason.WORK_BUDGET if stages else StopReason.EXHAUSTED
    return state


def may_doubt_lens(problem: Problem) -> bool:
    """Whether a lens is told that may be another.

    What a person placed, or what is searched again with what neighbours tell, has shown its lens.
    """
    neighbours = problem.prior.neighbours
    is_again = neighbours is not None and neighbours.beat is not None
    return problem.photo.focal_known and problem.prior.placement is None and not is_again


def is_promising(match: Match | None, params: AcceptParams) -> bool:
    """Whether a match is worth a person's look."""
    return match is not None and place_probability(match.evidence) >= params.review_probability


def try_any_lens(
    problem: Problem, state: SearchState, most_work: float, started_s: float
) -> list[Stage]:
    """Try a photo whose told lens led nowhere as if nothing was known of it; what is passed over.

    Its light is made ready anew: what is a city, and what glare, depends on the lens, too.
    """
    photo, told = problem.photo, state.match
    frame = replace(photo.frame, focal_mm=None, profile=None)
    doubted = replace(
        prepare_photo(frame, problem.prior, problem.params),
        frame=photo.frame,
        doubted_focal_px=photo.nominal.focal_px,
    )
    if doubted.skip_reason is not None:
        return []
    problem = pose_problem(doubted, problem.prior, problem.references, problem.params)
    state.hypotheses, state.compared, state.tested = [], {}, []
    passed_over = try_stages(problem, generate_stages(problem), state, most_work, started_s)
    found = state.match
    state.is_lens_doubted = found is not None and (told is None or found.fit is not told.fit)
    return passed_over


def try_stages(
    problem: Problem, stages: list[Stage], state: SearchState, most_work: float, started_s: float
) -> list[Stage]:
    """Try stages in turn, and what they found; those that would take more work are passed over."""
    params, passed_over = problem.params, []
    for stage in stages:
        if params.clock() - started_s > params.max_seconds:
            state.stop_reason = StopReason.CPU_LIMIT
            break
        if state.work + stage.work > most_work:
            passed_over.append(stage)
            continue
        found = PROPOSERS[stage.method](problem, stage)
        state.charge(stage.work, stage.method)
        state.n_views_tested += stage.region is None or stage.region.name != "earth"
        state.hypotheses = merge_hypotheses(state.hypotheses, found, params.search.same_view_share)
        for leaders in choose_leaders(problem, state, found):
            test_leaders(problem, state, leaders)
            if is_proven(state.match, params.accept):
                state.stop_reason = StopReason.PROVEN
                return passed_over
    # The best is tested even if it never stood out
    leaders = compare_hypotheses(problem, state)
    if leaders and not any(is_tested_again(problem, leaders[0], other) for other in state.tested):
        test_leaders(problem, state, leaders)
        if is_proven(state.match, params.accept):
            state.stop_reason = StopReason.PROVEN
    return passed_over


def compare_hypotheses(problem: Problem, state: SearchState) -> list[Hypothesis]:
    """The best hypotheses aligned at half the scale of the last comparison, the best first.

    Clipped pictures and others compare at finer scales only. Of 13 hard frames of the training half
    the right one was first in 6 by evened correlation, in 11 by the odds of the picture.
    """
    params = problem.params
    leading = []
    for kind, most in (
        ("narrow", params.search.n_compared),
        ("clipped", params.search.n_compared_clipped),
    ):
        leading += [one for one in state.hypotheses if one.image == kind][:most]
    aligned = [align_compared(problem, state, one) for one in leading]
    return sorted(
        (one for one in aligned if one is not None),
        key=lambda one: (-one.image_log10_odds, -score_hypothesis(one)),
    )


def align_compared(
    problem: Problem, state: SearchState, hypothesis: Hypothesis
) -> Hypothesis | None:
    """A hypothesis aligned at that scale, once; None where the map has nothing of its ground."""
    if hypothesis not in state.compared:
        state.charge(read_stage_yields().at("work", "comparison"), "comparison")
        size_px = problem.params.refine.compared_px // 2
        state.compared[hypothesis] = align_hypothesis(problem, hypothesis, size_px)
    return state.compared[hypothesis]


def choose_leaders(
    problem: Problem, state: SearchState, found: list[Hypothesis]
) -> list[list[Hypothesis]]:
    """Which hypotheses to fit now, each first of a list with its rivals.

    The first, where it stands out and was not fitted before; and another method's camera of a view
    whose fit is not confirmed: both are right or wrong about the place, but not about the last
    kilometres.
    """
    params = problem.params.search
    if not any(one in state.hypotheses for one in found):
        return []
    leaders = compare_hypotheses(problem, state)
    if not leaders:
        return []
    chosen = []
    first, *others = leaders
    distinct = [
        one for one in others if not is_same_view(first.camera, one.camera, params.same_view_share)
    ]
    lead = score_hypothesis(first) - max([0.0, *map(score_hypothesis, distinct)])
    stands_out = first.image_log10_odds >= count_views(problem, state, first)
    stands_out |= lead >= params.min_lead_ncc
    if stands_out and not any(is_tested_again(problem, first, known) for known in state.tested):
        chosen.append(leaders)
    best = state.match
    if best is not None and not is_tested(best.evidence, problem.params.accept):
        share = params.same_view_share
        known = [one for one in state.tested if is_same_view(one.camera, best.camera, share)]
        sources = {one.source for one in known}
        for hypothesis in found:
            is_other = hypothesis.source not in sources
            if not is_other or not is_same_view(hypothesis.camera, best.camera, share):
                continue
            other = align_compared(problem, state, hypothesis)
            odds = max((one.image_log10_odds for one in known), default=0.0)
            if other is not None and other.image_log10_odds > odds - params.min_gain_log10_odds:
                chosen.append([other, *leaders])
                break
    return chosen


def is_tested_again(problem: Problem, hypothesis: Hypothesis, known: Hypothesis) -> bool:
    """Whether a hypothesis is the view of one that was fitted, and fits hardly better."""
    params = problem.params.search
    return (
        is_same_view(hypothesis.camera, known.camera, params.same_view_share)
        and score_hypothesis(hypothesis) < score_hypothesis(known) + params.min_gain_ncc
        and hypothesis.image_log10_odds < known.image_log10_odds + params.min_gain_log10_odds
    )


def count_views(problem: Problem, state: SearchState, hypothesis: Hypothesis) -> float:
    """Decimal logarithm of the number of views that were tried where a hypothesis is from."""
    params = problem.params.search
    boxes = params.earth_boxes if hypothesis.is_blind else max(state.n_views_tested, 1.0)
    return params.log10_attitudes + math.log10(boxes)


def test_leaders(problem: Problem, state: SearchState, leaders: list[Hypothesis]) -> None:
    """Fit the best of some hypotheses, weigh its evidence, and keep the better match."""
    params, work = problem.params, read_stage_yields()
    state.tested.append(leaders[0])
    finalists: list[Hypothesis] = []
    close = leaders[0].image_log10_odds - params.search.rival_log10_odds
    for hypothesis in leaders[: 1 + params.search.n_rivals]:
        if hypothesis.image_log10_odds < close:
            continue
        state.charge(work.at("work", "finer comparison"), "comparison")
        aligned = align_hypothesis(problem, hypothesis, params.refine.compared_px)
        if aligned is not None:
            finalists.append(aligned)
    finalists.sort(key=lambda one: (-one.image_log10_odds, -score_hypothesis(one)))
    distinct: list[Hypothesis] = []
    share = params.search.same_view_share
    for one in finalists:
        if not any(is_same_view(one.camera, other.camera, share) for other in distinct):
            distinct.append(one)
    for hypothesis in distinct:
        best, is_ambiguous, n_fits = fit_with_confirmed_lens(problem, hypothesis)
        state.charge(n_fits * work.at("work", "fit"), "fit")
        if best is not None:
            rivals = tuple(
                one for one in leaders[1:] if not is_same_view(one.camera, hypothesis.camera, share)
            )
            views = count_views(problem, state, hypothesis)
            match = weigh_evidence(problem, best, rivals, views, is_ambiguous=is_ambiguous)
            state.match = choose_match(match, state.match, share, params.accept)
            return
