"""One case in a process of its own, so that its time and memory are its alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.registration_cases import Case
from benchmarks.registration_crop import crop_around
from benchmarks.registration_local import LocalShift, local_shift
from benchmarks.registration_peers import PeerAnswer, ask_peers
from benchmarks.registration_process import peak_memory_mb
from benchmarks.registration_truth import Truth
from matchers.camera import Camera
from matchers.earth import incidence_deg
from matchers.footprint import MAX_INCIDENCE_DEG, diagonal_km
from regengine.errors import RegengineError
from regengine.evaluate.registration import (
    GroundPoints,
    RegistrationScore,
    ground_errors_m,
    pixel_errors_px,
    right_within_km,
    score_registration,
)
from regengine.lights.map import LightMap
from regengine.pipeline import RunInputs, process_photo
from regengine.result import FrameResult


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a child process needs to know: a case, the run's inputs, the truth, what to add."""

    case: Case
    inputs: RunInputs
    truth: Truth
    peers: bool = False
    overlays: Path | None = None


@dataclass(frozen=True, kw_only=True)
class PeerScore:
    """A peer's answer on a case.

    Attributes
    ----------
    name : str
    inliers : int or None
    from_reference_m, from_solution_m : tuple of float, or None
        Median and largest distance from the reference points, and from the places of our own
        solution; None where there is no such thing.
    bar_km : float
        Largest error that counts as right.
    seconds : float
    """

    name: str
    inliers: int | None
    from_reference_m: tuple[float, float] | None
    from_solution_m: tuple[float, float] | None
    bar_km: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One case, done.

    Attributes
    ----------
    case : Case
    result : FrameResult or None
        None where the photo failed.
    problem : str
        Why it failed; "" otherwise.
    truth : Truth
    wall_s, cpu_s : float
        From opening the photo to the result; imports and the opening of map and element sets are
        not in it.
    peak_mb : float
        Largest resident memory of the process until then, all of Python included.
    score : RegistrationScore or None
        Where there are reference points and a proposal.
    hand_px : float or None
        Median error at the hand points.
    hand_m : tuple of float, or None
        Median and largest error on the ground at the hand points.
    hand_of_reference_px : float or None
        The same of the reference's own camera.
    shift, shift_of_reference : LocalShift or None
        Local check at the reference points of the solved and of the reference's camera.
    peers : tuple of PeerScore
    """

    case: Case
    result: FrameResult | None = None
    problem: str = ""
    truth: Truth
    wall_s: float = float("nan")
    cpu_s: float = float("nan")
    peak_mb: float = float("nan")
    score: RegistrationScore | None = None
    hand_px: float | None = None
    hand_m: tuple[float, float] | None = None
    hand_of_reference_px: float | None = None
    shift: LocalShift | None = None
    shift_of_reference: LocalShift | None = None
    peers: tuple[PeerScore, ...] = ()

    @property
    def camera(self) -> Camera | None:
        """The solved camera, where there is a proposal."""
        solved = None if self.result is None else self.result.solved
        return None if solved is None else solved.camera


def measured(case: Case, inputs: RunInputs, truth: Truth) -> Outcome:
    """Register a case's photo in this process and measure what it takes."""
    import cv2

    cv2.setNumThreads(1)
    inputs.open()
    wall, cpu = time.perf_counter(), time.process_time()
    result, problem = None, ""
    try:
        result = process_photo(case.photo, inputs)
    except RegengineError as error:
        problem = error.code
    return Outcome(
        case=case,
        result=result,
        problem=problem,
        truth=truth,
        wall_s=time.perf_counter() - wall,
        cpu_s=time.process_time() - cpu,
        peak_mb=peak_memory_mb(),
    )


def run_case(job: Job) -> Outcome:
    """Register a case, score it, draw it, and ask the peers: the work of a child process."""
    outcome = measured(job.case, job.inputs, job.truth)
    light_map, _, _ = job.inputs.open()
    outcome = scored(outcome, light_map)
    if job.overlays is not None and outcome.result is not None:
        draw(outcome.result, job.case, light_map, job.overlays)
    if job.peers:
        peers = peer_scores(job.case.photo, light_map, job.truth, outcome.camera)
        outcome = replace(outcome, peers=peers)
    return outcome


def scored(outcome: Outcome, light_map: LightMap) -> Outcome:
    """An outcome together with everything that the truth says of it."""
    truth, camera, result = outcome.truth, outcome.camera, outcome.result
    if camera is None or result is None:
        return outcome
    if outcome.case.variant:
        return outcome
    if truth.hand is not None:
        errors_m = ground_errors_m(camera, truth.hand)
        outcome = replace(
            outcome,
            hand_px=median_px(camera, truth.hand),
            hand_m=(float(np.median(errors_m)), float(errors_m.max())),
        )
    if truth.hand is not None and truth.camera is not None:
        outcome = replace(outcome, hand_of_reference_px=median_px(truth.camera, truth.hand))
    if truth.points is None or truth.camera is None:
        return outcome
    photo = outcome.case.photo
    return replace(
        outcome,
        score=score_registration(camera, result.control_points, truth.camera, truth.points),
        shift=local_shift(photo, camera, light_map, truth.points),
        shift_of_reference=local_shift(photo, truth.camera, light_map, truth.points),
    )


def median_px(camera: Camera, points: GroundPoints) -> float:
    """Median distance in the image between known places and where a camera shows them."""
    return float(np.median(pixel_errors_px(camera, points)))


def draw(result: FrameResult, case: Case, light_map: LightMap, folder: Path) -> Path:
    """Write a case's overlay, named after the case; the path."""
    from regengine.overlay import draw_result

    drawn = draw_result(result, case.photo, light_map, folder)
    name = case.name.replace(", ", "_").replace(" ", "_").replace("°", "deg")
    return drawn.rename(folder / f"{name}.png")


def peer_scores(
    photo: Path, light_map: LightMap, truth: Truth, solved: Camera | None
) -> tuple[PeerScore, ...]:
    """What the peers make of a photo, given the right part of the map."""
    camera = truth.camera or solved
    if camera is None:
        return ()
    crop, scale = crop_around(light_map, camera)
    places = None if solved is None else grid_points(solved)

    def errors_m(answer: PeerAnswer, points: GroundPoints | None) -> tuple[float, float] | None:
        if points is None:
            return None
        found = answer.errors_m(points, crop)
        return float(np.median(found)), float(found.max())

    return tuple(
        PeerScore(
            name=answer.name,
            inliers=answer.inliers,
            from_reference_m=errors_m(answer, truth.points),
            from_solution_m=errors_m(answer, places),
            bar_km=right_within_km(diagonal_km(camera)),
            seconds=answer.seconds,
        )
        for answer in ask_peers(photo, crop, scale)
    )


def grid_points(camera: Camera, per_side: int = 7) -> GroundPoints:
    """Pixels spread over the visible ground of an image, and what the camera sees there."""
    x, y = (
        side.ravel()
        for side in np.meshgrid(
            np.linspace(0.05, 0.95, per_side) * (camera.width_px - 1),
            np.linspace(0.05, 0.95, per_side) * (camera.height_px - 1),
        )
    )
    slant = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    seen = slant <= MAX_INCIDENCE_DEG
    lon, lat = camera.pixel_to_lonlat(x[seen], y[seen])
    return GroundPoints(x=x[seen], y=y[seen], lon=lon, lat=lat)
