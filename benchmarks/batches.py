"""What the machinery of batches costs: two workers against one, time and memory of a frame.

``python -m benchmarks batches`` measures (a) the command on the sample photographs repeated to
``--frames`` with one and with two workers, (b) what the machinery adds to a frame, with engines
that do nothing, and (c) a batch of ``--records`` frames; ``--only`` does one of them, ``--out
FOLDER`` writes the page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.faults.engine import facts_of, make_photos, result_of
from benchmarks.registration.process import one_thread
from benchmarks.registration.report import command_of, number, table, title_lines
from regengine.registration.neighbour_priors import NeighbourPrior
from regengine.result import FrameResult

# Engines that do nothing, so that only the machinery around them is measured.

LIGHTS = 60  # of the stand-in's usual photo


def empty(path: Path, hints: NeighbourPrior | None = None) -> FrameResult:
    """A photo in which nothing was found."""
    return replace(_nothing(), frame=path.stem, path=str(path), sha256=_sha256(path))


def full(path: Path, hints: NeighbourPrior | None = None) -> FrameResult:
    """A photo that was accepted, with control points, hypotheses and `LIGHTS` lights."""
    facts = facts_of(path)
    return replace(
        _accepted(),
        frame=path.stem,
        path=str(path),
        sha256=_sha256(path),
        time_utc=None if facts is None else facts.time_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        camera_body=None if facts is None else facts.camera_body,
    )


ENGINES = {"empty": empty, "full": full}


@cache
def _nothing() -> FrameResult:
    return result_of(Path("f0003.jpg"), "nothing", b"")


@cache
def _accepted() -> FrameResult:
    results = (result_of(Path("f0000.jpg"), "easy", bytes([k])) for k in range(100))
    return next(r for r in results if r.detections is not None and len(r.detections.x) == LIGHTS)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.name.encode()).hexdigest()


# Time and memory that the machinery takes for a frame, with engines that do nothing.

ROOT = Path(__file__).resolve().parents[1]
FEW, MANY = 500, 2500  # what starting costs is in both, and not in their difference
ASKED_MS, ASKED_MB = 5.0, 60.0
WORKERS = (0, 2)
BY_FOLDER = 10_000


def measured(
    photos: Path, store: Path, *, workers: int, engine: str, every: int = 10_000
) -> dict[str, Any]:
    """What a batch of `benchmarks.batches` says of itself."""
    command = [sys.executable, "-m", "benchmarks.batches", str(photos), str(store)]
    command += ["--workers", str(workers), "--engine", engine, "--every", str(every)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    store.unlink(missing_ok=True)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def cost_lines(folder: Path, few: int = FEW, many: int = MANY) -> list[str]:
    """The part of the page: milliseconds a frame, megabytes above the bare program."""
    for count in (few, many):
        make_photos(folder / f"cost{count}", count)
    rows = []
    for engine in ENGINES:
        for workers in WORKERS:
            small, large = (
                measured(folder / f"cost{n}", folder / "cost.h5", workers=workers, engine=engine)
                for n in (few, many)
            )
            lead_ms = 1e3 * (large["cpu_s"] - small["cpu_s"]) / (many - few)
            work_ms = 1e3 * (large["workers_cpu_s"] - small["workers_cpu_s"]) / (many - few)
            rows.append(
                (
                    engine,
                    str(workers),
                    number(lead_ms, 2),
                    number(work_ms, 2) if workers else "–",
                    number(lead_ms + (work_ms if workers else 0.0), 2),
                    number(1e3 * (large["seconds"] - small["seconds"]) / (many - few), 2),
                    number(large["unmerged_peak_mb"] - large["bare_mb"], 0),
                    number(large["peak_mb"] - large["bare_mb"], 0),
                )
            )
    header = (
        *("results", "workers", "lead CPU ms", "workers CPU ms", "together", "wall ms"),
        *("MB before the merge", "MB"),
    )
    return [
        "## What the machinery adds to a frame",
        "",
        f"From batches of {few} and {many} frames; hashing, planning, sharing, passing to and from",
        "workers, storing in parts and merging. Asked: 5 ms a frame, 60 MB above the bare program.",
        "",
        *table(header, rows, right=7),
    ]


def records_lines(folder: Path, count: int) -> list[str]:
    """The part of the page: a long batch, by its tenths."""
    photos = folder / "records"
    for k in range(0, count, BY_FOLDER):
        below = photos / f"{k // BY_FOLDER:04d}"
        below.mkdir(parents=True)
        for n in range(k, min(k + BY_FOLDER, count)):
            (below / f"f{n:07d}.jpg").write_bytes(str(n).encode())
    lines = [f"## A batch of {count:,} frames", ""]
    for workers in WORKERS:
        told = measured(
            photos, folder / "records.h5", workers=workers, engine="full", every=count // 10
        )
        rows, before = [], [0, 0.0, 0.0, told["bare_mb"]]
        for point in told["points"]:
            rows.append(
                (
                    f"{point[0]:,}",
                    number(point[1] - before[1], 1),
                    number(point[2] - before[2], 1),
                    number(point[3] - told["bare_mb"], 0),
                )
            )
            before = point
        header = ("frames", "s for these", "lead CPU s", "MB above the bare program")
        lines += [
            f"{workers} workers: {told['seconds']:,.0f} s, of them {told['merge_s']:,.1f} s "
            f"({told['merge_cpu_s']:,.1f} CPU s) for the merge; at most "
            f"{told['unmerged_peak_mb'] - told['bare_mb']:,.0f} MB above the bare program's "
            f"{told['bare_mb']:,.0f} MB before the merge, and "
            f"{told['peak_mb'] - told['bare_mb']:,.0f} MB with it.",
            "",
            *table(header, rows, right=3),
            "",
        ]
    shutil.rmtree(photos)
    return lines


# Two workers against one, on the sample photographs under many names.

SAMPLES = ROOT / "data_samples"
ASKED = 1.85


def repeated(folder: Path, count: int) -> Path:
    """A folder of so many copies of the sample photographs, each under a name of its own."""
    photos = folder / "photos"
    photos.mkdir()
    samples = sorted(SAMPLES.glob("*.jpg"))
    for k in range(count):
        sample = samples[k % len(samples)]
        shutil.copy(sample, photos / f"{sample.stem}_{k // len(samples):04d}.jpg")
    return photos


def seconds_of(photos: Path, store: Path, workers: int) -> tuple[float, float]:
    """Wall time of the whole command, start and merge and all, and its processor seconds."""
    import resource

    command = [sys.executable, "cli.py", "register", str(photos), "--quiet", "--json"]
    command += ["--tle", str(SAMPLES / "tle.txt"), "--lights", str(SAMPLES / "lights.tif")]
    command += ["--store", str(store), "--workers", str(workers)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun_s = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()[-300:]}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used


def speedup_lines(folder: Path, count: int) -> list[str]:
    """The part of the page: wall time with one worker over that with two."""
    photos = repeated(folder, count)
    rows, walls = [], []
    for workers in (1, 2):
        seconds, cpu_s = seconds_of(photos, folder / f"speed{workers}.h5", workers)
        walls.append(seconds)
        cells = (number(seconds, 1), number(cpu_s, 1), number(count / seconds, 2))
        rows.append((str(workers), *cells))
    return [
        f"## Two workers against one, {count} photographs",
        "",
        *table(("workers", "s", "CPU s", "photos a second"), rows, right=3),
        "",
        f"Two workers are {walls[0] / walls[1]:.2f} times as fast as one (asked: {ASKED}).",
    ]


PARTS = ("speedup", "cost", "records")


def main(argv: list[str]) -> int:
    """Measure, and print or write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks batches", description=__doc__)
    parser.add_argument("--frames", type=int, default=200, help="photos of the first part")
    parser.add_argument("--records", type=int, default=100_000, help="frames of the third part")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--out", type=Path, help="folder for the page")
    arguments = parser.parse_args(argv)
    parts = arguments.only or PARTS
    lines: list[str] = []
    with tempfile.TemporaryDirectory(prefix="batches") as name, one_thread():
        folder = Path(name)
        if "speedup" in parts:
            lines += [*speedup_lines(folder, arguments.frames), ""]
        if "cost" in parts:
            lines += [*cost_lines(folder), ""]
        if "records" in parts:
            lines += [*records_lines(folder, arguments.records), ""]
    sys.stdout.write("\n".join(lines))
    if arguments.out is not None:
        head = title_lines("What batches cost", command_of("batches", argv), EXPLAINED)
        page = arguments.out / f"batches-{datetime.now(UTC):%Y-%m-%d}.md"
        page.write_text("\n".join([*head, *lines]), encoding="utf-8")
    return 0


