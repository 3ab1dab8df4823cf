"""The search from a person's rough placement: aligned from there, judged as any other proposal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.pose import turned
from regengine.errors import EphemerisError
from regengine.orbit.position import choose_position
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame, read_frame
from regengine.photo.image import brought_down, read_linear_light
from regengine.pipeline import RunInputs
from regengine.registration.candidates import Candidate, Look, merged
from regengine.registration.map_window import HasWindows, SearchWindow, ground_sample_km
from regengine.registration.outcome import no_match_result, proposal_result
from regengine.registration.preparation import (
    fine_px,
    lights_of_photo,
    limb_of_photo,
    nominal_camera,
    read_px,
)
from regengine.registration.propose_dense import PhotoLights, aligned_candidates
from regengine.registration.propose_limb import STEP_KM, Sweep
from regengine.registration.register import RegisterParams, why_nothing
from regengine.registration.search import SearchState, prove_best, search_one, search_sweep
from regengine.registration.search_order import look_at
from regengine.registration.tracks import Track, tracks_for
from regengine.result import FrameResult

# What a person's rough placement of a photo tells a search: where it was taken, and whither.

# A nadir set by hand, or moved with the clock: along the track, across it, in height
SIGMA_KM = (50.0, 15.0, 10.0)
# How wrong the placed focal length may be: it was set by eye
SIGMA_LOG_FOCAL = 0.06
# A picture laid on the map by eye lies by so much beside itself: shares of its long side, degrees
SHIFTS = (0.0, -0.07, 0.07)
TURNS_DEG = (0.0, -5.0, 5.0)
SWEPT_KM = (0.0, -STEP_KM, STEP_KM)


def rough_position(rough: Camera, frame: Frame, tles: TleSet | None) -> CameraPosition:
    """The position of a rough camera, with the direction of flight where an orbit tells it."""
    lon, lat, height_m = (float(v) for v in ecef_to_geodetic(rough.position_ecef_m))
    placed = position_from_nadir(
        lon, lat, height_m / 1e3, "option", time_utc=frame.time_utc, sigma_km=SIGMA_KM
    )
    try:
        known = choose_position(frame, tles)
    except EphemerisError:
        return placed
    return replace(placed, velocity_ecef_m_s=known.velocity_ecef_m_s)


def rough_track(position: CameraPosition) -> Track:
    """The track through a rough camera's place; any direction serves where none is known."""
    return tracks_for(position, None)[0]


def rough_sweep(rough: Camera, position: CameraPosition, scale: float) -> Sweep:
    """A sweep along the limb from around a rough camera's place."""
    return Sweep(
        track=rough_track(position),
        offsets_km=SWEPT_KM,
        scale=scale,
        sigma_log_focal=SIGMA_LOG_FOCAL,
        mirrored=rough.mirrored,
        hazy=False,
    )


def rough_look(rough: Camera, position: CameraPosition, stored: Camera) -> Look:
    """A look in all directions from where a rough camera is, with its lens."""
    look = look_at(
        rough_track(position),
        0.0,
        SIGMA_KM[0],
        stored,
        ratio=1.0,
        sigma_log_focal=SIGMA_LOG_FOCAL,
        cropped=False,
    )
    return replace(look, mirrored=rough.mirrored)


def rough_starts(rough: Camera) -> Iterator[Camera]:
    """The rough camera, and turned so that the picture lies a little beside and across itself."""
    aside_rad = max(rough.width_px, rough.height_px) / rough.focal_px
    for right, down, turn_deg in product(SHIFTS, SHIFTS, TURNS_DEG):
        yield turned(rough, (down * aside_rad, right * aside_rad, np.radians(turn_deg)))


def register_from(path: Path, rough: Camera, inputs: RunInputs) -> FrameResult:
    """Register one photo from where a person placed it.

    Parameters
    ----------
    path : Path
        The photo.
    rough : Camera
        For the stored image; off by up to a tenth of the picture and some degrees of turn.
    inputs : RunInputs
        What the run was given.

    Returns
    -------
    FrameResult
        With verdict and probability as of any other search.

    Raises
    ------
    FrameError
        If the photo cannot be read.
    EphemerisError
        If the camera is nowhere above the Earth.
    LightMapError
        If the map cannot be read, or does not hold the place.
    """
    light_map, tles, records = inputs.open()
    frame = read_frame(path, records=records, options=inputs.frame)
    position = rough_position(rough, frame, tles)
    state = search_from(rough, frame, position, light_map, inputs.register)
    if state.nothing is not None:
        return no_match_result(frame, position, light_map.info, state.nothing)
    accept = inputs.register.accept_probability
    return proposal_result(frame, position, light_map.info, state, accept)


def search_from(
    rough: Camera,
    frame: Frame,
    position: CameraPosition,
    light_map: HasWindows,
    parameters: RegisterParams,
) -> SearchState:
    """Align the rough camera and those around it, then look along the limb and all around."""
    state = SearchState()
    over_s = parameters.clock() + parameters.max_seconds

    def expired() -> bool:
        return state.proven or parameters.clock() > over_s

    nominal = nominal_camera(frame, position)[0]
    stored = replace(
        nominal,
        focal_px=rough.focal_px,
        principal_point=rough.principal_point,
        distortion=rough.distortion,
    )
    altitude_km = position.altitude_km
    finest = read_linear_light(frame.path, max_long_side_px=read_px(stored, altitude_km, True))
    light = brought_down(finest, fine_px(stored, altitude_km))
    limb = limb_of_photo(light, stored, True, altitude_km)
    lights = lights_of_photo(light, ground_sample_km(stored) / light.factor, limb, finest)
    window = SearchWindow(light_map, altitude_km)
    look = rough_look(rough, position, stored)
    for hazy in (False,) if look.flat else (False, True):
        found = aligned_around(rough, replace(look, hazy=hazy), lights, stored, window, state)
        state.candidates = merged(state.candidates, found)
    if state.candidates:
        prove_best(lights, stored, light_map, state)
    if limb is not None and not expired():
        lens = replace(stored, focal_px=limb.focal_px / light.factor)
        sweep = rough_sweep(rough, position, stored.focal_px / lens.focal_px)
        search_sweep(sweep, limb, lights, lens, window, light_map, state, expired)
    if not expired():
        search_one(look, lights, stored, window, light_map, state)
    if state.candidates and not state.proven:
        prove_best(lights, stored, light_map, state)
    if not state.covered:
        state.nothing = why_nothing(state)
    return state


def aligned_around(
    rough: Camera,
    look: Look,
    lights: PhotoLights,
    stored: Camera,
    window: SearchWindow,
    state: SearchState,
) -> list[Candidate]:
    """The rough camera and those around it, aligned on one of the photo's light images."""
    dense = window.parameters_for(stored, look)
    levels = window.levels(stored, look, dense)
    state.looks += 1
    if levels is None:
        return []
    state.covered = True
    coarse = lights.of(look.hazy, look.flat).resized(dense.template_px, detail_px=dense.detail_px)
    if look.mirrored:
        # The alignment itself knows no mirrors: it sees the picture as it would have been
        coarse = coarse.flipped()
    found: list[Candidate] = []
    for start in rough_starts(rough):
        camera = replace(coarse.camera(start), mirrored=False)
        # Each by itself: of several that are nearly the same view, the best counts, not the first
        found = merged(found, aligned_candidates(levels, coarse, [camera], stored, [look], dense))
    return found
