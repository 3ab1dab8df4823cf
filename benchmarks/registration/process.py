"""A case registered and scored in a process of its own, so that time and memory are its alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.processes import peak_memory_mb
from benchmarks.registration.cases import Case
from benchmarks.registration.scores import (
    GroundPoints,
    RegistrationScore,
    distance_m,
    ground_errors_m,
    pixel_errors_px,
    score_registration,
)
from benchmarks.registration.truth import NamedPlace, Truth, misses_px
from benchmarks.registration.variants import VARIANTS, kept_part, stored_pixels
from detectors.background import diffuse_background, hot_pixels
from matchers.camera import Camera
from matchers.earth import incidence_deg
from matchers.footprint import MAX_INCIDENCE_DEG, diagonal_km
from matchers.patches import match_patches
from matchers.view import render
from regengine.errors import RegengineError
from regengine.lights.map import LightMap
from regengine.photo.image import read_linear_light
from regengine.pipeline import RunInputs, process_photo
from regengine.registration.map_window import HasWindows, footprint_window, ground_sample_km
from regengine.result import ControlPoint, FrameResult

Image = NDArray[np.float32]


# The background of a box an eighth of the picture wide holds clouds and haze, and no city
BOX_SHARE = 1.0 / 8.0


NOISE_SIGMAS = 3.0


SHARE_OF_BRIGHTEST = 0.02


BRIGHTEST_QUANTILE = 0.995


def city_light(photo: Path, long_side_px: int) -> tuple[Image, float]:
    """Log light of a photo above its diffuse background."""
    picture = read_linear_light(photo, max_long_side_px=long_side_px)
    light = picture.light
    hot = hot_pixels(light)
    background = diffuse_background(light, scale_px=BOX_SHARE * max(light.shape), mask=hot)
    excess = np.where(hot, 0.0, np.maximum(light - background.level, 0.0))
    brightest = float(np.quantile(excess, BRIGHTEST_QUANTILE))
    knee = np.maximum(NOISE_SIGMAS * background.noise, SHARE_OF_BRIGHTEST * brightest)
    return np.log10(1.0 + excess / np.maximum(knee, 1e-9)).astype(np.float32), picture.factor


def smoothed(values: Image, sigma_px: float) -> Image:
    """Blurred copy."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px), np.float32)


PATCH_PX = 31  # as the fine fit uses


REACH_PX = 16


MARGIN_KM = 25.0


# Photo and map are compared in pixels of about this size below the camera
SAMPLE_KM = 0.33


LARGEST_PX = 1000


SMOOTH_PX = 1.0


@dataclass(frozen=True, kw_only=True)
class LocalShift:
    """Displacement of the photo's lights from where a camera shows the map's."""

    # tried and found: pixels far enough from the rim to be tried; those of them with a clear peak.
    tried: int
    found: int
    # median_px and median_m: median length over those found, in pixels of the stored image and on
    # the ground; NaN without any.
    median_px: float
    median_m: float


def local_shift(
    photo: Path, camera: Camera, light_map: HasWindows, points: GroundPoints
) -> LocalShift | None:
    """Measure the displacement at given pixels by normalised correlation of patches."""
    longest = max(camera.width_px, camera.height_px)
    values, factor = city_light(
        photo, min(LARGEST_PX, round(longest * ground_sample_km(camera) / SAMPLE_KM))
    )
    small = camera.scaled(factor, values.shape[1], values.shape[0])
    levels = footprint_window(light_map, camera, MARGIN_KM, ground_sample_km(small) / 1.2)
    if levels is None:
        return None
    view = render(levels, small)
    border = PATCH_PX // 2 + REACH_PX + 1
    centres = np.rint((np.stack([points.x, points.y], axis=1) + 0.5) * factor - 0.5)
    size = np.array([small.width_px, small.height_px])
    inside = ((centres >= border) & (centres < size - border)).all(axis=1)
    centres = centres[inside].astype(np.intp)
    matches = match_patches(smoothed(values, SMOOTH_PX), view, centres, PATCH_PX, REACH_PX)
    shift_px = np.hypot(matches.dx, matches.dy) / factor
    shift_m = distance_m(
        *small.pixel_to_lonlat(matches.x, matches.y),
        *small.pixel_to_lonlat(matches.x + matches.dx, matches.y + matches.dy),
    )
    return LocalShift(
        tried=len(centres),
        found=len(matches),
        median_px=float(np.median(shift_px)) if len(matches) else float("nan"),
        median_m=float(np.median(shift_m)) if len(matches) else float("nan"),
    )


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
    points_score: RegistrationScore | None = None  # by the older reference points
    # hand_px, hand_of_reference_px and hand_of_points_px: median error at the points picked by eye:
    # of the solved camera, of the reference camera, and of the camera of the older reference points
    hand_px: float | None = None
    hand_of_reference_px: float | None = None
    hand_of_points_px: float | None = None
    # shift, shift_of_reference and shift_of_points: local check of the same three cameras, at the
    # older reference points
    shift: LocalShift | None = None
    shift_of_reference: LocalShift | None = None
    shift_of_points: LocalShift | None = None


def scores_of(case: Case, result: FrameResult, truth: Truth, light_map: LightMap) -> Scores:
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
    if truth.hand is not None:
        found = replace(
            found,
            hand_px=median_px(camera, truth.hand),
            hand_of_reference_px=median_px(truth.camera, truth.hand),
            hand_of_points_px=median_px(truth.points_camera, truth.hand),
        )
    if truth.points is None or truth.points_camera is None:
        return found
    points = truth.points

    def shift(of: Camera | None) -> LocalShift | None:
        return None if of is None else local_shift(case.photo, of, light_map, points)

    return replace(
        found,
        points_score=score_registration(camera, result.control_points, truth.points_camera, points),
        shift=shift(camera),
        shift_of_reference=shift(truth.camera),
        shift_of_points=shift(truth.points_camera),
    )


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


def median_px(camera: Camera | None, points: GroundPoints) -> float | None:
    """Median distance in the image between known places and where a camera shows them."""
    return None if camera is None else float(np.median(pixel_errors_px(camera, points)))


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
    # wall_s and cpu_s: from opening the photo to the result; imports and the opening of map and
    # element sets are not in it.
    wall_s: float = float("nan")
    cpu_s: float = float("nan")
    # Largest resident memory of the process until then, all of Python included
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
    """Register a case, score it and draw it: the work of a child process."""
    outcome = measured(job.case, job.inputs, job.truth)
    result, light_map = outcome.result, job.inputs.open()[0]
    if result is not None:
        scores = scores_of(job.case, result, job.truth, light_map)
        outcome = replace(outcome, **vars(scores))
        if job.overlays is not None and (outcome.verdict == "accepted" or not job.only_accepted):
            draw(result, job.case, light_map, job.overlays)
    return outcome


def draw(result: FrameResult, case: Case, light_map: LightMap, folder: Path) -> Path:
    """Write a case's overlay, named after the case; the path."""
    from regengine.registration.overlay import draw_result

    drawn = draw_result(result, case.photo, light_map, folder)
    return drawn.rename(folder / overlay_name(case))


def overlay_name(case: Case) -> str:
    """File name of a case's overlay."""
    name = case.name.replace(", ", "_").replace(" ", "_").replace("°", "deg")
    return f"{name}.png"
