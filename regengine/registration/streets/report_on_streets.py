"""Report the result of a frame that is registered on streets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from regengine.registration.hypotheses import locate_camera
from regengine.registration.report_on_map import report_on_map
from regengine.registration.report_result import doubt_centre, doubt_clock, make_no_match_result
from regengine.registration.streets.parameters import StreetParams
from regengine.registration.streets.register_on_streets import (
    StreetMatch,
    list_near_streets,
    suits_streets,
)
from regengine.registration.types import Problem
from regengine.result import FrameResult, Reason


def is_proven_on_streets(match: StreetMatch | None, params: StreetParams) -> bool:
    """Whether a match on streets can be accepted."""
    return (
        match is not None
        and match.score >= params.min_score
        and next(doubt_streets(match, params), None) is None
    )


def report_on_streets(problem: Problem, match: StreetMatch) -> FrameResult:
    """Make the result of a frame on streets, from the scores of its verification."""
    params, given = problem.params.streets, problem.prior.position
    info = problem.references.light_map.info
    blind = match.hypothesis.is_blind
    position = locate_camera(match.camera, problem.params.tracks) if blind else given
    result = report_on_map(
        make_no_match_result(problem.photo.frame, position, info),
        match,
        params,
        problem.params,
        map_sigma_m=params.map_sigma_m,
        reference=f"streets, {match.credit}",
        reasons=tuple(doubt_streets(match, params)),
    )
    reasons = result.reasons
    if match.covered_share < params.min_covered_share:
        text = (
            f"the available street maps cover {100.0 * match.covered_share:.0f} % of the frame; "
            "build them from a larger extract (regengine streets get)"
        )
        reasons = (*reasons, Reason(code="outside_map", text=text))
    if given is not None:
        reasons = (*doubt_clock(problem, match, given), *reasons)
    reasons = (*doubt_centre(problem, match.camera), *reasons)
    return replace(result, reasons=reasons)


def doubt_streets(match: StreetMatch, params: StreetParams) -> Iterator[Reason]:
    """List the reasons to review a match on streets."""
    if match.short_side_km < params.min_short_side_km:
        text = (
            f"the frame is {match.short_side_km:.1f} km wide: the false-match rate on streets "
            f"below {params.min_short_side_km:g} km has not been measured"
        )
        yield Reason(code="small_frame", text=text)
    if not match.median_px <= params.max_median_px:
        text = (
            f"held-out patches are {match.median_px:.1f} px to one side of the fit: it has not "
            "converged"
        )
        yield Reason(code="imprecise", text=text)
    if match.evidence.runner_up_log10_odds >= params.min_score:
        text = f"another place fits as well (chance 1e-{match.evidence.runner_up_log10_odds:.0f})"
        yield Reason(code="low_margin", text=text)


def advise_streets(problem: Problem, result: FrameResult) -> FrameResult:
    """Add to a result the advice to use street maps, if these were not tried and may help."""
    least = problem.params.search.min_cities_probability
    if result.verdict == "accepted" or problem.prior.cities_probability < least:
        return result
    focal_known, is_placed = problem.photo.focal_known, not problem.is_blind
    near = list_near_streets(problem) if is_placed else problem.references.streets
    if focal_known and not suits_streets(problem):
        return result
    sample_m = 1e3 * problem.altitude_km / problem.photo.nominal.focal_px
    tele = "a telephoto frame is placed on street maps if its"
    if near and not is_placed:
        known, give = ("", "") if focal_known else ("focal length and its ", "--focal-mm, and ")
        text = (
            f"street maps are available, and {tele} {known}region is known: give {give}--centre "
            "or --nadir"
        )
    elif near and not focal_known:
        text = (
            f"street maps of its region are available, and {tele} focal length is known: give "
            "--focal-mm"
        )
    elif not near and focal_known:
        text = (
            f"a frame of {sample_m:.0f} m a pixel is placed on street maps, and none of its "
            "region is available: regengine streets get PLACE"
        )
        if not is_placed:
            text += ", and give --centre or --nadir"
    else:
        return result
    return replace(result, reasons=(*result.reasons, Reason(code="no_streets", text=text)))
