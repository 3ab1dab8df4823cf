"""The search from a person's rough placement: aligned from there, judged as any other proposal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from matchers.camera import Camera
from regengine.candidates import Candidate, Look, merged
from regengine.frame import Frame, read_frame
from regengine.hypotheses import PhotoLights, aligned_candidates
from regengine.image import brought_down, read_linear_light
from regengine.light_windows import HasWindows, ground_sample_km
from regengine.orbit import CameraPosition
from regengine.outcome import no_match_result, proposal_result
from regengine.photo_camera import fine_px, lights_of_photo, limb_of_photo, nominal_camera, read_px
from regengine.pipeline import RunInputs
from regengine.register import RegisterParams, why_nothing
from regengine.result import FrameResult
from regengine.rough_start import rough_look, rough_position, rough_starts, rough_sweep
from regengine.search import SearchState, prove_best, search_one, search_sweep
from regengine.search_window import SearchWindow


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
    """Align the rough camera and those around it, then look along the limb and all around.

    Parameters
    ----------
    rough, frame, position
        See `regengine.rough_start`.
    light_map : HasWindows
        The map.
    parameters : RegisterParams
        Their time ends the looks all around.

    Returns
    -------
    SearchState
    """
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
    """The rough camera and those around it, aligned on one of the photo's light images.

    Returns
    -------
    list of Candidate
        Distinct, best first.
    """
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
