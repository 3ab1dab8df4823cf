"""A trial registered as a user would, and what became of it as columns."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.trials.score import score_columns
from matchers.geometry.camera import Camera
from regengine.errors import EphemerisError, RegengineError
from regengine.orbit.position import choose_position
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import read_frame
from regengine.registration.control_points import select_control_points
from regengine.registration.parameters import RegisterParams
from regengine.registration.prepare_photo import prepare_photo
from regengine.registration.register import search, state_problem
from regengine.registration.report_result import make_bare_result, report_result, report_skipped
from regengine.registration.types import Prior, SearchReferences, SearchState
from regengine.scene.classify import assess_for_search
from regengine.store.reasons import make_error_reason
from regengine.store.result import FrameResult

if TYPE_CHECKING:
    from benchmarks.simulate.camera import SimCamera
    from benchmarks.trials.source import Trial

REASON_MARK = "|"
EVIDENCE = "ev_"  # before the names of the evidence's fields


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


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What became of one trial."""

    result: FrameResult | None  # none where the photo failed
    search: SearchState | None = None  # none where the search never began
    problem: str = ""  # why it failed; "" otherwise.
    # From opening the photo to the result; the opening of the map is not in it
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
    told: str = "all",
) -> Registration:
    """Write a trial's files, read them again and register the photo."""
    path, elements = write_trial(trial, folder)
    wall, cpu = time.perf_counter(), time.process_time()
    result, state, position, problem = None, None, None, ""
    try:
        frame = read_frame(path)
        if told == "all":
            position = choose_position(frame, load_tle_file(elements))
        scene = assess_for_search(frame, position)
        if scene.skip_reason is None:
            prior = Prior(position=position, cities_probability=scene.cities_probability)
            prepared = prepare_photo(frame, prior, parameters)
            posed = state_problem(prepared, prior, references, parameters)
            if prepared.skip_reason is None:
                state = search(posed)
                result = report_result(posed, state)
            else:
                result = report_skipped(posed)
        else:
            info = references.light_map.info
            result = make_bare_result(frame, position, info, scene.skip_reason)
    except RegengineError as error:
        if isinstance(error, EphemerisError) or error.code == "outside_map":
            reason = make_error_reason(error)
            result = make_bare_result(frame, position, references.light_map.info, reason)
        else:
            problem = f"{error.code}: {error}".replace(str(folder), "")
    return Registration(
        result=result,
        search=state,
        problem=problem,
        seconds_cpu=time.process_time() - cpu,
        seconds_wall=time.perf_counter() - wall,
    )


def trial_columns(trial: Trial) -> dict[str, Any]:
    names = ("seed", "half", "kind", "registrable", "places")
    return trial.factors | {name: getattr(trial, name) for name in names}


def outcome_columns(trial: Trial, registration: Registration) -> dict[str, Any]:
    """Columns that say what became of a trial and how good that is.

    Where the search ended with a camera, it is scored whatever the verdict, so that the
    probability of what was not proposed can be judged, too.
    """
    result, state = registration.result, registration.search
    columns: dict[str, Any] = {
        "verdict": "failed",
        "problem": registration.problem,
        "seconds_cpu": registration.seconds_cpu,
        "seconds_wall": registration.seconds_wall,
    }
    if result is None:
        return columns
    reasons = REASON_MARK.join(reason.code for reason in result.reasons)
    columns |= {"verdict": result.verdict, "reasons": reasons, "probability": result.probability}
    if state is None:
        return columns
    stopped = state.stop_reason.name if state.stop_reason else None
    columns |= {"views": state.n_views_tested, "stopped": stopped, "work": state.work}
    best = state.match
    if best is None or result.probability is None:
        return columns
    # Those of a result, or those that it would have had as a proposal
    points = result.control_points or select_control_points(best.fit, best.camera)
    columns |= score_columns(best.camera, points, camera_of(trial.camera))
    columns |= {"found_by": best.hypothesis.source, "blind": best.hypothesis.is_blind}
    columns |= {f"work_{name}": work for name, work in state.work_of.items()}
    return columns | {f"{EVIDENCE}{k}": v for k, v in asdict(best.evidence).items()}
