"""What the tests have child processes do; light to import."""

from __future__ import annotations

import os

from benchmarks.processes import peak_memory_mb


def whereabouts(_: object) -> tuple[int, str | None]:
    """The process and its number of threads."""
    return os.getpid(), os.environ.get("OMP_NUM_THREADS")


def die(_: object) -> None:
    """End without a word."""
    os._exit(3)


def held_memory_mb(megabytes: int) -> float:
    """Peak memory of a process that holds so much."""
    block = b"\1" * (megabytes * 2**20)
    return peak_memory_mb() + 0.0 * block[-1]
