"""Streak methods on simulated frames, each a row of a table that can be continued."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.processes import Columns, Lost, work_through
from benchmarks.row_tables import Row, RowTable, number_of, values
from benchmarks.simulate.streak_frames import LARGE, StreakFrame, StreakFrameSettings, streak_frame
from benchmarks.streaks.methods import streak_methods
from regengine.evaluate.streak_scores import StreakScore, score_streaks

SIZES = {"1024": StreakFrameSettings(), "large": LARGE}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One method on one frame."""

    seed: int
    size: str
    method: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells its row from others."""
        return str(self.seed), self.size, self.method


_tasks: list[Task] = []


def prepare(tasks: Sequence[Task]) -> None:
    """Make a process ready: one thread, libraries loaded, so that their time is nobody's."""
    import cv2

    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")  # of other libraries, and what they log
    logging.disable(logging.WARNING)
    _tasks[:] = tasks
    for method in streak_methods().values():
        if any(task.method == method.name for task in tasks) and not method.slow:
            method.find(np.random.default_rng(0).normal(0.1, 0.01, (128, 128)), None, None)


@lru_cache(maxsize=1)
def _frame(seed: int, size: str) -> StreakFrame:
    return streak_frame(seed, SIZES[size])


def frame_columns(frame: StreakFrame) -> Columns:
    """What is true of a frame."""
    truth = frame.truth
    trail = 0.0 if frame.trail_px is None else float(np.hypot(*frame.trail_px))
    return {
        "cloudy": frame.cloudy,
        "trail_px": trail,
        "stars": frame.stars,
        "peak_snr": truth.peak_snr,
        "matched_snr": truth.matched_snr,
        "length_px": truth.length_px,
        "kind": list(truth.kind),
    }


def run_task(index: int) -> Columns:
    """Run one method on one frame; an error in it is a row with the problem."""
    task = _tasks[index]
    frame = _frame(task.seed, task.size)
    truth = frame.truth
    started = time.process_time()
    problem, rows = "", np.zeros((0, 5))
    try:
        rows = streak_methods()[task.method].find(frame.light, None, frame.saturated).rows
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - started
    score = score_streaks(np.column_stack([truth.segments, truth.bow_px]), rows)
    return frame_columns(frame) | {
        "hit": score.found.astype(int),
        "end1_px": score.end_error_px[:, 0],
        "end2_px": score.end_error_px[:, 1],
        "detections": len(rows),
        "false": int(score.false[0]),
        "pieces": int(score.pieces[0]),
        "seconds": seconds,
        "problem": problem,
    }


def describe_task(index: int) -> Columns:
    """A row for a task that did not end: nothing found."""
    frame = _frame(_tasks[index].seed, _tasks[index].size)
    count = len(frame.truth)
    nothing = {"hit": [0] * count, "end1_px": [np.nan] * count, "end2_px": [np.nan] * count}
    return frame_columns(frame) | nothing | {"detections": 0, "false": 0, "pieces": 0}


def run_tasks(
    tasks: Sequence[Task],
    table: Path,
    *,
    workers: int,
    limit_s: float,
    tell: Callable[[Task, Columns], None],
) -> None:
    """Run what the table does not hold yet; each task appends a row as it ends."""
    rows = RowTable(table)
    done = {(row["seed"], row["size"], row["method"]) for row in rows.rows()}
    waiting = [task for task in tasks if task.key not in done]
    lost: dict[int, str] = {}

    def keep(index: int, columns: Columns) -> None:
        task = waiting[index]
        rows.append(vars(task) | columns)
        tell(task, columns)

    if not waiting:
        return
    shared = {
        "workers": workers,
        "limit_s": limit_s,
        "prepare": prepare,
        "prepare_args": (waiting,),
    }
    for index, columns in work_through(range(len(waiting)), run_task, **shared):  # type: ignore[arg-type]
        if isinstance(columns, Lost):
            lost[index] = columns.problem
        else:
            keep(index, columns)
    for index, columns in work_through(list(lost), describe_task, **shared) if lost else ():  # type: ignore[arg-type]
        known = {} if isinstance(columns, Lost) else columns
        keep(index, known | {"seconds": limit_s, "problem": lost[index]})


def score_of(row: Row) -> StreakScore:
    """A row of the table as a score of its frame."""

    def column(name: str) -> np.ndarray:
        return values([row], name)

    return StreakScore(
        frames=1,
        peak_snr=column("peak_snr"),
        matched_snr=column("matched_snr"),
        length_px=column("length_px"),
        found=column("hit") == 1,
        end_error_px=np.column_stack([column("end1_px"), column("end2_px")]),
        false=np.array([int(number_of(row["false"]))]),
        pieces=np.array([int(number_of(row["pieces"]))]),
        seconds=np.array([number_of(row["seconds"])]),
    )
