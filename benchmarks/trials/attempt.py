"""A trial registered as a user would, and scored against the true camera by the contract's rule."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.registration.scores import (
    MAP_PIXEL_M,
    GroundPoints,
    ground_errors_m,
    score_registration,
)
from benchmarks.trials.outcomes import quantile
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, WGS84
from regengine.errors import EphemerisError, RegengineError
from regengine.orbit.position import choose_position
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import read_frame
from regengine.registration.control_points import select_control_points
from regengine.registration.parameters import RegisterParams
from regengine.registration.register import search_frame
from regengine.registration.report_result import make_no_match_result, report_result, report_skipped
from regengine.registration.types import Prior, SearchReferences, SearchState
from regengine.result import ControlPoint, FrameResult, Reason
from regengine.scene.classify import assess_for_search

if TYPE_CHECKING:
    from benchmarks.simulate.camera import SimCamera

GRID = 17  # pixels along each side at which the solved camera is compared with the true one


def camera_of(simulated: SimCamera) -> Camera:
    """The simulator's camera as the engine's; both project alike to 1e-6 px."""
    x, y, z = (float(value) for value in simulated.position_ecef_m)
    return Camera(
        width_px=simulated.width_px,
        height_px=simulated.height_px,
        focal_px=simulated.focal_px,
        principal_point=(simulated.principal_x, simulated.principal_y),
        quaternion=simulated.quaternion(),
        position_ecef_m=(x, y, z),
        distortion=(simulated.k1, 0.0, 0.0, 0.0, 0.0),
        mirrored=simulated.mirrored,
    )


def ground_grid(camera: Camera, per_side: int = GRID) -> GroundPoints:
    """Pixels spread over the image and the ground they show, at incidence below 80 degrees."""
    x, y = (
        side.ravel()
        for side in np.meshgrid(
            np.linspace(0.0, camera.width_px - 1.0, per_side),
            np.linspace(0.0, camera.height_px - 1.0, per_side),
        )
    )
    slant = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    seen = slant < MAX_INCIDENCE_DEG
    lon, lat = camera.pixel_to_lonlat(x[seen], y[seen])
    return GroundPoints(x=x[seen], y=y[seen], lon=lon, lat=lat)


def resolution_m(camera: Camera, x: ArrayLike, y: ArrayLike) -> FloatArray:
    """The coarser of map pixel and photo pixel on the ground, metres.

    A photo pixel's size on the ground is the square root of its area there.
    """
    px, py = np.asarray(x, float), np.asarray(y, float)
    across = camera.pixel_to_ecef(px + 0.5, py) - camera.pixel_to_ecef(px - 0.5, py)
    down = camera.pixel_to_ecef(px, py + 0.5) - camera.pixel_to_ecef(px, py - 0.5)
    pixel_m = np.sqrt(np.linalg.norm(np.cross(across, down), axis=-1))
    return np.fmax(pixel_m, MAP_PIXEL_M)


def normalised_errors(
    points: Sequence[ControlPoint], truth: Camera
) -> tuple[FloatArray, FloatArray]:
    """Errors of control points east and north in units of their sigmas."""
    place = np.array([[p.x, p.y, p.lon, p.lat] for p in points], float).reshape(-1, 4)
    variance = np.array([[p.covariance_m[0], p.covariance_m[2]] for p in points]).reshape(-1, 2)
    lon, lat = truth.pixel_to_lonlat(place[:, 0], place[:, 1])
    seen = np.isfinite(lon)
    azimuth, _, length_m = WGS84.inv(
        np.where(seen, lon, 0.0), np.where(seen, lat, 0.0), place[:, 2], place[:, 3]
    )
    angle = np.radians(azimuth)
    off_m = np.stack([length_m * np.sin(angle), length_m * np.cos(angle)], axis=1)
    z = np.where(seen[:, None], off_m / np.sqrt(variance), np.inf)
    return z[:, 0], z[:, 1]


def score_columns(camera: Camera, points: Sequence[ControlPoint], truth: Camera) -> dict[str, Any]:
    """Columns of the table that say how good a proposal is."""
    grid = ground_grid(truth)
    score = score_registration(camera, points, truth, grid)
    units = resolution_m(truth, [p.x for p in points], [p.y for p in points])
    z_east, z_north = normalised_errors(points, truth)
    columns: dict[str, Any] = {
        "right": score.right,
        "bar_km": score.bar_km,
        "diagonal_km": score.diagonal_km,
        "point_error_m": score.control_point_error_m,
        "point_error_units": score.control_point_error_m / units,
        "z_east": z_east,
        "z_north": z_north,
    }
    in_units = ground_errors_m(camera, grid) / resolution_m(truth, grid.x, grid.y)
    percent = 100.0 * score.error_m / max(1000.0 * score.diagonal_km, 1.0)
    for name, errors in (("m", score.error_m), ("units", in_units), ("percent", percent)):
        for word, share in (("median", 0.5), ("p95", 0.95), ("max", 1.0)):
            columns[f"grid_{word}_{name}"] = quantile(errors, share)
    return columns


if TYPE_CHECKING:
    from benchmarks.trials.source import Trial

Told = Literal["all", "nothing"]  # of time and orbit
REASON_MARK = "|"
EVIDENCE = "ev_"  # before the names of the evidence's fields


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What became of one trial."""

    result: FrameResult | None  # none where the photo failed
    search: SearchState | None = None  # none where the search never began
    problem: str = ""  # why it failed; "" otherwise.
    # seconds_cpu and seconds_wall: from opening the photo to the result; the opening of the map is
    # not in it.
    seconds_cpu: float = float("nan")
    seconds_wall: float = float("nan")


