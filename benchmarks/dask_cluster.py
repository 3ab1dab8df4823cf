"""A Dask cluster on this machine: a scheduler and workers, each a process of its own.

All are forked from one process that has imported what they need, which costs a second once and
not a second each. A worker that dies is replaced.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from benchmarks.faults import engine as fault_engine
from benchmarks.faults.child import differences
from regengine.batch.attempt import Process
from regengine.batch.dask_client import SHARD_FRAMES, run_on_cluster
from regengine.batch.run import BatchOptions
from regengine.registration.neighbour_priors import NeighbourPrior
from regengine.result import FrameResult
from regengine.store.snapshot import iter_frames
from regengine.store.writer import StoreWriter

ROOT = Path(__file__).resolve().parents[1]
START_S = 60.0


@dataclass(frozen=True)
class LocalCluster:
    """A running cluster."""

    address: str
    folder: Path

    def workers(self) -> list[int]:
        """Process ids of the workers that are there now."""
        return sorted(int(path.name) for path in (self.folder / "workers").iterdir())

    def kill_worker(self, choose: Callable[[list[int]], int] = min) -> bool:
        """End a worker as a kernel without memory does; false where there is none now."""
        alive = self.workers()
        if not alive:
            return False
        with suppress(ProcessLookupError):
            os.kill(choose(alive), signal.SIGKILL)
        return True

    def kill_scheduler(self) -> None:
        """End the scheduler; its cluster is of no use any more."""
        os.kill(int((self.folder / "scheduler").read_text()), signal.SIGKILL)


@contextmanager
def local_cluster(
    folder: Path, workers: int, *, deaths: int = 3, engine: str = ""
) -> Iterator[LocalCluster]:
    """A cluster for the time of a block."""
    folder.mkdir()
    (folder / "workers").mkdir()
    command = [sys.executable, str(Path(__file__)), str(folder), str(workers), str(deaths), engine]
    paths = os.pathsep.join(str(path) for path in (ROOT, os.environ.get("PYTHONPATH", "")) if path)
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        mother = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        address, deadline = folder / "address", time.monotonic() + START_S
        while not address.exists():
            assert mother.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
        yield LocalCluster(address.read_text(), folder)
    finally:
        os.killpg(mother.pid, signal.SIGKILL)
        mother.wait()


def serve(folder: Path, workers: int, deaths: int, engine: str) -> None:
    """Start the cluster and keep its workers alive, until this process is killed."""
    import cv2  # noqa: F401
    import dask
    import distributed

    import regengine.batch.dask_worker  # noqa: F401

    if engine:
        importlib.import_module(engine)
    dask.config.set(
        {
            "distributed.scheduler.allowed-failures": deaths,
            "temporary-directory": str(folder),
        }
    )

    async def schedule() -> None:
        async with distributed.Scheduler(
            host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0"
        ) as scheduler:
            (folder / "address.tmp").write_text(scheduler.address)
            (folder / "address.tmp").rename(folder / "address")
            await scheduler.finished()

    async def work(address: str) -> None:
        async with distributed.Worker(
            address, nthreads=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as worker:
            (folder / "workers" / str(os.getpid())).touch()
            await worker.finished()

    scheduler = forked(schedule)
    (folder / "scheduler").write_text(str(scheduler))
    while not (folder / "address").exists():
        time.sleep(0.02)
    address = (folder / "address").read_text()
    alive = {forked(work, address) for _ in range(workers)}
    while alive:
        pid, _ = os.wait()
        if pid in alive:
            (folder / "workers" / str(pid)).unlink(missing_ok=True)
            alive.remove(pid)
            alive.add(forked(work, address))


def forked(function: Callable[..., Coroutine[Any, Any, None]], *arguments: object) -> int:
    """A child of this process that runs a coroutine and ends."""
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(function(*arguments))
        finally:
            os._exit(0)
    return pid


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])


# One batch on a local Dask cluster whose workers are killed one after the other.


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


def counted(path: Path, hints: NeighbourPrior | None = None) -> FrameResult:
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
    """Run a batch, kill workers meanwhile, and look at what came of it."""
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
