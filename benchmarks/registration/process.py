"""A case registered and scored in a process of its own, so that time and memory are its alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.processes import peak_memory_mb
from benchmarks.registration.cases import Case
from benchmarks.registration.scores import (
    GroundPoints,
    RegistrationScore,
    ground_errors_m,
    score_registration,
)
from benchmarks.registration.truth import NamedPlace, Truth, misses_px
from benchmarks.registration.variants import VARIANTS, kept_part, stored_pixels
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, diagonal_km
from regengine.errors import RegengineError
from regengine.pipeline import process_photo
from regengine.references.opening import light_map_of
from regengine.registration.index.options import load_earth_index
from regengine.registration.prepare_photo import load_compiled
from regengine.result import ControlPoint, FrameResult
from regengine.run_inputs import RunInputs

SCORED_PER_SIDE = 17  # pixels along each side at which a camera is compared with the reference's


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What is known against a proposal, each part None where there is no such thing."""

    # By the reference camera, over a grid of pixels: this one judges
    score: RegistrationScore | None = None
    places_px: float | None = None  # median distance of named places from their lights
    # How many of them lie within the bar of what their pixels show, and how many there are: a
    # judgement that owes nothing to a map
    places_within: tuple[int, int] | None = None


def scores_of(case: Case, result: FrameResult, truth: Truth) -> Scores:
    """Score a result with everything that is known of its photo."""
    if result.solved is None:
        return Scores()
    camera, found = result.solved.camera, Scores()
    if truth.camera is not None:
        score = reference_score(camera, result.control_points, truth.camera, case.variant)
        found = replace(found, score=score)
    if case.variant:
        return found
    if truth.places:
        found = replace(found, places_px=float(np.median(misses_px(camera, truth.places))))
    if truth.places and found.score is not None:
        near = ground_errors_m(camera, points_of(truth.places)) <= 1000.0 * found.score.bar_km
        found = replace(found, places_within=(int(near.sum()), len(near)))
    return found


def reference_score(
    camera: Camera, control_points: tuple[ControlPoint, ...], reference: Camera, variant: str
) -> RegistrationScore:
    """Score a solution of a photo, or of a variant of it, by the photo's reference camera."""
    size = reference.width_px, reference.height_px
    x, y = np.array([[point.x, point.y] for point in control_points], float).reshape(-1, 2).T
    back = stored_pixels(x, y, size, variant).T
    own = tuple(
        replace(point, x=float(there[0]), y=float(there[1]))
        for point, there in zip(control_points, back, strict=True)
    )
    grid = grid_points(reference, SCORED_PER_SIDE)
    shown_x, shown_y = VARIANTS[variant].place(grid.x, grid.y, size)
    left = (shown_x >= 0) & (shown_x < camera.width_px)
    left &= (shown_y >= 0) & (shown_y < camera.height_px)
    shown = GroundPoints(x=shown_x[left], y=shown_y[left], lon=grid.lon[left], lat=grid.lat[left])
    score = score_registration(camera, own, reference, shown)
    return replace(score, diagonal_km=diagonal_km(kept_part(reference, variant)))


def points_of(places: Sequence[NamedPlace]) -> GroundPoints:
    """Named places as pixels and the places they show."""
    x, y, lon, lat = np.array([(p.x, p.y, p.lon, p.lat) for p in places], float).T
    return GroundPoints(x=x, y=y, lon=lon, lat=lat)


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


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a child process needs to know: a case, the run's inputs, the truth, what to add.

    ``overlays`` is a folder for pictures: of everything, or only of what is accepted.
    """

    case: Case
    inputs: RunInputs
    truth: Truth
    overlays: Path | None = None
    only_accepted: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome(Scores):
    """One case, done, with its scores."""

    case: Case
    result: FrameResult | None = None  # none where the photo failed
    problem: str = ""  # why it failed; "" otherwise.
    truth: Truth
    # wall_s and cpu_s: from opening the photo to the result; imports, of compiled code, too, and
    # the opening of map and element sets are not in it.
    wall_s: float = float("nan")
    cpu_s: float = float("nan")
    # Largest resident memory of the process until then, without the files that workers share
    peak_mb: float = float("nan")

    @property
    def verdict(self) -> str:
        """The result's verdict, "failed" where there is none."""
        return "failed" if self.result is None else self.result.verdict

    @property
    def camera(self) -> Camera | None:
        """The solved camera, where there is a proposal."""
        solved = None if self.result is None else self.result.solved
        return None if solved is None else solved.camera


def measure_case(case: Case, inputs: RunInputs, truth: Truth) -> Outcome:
    """Register a case's photo in this process and measure what it takes."""
    cv2.setNumThreads(1)
    inputs.open()
    load_earth_index(inputs.blind, inputs.lights)
    load_compiled()
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
        peak_mb=peak_memory_mb(own=True),
    )


def run_case(job: Job) -> Outcome:
    """Register a case, score it and draw it: the work of a child process."""
    from regengine.registration.overlay import write_overlay

    outcome = measure_case(job.case, job.inputs, job.truth)
    result = outcome.result
    if result is not None:
        scores = scores_of(job.case, result, job.truth)
        outcome = replace(outcome, **vars(scores))
        if job.overlays is not None and (outcome.verdict == "accepted" or not job.only_accepted):
            light_map = light_map_of(job.inputs.lights)
            drawn = write_overlay(result, job.case.photo, light_map, job.overlays)
            drawn.rename(job.overlays / overlay_name(job.case))
    return outcome


def overlay_name(case: Case) -> str:
    """File name of a case's overlay."""
    name = case.name.replace(", ", "_").replace(" ", "_").replace("°", "deg")
    return f"{name}.png"
