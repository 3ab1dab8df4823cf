"""Time and memory that the machinery takes for a frame, with engines that do nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.batch_engine import ENGINES
from benchmarks.fault_engine import make_photos
from benchmarks.registration_report import number, table

ROOT = Path(__file__).resolve().parents[1]
FEW, MANY = 500, 2500  # what starting costs is in both, and not in their difference
ASKED_MS, ASKED_MB = 5.0, 60.0
WORKERS = (0, 2)
BY_FOLDER = 10_000


def measured(
    photos: Path, store: Path, *, workers: int, engine: str, every: int = 10_000
) -> dict[str, Any]:
    """What a batch of `benchmarks.batch_child` says of itself.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    command = [sys.executable, "-m", "benchmarks.batch_child", str(photos), str(store)]
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
