"""Workers that are killed, that crash, hang or eat memory: the run goes on without them."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.fault_checks import differences
from benchmarks.fault_engine import make_photos
from benchmarks.fault_runs import Run
from benchmarks.fault_trial import Bench, Trial, ended_badly, stopped

HANG_LIMIT_S = 5.0
EXIT_FRAMES_DONE = 0
BLAMED = {"worker_died", "timed_out", "out_of_memory"}
MEMORY_MB = 1024
# A photo that harms its worker, what must be said of it, and the options of the run
HARMFUL = (
    ("a worker that crashes on one photo every time", "segfault", "worker_died", ()),
    ("a worker that hangs", "hang", "timed_out", ("--limit-s", str(HANG_LIMIT_S))),
    ("a worker that eats memory", "memory", "out_of_memory", ("--memory-mb", str(MEMORY_MB))),
)


def worker_kill_trials(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    """Kill single workers of a run, at random moments from their first breath on.

    Parameters
    ----------
    bench : Bench
        Photos and reference.
    count : int
        Kills to make, up to four in a run.
    chance : random.Random
        Draws moments and workers.

    Yields
    ------
    Trial
        One a run, which must end by itself and be equal to one that nobody harmed.
    """
    kills = number = 0
    while kills < count:
        number += 1
        store = bench.folder / f"workers{number}.h5"
        run = bench.start(store)
        run.wait_for("running")
        here = 0
        while here < min(4, count - kills) and run.process.poll() is None:
            time.sleep(chance.uniform(0.0, bench.run_s / 3.0))
            workers = run.workers()
            if workers and run.phase == "running":
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)
                    here += 1
        kills += max(here, 1)
        yield _ended("kill -9 of single workers", run, store, bench, faults=here)


def harmful_trials(bench: Bench, count: int) -> Iterator[Trial]:
    """Photos that crash, stall or bloat their worker, each ``count`` times."""
    for kind, word, code, options in HARMFUL:
        (photo,) = make_photos(bench.folder / word, 0, f"z_{word}.jpg")
        for number in range(count):
            store = bench.folder / f"{word}{number}.h5"
            run = bench.start(store, "--also", str(photo), *options)
            yield _ended(kind, run, store, bench, guilty=photo.stem, expected=code)


def _ended(
    kind: str,
    run: Run,
    store: Path,
    bench: Bench,
    *,
    faults: int = 1,
    guilty: str = "",
    expected: str = "",
) -> Trial:
    """Wait for a run's end and judge it; of a guilty photo, a reason is expected."""
    code = run.finish()
    run.kill()
    problems = [] if code == EXIT_FRAMES_DONE else [ended_badly(code, run)]
    for record in run.records:
        reasons = set(record["reasons"])
        if guilty and record["frame"] == guilty:
            if reasons != {expected}:
                problems.append(f"{guilty} is {record['reasons']}, not {expected}")
        elif reasons & BLAMED:
            problems.append(f"failed without guilt: {record['frame']}, {record['reason_texts']}")
    trial = stopped(kind, run, store, problems, faults=faults)
    if code != EXIT_FRAMES_DONE:
        return trial
    extra = (guilty,) if guilty else ()
    return trial.and_then(differences(store, bench.reference, extra=extra))
