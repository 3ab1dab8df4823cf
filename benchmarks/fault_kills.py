"""``kill -9`` of a run with all its workers, at any moment, until it is done all the same."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.fault_checks import Record, lost
from benchmarks.fault_runs import KILLED, Run
from benchmarks.fault_trial import Bench, Trial, ended_badly, stopped
from regengine.store.parts import parts_folder

AIMS = ("run", "run", "run", "merge", "opening")  # drawn evenly
KIND = "kill -9 of the process group, {}"
FINISHED = "killed runs that were resumed to their end"
MERGE_S = 0.6  # the merges of these stores take about half of this
MOST_KILLS = 12  # of one store; then it may finish


def kill_trials(
    bench: Bench, count: int, chance: random.Random, prefix: str = ""
) -> Iterator[Trial]:
    """Kill runs again and again, resume them, and compare each store that is finished.

    Parameters
    ----------
    bench : Bench
        Photos and reference.
    count : int
        Kills to make.
    chance : random.Random
        Draws the moments: uniform over the time that the rest of the run takes, over its merge,
        or over the opening of a store with parts that an earlier kill left.
    prefix : str
        Before the names of the kinds of trials.

    Yields
    ------
    Trial
        One a kill, and one a finished store.
    """
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
