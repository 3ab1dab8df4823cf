"""The blind search: proposals from all over the Earth, proven as those of any other search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.light_grid import LightGrid
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.photo.frame import Frame
from regengine.registration.blind.index import EarthIndex
from regengine.registration.blind.options import TIMES_AS_LONG, BlindLimits
from regengine.registration.blind.propose_asterisms import ALTITUDE_KM, Attempt, Proposal
from regengine.registration.blind.schedule import attempts
from regengine.registration.blind.town_fit import fitted_to_towns
from regengine.registration.candidates import (
    SAME_SHARE,
    Candidate,
    CoarseView,
    Look,
    merged,
    same_view,
    unmirrored,
)
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL, Scale
from regengine.registration.map_window import (
    LEAST_SAMPLE_KM,
    HasOverview,
    HasWindows,
    dense_parameters,
    footprint_window,
)
from regengine.registration.preparation import prepare
from regengine.registration.register import RegisterParams, weigh
from regengine.registration.search import Proposals, Search
from regengine.registration.search_order import look_at
from regengine.registration.tracks import tracks_for

SOURCE = "lights"
# A tilt between those that are tried moves the nadir as much, and the fit must be free to
SIGMA_KM = (60.0, 60.0, 25.0)
# Proposals with such odds are looked at before anything else is tried; the best wrong ones of ten
# photos had 1.6. Only the order of the work depends on it
WORTH_VERIFYING_LOG10_ODDS = 2.0
# with their rivals, against which their lead is measured
ALIGNED_AT_ONCE = 6
ALIGNED_AT_LAST = 12
# A tilt that is not quite right is made up for by the height
SPARE_KM = 25.0
# Views of the lit Earth that differ, 10 million km2 in pictures of 64 pixels of 5 km, 60 turns, 265
# tilts, 8 scales, both hands, are so many times those that one look tries; see `log10_tried`
LOOKS = 105_000


Waiting = list[tuple[Proposal, Attempt]]


def search_blind(
    frame: Frame,
    light_map: HasOverview,
    index: EarthIndex,
    parameters: RegisterParams,
    limits: BlindLimits,
) -> Search:
    """Search the whole Earth for a photo.

    Parameters
    ----------
    frame : Frame
        The photo; its time and nadir are not looked at.
    light_map : HasOverview
        The map.
    index : EarthIndex
        Made of it.
    parameters : RegisterParams
        User's decisions; the search ends after `TIMES_AS_LONG` their seconds.
    limits : BlindLimits
        What narrows the search.

    Returns
    -------
    Search
        As any other; its position is that of the best camera, or over the Gulf of Guinea where
        there is none.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    LightMapError
        If the map cannot be read.
    """
    nowhere = position_from_nadir(0.0, 0.0, ALTITUDE_KM, SOURCE, sigma_km=SIGMA_KM)
    search = prepare(frame, nowhere, light_map, parameters)
    search.looks_taken, search.covered = LOOKS, True
    if search.futile is None:
        for proposals in proposed(search, index, limits):
            weigh(search, proposals)
    if search.best is not None:
        search.position = position_of(search.best.camera)
    return search


def proposed(search: Search, index: EarthIndex, limits: BlindLimits) -> Iterator[Proposals]:
    """What the attempts propose, as far as it is worth a closer look, until something is proven."""
    waiting: Waiting = []
    seen: dict[int, Proposal] = {}
    for tried in attempts(search, index):
        found = [(p, tried) for p in tried.proposals if allowed(p, limits)]
        if tried.looked_at:
            # Odds of light and of figures do not compare: neither may crowd out the other
            closer = distinct(found)[: tried.looked_at] + waiting[: tried.looked_at]
            yield from look_closer(search, closer, seen)
        else:
            waiting = distinct(waiting + found)
            if (
                waiting
                and waiting[0][1] is tried
                and waiting[0][0].log10_odds >= WORTH_VERIFYING_LOG10_ODDS
            ):
                yield from look_closer(search, waiting[:ALIGNED_AT_ONCE], seen)
        if search.conclusive:
            return
        if search.expired(TIMES_AS_LONG):
            search.exhausted = False
            break
    yield from look_closer(search, waiting[:ALIGNED_AT_LAST], seen)


def allowed(proposal: Proposal, limits: BlindLimits) -> bool:
    """Whether a proposed camera is where it may have been."""
    low_km, high_km = limits.altitude_km
    return low_km - SPARE_KM <= position_of(proposal.camera).altitude_km <= high_km + SPARE_KM


def distinct(waiting: Waiting) -> Waiting:
    """The likeliest proposals, each view once, as many as will be aligned at last."""
    kept: Waiting = []
    for proposal, tried in sorted(waiting, key=lambda w: -w[0].log10_odds):
        if len(kept) == ALIGNED_AT_LAST:
            break
        if not any(same_view(proposal.camera, other.camera, 2.0 * SAME_SHARE) for other, _ in kept):
            kept.append((proposal, tried))
    return kept


def look_closer(search: Search, chosen: Waiting, seen: dict[int, Proposal]) -> Iterator[Proposals]:
    """Align those that were not seen before, and have the best of all verified."""
    for proposal, tried in chosen:
        if id(proposal) not in seen:
            seen[id(proposal)] = proposal
            yield Proposals(aligned(search, proposal, tried), verified="later")
    yield Proposals([], verified="now")


def position_of(camera: Camera) -> CameraPosition:
    """Where a camera is, as the position that a search starts from."""
    lon, lat, height_m = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    return position_from_nadir(lon, lat, height_m / 1e3, SOURCE, sigma_km=SIGMA_KM)


def aligned(search: Search, proposal: Proposal, tried: Attempt) -> list[Candidate]:
    """A proposed camera as its towns have it, and as it correlates best with the small picture.

    Towards the limb, clouds and what is missing from the map lead the correlation astray.
    """
    stored = search.stored
    camera, look = proposal.camera, look_from(proposal.camera, stored, tried, proposal.hazy)
    if proposal.pairs is not None:
        camera = fitted_to_towns(camera, proposal.pairs, look.prior)
        look = look_from(camera, stored, tried, proposal.hazy)
    parameters = dense_parameters(stored, look, position_of(camera).altitude_km)
    levels = seen_map(search.light_map, camera, parameters.template_px)
    if levels is None:
        return []
    picture = search.lights.of(look.hazy).resized(
        parameters.template_px, parameters.smooth_px, parameters.detail_px
    )
    view = CoarseView(
        stored=stored,
        picture=unmirrored(picture, look.mirrored),
        levels=levels,
        parameters=parameters,
    )
    start = [view.camera(camera)]
    moved = view.aligned(start, [look])
    if proposal.pairs is None:
        return moved
    return merged(moved, view.aligned(start, [look], iterations=0))


def look_from(camera: Camera, stored: Camera, tried: Attempt, hazy: bool) -> Look:
    """What a proposed camera amounts to as a look of the ordinary search."""
    position = position_of(camera)
    lens = Scale(
        ratio=camera.focal_px / stored.focal_px,
        sigma_log_focal=tried.sigma_log_focal,
        # A lens that had to be guessed may be that of a crop, whose axis is anywhere
        cropped=tried.sigma_log_focal > SIGMA_LOG_FOCAL,
    )
    look = look_at(
        tracks_for(position, None)[0],
        0.0,
        SIGMA_KM[0],
        stored,
        lens,
    )
    along_m, across_m, up_m = (1e3 * sigma for sigma in SIGMA_KM)
    prior = replace(look.prior, sigma_along_m=along_m, sigma_across_m=across_m, sigma_up_m=up_m)
    return replace(
        look,
        prior=prior,
        mirrored=tried.mirrored,
        hazy=hazy,
        flat=False,
        off_nadir_deg=(0.0, float(np.clip(camera.off_nadir_deg + 10.0, 0.0, 90.0))),
    )


# Alignment moves a camera by 60 km (one sigma of its place), and its sight with it
MARGIN_KM = 150.0
# Pixels of the picture that is aligned to one of the map
FINER = 1.5


def seen_map(
    light_map: HasWindows, camera: Camera, long_side_px: int
) -> tuple[LightGrid, ...] | None:
    """Map pyramid of what a proposed camera sees.

    All that could be seen from its place through a long lens, out to the horizon at the pixels of
    the map, took 1.5 GB and two seconds a camera.
    """
    _, _, height_m = ecef_to_geodetic(camera.position_ecef_m)
    field_km = float(height_m) / 1e3 / camera.focal_px * max(camera.width_px, camera.height_px)
    step_km = max(field_km / long_side_px / FINER, LEAST_SAMPLE_KM)
    return footprint_window(light_map, camera, MARGIN_KM, step_km)
