"""Report the result of a frame that is registered on streets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from regengine.registration.hypotheses import locate_camera
from regengine.registration.priors.lens import is_telephoto
from regengine.registration.report_on_map import report_on_map
from regengine.registration.report_result import doubt_given, doubt_height, make_no_match_result
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
    params, frame, prior = problem.params.streets, problem.photo.frame, problem.prior
    info = problem.references.light_map.info
    blind = match.hypothesis.is_blind
    position = locate_camera(match.camera, problem.params.tracks) if blind else prior.position
    result = report_on_map(
        make_no_match_result(frame, position, info),
        match,
        params,
        problem.params,
        map_sigma_m=params.map_sigma_m,
        reference=f"streets, {match.credit}",
        reasons=(
            *doubt_height(frame, prior, match, problem.params.tracks),
            *doubt_streets(match, params),
        ),
    )
    reasons = result.reasons
    if match.covered_share < params.min_covered_share:
        text = (
            f"the available street maps cover {100.0 * match.covered_share:.0f} % of the frame; "
            "build them from a larger extract (regengine streets get)"
        )
        reasons = (*reasons, Reason(code="outside_map", text=text))
    if result.verdict != "no_match":
        reasons = (*doubt_given(frame, prior, match, problem.params.tracks), *reasons)
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


def advise_streets(problem: Problem) -> Reason | None:
    """Advise to use street maps, or to give what they need, if they were not tried and may help."""
    least = problem.params.search.min_cities_probability
    frame, focal_known = problem.photo.frame, problem.photo.focal_known
    if problem.prior.cities_probability < least or problem.prior.placement is not None:
        return None
    if focal_known and not suits_streets(problem):
        return None
    given = problem.prior.position
    near = problem.references.streets if given is None else list_near_streets(problem)
    tele = "a telephoto frame is placed on street maps if its"
    if near and given is None:
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
    elif near:
        return None
    elif given is not None and not focal_known and frame.centre is not None:
        text = (
            "if the city at the given place fills the frame, night lights do not resolve it: give "
            f"--focal-mm, and get its streets with {get_streets_at(*frame.centre)}"
        )
    elif focal_known and is_telephoto(problem.photo.nominal):
        nominal = problem.photo.nominal
        longest = max(nominal.width_px, nominal.height_px)
        long_km = longest / nominal.focal_px * problem.altitude_km
        text = (
            f"from straight above the frame is {long_km:.0f} km long, so a city fills it, which "
            "night lights hardly resolve, and no street map of its place is available: get "
        )
        if given is None:
            text += "one with regengine streets get PLACE, and give --centre or --nadir"
        elif frame.centre is not None:
            text += f"the streets around the given place with {get_streets_at(*frame.centre)}"
        else:
            text += f"the streets around the nadir with {get_streets_at(given.lon, given.lat)}"
            text += ", or those of the city if you know it"
    else:
        return None
    return Reason(code="no_streets", text=text)


def get_streets_at(lon: float, lat: float) -> str:
    """Command that gets the streets around a place; a negative number would be an option."""
    return f"regengine streets get {'-- ' if lon < 0.0 else ''}{lon:.2f},{lat:.2f}"


def add_advice(result: FrameResult, advice: Reason | None) -> FrameResult:
    """Add the advice to a result that is not accepted; it is the reason why there is no match."""
    if advice is None or result.verdict == "accepted":
        return result
    reasons = result.reasons
    if result.verdict == "no_match" and "search" not in dict(result.sources):
        reasons = tuple(r for r in reasons if r.code not in ("no_agreement", "search_budget"))
        return replace(result, reasons=(advice, *reasons))
    return replace(result, reasons=(*reasons, advice))
