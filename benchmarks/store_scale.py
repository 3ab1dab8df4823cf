"""How the store behaves with a million frames: writing, opening, asking, adding.

``python -m benchmarks store-scale`` prints the tables; ``--frames`` and ``--records`` make it
smaller, ``--out FOLDER`` writes them as Markdown, dated. The stores are made in a temporary folder
(``--folder``), some gigabytes, and deleted. Every measurement has a process of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.batches import spent
from benchmarks.registration.process import peak_memory_mb
from benchmarks.registration.report import command_of, table, title_lines
from benchmarks.store_frames import DISTINCT, made_up_frame, made_up_result, renumbered
from regengine.io.atomic import replacing
from regengine.result import FrameResult
from regengine.store.file import GrowingStore, StoreFile
from regengine.store.hdf5 import encode
from regengine.store.index import find_frames
from regengine.store.merge_stores import merge_stores
from regengine.store.rows import to_tables
from regengine.store.schema import TEXT_COLUMNS
from regengine.store.snapshot import iter_frames
from regengine.store.verify import verify_store
from regengine.store.writer import StoreWriter, root_attributes

BLOCK = 4096
STEPS = 10
REPEATS = 3
BOX = (130.0, 30.0, 146.0, 46.0)  # Japan
Row = tuple[str, ...]


def make_store(
    path: Path,
    frames: int,
    like: Callable[[int], FrameResult] = made_up_result,
    sha256: str = "",
) -> None:
    """A merged store of many frames, through the code that merging writes with."""
    base = path.with_suffix(".base.h5")
    results = [like(number) for number in range(min(DISTINCT, frames))]
    made = [made_up_frame(number, results[number % len(results)]) for number in range(BLOCK)]
    base.write_bytes(encode(to_tables(made), root_attributes()))
    chance = np.random.default_rng(0)
    with StoreFile(base) as source:
        block = source.tables(0, BLOCK)
        lengths = dict.fromkeys(TEXT_COLUMNS, 1) | source.text_lengths()
    lengths["frames", "frame"] = len(f"ISS030-E-{frames}")
    base.unlink()
    with replacing(path) as stream, GrowingStore(stream, root_attributes(), lengths) as output:
        for start in range(0, frames, BLOCK):
            output.append(renumbered(block, start, min(BLOCK, frames - start), chance, sha256))


def run_records(path: Path, first: int, records: int) -> list[tuple[int, float, float]]:
    """Records through the writer; after each step their number, processor seconds and MB."""
    results = [made_up_result(number) for number in range(DISTINCT)]
    steps = []
    started = time.process_time()
    with StoreWriter(path) as writer:
        for number in range(first, first + records):
            writer.add(made_up_frame(number, results[number % DISTINCT]))
            if writer.due():
                writer.flush()
            done = number + 1 - first
            if done % (records // STEPS) == 0:
                steps.append((done, time.process_time() - started, peak_memory_mb()))
        writer.flush()
    return [*steps, (records, time.process_time() - started, peak_memory_mb())]


def count_verdicts(path: Path) -> str:
    """With h5py alone."""
    with h5py.File(path) as store:
        verdicts, counts = np.unique(store["frames/verdict"][()], return_counts=True)
    return ", ".join(f"{n:,} {v.decode()}" for v, n in zip(verdicts, counts, strict=True))


def one_frame(path: Path, name: str) -> int:
    """Verdict and control points of one frame with h5py alone; how many points it has."""
    with h5py.File(path) as store:
        (rows,) = np.nonzero(store["frames/frame"][()] == name.encode())
        number = store["frames/frame_index"][rows[0]]
        points = store["control_points"]
        first, beyond = np.searchsorted(points["frame_index"][()], [number, number + 1])
        return len(np.stack([points[axis][first:beyond] for axis in ("x", "y", "lon", "lat")]).T)


def frames_in_box(path: Path) -> int:
    """How many accepted frames have their centre in a box, and their names, with h5py alone."""
    west, south, east, north = BOX
    with h5py.File(path) as store:
        frames = store["frames"]
        lon, lat = frames["centre_lon"][()], frames["centre_lat"][()]
        inside = (lon >= west) & (lon < east) & (lat >= south) & (lat < north)
        inside &= frames["verdict"][()] == b"accepted"
        return len(frames["frame"][()][inside])


def found_frame(path: Path, name: str) -> int:
    """One frame with everything, through regengine."""
    return len(find_frames(path, name)[0].result.control_points)


def opened_for_writing(path: Path) -> int:
    """What a run does first: the index of all frames."""
    with StoreWriter(path) as writer:
        return next(writer.index.free_numbers())


def ten_more(path: Path) -> int:
    """A run that adds ten frames."""
    with StoreWriter(path) as writer:
        first = next(writer.index.free_numbers())
        for number in range(first, first + 10):
            writer.add(made_up_frame(number, made_up_result(number % DISTINCT)))
        writer.flush()
    return first + 10


def grown(path: Path, other: Path) -> int:
    """Another store merged into it."""
    return merge_stores([other], path, grow=True).frames


def verified(path: Path) -> int:
    """How many problems `verify` finds."""
    return len(verify_store(path).problems)


def streamed(path: Path) -> int:
    """All frames, one after the other."""
    return sum(1 for _ in iter_frames(path))


def measured(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float, float]:
    """Result, processor seconds, seconds on the clock, and peak memory of a call (MB)."""
    clock, processor = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return result, time.process_time() - processor, time.perf_counter() - clock, peak_memory_mb()


def afresh(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def show_process(path: Path, name: str) -> tuple[int, float, float, float]:
    """`regengine show STORE FRAME` from its start to its end."""
    clock = time.perf_counter()
    output, _, cpu_s, megabytes = spent(["show", str(path), name])
    return len(output.splitlines()), cpu_s, time.perf_counter() - clock, megabytes


def best_of(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float, float]:
    """The quickest of some measurements: others work on this machine, too."""
    tries = [afresh(measured, function, *arguments) for _ in range(REPEATS)]
    return min(tries, key=lambda told: told[1])


def row(what: str, told: tuple[Any, float, float, float]) -> Row:
    """A line of a table, shown at once on standard error."""
    result, processor, clock, megabytes = told
    cells = (what, f"{result}", f"{processor:.2f}", f"{clock:.2f}", f"{megabytes:.0f}")
    print(" | ".join(cells), file=sys.stderr, flush=True)
    return cells


def report(folder: Path, frames: int, records: int) -> list[str]:
    """All tables, as lines of Markdown."""
    store, other = folder / "million.h5", folder / "run.h5"
    name = f"ISS030-E-{frames // 2 // DISTINCT * DISTINCT}"  # like the first: accepted
    with ThreadPoolExecutor(2) as both:
        making = both.submit(afresh, measured, make_store, store, frames)
        running = both.submit(afresh, run_records, other, 2 * frames, records)
        made, steps = making.result(), running.result()
    print(steps, file=sys.stderr, flush=True)
    size = store.stat().st_size
    questions = [
        row("open, count the verdicts (h5py)", best_of(count_verdicts, store)),
        row("open, control points of one frame by its id (h5py)", best_of(one_frame, store, name)),
        row("open, names of accepted frames in a box of 16° (h5py)", best_of(frames_in_box, store)),
        row("open, one frame by its id, everything (regengine)", best_of(found_frame, store, name)),
        row("`regengine show STORE FRAME`, whole process", afresh(show_process, store, name)),
    ]
    work = [
        row("made", (f"{frames:,} frames, {size / 1e9:.2f} GB", *made[1:])),
        row("opened by a run: index of all frames", afresh(measured, opened_for_writing, store)),
        row("a run that adds ten frames", afresh(measured, ten_more, store)),
        row("the run's frames read one by one", afresh(measured, streamed, other)),
        row("`merge --grow`: the run's frames added", afresh(measured, grown, store, other)),
        row("`verify` of the run's store: problems", afresh(measured, verified, other)),
        row("`verify` of the large store: problems", afresh(measured, verified, store)),
    ]
    head = ("what", "result", "CPU s", "s", "peak MB")
    before, lines = 0.0, []
    for number, seconds, megabytes in steps[:-1]:
        lines.append((f"{number:,}", f"{seconds - before:.2f}", f"{megabytes:.0f}"))
        before = seconds
    _, seconds, megabytes = steps[-1]
    lines.append(("merge at the end", f"{seconds - before:.2f}", f"{megabytes:.0f}"))
    return [
        f"## Questions to a merged store of {frames:,} frames",
        "",
        f"Least of {REPEATS} processes each; at most 1 s is asked. MB: with Python and libraries.",
        "",
        *table(head, questions, 3),
        "",
        f"## A run of {records:,} records",
        "",
        "Results made up in no time go through `StoreWriter` in parts of 64, as in a run.",
        "",
        *table(("records", "CPU s since the line before", "peak MB"), lines, 2),
        "",
        f"## Work on the store of {frames:,} frames",
        "",
        "In this order, each in a process of its own.",
        "",
        *table(head, work, 3),
    ]


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0 when done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks store-scale")
    parser.add_argument("--frames", type=int, default=1_000_000, help="of the merged store")
    parser.add_argument("--records", type=int, default=100_000, help="of the run")
    parser.add_argument("--folder", type=Path, help="where to make the stores; else temporary")
    parser.add_argument("--out", type=Path, help="also write the Markdown into this folder")
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        lines = report(Path(folder), options.frames, options.records)
    note = (
        f"Every frame is one of {DISTINCT} made-up results with another name, hash and place: two "
        "fifths have a camera, four control points and two hypotheses, four fifths 20 lights."
    )
    title = title_lines("The store at scale", command_of("store-scale", argv), note)
    page = "\n".join([*title, *lines])
    print(page)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"store-scale-{datetime.now(UTC):%Y-%m-%d}.md"
        path.write_text(page + "\n", encoding="utf-8")
    return 0
