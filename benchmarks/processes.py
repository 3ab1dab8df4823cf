"""Work in processes of its own: alone on one thread, or through many seeds with a limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_Job = TypeVar("_Job")
_Answer = TypeVar("_Answer")
Columns = dict[str, Any]


@contextmanager
def one_thread() -> Iterator[None]:
    """Have processes started meanwhile use one thread in their numerical libraries."""
    before = {name: os.environ.get(name) for name in THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(THREAD_SETTINGS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def run_alone(work: Callable[[_Job], _Answer], job: _Job) -> _Answer | None:
    """Do work in a fresh process on one thread; None if that process died."""
    with one_thread():
        context = get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
            try:
                return pool.submit(work, job).result()
            except BrokenProcessPool:
                return None


def peak_memory_mb(*, own: bool = False) -> float:
    """Largest resident memory that this process has had, MB.

    Its own is that without the files that it has mapped by now, such as libraries and an index,
    which processes share; where the system does not tell, all of it. Linux's own figure of the
    process counts from its start; that of ``getrusage`` would also hold the peak of the process
    that started it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = (line.split() for line in status.read_text(encoding="ascii").splitlines())
        told_kb = {line[0]: float(line[1]) for line in lines if line[-1] == "kB"}
        if "VmHWM:" in told_kb:
            return (told_kb["VmHWM:"] - own * told_kb.get("RssFile:", 0.0)) / 1024.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0**2 if sys.platform == "darwin" else 1024.0)


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A seed whose work was not finished, and why."""

    problem: str


def work_through(
    seeds: Iterable[int],
    work: Callable[[int], Columns],
    *,
    workers: int,
    limit_s: float,
    prepare: Callable[..., None],
    prepare_args: tuple[Any, ...] = (),
) -> Generator[tuple[int, Columns | Lost]]:
    """Do work for each seed in worker processes of one thread each."""
    from pebble import ProcessExpired, ProcessPool

    with one_thread():
        # Started afresh, not forked: OpenCV's threads do not survive a fork.
        pool = ProcessPool(
            max_workers=workers,
            context=get_context("spawn"),
            initializer=prepare,
            initargs=list(prepare_args),
        )
        waiting, running = iter(seeds), dict[Future[Columns], int]()
        try:
            while True:
                while len(running) < 2 * workers and (seed := next(waiting, None)) is not None:
                    running[pool.schedule(work, args=[seed], timeout=limit_s)] = seed
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    answer: Columns | Lost
                    try:
                        answer = future.result()
                    except TimeoutError:
                        answer = Lost(problem=f"killed after {limit_s:.0f} s")
                    except ProcessExpired as error:
                        answer = Lost(problem=f"the process died (exit code {error.exitcode})")
                    except BrokenExecutor:  # no process could be made ready: no seed's fault
                        raise
                    except Exception as error:
                        answer = Lost(problem=f"{type(error).__name__}: {error}")
                    yield running.pop(future), answer
        finally:
            pool.stop()
            pool.join()


# What a process is told of its peak begins with that of the one that started it: a small one must
WAITER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, _, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as out:
    json.dump([usage.ru_utime + usage.ru_stime, usage.ru_maxrss], out)
"""


def run_and_measure(arguments: Sequence[str]) -> tuple[str, str, float, float]:
    """`regengine` as a process of its own: its output, messages, CPU seconds and peak MB."""
    with tempfile.TemporaryDirectory() as folder:
        usage = Path(folder) / "usage"
        command = [sys.executable, "-c", WAITER, str(usage), sys.executable, "-m", "cli"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
        cpu_s, peak_kib = json.loads(usage.read_text())
    return done.stdout, done.stderr, cpu_s, peak_kib / 1024
