"""Work in a process of its own, on one thread, so that its time and memory are its alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_Job = TypeVar("_Job")
_Answer = TypeVar("_Answer")


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


def peak_memory_mb() -> float:
    """Largest resident memory that this process has had, MB.

    Linux's own figure of the process counts from its start; that of ``getrusage`` would also hold
    the peak of the process that started it.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) / 1024.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024.0**2 if sys.platform == "darwin" else 1024.0)
