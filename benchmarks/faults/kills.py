"""``kill -9`` of a run with all its workers, at any moment, until it is done all the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmarks.faults.child import EXIT_STORE, KILLED, Record, Run, differences, lost
from benchmarks.faults.engine import make_photos
from benchmarks.faults.trial import Bench, Trial, ended_badly, resumed, stopped
from regengine.store.snapshot import parts_folder

AIMS = ("run", "run", "run", "merge", "opening")  # drawn evenly
KIND = "kill -9 of the process group, {}"
FINISHED = "killed runs that were resumed to their end"
MERGE_S = 0.6  # the merges of these stores take about half of this
MOST_KILLS = 12  # of one store; then it may finish


def kill_trials(
    bench: Bench, count: int, chance: random.Random, prefix: str = ""
) -> Iterator[Trial]:
    """Kill runs again and again, resume them, and compare each store that is finished."""
    kills = stores = 0
    while kills < count:
        store = bench.folder / f"kills{stores}.h5"
        stores += 1
        for trial in _until_finished(bench, store, min(MOST_KILLS, count - kills), chance):
            yield replace(trial, kind=prefix + trial.kind)
            kills += trial.kind != FINISHED
        store.unlink(missing_ok=True)
        shutil.rmtree(parts_folder(store), ignore_errors=True)


def _until_finished(bench: Bench, store: Path, most: int, chance: random.Random) -> Iterator[Trial]:
    before: dict[str, Record] = {}
    kills = 0
    while True:
        run = bench.start(store)
        if kills < most:
            rest = 1.0 - len(before) / bench.frames
            wait_to_kill(run, bench, chance.choice(AIMS), rest, chance)
            stuck = False
        else:
            stuck = run.finish() is None
        phase = run.kill()
        problems = [
            f"told anew, otherwise: {record['path']}"
            for record in run.records
            if before.setdefault(record["path"], record) != record
        ]
        if run.process.returncode != KILLED or stuck:
            break
        kills += 1
        yield stopped(KIND.format(phase), run, store, problems)
    if stuck or run.process.returncode not in bench.exits:
        problems.append(ended_badly(None if stuck else run.process.returncode, run))
    else:
        problems += [*lost(before.values(), store), *bench.differences(store)]
    yield Trial(
        kind=FINISHED, faults=kills, where=phase, checked=len(before), problems=tuple(problems)
    )


def wait_to_kill(run: Run, bench: Bench, aim: str, rest: float, chance: random.Random) -> None:
    """Return at a moment that was drawn, or when the run has ended."""
    phase, longest_s = {
        "run": ("running", bench.run_s * max(rest, 0.1)),
        "merge": ("merging", MERGE_S),
        "opening": ("opening", MERGE_S),
    }[aim]
    delay_s = chance.uniform(0.0, longest_s)
    begun = run.wait_for(phase)
    if begun is not None:
        time.sleep(max(0.0, begun + delay_s - time.monotonic()))


# Workers that are killed, that crash, hang or eat memory: the run goes on without them.

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
    """Kill single workers of a run, at random moments from their first breath on."""
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


# A clock that jumps, and a second run on the same store.


def clock_trials(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    """Runs whose time of day jumps by a minute, an hour or a day, ten times a second."""
    for number in range(count):
        store = bench.folder / f"clock{number}.h5"
        seed = chance.randrange(10**6)
        run = bench.start(store, "--stepping-clock", str(seed), "--limit-s", "60")
        code = run.finish()
        run.kill()
        problems = [] if code == 0 else [ended_badly(code, run)]
        trial = stopped("clock that jumps by up to a day", run, store, problems)
        yield trial.and_then(differences(store, bench.reference) if code == 0 else ())


def second_run_trials(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    """A second run while the first is at work is refused; once that is killed, it is not."""
    for number in range(count):
        store = bench.folder / f"second{number}.h5"
        first = bench.start(store)
        first.wait_for("running")
        first.wait_for_records(chance.randrange(bench.frames // 4))
        second = bench.start(store)
        code = second.finish()
        second.kill()
        problems = []
        alive = first.process.poll() is None
        if alive and code != EXIT_STORE:
            problems.append(f"not refused: {ended_badly(code, second)}")
        if alive and "another regengine" not in second.complaint:
            problems.append(f"does not say why: {second.complaint.strip()[-200:]}")
        if second.records and alive:
            problems.append("both runs have worked")
        first.kill()
        kind = "second run on a store in use"
        trial = stopped(kind, first, store, problems, faults=int(alive))
        yield trial.and_then(resumed(bench, store, first.records))
