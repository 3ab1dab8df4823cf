"""Whether a batch on a Dask cluster survives the death of its workers, every few seconds.

``python -m benchmarks dask-kills`` runs a stand-in for the engine of 5 to 50 ms over a few
thousand photos, undisturbed in one process, then on clusters whose workers are killed and
replaced, and compares the stores. ``--real`` does the same with the engine itself on the sample
photographs, repeated to 20. ``--kept FILE`` keeps what came of each batch, so that several runs
make one page; ``--out FOLDER`` writes it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import dask_cluster as engine_module
from benchmarks.dask_cluster import ROOT, DaskTrial, counted, dask_trial, local_cluster
from benchmarks.faults import engine as fault_engine
from benchmarks.registration.report import command_of, number, table, title_lines
from regengine.batch.run import BatchOptions, Process, run_batch
from regengine.pipeline import RunInputs, facts_of_photo, process_photo
from regengine.registration.register import RegisterParams
from regengine.store.writer import StoreWriter

# The table of batches on clusters whose workers died, and its page.

EXPLAINED = """
A scheduler and workers, each a process of its own on one machine, of which one is killed with
SIGKILL every {every:g} seconds in the mean and replaced at once. Its shard begins again elsewhere.
Each batch is compared with one that ran undisturbed in two local worker processes: each photo
reported and stored once, every column that is not marked volatile equal to the last bit.
*Searches* are photos that were begun, over those that had to be: what the kills cost. *CPU ms* are
those of the process that submits, for planning, storing and talking to the scheduler.

`stand-in`: 5 to 50 ms a photo, with results that follow from the photo and from what other photos
have told, and second searches. `regengine`: the engine itself on the sample photographs, a photo a
shard, a kill a fifth as often.
"""


def table_lines(trials: Sequence[DaskTrial]) -> list[str]:
    """A row for each batch."""
    needed = {(t.engine, t.frames): t.searches for t in reversed(trials) if not t.kills}
    rows = [
        (
            trial.engine,
            f"{trial.frames:,}",
            str(trial.workers),
            str(trial.kills),
            number(trial.seconds, 0),
            f"{1e3 * trial.cpu_s / trial.frames:.1f}",
            _ratio(trial, needed.get((trial.engine, trial.frames))),
            str(len(trial.problems)),
        )
        for trial in trials
    ]
    header = ("engine", "photos", "workers", "killed", "s", "CPU ms a photo", "searches")
    return table((*header, "lost, doubled or different"), rows, right=7)


def page_lines(trials: Sequence[DaskTrial], command: str, every_s: float) -> list[str]:
    """The page."""
    problems = [f"- {trial.workers} workers: {p}" for trial in trials for p in trial.problems]
    note = EXPLAINED.format(every=every_s).strip()
    return [
        *title_lines("Dask clusters that lose their workers", command, note),
        *table_lines(trials),
        "",
        *(["## Problems", "", *problems] if problems else ["No frame was lost or done twice."]),
    ]


def _ratio(trial: DaskTrial, needed: int | None) -> str:
    return f"× {trial.searches / needed:.2f}" if needed and trial.searches else "–"


SAMPLES = ROOT / "data_samples"
REAL_PHOTOS = 20


@dataclass
class Looks:
    """A clock that is one second on at each look at it: equal searches on any machine."""

    seconds: float = 0.0

    def __call__(self) -> float:
        """The time."""
        self.seconds += 1.0
        return self.seconds


def main(argv: list[str]) -> int:
    """Kill workers; 1 if a frame was lost, doubled or otherwise than undisturbed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks dask-kills", description=__doc__)
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--every", type=float, default=4.0, help="mean seconds between two kills")
    parser.add_argument("--real", action="store_true", help="the engine itself instead")
    parser.add_argument("--looks", type=float, default=20.0, help="effort of the engine itself")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kept", type=Path, help="file of batches, which grows")
    parser.add_argument("--report-only", action="store_true", help="of the file alone")
    parser.add_argument("--out", type=Path, help="folder for the page")
    arguments = parser.parse_args(argv)
    trials = [] if arguments.kept is None else kept_trials(arguments.kept)
    if not arguments.report_only:
        make = real_trials if arguments.real else stand_in_trials
        with tempfile.TemporaryDirectory(prefix="dask-kills") as name:
            for trial in make(arguments, Path(name)):
                trials.append(trial)
                if arguments.kept is not None:
                    with arguments.kept.open("a") as kept:
                        kept.write(json.dumps(asdict(trial)) + "\n")
    print("\n".join(table_lines(trials)))
    if arguments.out is not None:
        page = arguments.out / f"dask-kills-{datetime.now(UTC):%Y-%m-%d}.md"
        lines = page_lines(trials, command_of("dask-kills", argv), arguments.every)
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(any(trial.problems for trial in trials))


def kept_trials(path: Path) -> list[DaskTrial]:
    """Batches of earlier runs."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return [DaskTrial(**row | {"problems": tuple(row["problems"])}) for row in rows]


def stand_in_trials(arguments: argparse.Namespace, folder: Path) -> Iterator[DaskTrial]:
    """Batches of many quick photos, on clusters of several sizes, with and without kills."""
    photos = fault_engine.make_photos(folder / "photos", arguments.frames)
    options = BatchOptions(
        parameters="{}", parameters_sha256="p", workers=2, facts_of=fault_engine.facts_of
    )
    reference = folder / "reference.h5"
    undisturbed(photos, fault_engine.process, options, reference)
    for workers in arguments.workers:
        for every_s in (0.0, arguments.every):
            name = f"{workers}-{every_s:g}"
            with local_cluster(
                folder / f"cluster-{name}", workers, engine=engine_module.__name__
            ) as cluster:
                yield dask_trial(
                    "stand-in",
                    photos,
                    counted,
                    options,
                    cluster,
                    folder / f"{name}.h5",
                    workers=workers,
                    reference=reference,
                    kill_every_s=every_s,
                    seed=arguments.seed,
                )


def real_trials(arguments: argparse.Namespace, folder: Path) -> Iterator[DaskTrial]:
    """The engine itself on the samples, with a kill every fifth time as often."""
    there = folder / "real" / "photos"
    there.mkdir(parents=True)
    samples = sorted(SAMPLES.glob("*.jpg"))
    photos = [there / f"ISS990-E-{n + 101:06d}.jpg" for n in range(REAL_PHOTOS)]
    for n, photo in enumerate(photos):
        shutil.copy(samples[n % len(samples)], photo)
    inputs = RunInputs(
        lights=(SAMPLES / "lights.tif",),
        tle=SAMPLES / "tle.txt",
        register=RegisterParams(max_seconds=arguments.looks, clock=Looks()),
    )
    process = partial(process_photo, inputs=inputs)
    facts_of = partial(facts_of_photo, inputs=inputs)
    options = BatchOptions(parameters="{}", parameters_sha256="p", workers=2, facts_of=facts_of)
    reference = folder / "real.h5"
    undisturbed(photos, process, options, reference)
    with local_cluster(folder / "cluster-real", 2, engine="regengine.pipeline") as cluster:
        yield dask_trial(
            "regengine",
            photos,
            process,
            options,
            cluster,
            folder / "real-killed.h5",
            workers=2,
            reference=reference,
            kill_every_s=5.0 * arguments.every,
            shard_frames=1,
            seed=arguments.seed,
        )


def undisturbed(photos: list[Path], process: Process, options: BatchOptions, store: Path) -> None:
    """The same batch on this machine."""
    with StoreWriter(store) as writer:
        run_batch(photos, process, writer, options, lambda result: None)
