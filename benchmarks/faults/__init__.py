"""Whether batches lose a frame: runs that are killed, starved, refused and resumed.

``python -m benchmarks faults`` makes faults of every kind and prints how many reported results
were lost; ``--trials 100`` is how many moments a run is killed at, ``--only KIND`` does one kind,
``--out FOLDER`` writes the page.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.faults.command import photograph_trials, signal_trials
from benchmarks.faults.disk import (
    limit_trials,
    read_only_trials,
    small_disk_trials,
    unreadable_trials,
)
from benchmarks.faults.engine import make_photos
from benchmarks.faults.kills import (
    clock_trials,
    harmful_trials,
    kill_trials,
    second_run_trials,
    worker_kill_trials,
)
from benchmarks.faults.trial import Bench, Trial, page_lines, reference_bench, table_lines
from benchmarks.registration.report import command_of

Trials = Callable[[Bench, int, random.Random], Iterator[Trial]]


def _harmful(bench: Bench, count: int, chance: random.Random) -> Iterator[Trial]:
    return harmful_trials(bench, count)


# Kinds of faults: how they are made, and how many for each hundred kills
KINDS: dict[str, tuple[Trials, float]] = {
    "kills": (kill_trials, 1.0),
    "workers": (worker_kill_trials, 0.4),
    "harm": (_harmful, 0.02),
    "limit": (limit_trials, 0.2),
    "disk": (small_disk_trials, 0.2),
    "read-only": (read_only_trials, 0.05),
    "unreadable": (unreadable_trials, 0.05),
    "clock": (clock_trials, 0.03),
    "second": (second_run_trials, 0.03),
    "signals": (signal_trials, 0.03),
    "photographs": (photograph_trials, 0.06),
}


def main(argv: list[str]) -> int:
    """Make faults; 1 if anything was lost or is otherwise than in an undisturbed run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faults", description=__doc__)
    parser.add_argument("--trials", type=int, default=100, help="kills of whole runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--only", choices=sorted(KINDS), action="append")
    parser.add_argument("--kept", type=Path, help="file that trials are added to, for one page")
    parser.add_argument("--report-only", action="store_true", help="no trials, those kept alone")
    parser.add_argument("--out", type=Path, help="folder for the page")
    arguments = parser.parse_args(argv)
    trials: list[Trial] = []
    if not arguments.report_only:
        with tempfile.TemporaryDirectory(prefix="faults") as name:
            for trial in all_trials(arguments, Path(name)):
                trials.append(trial)
                if arguments.kept is not None:
                    keep(arguments.kept, trial)
    if arguments.kept is not None:
        trials = kept(arguments.kept)
    print("\n".join(table_lines(trials)))
    if arguments.out is not None:
        page = arguments.out / f"faults-{datetime.now(UTC):%Y-%m-%d}.md"
        lines = page_lines(trials, command_of("faults", argv), arguments.frames)
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(any(trial.problems for trial in trials))


def keep(path: Path, trial: Trial) -> None:
    """Add a trial to a file."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(trial)) + "\n")


def kept(path: Path) -> list[Trial]:
    """The trials that a file keeps."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Trial(**row | {"problems": tuple(row["problems"])}) for row in rows]


def all_trials(arguments: argparse.Namespace, folder: Path) -> Iterator[Trial]:
    """The trials of all kinds that were asked for, each told as it ends."""
    make_photos(folder / "photos", arguments.frames)
    bench = reference_bench(
        Bench(
            folder=folder,
            photos=folder / "photos",
            reference=folder / "reference.h5",
            frames=arguments.frames,
        )
    )
    for kind, (make, share) in KINDS.items():
        if arguments.only and kind not in arguments.only:
            continue
        # Each kind its own chance: what is drawn for one does not hang on which others are done
        chance = random.Random(f"{arguments.seed} {kind}")
        begun = time.monotonic()
        for trial in make(bench, max(1, round(share * arguments.trials)), chance):
            told = "; ".join(trial.problems[:6]) or "nothing lost"
            print(
                f"{time.monotonic() - begun:6.0f} s  {trial.kind}: {trial.checked} records, {told}",
                file=sys.stderr,
                flush=True,
            )
            yield trial
