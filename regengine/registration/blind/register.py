"""A photo's place by its lights alone: neither time nor orbit nor nadir is looked at."""

from __future__ import annotations

from dataclasses import replace

from regengine.lights.map import LightMap
from regengine.photo.frame import Frame
from regengine.registration.acceptance import Verified
from regengine.registration.blind.index import EarthIndex
from regengine.registration.blind.options import BlindLimits
from regengine.registration.blind.search import search_blind
from regengine.registration.blind.uncertainty import (
    MOST_BEYOND,
    MOST_BEYOND_TOLD,
    guessed_lens,
    measured,
    points_without_lights,
)
from regengine.registration.outcome import no_match_result, proposal_result, unfinished
from regengine.registration.register import RegisterParams
from regengine.registration.search import Search
from regengine.registration.verification import CLEAR_PICTURE_LOG10_ODDS, Evidence
from regengine.result import FrameResult, Reason

NOWHERE = Reason(
    code="no_agreement",
    text="nowhere on Earth do towns lie as in the photo; a blind search needs some fifteen lit "
    "places that can be told apart, and the focal length where it is known (--focal-mm)",
)
GUESSED_LENS = Reason(
    code="guessed_lens",
    text="neither orbit nor lens is known, and without some of the lights the fit moves the "
    "control points too far to be used unseen; look at the overlay, or give --focal-mm",
)
LOOSE_FIT = Reason(
    code="loose_fit",
    text="without some of the lights the fit moves the control points too far to be used unseen; "
    "look at the overlay",
)
NOT_BEYOND_CHANCE = Reason(
    code="whole_earth",
    text="of all the places on Earth that were tried, some other may fit as well by chance; time "
    "and orbit, or --bbox, would tell",
)


def register_blind(
    frame: Frame,
    light_map: LightMap,
    index: EarthIndex,
    parameters: RegisterParams,
    limits: BlindLimits,
) -> FrameResult:
    """Find out where on Earth a photo was taken.

    Parameters
    ----------
    frame : Frame
        The photo; of what is known of it only its lens counts.
    light_map : LightMap
        Night-light map.
    index : EarthIndex
        Of that map.
    parameters : RegisterParams
        User's decisions; the search may take longer than others by `options.TIMES_AS_LONG`.
    limits : BlindLimits
        What narrows it.

    Returns
    -------
    FrameResult
        As of any other search; the source of its nadir is ``lights``.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    LightMapError
        If the map cannot be read.
    """
    return blind_result(search_blind(frame, light_map, index, parameters, limits))


def blind_result(search: Search) -> FrameResult:
    """The result of a blind search that has ended; see `register_blind`."""
    frame, info = search.frame, search.light_map.info
    if search.futile is not None:
        return no_match_result(frame, None, info, search.futile)
    if search.best is None:
        return no_match_result(frame, None, info, NOWHERE, *unfinished(search))
    result = proposal_result(search)
    if result.verdict == "no_match":
        return replace(result, reasons=(NOWHERE, *result.reasons))
    if result.verdict == "accepted" and not beyond_chance(search.best.evidence):
        result = replace(result, verdict="review", reasons=(NOT_BEYOND_CHANCE,))
    return with_spread(result, search.best)


def with_spread(result: FrameResult, best: Verified) -> FrameResult:
    """A proposal with control points as sure as the lights leave them, accepted if they are."""
    loose = points_without_lights(result.control_points, best.solution, best.camera)
    if loose is not None:
        result = replace(result, control_points=loose.points)
    if result.verdict != "accepted":
        return result
    # Of the fit that was kept: one whose told lens did not fit was set free, and is as unsure
    guessed = guessed_lens(best.solution.finalist)
    most = MOST_BEYOND if guessed else MOST_BEYOND_TOLD
    if loose is None or loose.chance_beyond(best.camera) > most:
        reason = GUESSED_LENS if guessed else LOOSE_FIT
        return replace(result, verdict="review", reasons=(reason,))
    if guessed and not measured(best.camera):
        return replace(result, verdict="review", reasons=(GUESSED_LENS,))
    return result


def beyond_chance(evidence: Evidence) -> bool:
    """Whether lights alone say that it is this place of all those on Earth that were tried.

    A lead over the other cameras tells the place where there are few; here there are billions, of
    which a dozen were looked at. Towns, patches or picture must have odds above all of them.
    """
    return max(evidence.log10_odds, evidence.picture_log10_odds) >= CLEAR_PICTURE_LOG10_ODDS
