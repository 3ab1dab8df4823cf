"""Worker processes that may die or hang: each file's fate is told all the same."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Generic, TypeVar

from benchmarks.fuzz_cases import Case
from benchmarks.fuzz_worker import LIMIT_BYTES, Outcome, serve

T = TypeVar("T")
TICK_S = 0.5
IDLE_TIMES = 20.0  # wall clock over processor time: a reader that waits for something hangs, too


@dataclass(kw_only=True)
class _Worker(Generic[T]):
    process: SpawnProcess
    connection: Connection
    folder: tempfile.TemporaryDirectory[str]
    key: T | None = None
    cpu_s: float = 0.0
    start_s: float = 0.0

    def stop(self) -> None:
        self.connection.close()
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.folder.cleanup()


def read_all(
    jobs: Iterable[tuple[T, str, Case | str]], *, workers: int, limit_s: float
) -> Iterator[tuple[T, Outcome]]:
    """Read files in worker processes.

    Parameters
    ----------
    jobs : iterable
        A key that comes back, the way to read, and a `Case` or the path of a file.
    workers : int
        Processes.
    limit_s : float
        Processor time after which a file counts as one that hangs.

    Yields
    ------
    key, Outcome
        As they are done.
    """
    waiting = iter(jobs)
    idle: list[_Worker[T]] = [_start() for _ in range(workers)]
    busy: list[_Worker[T]] = []
    try:
        while True:
            while idle and (job := next(waiting, None)) is not None:
                worker = idle.pop()
                worker.key, worker.start_s = job[0], time.monotonic()
                worker.cpu_s = _cpu_s(worker.process)
                worker.connection.send(job[1:])
                busy.append(worker)
            if not busy:
                return
            ready = wait([worker.connection for worker in busy], timeout=TICK_S)
            for worker in list(busy):
                outcome = _outcome(worker, worker.connection in ready, limit_s)
                if outcome is None:
                    continue
                busy.remove(worker)
                assert worker.key is not None
                yield worker.key, outcome
                if outcome.what in ("crash", "hang"):
                    worker.stop()
                    worker = _start()
                idle.append(worker)
    finally:
        for worker in (*idle, *busy):
            worker.stop()


def _start() -> _Worker[T]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    folder = tempfile.TemporaryDirectory(prefix="fuzz-")
    process = context.Process(target=serve, args=(theirs, folder.name, LIMIT_BYTES), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process=process, connection=ours, folder=folder)


def _outcome(worker: _Worker[T], ready: bool, limit_s: float) -> Outcome | None:
    """What became of a worker's file; None while it is read."""
    cpu_s = _cpu_s(worker.process) - worker.cpu_s
    if ready:
        try:
            answer: Outcome = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            return Outcome(what="crash", text=_how_it_died(worker.process.exitcode), cpu_s=cpu_s)
        return answer
    if cpu_s > limit_s or time.monotonic() - worker.start_s > IDLE_TIMES * limit_s:
        return Outcome(what="hang", text=f"{cpu_s:.0f} s of processor time", cpu_s=cpu_s)
    return None


def _how_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"


def _cpu_s(process: SpawnProcess) -> float:
    """Processor time that a process has taken; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
