"""The blind search: proposals from all over the Earth, proven as those of any other search."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.light_grid import LightGrid
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.photo.frame import Frame
from regengine.photo.image import brought_down, read_linear_light
from regengine.registration.blind.index import EarthIndex
from regengine.registration.blind.options import BlindLimits
from regengine.registration.blind.propose_asterisms import ALTITUDE_KM, Attempt, Proposal
from regengine.registration.blind.schedule import attempts
from regengine.registration.blind.town_fit import fitted_to_towns
from regengine.registration.candidates import SAME_SHARE, Candidate, Look, merged, same_view
from regengine.registration.map_window import (
    LEAST_SAMPLE_KM,
    HasWindows,
    SearchWindow,
    footprint_window,
    ground_sample_km,
)
from regengine.registration.preparation import (
    SIGMA_LOG_FOCAL,
    fine_px,
    lights_of_photo,
    limb_of_photo,
    nominal_camera,
    nothing_to_register,
    read_px,
)
from regengine.registration.propose_dense import PhotoLights, aligned_candidates
from regengine.registration.register import RegisterParams
from regengine.registration.search import SearchState, prove_best
from regengine.registration.search_order import look_at
from regengine.registration.tracks import tracks_for

# The map where a proposed camera looks: that, and little more, is read to align it.

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


SOURCE = "lights"
# A tilt between those that are tried moves the nadir as much, and the fit must be free to
SIGMA_KM = (60.0, 60.0, 25.0)
# Proposals with such odds are looked at before anything else is tried; the best wrong ones of ten
# photos had 1.6. Only the order of the work depends on it
WORTH_PROVING_LOG10_ODDS = 2.0
# with their rivals, against which their lead is measured
ALIGNED_AT_ONCE = 6
ALIGNED_AT_LAST = 12
# A tilt that is not quite right is made up for by the height
SPARE_KM = 25.0
# Views of the lit Earth that differ, 10 million km2 in pictures of 64 pixels of 5 km, 60 turns, 265
# tilts, 8 scales, both hands, are so many times those that one look tries; see `log10_tried`
LOOKS = 105_000


@dataclass(frozen=True, kw_only=True, eq=False)
class BlindPhoto:
    """A photo as the blind search has it, what it is held against, and what was aligned."""

    lights: PhotoLights
    stored: Camera
    light_map: HasWindows
    seen: dict[int, Proposal] = field(default_factory=dict)


def search_blind(
    frame: Frame,
    light_map: HasWindows,
    index: EarthIndex,
    parameters: RegisterParams,
    limits: BlindLimits,
    times_as_long: float,
) -> tuple[SearchState, CameraPosition]:
    """Search the whole Earth for a photo.

    Parameters
    ----------
    frame : Frame
        The photo; its time and nadir are not looked at.
    light_map : HasWindows
        The map.
    index : EarthIndex
        Made of it.
    parameters : RegisterParams
        User's decisions.
    limits : BlindLimits
        What narrows the search.
    times_as_long : float
        It ends after so many times ``parameters.max_seconds``.

    Returns
    -------
    state : SearchState
        As of any other search.
    position : CameraPosition
        Where the best camera is, or over the Gulf of Guinea where there is none.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    LightMapError
        If the map cannot be read.
    """
    clock = parameters.clock
    over_s = clock() + times_as_long * parameters.max_seconds
    nowhere = position_from_nadir(0.0, 0.0, ALTITUDE_KM, SOURCE, sigma_km=SIGMA_KM)
    state = SearchState(looks=LOOKS, covered=True)
    stored, focal_known = nominal_camera(frame, nowhere)
    finest = read_linear_light(
        frame.path, max_long_side_px=read_px(stored, ALTITUDE_KM, focal_known)
    )
    light = brought_down(finest, fine_px(stored, ALTITUDE_KM))
    state.nothing = nothing_to_register(light, parameters.any_category)
    if state.nothing is not None:
        return state, nowhere
    limb = limb_of_photo(light, stored, focal_known, ALTITUDE_KM)
    lights = lights_of_photo(light, ground_sample_km(stored) / light.factor, limb, finest)
    photo = BlindPhoto(lights=lights, stored=stored, light_map=light_map)
    limb_focal_px = stored.focal_px if limb is None else limb.focal_px / light.factor
    waiting: list[tuple[Proposal, Attempt]] = []
    for tried in attempts(index, lights, stored, focal_known, limb, limb_focal_px):
        found = [(p, tried) for p in tried.proposals if allowed(p, limits)]
        if tried.looked_at:
            # Odds of light and of figures do not compare: neither may crowd out the other
            look_closer(
                photo, distinct(found)[: tried.looked_at] + waiting[: tried.looked_at], state
            )
        else:
            waiting = distinct(waiting + found)
            if (
                waiting
                and waiting[0][1] is tried
                and waiting[0][0].log10_odds >= WORTH_PROVING_LOG10_ODDS
            ):
                look_closer(photo, waiting[:ALIGNED_AT_ONCE], state)
        if state.proven:
            break
        if clock() > over_s:
            state.exhausted = False
            break
    if not state.proven:
        look_closer(photo, waiting[:ALIGNED_AT_LAST], state)
    best = None if state.best is None else state.best.camera
    return state, nowhere if best is None else position_of(best)


def allowed(proposal: Proposal, limits: BlindLimits) -> bool:
    """Whether a proposed camera is where it may have been."""
    low_km, high_km = limits.altitude_km
    return low_km - SPARE_KM <= position_of(proposal.camera).altitude_km <= high_km + SPARE_KM


def distinct(waiting: list[tuple[Proposal, Attempt]]) -> list[tuple[Proposal, Attempt]]:
    """The likeliest proposals, each view once, as many as will be aligned at last."""
    kept: list[tuple[Proposal, Attempt]] = []
    for proposal, tried in sorted(waiting, key=lambda w: -w[0].log10_odds):
        if len(kept) == ALIGNED_AT_LAST:
            break
        if not any(same_view(proposal.camera, other.camera, 2.0 * SAME_SHARE) for other, _ in kept):
            kept.append((proposal, tried))
    return kept


def look_closer(
    photo: BlindPhoto, proposals: list[tuple[Proposal, Attempt]], state: SearchState
) -> None:
    """Align proposals, and prove the best of all that were aligned."""
    for proposal, tried in proposals:
        if id(proposal) not in photo.seen:
            photo.seen[id(proposal)] = proposal
            state.candidates = merged(state.candidates, aligned(photo, proposal, tried))
    if state.candidates:
        prove_best(photo.lights, photo.stored, photo.light_map, state)


def position_of(camera: Camera) -> CameraPosition:
    """Where a camera is, as the position that a search starts from."""
    lon, lat, height_m = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    return position_from_nadir(lon, lat, height_m / 1e3, SOURCE, sigma_km=SIGMA_KM)


def aligned(photo: BlindPhoto, proposal: Proposal, tried: Attempt) -> list[Candidate]:
    """A proposed camera as its towns have it, and as it correlates best with the small picture.

    Towards the limb, clouds and what is missing from the map lead the correlation astray.
    """
    stored = photo.stored
    camera, look = proposal.camera, look_from(proposal.camera, stored, tried, proposal.hazy)
    if proposal.pairs is not None:
        camera = fitted_to_towns(camera, proposal.pairs, look.prior)
        look = look_from(camera, stored, tried, proposal.hazy)
    altitude_km = position_of(camera).altitude_km
    dense = SearchWindow(photo.light_map, altitude_km).parameters_for(stored, look)
    levels = seen_map(photo.light_map, camera, dense.template_px)
    if levels is None:
        return []
    picture = photo.lights.of(look.hazy).resized(
        dense.template_px, dense.smooth_px, dense.detail_px
    )
    if look.mirrored:
        # The alignment itself knows no mirrors: it sees the picture as it would have been
        picture = picture.flipped()
    start = [picture.camera(camera)]
    moved = aligned_candidates(levels, picture, start, stored, [look], dense)
    if proposal.pairs is None:
        return moved
    kept = aligned_candidates(levels, picture, start, stored, [look], dense, iterations=0)
    return merged(moved, kept)


def look_from(camera: Camera, stored: Camera, tried: Attempt, hazy: bool) -> Look:
    """What a proposed camera amounts to as a look of the ordinary search."""
    position = position_of(camera)
    look = look_at(
        tracks_for(position, None)[0],
        0.0,
        SIGMA_KM[0],
        stored,
        ratio=camera.focal_px / stored.focal_px,
        sigma_log_focal=tried.sigma_log_focal,
        # A lens that had to be guessed may be that of a crop, whose axis is anywhere
        cropped=tried.sigma_log_focal > SIGMA_LOG_FOCAL,
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
