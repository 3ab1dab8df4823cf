"""A clock that jumps, and a second run on the same store."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.fault_checks import differences
from benchmarks.fault_child import EXIT_STORE
from benchmarks.fault_trial import Bench, Trial, ended_badly, resumed, stopped


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
