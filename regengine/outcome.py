"""The result of a frame from what the search found: proposal, doubts, verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from matchers.camera import Camera
from matchers.footprint import corner_lonlat, diagonal_km
from matchers.pose import track_offsets_m
from regengine.confidence import decide, probability
from regengine.control_points import ground_jacobian, propose
from regengine.doubts import (
    chance_of_right_points,
    doubts_about,
    doubts_about_points,
    unfinished,
    unsure,
)
from regengine.finalists import Finalist
from regengine.frame import Frame
from regengine.orbit import CameraPosition
from regengine.result import (
    DetectedLights,
    Fit,
    FrameResult,
    Hypothesis,
    NadirInput,
    Reason,
    SolvedCamera,
    Verdict,
)

if TYPE_CHECKING:
    from regengine.lights.source import LightMapInfo
    from regengine.proven import Proven
    from regengine.search import SearchState


def plain_result(
    frame: Frame,
    position: CameraPosition | None,
    info: LightMapInfo,
    verdict: Verdict,
    probability: float | None,
    reasons: tuple[Reason, ...],
) -> FrameResult:
    """A result without a proposal: what is known of a frame, and the verdict.

    Parameters
    ----------
    frame : Frame
        The photo.
    position : CameraPosition or None
        Where the camera is believed to have been, if known.
    info : LightMapInfo
        The map.
    verdict, probability, reasons
        As in `FrameResult`.

    Returns
    -------
    FrameResult
    """
    return FrameResult(
        frame=frame.frame_id,
        path=str(frame.path),
        sha256=frame.sha256,
        verdict=verdict,
        probability=probability,
        reasons=reasons,
        width_px=frame.width_px,
        height_px=frame.height_px,
        orientation=frame.orientation,
        time_utc=None if frame.time_utc is None else iso_utc(frame.time_utc),
        camera_body=frame.camera_body,
        focal_mm=frame.focal_mm,
        pixel_pitch_um=frame.pixel_pitch_um,
        sources=tuple(sorted(frame.sources.items())),
        nadir=None if position is None else nadir_input(position),
        lights=info.product,
        engine_version=version("regengine"),
    )


def no_match_result(
    frame: Frame, position: CameraPosition | None, info: LightMapInfo, reason: Reason
) -> FrameResult:
    """The result of a frame for which there is no proposal."""
    return plain_result(frame, position, info, "no_match", None, (reason,))


def iso_utc(moment: datetime) -> str:
    """A time as the records spell it: ``2012-03-28T15:46:41Z``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def nadir_input(position: CameraPosition) -> NadirInput:
    """What the record says of the position that the search started from."""
    return NadirInput(
        lon=position.lon,
        lat=position.lat,
        altitude_km=position.altitude_km,
        source=position.source,
        tle_age_h=None if position.tle_age_h is None else abs(position.tle_age_h),
        sigma_along_km=position.sigma_along_km,
        sigma_cross_km=position.sigma_cross_km,
    )


def proposal_result(
    frame: Frame,
    position: CameraPosition | None,
    info: LightMapInfo,
    state: SearchState,
    accept_probability: float,
) -> FrameResult:
    """The result of a frame whose search has ended.

    Parameters
    ----------
    frame : Frame
        The photo.
    position : CameraPosition or None
        Where the search started from, if anywhere.
    info : LightMapInfo
        The map.
    state : SearchState
        What the search found.
    accept_probability : float
        Acceptance threshold.

    Returns
    -------
    FrameResult
        "accepted", "review" or "no_match".
    """
    if state.best is None:
        text = (
            "the map's lights fit nowhere better than by chance; the frame may show no city, or "
            "its time, nadir or focal length is far off"
        )
        reasons = (Reason(code="no_agreement", text=text), *unfinished(state))
        return plain_result(frame, position, info, "no_match", None, reasons)
    best = state.best
    points = propose(best.solution, best.camera, best.photo_towns.positions[best.met])
    p_right = probability(best.evidence) * chance_of_right_points(points, best.camera)
    doubts = (*doubts_about(best), *doubts_about_points(points, best.camera))
    verdict = decide(p_right, doubts, accept_probability)
    reasons = doubts
    if verdict != "accepted":
        reasons = doubts or (unsure(p_right, accept_probability),)
        reasons = (*reasons, *unfinished(state))
    result = plain_result(frame, position, info, verdict, p_right, reasons)
    if verdict == "no_match":
        return result
    return replace(
        result,
        solved=solved_camera(best.camera, best.finalists[0]),
        control_points=points,
        footprint=corner_lonlat(best.camera),
        footprint_diagonal_km=diagonal_km(best.camera),
        fit=fit_figures(best),
        hypotheses=hypotheses(best),
        detections=detected_lights(best),
    )


