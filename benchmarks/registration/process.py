"""Work in a process of its own, on one thread, so that its time and memory are its alone."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.processes import peak_memory_mb
from benchmarks.registration.cases import Case
from benchmarks.registration.score_frame import Scores, scores_of
from benchmarks.registration.truth import Truth
from matchers.camera import Camera
from regengine.errors import RegengineError
from regengine.lights.map import LightMap
from regengine.pipeline import RunInputs, process_photo
from regengine.result import FrameResult

# One case in a process of its own, so that its time and memory are its alone.


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
