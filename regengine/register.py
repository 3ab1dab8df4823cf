"""The main job for one frame, step by step as the methods page tells it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from detectors.background import diffuse_background, hot_pixels
from matchers.camera import Camera
from matchers.photo_light import LightImage, light_image
from matchers.refine import RefineParameters
from regengine.confidence import ACCEPT_PROBABILITY
from regengine.evidence import (
    Evidence,
    agreeing_patches,
    coarse_z,
    finalist_log10_odds,
    held_out,
    log10_tried,
    towns_proof,
)
from regengine.finalists import Finalist, Solution, back_to_stored, compare_finalists, solve
from regengine.frame import Frame
from regengine.hypotheses import SAME_SHARE, Candidate, Look, distinct, take_look
from regengine.image import LinearLight, read_linear_light
from regengine.light_windows import HasWindows, ground_sample_km
from regengine.lights.map import LightMap
from regengine.looks import USUAL_LENSES_MM, plan
from regengine.orbit import CameraPosition
from regengine.outcome import no_match_result, proposal_result
from regengine.result import FrameResult, Reason
from regengine.search_window import SearchWindow
from regengine.track import tracks_for

# The photo's finest light image: pixels of a third of a kilometre below, so that light is averaged
# to about the map's pixels *before* it is compressed, as the map's own was
FINE_SAMPLE_KM = 0.33
FINE_LIMITS_PX = (96, 1200)
# Diffuse light is what is broader than the largest towns
DIFFUSE_KM = 60.0
LEAST_DIFFUSE_PX = 16.0
DARKEST_QUANTILE = 0.01
DAY_LIGHT = 0.18  # median linear luminance of a frame exposed for daylight (mid grey)
# Coarse correlation that stands out this far is worth a full proof before the search goes on
Z_WORTH_PROVING = 4.5
LEAST_GAIN = 0.02  # in correlation over the candidate that was proven last
# A proof this strong ends the search
PROVEN_LOG10_ODDS = 9.0  # astrometry.net accepts at odds of 1e9
PROVEN_MARGIN = 0.12


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


@dataclass(kw_only=True)
class SearchState:
    """What the search has found so far."""

    candidates: list[Candidate] = field(default_factory=list)
    looks: int = 0
    best: Proven | None = None
    proven_ncc: float = 0.0
    exhausted: bool = True
    covered: bool = False


@dataclass(frozen=True, kw_only=True)
class Proven:
    """A solution with its evidence and the finalists that it was chosen from."""

    solution: Solution
    camera: Camera
    evidence: Evidence
    finalists: tuple[Finalist, ...]
    met_towns: np.ndarray
    view: np.ndarray


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
    started = time.perf_counter()
    info = light_map.info
    stored, focal_known = nominal_camera(frame, position)
    light = read_linear_light(frame.path, max_long_side_px=fine_px(stored, position.altitude_km))
    nothing = nothing_to_register(light, parameters)
    if nothing is not None:
        return no_match_result(frame, position, info, nothing)
    fine = lights_of_photo(light, ground_sample_km(stored) / light.factor)
    tracks = tracks_for(position, parameters.clock_window_s)
    looks = plan(stored, tracks, position.altitude_km, focal_known, frame.may_be_cropped)
    state = SearchState()
    window = SearchWindow(light_map, position.altitude_km)
    deadline = started + parameters.max_seconds
    for look in looks:
        if time.perf_counter() > deadline:
            state.exhausted = False
            break
        search_one(look, fine, stored, window, light_map, state)
        if state.best is not None and is_proof(state.best.evidence):
            break
    if not state.covered:
        reason = Reason(
            code="outside_map",
            text="the night-light map does not cover the ground that this frame can show; "
            "give one that does",
        )
        return no_match_result(frame, position, info, reason)
    last_chance(fine, stored, light_map, state)
    return proposal_result(frame, position, info, state, parameters)


def nothing_to_register(light: LinearLight, parameters: RegisterParams) -> Reason | None:
    """Why a photo need not be searched for cities at all; None where it must."""
    middle = float(np.median(light.light[::4, ::4]))
    if middle > DAY_LIGHT and not parameters.any_category:
        return Reason(
            code="not_a_night_city_frame",
            text=f"the frame is bright all over (median linear light {middle:.2f}), not a night "
            "frame; use --any-category to try it all the same",
        )
    return None


def fine_px(stored: Camera, altitude_km: float) -> int:
    """Long side of the photo's finest light image."""
    longest = max(stored.width_px, stored.height_px)
    return int(np.clip(longest / stored.focal_px * altitude_km / FINE_SAMPLE_KM, *FINE_LIMITS_PX))


