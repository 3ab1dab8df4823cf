"""A run in a process of its own, for others to kill.

``python -m benchmarks.kills.child FOLDER STORE``: the real plan, workers, sharing and store with a
stand-in for the engine, in local workers or on a Dask cluster. Every value that the stand-in tells
follows from the photo's name and from what other photos have told: a run that mixes up results,
loses one, or tells a photo something else than an undisturbed run would, so shows in the store.
Records go to standard output as from ``regengine register --json``.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import signal
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.made_up import made_up_result
from regengine.batch import sharing
from regengine.batch.cluster import run_on_cluster
from regengine.batch.discover import find_photos
from regengine.batch.run import BatchOptions, run_batch
from regengine.errors import FrameError
from regengine.records import record_line
from regengine.registration.neighbour_priors import SOURCE, FrameFacts, NeighbourPrior
from regengine.result import FrameResult
from regengine.store import writer as store_writer
from regengine.store.writer import StoreWriter

START = datetime(2016, 5, 1, 12, tzinfo=UTC)
BODIES = ("NIKON D3S", "NIKON D4", "NIKON D5")
# Small parts and stretches: a short run then has as many moments of danger as a long one
PART_FRAMES = 8
BLOCK_PHOTOS = 32


def make_photos(folder: Path, count: int) -> list[Path]:
    """Small files in the place of photos, ``f0000.jpg`` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"f{number:04d}.jpg" for number in range(count)]
    for path in paths:
        path.write_bytes(f"picture of {path.name}".encode())
    return paths


def facts_of(path: Path, inputs: object = None) -> FrameFacts | None:
    """Time and camera of a photo; None for one in seven."""
    number = int(path.stem[1:])
    if number % 7 == 3:
        return None
    # Bursts of eight, eight seconds apart, a burst every seven minutes
    seconds = 420 * (number // 8) + 8 * (number % 8)
    return FrameFacts(
        frame=path.stem,
        camera_body=BODIES[(number // 4) % len(BODIES)],
        time_utc=START + timedelta(seconds=seconds),
        focal_mm=85.0,
        size_px=(4256, 2832),
    )


def process(path: Path, hints: NeighbourPrior | None = None, inputs: object = None) -> FrameResult:
    """The result of one photo, after 5 to 50 ms; the inputs of the true engine are not used."""
    seed = hashlib.sha256(repr((path.name, hints)).encode()).digest()
    time.sleep(np.random.default_rng(list(seed)).uniform(0.005, 0.050))
    number = int.from_bytes(seed[:4], "big")
    result = made_up_result(number)
    if result.verdict == "failed":
        if number % 3 == 0:
            raise ZeroDivisionError("division by zero")
        raise FrameError(f"{path} is no image: remove it from the list.")
    facts = facts_of(path)
    return replace(
        result,
        frame=path.stem,
        path=str(path),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        time_utc=None if facts is None else facts.time_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        camera_body=None if facts is None else facts.camera_body,
        sources=(("time", "exif"), *(() if hints is None else ((SOURCE, hints.source),))),
    )


def main(argv: list[str]) -> int:
    """Run the batch; 0 when done, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills.child")
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scheduler", help="address of a Dask cluster in place of local workers")
    args = parser.parse_args(argv)
    faulthandler.register(signal.SIGUSR1)
    store_writer.PART_FRAMES = PART_FRAMES
    sharing.BLOCK_PHOTOS = BLOCK_PHOTOS
    photos = find_photos([str(args.folder)])
    options = BatchOptions(
        parameters="{}", parameters_sha256="p", workers=args.workers, facts_of=facts_of
    )

    def report(result: FrameResult) -> None:
        print(record_line(result), flush=True)

    with StoreWriter(args.store) as writer:
        if args.scheduler is None:
            summary = run_batch(photos, process, writer, options, report)
        else:
            summary = run_on_cluster(
                photos,
                process,
                writer,
                options,
                report,
                scheduler=args.scheduler,
            )
    return 130 if summary.interrupted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