def detected_lights(best: Proven) -> DetectedLights:
    """Towns of the photo in pixels of the stored image, and whether the map confirms them."""
    towns, factor = best.photo_towns, best.solution.image.factor
    matched = np.zeros(len(towns), np.uint8)
    matched[best.met] = 1
    return DetectedLights(
        x=(towns.x + 0.5) / factor - 0.5,
        y=(towns.y + 0.5) / factor - 0.5,
        contrast=towns.contrast,
        matched=matched,
    )


def solved_camera(camera: Camera, finalist: Finalist) -> SolvedCamera:
    """A camera together with how it sits on the orbit that was believed."""
    look = finalist.candidate.look
    along_m = track_offsets_m(look.prior, camera.position_ecef_m)[0]
    offset_km = look.offset_km + along_m / 1e3
    return SolvedCamera(
        camera=camera,
        along_track_offset_s=look.clock_s + offset_km / look.speed_km_s,
        off_nadir_deg=camera.off_nadir_deg,
    )


def fit_figures(best: Proven) -> Fit:
    """The fit as the record has it; residuals in pixels of the stored image."""
    evidence, solution = best.evidence, best.solution
    grow = 1.0 / solution.image.factor
    metres = residual_m(best.camera, evidence.residual_px * grow)
    return Fit(
        ncc=evidence.ncc,
        runner_up_ncc=evidence.runner_up_ncc,
        residual_px=evidence.residual_px * grow,
        residual_m=metres,
        matched_lights=evidence.met_towns,
        held_out_residual_px=evidence.held_out_residual_px * grow,
        log10_odds=evidence.log10_odds,
        runner_up_log10_odds=evidence.runner_up_log10_odds,
    )


def residual_m(camera: Camera, residual_px: float) -> float:
    """A residual in pixels as metres on the ground, at the middle of the visible ground."""
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, 9), np.linspace(0.0, camera.height_px - 1.0, 9)
    )
    lon, lat = camera.pixel_to_lonlat(x, y)
    sizes = []
    for place in zip(lon[np.isfinite(lon)], lat[np.isfinite(lat)], strict=True):
        per_metre = abs(float(np.linalg.det(ground_jacobian(camera, *map(float, place)))))
        sizes.append(1.0 / np.sqrt(max(per_metre, 1e-12)))
    return float(np.median(sizes)) * residual_px if sizes else float("nan")


def hypotheses(best: Proven) -> tuple[Hypothesis, ...]:
    """The proposal and the distinct others that were looked at to the end."""
    evidence = best.evidence
    cameras = (best.camera, *(finalist.camera for finalist in best.finalists[1:]))
    odds = (evidence.log10_odds, evidence.runner_up_log10_odds)
    return tuple(
        hypothesis(rank, *looked_at)
        for rank, looked_at in enumerate(zip(cameras, best.finalists, odds, strict=False))
    )


def hypothesis(rank: int, camera: Camera, finalist: Finalist, log10_odds: float) -> Hypothesis:
    """One of the hypotheses that were looked at to the end."""
    lon, lat = camera.pixel_to_lonlat((camera.width_px - 1) / 2, (camera.height_px - 1) / 2)
    return Hypothesis(
        rank=rank,
        solved=solved_camera(camera, finalist),
        ncc=finalist.ncc,
        log10_odds=log10_odds,
        centre_lon=float(lon) if np.isfinite(lon) else None,
        centre_lat=float(lat) if np.isfinite(lat) else None,
    )
