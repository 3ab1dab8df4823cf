"""A Dask cluster on this machine: a scheduler and workers, each a process of its own.

All are forked from one process that has imported what they need, which costs a second once and
not a second each. A worker that dies is replaced.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    import regengine.batch.cluster  # noqa: F401

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