EXPLAINED = """
Every figure is of a process of its own, one thread each. CPU seconds are those of the process that
leads the batch and of its workers together; they hardly depend on what else the machine does, wall
times do.
""".strip()


# One batch in a process of its own, and what it took: ``python -m benchmarks.batches``.


def run_child(argv: list[str]) -> int:
    """Run a batch with an engine that does nothing; a JSON object on standard output.

    ``bare_mb``, ``unmerged_peak_mb``, ``peak_mb``: resident memory of this process before the
    first photo, at most before the merge, and at most;
    ``seconds``, ``cpu_s``, ``workers_cpu_s``: of the whole batch, merge and all; ``points``: after
    each ``--every`` photos their number, seconds, processor seconds and memory.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batches")
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", default="full")
    parser.add_argument("--every", type=int, default=10_000)
    arguments = parser.parse_args(argv)

    from benchmarks.faults.engine import facts_of
    from benchmarks.registration.process import peak_memory_mb
    from regengine.batch.discover import find_photos
    from regengine.batch.run import BatchOptions, run_batch
    from regengine.store.writer import StoreWriter

    bare_mb = resident_mb()
    begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
    points: list[tuple[int, float, float, float]] = []
    done = 0

    def point() -> None:
        points.append(
            (
                done,
                time.perf_counter() - begun_s,
                time.process_time() - begun_cpu_s,
                resident_mb(),
            )
        )

    def report(_: FrameResult) -> None:
        nonlocal done
        done += 1
        if done % arguments.every == 0:
            point()

    options = BatchOptions(
        parameters="{}",
        parameters_sha256="p",
        workers=arguments.workers,
        facts_of=facts_of,
    )
    photos = find_photos([str(arguments.folder)])
    with StoreWriter(arguments.store) as writer:
        run_batch(photos, ENGINES[arguments.engine], writer, options, report)
        unmerged_mb = peak_memory_mb()
        batch_s, batch_cpu_s = time.perf_counter() - begun_s, time.process_time() - begun_cpu_s
    told = {
        "frames": done,
        "bare_mb": bare_mb,
        "peak_mb": peak_memory_mb(),
        "unmerged_peak_mb": unmerged_mb,
        "seconds": time.perf_counter() - begun_s,
        "cpu_s": time.process_time() - begun_cpu_s,
        "merge_s": time.perf_counter() - begun_s - batch_s,
        "merge_cpu_s": time.process_time() - begun_cpu_s - batch_cpu_s,
        "workers_cpu_s": _children_cpu_s(),
        "points": points,
    }
    print(json.dumps(told))
    return 0


def resident_mb() -> float:
    """Resident memory of this process now, MB (Linux; elsewhere the largest so far)."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1]) / 1024.0
    from benchmarks.registration.process import peak_memory_mb

    return peak_memory_mb()


def _children_cpu_s() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(run_child(sys.argv[1:]))


# What a command of `regengine` costs as a process of its own.

# What a process is told of its peak begins with that of the one that started it: a small one must
WAITER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, _, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as out:
    json.dump([usage.ru_utime + usage.ru_stime, usage.ru_maxrss], out)
"""


def spent(arguments: Sequence[str]) -> tuple[str, str, float, float]:
    """`regengine` as a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        usage = Path(folder) / "usage"
        command = [sys.executable, "-c", WAITER, str(usage), sys.executable, "-m", "cli"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
        cpu_s, peak_kib = json.loads(usage.read_text())
    return done.stdout, done.stderr, cpu_s, peak_kib / 1024
