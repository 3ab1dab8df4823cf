"""The main job for one frame, step by step as the methods page tells it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from regengine.lights.map import LightMap
from regengine.orbit.propagation import CameraPosition
from regengine.photo.frame import Frame
from regengine.photo.image import brought_down, read_linear_light
from regengine.registration.acceptance import default_accept_probability
from regengine.registration.candidates import Look
from regengine.registration.limb_stars import SkyReader, SkyView
from regengine.registration.lit_ground_prior import lit_ground
from regengine.registration.map_window import HasOverview, SearchWindow, ground_sample_km
from regengine.registration.outcome import no_match_result, proposal_result
from regengine.registration.preparation import (
    fine_px,
    lights_of_photo,
    limb_of_photo,
    nominal_camera,
    nothing_to_register,
    read_px,
)
from regengine.registration.propose_limb import plan_sweeps
from regengine.registration.propose_neighbours import Hints, hinted_place, promising, search_hinted
from regengine.registration.propose_stars import search_stars
from regengine.registration.search import SearchState, last_chance, search_one, search_sweep
from regengine.registration.search_order import plan
from regengine.registration.tracks import tracks_for
from regengine.result import FrameResult, Reason
from regengine.sky.stars.attitude import StarAttitude

Method = Literal["limb", "sparse", "dense"]
METHODS: tuple[Method, ...] = ("limb", "sparse", "dense")
# The rest of a frame's time is kept for the last proof
SHARE_FOR_LOOKS = 0.88
# Stars above the limb leave a search of some seconds; this share of the time is given to it
SHARE_FOR_STARS = 0.3
# Where the limb is seen, the sweeps along it come first, and may take this share
SHARE_FOR_SWEEPS = 0.5


@dataclass(frozen=True, kw_only=True)
class RegisterParams:
    """What the user decides about a registration.

    Attributes
    ----------
    clock_window_s : float or None
        The camera's clock is at most this wrong; None believes two minutes, and tries ten and
        whole hours where that leads nowhere.
    max_seconds : float
        The search ends after so much processor time with the best it has.
    any_category : bool
        Try frames that do not look like night cities, too.
    accept_probability : float
        Acceptance threshold.
    seed : int
        Kept with the result; the search itself draws no random numbers.
    methods : tuple of str
        What may propose cameras: "limb" (sweeps), "sparse" (figures of towns), "dense" (pictures).
    clock : callable
        Tells the seconds that ``max_seconds`` is held against: of this thread's work, so that a
        busy machine finds what an idle one does.
    """

    clock_window_s: float | None = None
    max_seconds: float = 15.0
    any_category: bool = False
    accept_probability: float = field(default_factory=default_accept_probability)
    seed: int = 0
    methods: tuple[Method, ...] = METHODS
    clock: Callable[[], float] = time.thread_time


def register_frame(
    frame: Frame,
    position: CameraPosition,
    light_map: LightMap,
    parameters: RegisterParams | None = None,
    hints: Hints | None = None,
    sky: SkyReader | None = None,
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
    hints : Hints, optional
        What other frames of the batch tell of this one: where the search looks first.
    sky : SkyReader, optional
        Reads the attitude off the stars above a photo's limb; without it they are left aside.

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
    state = search_frame(frame, position, light_map, parameters, hints, sky)
    if state.nothing is not None:
        return no_match_result(frame, position, light_map.info, state.nothing)
    result = proposal_result(frame, position, light_map.info, state, parameters.accept_probability)
    return result if state.attitude is None else with_attitude_source(result, state.attitude)


def with_attitude_source(result: FrameResult, attitude: StarAttitude) -> FrameResult:
    """A result whose sources tell that stars gave the attitude."""
    sources = {**dict(result.sources), "attitude": f"{attitude.stars} stars"}
    return replace(result, sources=tuple(sorted(sources.items())))


def search_frame(
    frame: Frame,
    position: CameraPosition,
    light_map: HasOverview,
    parameters: RegisterParams,
    hints: Hints | None = None,
    sky: SkyReader | None = None,
) -> SearchState:
    """Search until something is proven, everything was tried, or the time is over.

    Parameters
    ----------
    frame, position, light_map, parameters, hints, sky
        As in `register_frame`.

    Returns
    -------
    SearchState
        What was found, with its evidence.
    """
    state = SearchState()
    started = parameters.clock()
    deadline = started + SHARE_FOR_LOOKS * parameters.max_seconds

    def expired(moment: float) -> bool:
        return parameters.clock() > moment

    stored, focal_known = nominal_camera(frame, position)
    altitude_km = position.altitude_km
    finest = read_linear_light(
        frame.path, max_long_side_px=read_px(stored, altitude_km, focal_known)
    )
    light = brought_down(finest, fine_px(stored, altitude_km))
    state.nothing = nothing_to_register(light, parameters.any_category)
    if state.nothing is not None:
        return state
    limb = limb_of_photo(light, stored, focal_known, altitude_km)
    lights = lights_of_photo(light, ground_sample_km(stored) / light.factor, limb, finest)
    tracks = tracks_for(position, parameters.clock_window_s, lit_ground(light_map))
    window = SearchWindow(light_map, altitude_km)
    hinted = None
    if hints is not None and position.velocity_ecef_m_s is not None:
        hinted = hinted_place(hints, tracks)
    if hinted is not None:
        over = partial(expired, deadline)
        search_hinted(hinted, limb, lights, stored, window, light_map, state, over)
    if hints is not None and hints.beat is not None and not promising(state):
        return state  # all the rest was tried before
    if limb is not None and sky is not None and not state.proven:
        state.attitude = sky(
            SkyView(
                frame=frame,
                limb=limb,
                stored=stored,
                focal_known=focal_known,
                altitude_km=altitude_km,
                tracks=tracks,
            )
        )
    if limb is not None and state.attitude is not None:
        over = partial(expired, started + SHARE_FOR_STARS * parameters.max_seconds)
        search_stars(state.attitude, tracks, limb, lights, stored, window, light_map, state, over)
    if limb is not None and "limb" in parameters.methods:
        lens = replace(stored, focal_px=limb.focal_px / light.factor)
        until = started + SHARE_FOR_SWEEPS * parameters.max_seconds
        for sweep in plan_sweeps(tracks, limb, focal_known):
            if expired(until) or state.proven:
                break
            search_sweep(
                sweep, limb, lights, lens, window, light_map, state, partial(expired, until)
            )
    looks: Iterable[Look] = ()
    if not state.proven:
        cropped = frame.may_be_cropped
        looks = plan(stored, tracks, altitude_km, focal_known, cropped)
    for look in looks:
        if ("sparse" if look.sparse else "dense") not in parameters.methods:
            continue
        if state.proven:
            break
        if expired(deadline):
            state.exhausted = False
            break
        search_one(look, lights, stored, window, light_map, state)
    if not state.covered:
        state.nothing = why_nothing(state)
    last_chance(lights, stored, light_map, state)
    return state


def why_nothing(state: SearchState) -> Reason:
    """Why a search has seen nothing of the map."""
    if not state.exhausted:
        text = "time ran out before anything was tried; raise --max-seconds"
        return Reason(code="search_budget", text=text)
    if state.looks == 0:
        text = (
            "by its time the photo was taken by day wherever the camera may have been; correct "
            "the time, or widen --clock-window"
        )
        return Reason(code="clock_suspect", text=text)
    return Reason(
        code="outside_map",
        text="the night-light map does not cover the ground that this frame can show; give one "
        "that does",
    )