def write_trial(trial: Trial, folder: Path) -> tuple[Path, Path]:
    """Write what a user would have of a trial: the photo and the element sets; their paths."""
    photo = folder / f"trial-{trial.half}-{trial.seed:06d}.jpg"
    photo.write_bytes(trial.photo)
    elements = photo.with_suffix(".tle")
    elements.write_text(trial.tle_text, encoding="ascii")
    return photo, elements


def register_trial(
    trial: Trial,
    references: SearchReferences,
    parameters: RegisterParams,
    folder: Path,
    *,
    told: Told = "all",
) -> Registration:
    """Write a trial's files, read them again and register the photo."""
    photo, elements = write_trial(trial, folder)
    wall, cpu = time.perf_counter(), time.process_time()
    result, search, position, problem = None, None, None, ""
    try:
        frame = read_frame(photo)
        if told == "all":
            position = choose_position(frame, load_tle_file(elements))
        scene = assess_for_search(frame, position)
        futile = scene.skip_reason
        if futile is None:
            prior = Prior(position=position, cities_probability=scene.cities_probability)
            posed, search, _ = search_frame(frame, prior, references, parameters)
            result = report_result(posed, search) if search else report_skipped(posed)
        else:
            result = make_no_match_result(frame, position, references.light_map.info, futile)
    except RegengineError as error:
        if isinstance(error, EphemerisError) or error.code == "outside_map":
            reason = Reason(code=error.code, text=str(error))
            result = make_no_match_result(frame, position, references.light_map.info, reason)
        else:
            problem = f"{error.code}: {error}".replace(str(folder), "")
    return Registration(
        result=result,
        search=search,
        problem=problem,
        seconds_cpu=time.process_time() - cpu,
        seconds_wall=time.perf_counter() - wall,
    )


def trial_columns(trial: Trial) -> dict[str, Any]:
    """Columns that say what was drawn."""
    own = {
        "seed": trial.seed,
        "half": trial.half,
        "kind": trial.kind,
        "registrable": trial.registrable,
        "places": trial.places,
    }
    return own | {name: value for name, value in trial.factors.items() if name not in own}


def outcome_columns(trial: Trial, registration: Registration) -> dict[str, Any]:
    """Columns that say what became of a trial and how good that is.

    Where the search ended with a camera, it is scored whatever the verdict, so that the
    probability of what was not proposed can be judged, too.
    """
    result, search = registration.result, registration.search
    columns: dict[str, Any] = {
        "verdict": "failed" if result is None else result.verdict,
        "probability": None if result is None else result.probability,
        "reasons": "" if result is None else REASON_MARK.join(r.code for r in result.reasons),
        "problem": registration.problem,
        "views": None if search is None else search.n_views_tested,
        "stopped": None if search is None or not search.stop_reason else search.stop_reason.name,
        "work": None if search is None else search.work,
        "seconds_cpu": registration.seconds_cpu,
        "seconds_wall": registration.seconds_wall,
    }
    if result is None or search is None:
        return columns
    best = search.match
    if best is None or result.probability is None:
        return columns
    # Those of a result, or those that it would have had as a proposal
    points = result.control_points or select_control_points(best.fit, best.camera)
    columns |= score_columns(best.camera, points, camera_of(trial.camera))
    columns |= {"found_by": best.hypothesis.source, "blind": best.hypothesis.is_blind}
    columns |= {f"work_{name}": work for name, work in search.work_of.items()}
    return columns | {f"{EVIDENCE}{k}": v for k, v in asdict(best.evidence).items()}