def lights_of_photo(light: LinearLight, sample_km: float) -> LightImage:
    """Step 1: the photo's city light without diffuse light and hot pixels.

    Parameters
    ----------
    light : LinearLight
        Linear light at the finest scale.
    sample_km : float
        Size of its pixels on the ground below.

    Returns
    -------
    LightImage
    """
    scale_px = max(LEAST_DIFFUSE_PX, DIFFUSE_KM / sample_km)
    hot = hot_pixels(light.light)
    weight = np.ones_like(light.light)
    if scale_px > 0.5 * max(light.light.shape):
        # A telephoto frame may be city all over: nothing in it is known to be diffuse but what
        # its darkest places have; its pixels are means of hundreds, without noise
        darkest = np.float32(np.quantile(light.light, DARKEST_QUANTILE))
        level, noise = np.full_like(light.light, darkest), np.zeros_like(light.light)
    else:
        background = diffuse_background(light.light, scale_px=scale_px, mask=hot)
        level, noise = background.level, background.noise
    cleaned = np.where(hot, level, light.light).astype(np.float32)
    return light_image(cleaned, level, noise, weight, light.factor)


def nominal_camera(frame: Frame, position: CameraPosition) -> tuple[Camera, bool]:
    """Camera of the stored image as the metadata has it, and whether its focal length is known."""
    longest = max(frame.width_px, frame.height_px)
    pitch_um = frame.pixel_pitch_um or 36_000.0 / longest  # full-frame sensor, 36 mm
    focal_mm = frame.focal_mm or USUAL_LENSES_MM[0]
    x, y, z = position.position_ecef_m.tolist()
    camera = Camera(
        width_px=frame.width_px,
        height_px=frame.height_px,
        focal_px=1e3 * focal_mm / pitch_um,
        principal_point=((frame.width_px - 1) / 2.0, (frame.height_px - 1) / 2.0),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(x, y, z),
    )
    return camera, frame.focal_mm is not None


def search_one(
    look: Look,
    fine: LightImage,
    stored: Camera,
    window: SearchWindow,
    light_map: HasWindows,
    state: SearchState,
) -> None:
    """Steps 3 and 4 for one look, and steps 5 and 6 where it stands out."""
    dense = window.parameters_for(stored, look)
    coarse = fine.resized(dense.template_px, detail_px=dense.detail_px)
    levels = window.levels(stored, look, dense)
    state.looks += 1
    if levels is None:
        return
    state.covered = True
    found = take_look(levels, coarse, stored, look, dense)
    state.candidates += found
    if not found or found[0].ncc < state.proven_ncc + LEAST_GAIN:
        return
    if standing_out(state.candidates) >= Z_WORTH_PROVING:
        prove_best(fine, stored, light_map, state)


def standing_out(candidates: Sequence[Candidate]) -> float:
    """Robust z of the best candidate among the distinct ones."""
    return coarse_z([c.ncc for c in distinct(candidates, 60, SAME_SHARE)])


def prove_best(fine: LightImage, stored: Camera, light_map: HasWindows, state: SearchState) -> None:
    """Steps 5 and 6: align the finalists, fit the best, weigh the evidence; keep the better."""
    state.proven_ncc = max(c.ncc for c in state.candidates)
    finalists = compare_finalists(light_map, fine, stored, state.candidates)
    if not finalists:
        return
    refine_parameters = RefineParameters()
    solution = solve(light_map, fine, finalists[0], refine_parameters)
    if solution is None:
        return
    proof, photo_towns, view = towns_proof(solution.image, solution.camera, solution.levels)
    tried = log10_tried(state.looks)
    rival = finalists[1] if len(finalists) > 1 else None
    left_out = held_out(solution, refine_parameters)
    evidence = Evidence(
        ncc=finalists[0].ncc,
        runner_up_ncc=rival.ncc if rival else 0.0,
        coarse_z=standing_out(state.candidates),
        town_log10_odds=proof.log10_odds - tried,
        patch_log10_odds=left_out.log10_odds - tried,
        runner_up_log10_odds=(
            finalist_log10_odds(light_map, fine, rival) - tried if rival else -tried
        ),
        towns=proof.towns,
        met_towns=proof.met,
        patches=agreeing_patches(solution.refinement),
        residual_px=solution.refinement.rms_px,
        held_out_residual_px=left_out.residual_px,
    )
    if state.best is None or evidence.log10_odds >= state.best.evidence.log10_odds:
        state.best = Proven(
            solution=solution,
            camera=back_to_stored(solution.camera, stored),
            evidence=evidence,
            finalists=tuple(finalists),
            met_towns=photo_towns.positions[proof.met_towns],
            view=view,
        )


def is_proof(evidence: Evidence) -> bool:
    """Whether the evidence is so strong that searching on is pointless."""
    return evidence.log10_odds >= PROVEN_LOG10_ODDS and evidence.margin >= PROVEN_MARGIN


def last_chance(
    fine: LightImage, stored: Camera, light_map: HasWindows, state: SearchState
) -> None:
    """At the end of the search, prove the best candidate even if it never stood out."""
    if state.candidates and (state.best is None or not is_proof(state.best.evidence)):
        prove_best(fine, stored, light_map, state)
