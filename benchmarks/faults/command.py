"""The command line itself: stopped in order by signals, and killed while it works.

As a module, ``python -m benchmarks.faults.command FOLDER STORE``, it is ``regengine register`` with
the stand-in engine.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.faults.child import ROOT, Run, lost, tell
from benchmarks.faults.engine import make_photos
from benchmarks.faults.kills import kill_trials
from benchmarks.faults.trial import Bench, Trial, ended_badly, reference_bench, resumed, stopped
from regengine.store.snapshot import parts_folder

MODULE = "benchmarks.faults.command"
EXIT_INTERRUPTED = 130
EXITS = (0, 1)  # 1: the stand-in fails some photos always
SAMPLES = ROOT / "data_samples"
GIVEN = ("--tle", str(SAMPLES / "tle.txt"), "--lights", str(SAMPLES / "lights.tif"), "--json")
WORKERS = ("--workers", "2")
# How a run is asked to stop: what it is called, the signal, whether all its processes get it
ASKED = (
    ("Ctrl-C", signal.SIGINT, True),
    ("SIGTERM", signal.SIGTERM, False),
    ("SIGTERM to all its processes", signal.SIGTERM, True),
)
AT_ONCE_S = 20.0  # after a second Ctrl-C, on a busy machine


def run_command(argv: Sequence[str]) -> None:
    """``regengine register``, with the stand-in engine."""
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}")
    parser.add_argument("folder")
    parser.add_argument("store")
    parser.add_argument("--tell", type=int, default=2)
    parser.add_argument("--true-engine", action="store_true")
    arguments, more = parser.parse_known_args(argv)

    from benchmarks.faults import engine as fault_engine
    from benchmarks.faults.child import small_parts
    from regengine import commands, pipeline
    from regengine.batch import run as batch_run

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    if not arguments.true_engine:
        small_parts()
        pipeline.process_photo = fault_engine.process  # type: ignore[assignment]
        pipeline.facts_of_photo = fault_engine.facts_of
    run_batch = batch_run.run_batch

    def telling(*args: Any, **kwargs: Any) -> Any:
        tell(arguments.tell, "running")
        try:
            return run_batch(*args, **kwargs)
        finally:
            tell(arguments.tell, "merging")

    batch_run.run_batch = telling
    sys.argv[1:] = ["register", arguments.folder, "--store", arguments.store, *GIVEN, *more]
    tell(arguments.tell, "opening")
    commands.run()


def signal_trials(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    """Ask runs of the command to stop, each way ``count`` times; then give the command again."""
    command = Bench(
        folder=bench.folder,
        photos=bench.photos,
        reference=bench.folder / "command.h5",
        frames=bench.frames,
        module=MODULE,
        options=WORKERS,
        exits=EXITS,
    )
    command = reference_bench(command)
    for name, number, to_all in ASKED:
        for k in range(count):
            store = bench.folder / f"{name.replace(' ', '')}{k}.h5"
            run = command.start(store)
            run.wait_for("running")
            run.wait_for_records(chance.randrange(bench.frames // 2))
            time.sleep(chance.uniform(0.0, 0.2))
            if to_all:
                run.signal_all(number)
            else:
                run.process.send_signal(number)
            code = run.finish()
            run.kill()
            problems = [] if code == EXIT_INTERRUPTED else [ended_badly(code, run)]
            if "go on" not in run.complaint or "Traceback" in run.complaint:
                problems.append(f"does not say how to go on: {run.complaint.strip()[-200:]}")
            if parts_folder(store).exists():
                problems.append("parts were left unmerged")
            trial = stopped(f"{name}, asked once", run, store, problems)
            yield trial.and_then(resumed(command, store, run.records))
    yield from _asked_twice(command, count, chance)


def photograph_trials(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    """Kill the command while it registers the sample photographs with the true engine."""
    command = Bench(
        folder=bench.folder / "photographs",
        photos=str(SAMPLES / "*.jpg"),
        reference=bench.folder / "photographs.h5",
        frames=len(list(SAMPLES.glob("*.jpg"))),
        module=MODULE,
        # Time enough for each search to end by itself, however busy the machine is
        options=(*WORKERS, "--true-engine", "--max-seconds", "120"),
        exits=EXITS,
        exact=False,
    )
    command.folder.mkdir()
    yield from kill_trials(reference_bench(command), count, chance, "sample photographs: ")


def _asked_twice(command: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    (photo,) = make_photos(command.folder / "stalls", 0, "a_hang.jpg")
    for k in range(count):
        store = command.folder / f"twice{k}.h5"
        run = Run(photo, store, str(command.photos), *WORKERS, module=MODULE)
        run.wait_for_records(1 + chance.randrange(command.frames // 2))
        run.signal_all(signal.SIGINT)
        time.sleep(chance.uniform(0.5, 3.0))
        alive = run.process.poll() is None
        run.signal_all(signal.SIGINT)
        code = run.finish(AT_ONCE_S)
        run.kill()
        problems = [] if code == EXIT_INTERRUPTED else [ended_badly(code, run)]
        if not alive:
            problems.append("did not wait for the photo under way")
        trial = stopped("Ctrl-C, twice", run, store, problems)
        again = command.start(store)
        code = again.finish()
        again.kill()
        problems = [] if code in EXITS else [ended_badly(code, again)]
        yield trial.and_then([*problems, *lost([*run.records, *again.records], store)])


if __name__ == "__main__":
    run_command(sys.argv[1:])
