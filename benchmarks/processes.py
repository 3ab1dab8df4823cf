"""Work in processes of its own: through many jobs with a limit, or a command to be measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Job = TypeVar("Job")
Answer = TypeVar("Answer")


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


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Why work was not finished."""

    problem: str


def work_through(
    jobs: Iterable[Job],
    work: Callable[[Job], Answer],
    *,
    workers: int = 1,
    limit_s: float | None = None,
    prepare: Callable[..., None] | None = None,
    prepare_args: tuple[Any, ...] = (),
) -> Generator[tuple[Job, Answer | Lost]]:
    """Do work for each job in worker processes of one thread each."""
    from pebble import ProcessExpired, ProcessPool

    with one_thread():
        # Started afresh, not forked: OpenCV's threads do not survive a fork.
        pool = ProcessPool(
            max_workers=workers,
            context=get_context("spawn"),
            initializer=prepare,
            initargs=list(prepare_args),
        )
        waiting, running = iter(jobs), dict[Future[Answer], Job]()
        try:
            while True:
                for job in islice(waiting, max(2 * workers - len(running), 0)):
                    running[pool.schedule(work, args=[job], timeout=limit_s)] = job
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    answer: Answer | Lost
                    try:
                        answer = future.result()
                    except TimeoutError:
                        answer = Lost(problem=f"killed after {limit_s:.0f} s")
                    except ProcessExpired as error:
                        answer = Lost(problem=f"the process died (exit code {error.exitcode})")
                    except BrokenExecutor:  # no process could be made ready: no job's fault
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
