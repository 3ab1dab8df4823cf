"""One trial registered exactly as a user would, and its row of the table."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.trials.score import camera_of, rank_of_truth, score_columns
from regengine.errors import EphemerisError, LightMapError, RegengineError
from regengine.orbit.position import choose_position
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import read_frame
from regengine.registration.control_points import propose
from regengine.registration.outcome import no_match_result, result_of
from regengine.registration.register import RegisterParams, search_frame
from regengine.registration.search import SearchAids
from regengine.result import ControlPoint, FrameResult, Reason

if TYPE_CHECKING:
    from benchmarks.trials.trial import Trial
    from regengine.lights.map import LightMap
    from regengine.registration.search import Search, SkyReader

REASON_MARK = "|"
EVIDENCE = "ev_"  # before the names of the evidence's fields


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What became of one trial.

    Attributes
    ----------
    result : FrameResult or None
        None where the photo failed.
    search : Search or None
        None where the search never began.
    problem : str
        Why it failed; "" otherwise.
    seconds_cpu, seconds_wall : float
        From opening the photo to the result; the opening of the map is not in it.
    """

    result: FrameResult | None
    search: Search | None = None
    problem: str = ""
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
    light_map: LightMap,
    parameters: RegisterParams,
    folder: Path,
    sky: SkyReader | None = None,
) -> Registration:
    """Write a trial's files, read them again and register the photo."""
    photo, elements = write_trial(trial, folder)
    wall, cpu = time.perf_counter(), time.process_time()
    result, search, problem = None, None, ""
    try:
        result, search = _register(photo, elements, light_map, parameters, sky)
    except RegengineError as error:
        problem = f"{error.code}: {error}".replace(str(folder), "")
    return Registration(
        result=result,
        search=search,
        problem=problem,
        seconds_cpu=time.process_time() - cpu,
        seconds_wall=time.perf_counter() - wall,
    )


def _register(
    photo: Path,
    elements: Path,
    light_map: LightMap,
    parameters: RegisterParams,
    sky: SkyReader | None,
) -> tuple[FrameResult, Search | None]:
    """One search, as `regengine.pipeline` makes it, its state kept."""
    frame, position = read_frame(photo), None
    try:
        position = choose_position(frame, load_tle_file(elements))
        search = search_frame(frame, position, light_map, parameters, SearchAids(sky=sky))
    except (EphemerisError, LightMapError) as error:
        if isinstance(error, LightMapError) and error.code != "outside_map":
            raise
        reason = Reason(code=error.code, text=str(error))
        return no_match_result(frame, position, light_map.info, reason), None
    return result_of(search), search


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
        "looks": None if search is None else search.looks_taken,
        "exhausted": None if search is None else search.exhausted,
        "seconds_cpu": registration.seconds_cpu,
        "seconds_wall": registration.seconds_wall,
    }
    if result is None or search is None:
        return columns
    truth = camera_of(trial.camera)
    columns["truth_in_candidates"] = rank_of_truth([c.camera for c in search.candidates], truth)
    best = search.best
    if best is None or result.probability is None:
        return columns
    points = proposed_points(result, search)
    columns |= score_columns(best.camera, points, truth)
    columns["truth_in_finalists"] = rank_of_truth([f.camera for f in best.finalists], truth)
    return columns | {f"{EVIDENCE}{k}": v for k, v in asdict(best.evidence).items()}


def proposed_points(result: FrameResult, search: Search) -> tuple[ControlPoint, ...]:
    """The control points of a result, or those that it would have had as a proposal."""
    if result.control_points or search.best is None:
        return result.control_points
    best = search.best
    return propose(best.solution, best.camera, best.photo_towns.positions[best.met])


def with_true_camera(result: FrameResult, trial: Trial) -> FrameResult:
    """A result that says what would be true of a trial, to be drawn beside the proposal."""
    from regengine.result import SolvedCamera

    truth = camera_of(trial.camera)
    solved = SolvedCamera(camera=truth, along_track_offset_s=0.0, off_nadir_deg=truth.off_nadir_deg)
    return replace(
        result,
        frame=f"{result.frame}, seen through its true camera",
        solved=solved,
        fit=None,
        control_points=(),
        probability=None,
    )
