"""Two workers against one, on the sample photographs under many names."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.registration_report import number, table

ROOT = Path(__file__).resolve().parents[1]
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
    """Wall time of the whole command, start and merge and all, and its processor seconds.

    Raises
    ------
    RuntimeError
        If the command fails.
    """
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
