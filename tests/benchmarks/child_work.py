"""What the tests have child processes do; light to import."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

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


def mapped_memory_mb(file: Path) -> tuple[float, float]:
    """Peak memory of a process that has read a mapped file, all of it and its own."""
    with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        read = sum(mapped[at] for at in range(0, len(mapped), mmap.PAGESIZE))
        return peak_memory_mb() + 0.0 * read, peak_memory_mb(own=True)
