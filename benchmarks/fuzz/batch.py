"""Damaged photos as a batch: the store must hold one verdict for each of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.cases import case_of, kind_of
from benchmarks.fuzz.seeds import DATA_SAMPLES
from regengine.store.snapshot import read_store

PHOTO_KINDS = ("jpeg", "png", "tiff", "raw", "fits")
FAULTS = ("internal_error", "worker_died", "timed_out", "out_of_memory")
MAX_SECONDS = "0.5"  # of the search: what is looked for here is before it


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What became of a batch.

    Attributes
    ----------
    what : str
        Which photos.
    photos : int
    verdicts, codes : Counter of str
        Of the store's frames; of those that failed, why.
    missing : int
        Photos without a verdict.
    faults : tuple of str
        Sentences of photos with which the engine was at fault.
    exit_code : int
    """

    what: str
    photos: int
    verdicts: Counter[str]
    codes: Counter[str]
    missing: int
    faults: tuple[str, ...]
    exit_code: int


def registered(seed: int, count: int, *, real: Path | None = None, workers: int = 2) -> Batch:
    """Run ``regengine register`` on damaged photos."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        photos = _write_damaged(seed, count, folder / "photos") if real is None else _files(real)
        store = folder / "run.h5"
        command = [sys.executable, "-m", "cli", "register", *map(str, photos)]
        command += ["--tle", str(DATA_SAMPLES / "tle.txt"), "--store", str(store), "--json"]
        command += ["--lights", str(DATA_SAMPLES / "lights.tif"), "--max-seconds", MAX_SECONDS]
        command += ["--workers", str(workers), "--time", "2031-05-01T00:00:00Z"]
        # No shell: Python itself, with paths of our own making
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        frames = [stored.result for stored in read_store(store)] if store.exists() else []
    codes = Counter(r.reasons[0].code for r in frames if r.verdict == "failed")
    told = {frame.path for frame in frames}
    faults = [
        reason.text.replace(str(folder), "FOLDER").replace(str(real), "FOLDER")
        for frame in frames
        for reason in frame.reasons
        if reason.code in FAULTS
    ]
    if "unforeseen" in done.stderr or "Traceback" in done.stderr:
        faults.append(re.sub(r"\s+", " ", done.stderr.strip()[-300:]))
    return Batch(
        what="malformed files of others" if real is not None else "damaged photos",
        photos=len(photos),
        verdicts=Counter(frame.verdict for frame in frames),
        codes=codes,
        missing=sum(str(path) not in told for path in photos),
        faults=tuple(faults),
        exit_code=done.returncode,
    )


def _write_damaged(seed: int, count: int, folder: Path) -> list[Path]:
    folder.mkdir()
    photos: list[Path] = []
    number = 0
    while len(photos) < count:
        if kind_of(number) in PHOTO_KINDS:
            case = case_of(seed, number)
            path = folder / f"{number:06d}-{case.name}"
            path.write_bytes(case.data)
            photos.append(path)
        number += 1
    return photos


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
