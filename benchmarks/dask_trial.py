"""One batch on a local Dask cluster whose workers are killed one after the other."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from benchmarks import fault_engine
from benchmarks.dask_cluster import LocalCluster
from benchmarks.fault_checks import differences
from regengine.batch.attempt import Process
from regengine.batch.dask_batch import SHARD_FRAMES, run_on_cluster
from regengine.batch.run import BatchOptions
from regengine.hints import Hints
from regengine.result import FrameResult
from regengine.store.reader import iter_frames
from regengine.store.writer import StoreWriter


@dataclass(frozen=True, kw_only=True)
class DaskTrial:
    """What became of one batch.

    Attributes
    ----------
    frames, workers, kills : int
        Photos; workers at a time; workers that were killed.
    seconds, cpu_s : float
        Time of the run, and what the process that submits it took of a CPU.
    searches : int
        Photos that were begun, those of lost shards included; 0 where they were not counted.
    problems : tuple of str
        Frames not reported once, and columns that differ from the undisturbed run's.
    """

    engine: str
    frames: int
    workers: int
    kills: int
    seconds: float
    cpu_s: float
    searches: int
    problems: tuple[str, ...]


def counted(path: Path, hints: Hints | None = None) -> FrameResult:
    """The stand-in for the engine; each search leaves a byte in a file of its process."""
    with (path.parent.parent / "searches" / str(os.getpid())).open("ab") as log:
        log.write(b".")
    return fault_engine.process(path, hints)


def dask_trial(
    engine: str,
    photos: Sequence[Path],
    process: Process,
    options: BatchOptions,
    cluster: LocalCluster,
    store: Path,
    *,
    workers: int,
    reference: Path | None = None,
    kill_every_s: float = 0.0,
    shard_frames: int = SHARD_FRAMES,
    seed: int = 1,
) -> DaskTrial:
    """Run a batch, kill workers meanwhile, and look at what came of it.

    Parameters
    ----------
    engine : str
        What the photos are worked on with, for the table.
    photos, process, options
        As `regengine.batch.run.run_batch` takes them.
    cluster : LocalCluster
        Where.
    store : Path
        A new store.
    workers : int
        How many the cluster has.
    reference : Path, optional
        Store of an undisturbed run.
    kill_every_s : float, optional
        Mean time between two kills; 0 for none.
    shard_frames : int, optional
        Most photos of a shard.
    seed : int, optional
        Of the choice of workers and moments.

    Returns
    -------
    DaskTrial
    """
    log = photos[0].parent.parent / "searches"
    log.mkdir(exist_ok=True)
    for old in log.iterdir():
        old.unlink()
    reported: Counter[str] = Counter()

    def report(result: FrameResult) -> None:
        reported[result.path] += 1

    over, kills = Event(), [0]
    killer = Thread(target=_kill, args=(cluster, kill_every_s, random.Random(seed), over, kills))
    if kill_every_s:
        killer.start()
    start_s, start_cpu_s = time.monotonic(), time.process_time()
    try:
        with StoreWriter(store) as writer:
            run_on_cluster(
                photos,
                process,
                writer,
                options,
                report,
                scheduler=cluster.address,
                shard_frames=shard_frames,
            )
    finally:
        over.set()
    seconds, cpu_s = time.monotonic() - start_s, time.process_time() - start_cpu_s
    return DaskTrial(
        engine=engine,
        frames=len(photos),
        workers=workers,
        kills=kills[0],
        seconds=seconds,
        cpu_s=cpu_s,
        searches=sum(path.stat().st_size for path in log.iterdir()),
        problems=tuple(_problems(photos, reported, store, reference)),
    )


def _kill(
    cluster: LocalCluster, every_s: float, chance: random.Random, over: Event, kills: list[int]
) -> None:
    while not over.wait(every_s * chance.uniform(0.5, 1.5)):
        kills[0] += cluster.kill_worker(chance.choice)


def _problems(
    photos: Sequence[Path], reported: Counter[str], store: Path, reference: Path | None
) -> list[str]:
    problems = [f"reported {reported[str(p)]} times: {p}" for p in photos if reported[str(p)] != 1]
    stored = Counter(frame.result.path for frame in iter_frames(store))
    problems += [f"stored {stored[str(p)]} times: {p}" for p in photos if stored[str(p)] != 1]
    return problems if reference is None else problems + differences(store, reference)
