"""A run in a process of its own, for others to stop, starve and kill.

``python -m benchmarks.fault_child FOLDER STORE``: the real plan, workers, sharing and store, with
the stand-in engine. Records go to standard output as from ``regengine register --json``; what the
run is about goes to the file descriptor of ``--tell``.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

EXIT_STORE = 3
# Small parts and stretches: a short run then has as many moments of danger as a long one
PART_FRAMES = 8
STRETCH = 32
STEPS_S = (86_400.0, -86_400.0, 3600.0, -3600.0, 90.0, -90.0)


def run_child(argv: list[str]) -> int:
    """Run a batch; 0 when done, 3 if the store cannot be written, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fault_child")
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--tell", type=int, default=2)
    parser.add_argument("--also", action="append", default=[], metavar="PHOTO")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--limit-s", type=float, default=600.0)
    parser.add_argument("--retry", action="append", default=[], metavar="VERDICT")
    parser.add_argument("--memory-mb", type=int, default=0)
    parser.add_argument("--file-bytes", type=int, default=0)
    parser.add_argument("--stepping-clock", type=int, default=None, metavar="SEED")
    arguments = parser.parse_args(argv)

    small_parts()
    if arguments.file_bytes:
        limit_files(arguments.file_bytes)
    if arguments.stepping_clock is not None:
        step_clock(arguments.stepping_clock)
    return run_store(arguments, partial(tell, arguments.tell))


def run_store(arguments: argparse.Namespace, told: Callable[[str], None]) -> int:
    """The run itself, with a word at each of its phases."""
    from benchmarks.fault_engine import facts_of, process
    from regengine.batch.discover import find_photos
    from regengine.batch.run import BatchOptions, run_batch
    from regengine.errors import StoreError
    from regengine.records import record_line
    from regengine.store.writer import StoreWriter

    options = BatchOptions(
        parameters="{}",
        parameters_sha256="p",
        workers=arguments.workers,
        limit_s=arguments.limit_s,
        memory_mb=arguments.memory_mb,
        retry=frozenset(arguments.retry),
        facts_of=facts_of,
    )
    photos = find_photos([str(arguments.folder), *arguments.also])
    told("opening")
    try:
        with StoreWriter(arguments.store) as writer:
            told("running")
            summary = run_batch(
                photos, process, writer, options, lambda r: print(record_line(r), flush=True)
            )
            told("merging")
    except StoreError as error:
        print(f"Error: {error}", file=sys.stderr)
        return EXIT_STORE
    told("done")
    return 130 if summary.interrupted else 0


def small_parts() -> None:
    """Write parts of a few frames, and let photos help each other in short stretches."""
    from regengine.batch import sharing
    from regengine.store import writer

    writer.PART_FRAMES = PART_FRAMES
    sharing.STRETCH = STRETCH


def tell(descriptor: int, word: str) -> None:
    """Say where the run is; one write, so that a kill leaves no half word."""
    os.write(descriptor, f"{word}\n".encode())


def limit_files(size_bytes: int) -> None:
    """Have the kernel refuse files larger than this, as a full disk refuses them."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))


def step_clock(seed: int) -> None:
    """Let this process's time of day jump by up to a day, ten times a second."""
    true, chance = time.time, random.Random(seed)
    state = {"next": 0.0, "offset": 0.0}

    def stepping() -> float:
        now = true()
        if now >= state["next"]:
            state["next"], state["offset"] = now + 0.1, chance.choice(STEPS_S)
        return now + state["offset"]

    time.time = stepping


if __name__ == "__main__":
    sys.exit(run_child(sys.argv[1:]))
