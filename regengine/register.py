"""The main job for one frame, step by step as the methods page tells it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from regengine.confidence import ACCEPT_PROBABILITY
from regengine.frame import Frame
from regengine.image import read_linear_light
from regengine.light_windows import HasWindows, ground_sample_km
from regengine.lights.map import LightMap
from regengine.looks import plan
from regengine.orbit import CameraPosition
from regengine.outcome import no_match_result, proposal_result
from regengine.photo_camera import fine_px, lights_of_photo, nominal_camera, nothing_to_register
from regengine.result import FrameResult, Reason
from regengine.search import SearchState, is_proof, last_chance, search_one
from regengine.search_window import SearchWindow
from regengine.track import tracks_for

# The rest of a frame's time is kept for the last proof
SHARE_FOR_LOOKS = 0.88


@dataclass(frozen=True, kw_only=True)
class RegisterParams:
    """What the user decides about a registration.

    Attributes
    ----------
    clock_window_s : float
        The camera's clock is at most this wrong.
    max_seconds : float
        The search ends after this long with the best it has.
    any_category : bool
        Try frames that do not look like night cities, too.
    accept_probability : float
        Acceptance threshold.
    seed : int
        Kept with the result; the search itself draws no random numbers.
    """

    clock_window_s: float = 120.0
    max_seconds: float = 15.0
    any_category: bool = False
    accept_probability: float = ACCEPT_PROBABILITY
    seed: int = 0


def register_frame(
    frame: Frame,
    position: CameraPosition,
    light_map: LightMap,
    parameters: RegisterParams | None = None,
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
    state = search_frame(frame, position, light_map, parameters)
    if state.nothing is not None:
        return no_match_result(frame, position, light_map.info, state.nothing)
    return proposal_result(frame, position, light_map.info, state, parameters.accept_probability)


def search_frame(
    frame: Frame, position: CameraPosition, light_map: HasWindows, parameters: RegisterParams
) -> SearchState:
    """Search until something is proven, everything was tried, or the time is over.

    Parameters
    ----------
    frame, position, light_map, parameters
        As in `register_frame`.

    Returns
    -------
    SearchState
        What was found, with its evidence.
    """
    state = SearchState()
    deadline = time.perf_counter() + SHARE_FOR_LOOKS * parameters.max_seconds
    stored, focal_known = nominal_camera(frame, position)
    light = read_linear_light(frame.path, max_long_side_px=fine_px(stored, position.altitude_km))
    state.nothing = nothing_to_register(light, parameters.any_category)
    if state.nothing is not None:
        return state
    lights = lights_of_photo(light, ground_sample_km(stored) / light.factor)
    tracks = tracks_for(position, parameters.clock_window_s)
    looks = plan(stored, tracks, position.altitude_km, focal_known, frame.may_be_cropped)
    window = SearchWindow(light_map, position.altitude_km)
    for look in looks:
        if time.perf_counter() > deadline:
            state.exhausted = False
            break
        search_one(look, lights, stored, window, light_map, state)
        if state.best is not None and is_proof(state.best.evidence):
            break
    if not state.covered and not state.exhausted:
        text = "time ran out before anything was tried; raise --max-seconds"
        state.nothing = Reason(code="search_budget", text=text)
    elif not state.covered:
        state.nothing = Reason(
            code="outside_map",
            text="the night-light map does not cover the ground that this frame can show; "
            "give one that does",
        )
    last_chance(lights, stored, light_map, state)
    return state
