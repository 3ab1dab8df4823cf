"""What commands cost with many frames.

Stores of some sizes are made of the samples' frames under other names and places, and each command
is run on them as a process of its own. Stores are made in a temporary folder (``--folder``), some
gigabytes for a million frames, and deleted.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from typer import Option

from benchmarks.options import Out
from benchmarks.pages import number, table, tell, title_lines, write_page
from benchmarks.processes import run_and_measure
from regengine.store.file import open_growing
from regengine.store.journal import decode_lines, encode_frame
from regengine.store.read import iter_frames
from regengine.store.rows import TEXT_COLUMNS, StoredFrame, Tables
from regengine.store.writer import StoreWriter, root_attributes

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "data_samples"
LIGHTS = SAMPLES / "lights.tif"
BLOCK = 4096  # frames that are encoded at once
ADDED = 1000  # frames of the run that is merged into the store
# Formats whose files do not need the photos themselves
EXPORTS = ("csv", "parquet", "geojson", "gpkg", "stac", "gcp", "qgis")


def main(
    *,
    frames: Annotated[str, Option(metavar="N,N", help="of the stores")] = "10000,100000,1000000",
    exported: Annotated[int, Option(help="photos of the other exports")] = 10_000,
    only: Annotated[str, Option(metavar="A,B", help="parts of the commands to measure")] = "",
    folder: Annotated[Path | None, Option(help="where to make the stores")] = None,
    out: Out = None,
) -> None:
    """Measure and print; 1 if a command failed."""
    sizes = sorted(int(text) for text in frames.split(","))
    with tempfile.TemporaryDirectory(dir=folder) as name:
        like = sample_frames(Path(name))
        lines, failed = measure_commands(Path(name), sizes, exported, only.split(","), like)
    note = (
        "Processor seconds by frames of the store. Every frame is one of the samples' with another "
        "name, hash and place. A process each, imports among it."
    )
    write_page(out, "scale", [*title_lines("Commands at scale", note), *lines])
    if failed:
        raise typer.Exit(1)


# Stores


def sample_frames(folder: Path) -> list[StoredFrame]:
    """The samples' frames, registered."""
    store = folder / "samples.h5"
    photos = map(str, sorted(SAMPLES.glob("*.jpg")))
    words = ["--tle", str(SAMPLES / "tle.txt"), "--lights", str(LIGHTS), "--store", str(store)]
    run_and_measure(["register", *photos, *words, "--quiet"])
    return list(iter_frames(store))


def photo_path(frame: int) -> str:
    return f"photos/iss030e{frame:07d}.jpg"


def hash_of(frame: int) -> str:
    return hashlib.sha256(str(frame).encode()).hexdigest()


def renumber(frame: int, like: list[StoredFrame]) -> StoredFrame:
    """A frame of its own number and name with the rest of a sample's."""
    stored = like[frame % len(like)]
    result = replace(
        stored.result,
        frame=f"ISS030-E-{frame}",
        path=photo_path(frame),
        sha256=hash_of(frame),
    )
    return replace(stored, frame_index=frame, result=result)


def make_store(path: Path, frames: int, like: list[StoredFrame]) -> None:
    """A merged store of many frames anywhere, through the code that merging writes with."""
    chance = np.random.default_rng(0)
    block = decode_lines([encode_frame(renumber(k, like)) for k in range(BLOCK)])
    lengths = {(group, name): block[group][name].dtype.itemsize for group, name in TEXT_COLUMNS}
    lengths["frames", "frame"] = len(f"ISS030-E-{frames}")
    with open_growing(path, root_attributes(), lengths) as append:
        for start in range(0, frames, BLOCK):
            numbers = range(start, min(start + BLOCK, frames))
            append(renumber_rows(block, numbers, chance))


def renumber_rows(block: Tables, numbers: range, chance: np.random.Generator) -> Tables:
    """Rows of a block's first frames, numbered, named and placed anew."""
    moved: Tables = {}
    for group, rows in block.items():
        keep = rows["frame_index"] < len(numbers)
        moved[group] = {name: array[keep] for name, array in rows.items()}
        moved[group]["frame_index"] = moved[group]["frame_index"] + numbers[0]
    of_frames = moved["frames"]
    of_frames["frame"] = np.array([f"ISS030-E-{k}".encode() for k in numbers])
    of_frames["path"] = np.array([photo_path(k).encode() for k in numbers])
    of_frames["sha256"] = np.array([hash_of(k).encode() for k in numbers])
    there = np.isfinite(of_frames["centre_lon"])
    for name, most in (("centre_lon", 180), ("centre_lat", 51)):
        of_frames[name] = np.where(there, chance.uniform(-most, most, len(numbers)), np.nan)
    return moved


# Commands


def commands(folder: Path, frames: int, exported: int) -> Iterator[tuple[str, list[str]]]:
    """What is measured, in this order, by the words of the table."""
    store, run, catalogue = (str(folder / name) for name in ("all.h5", "run.h5", "all.gpkg"))
    yield "show STORE FRAME", ["show", store, f"ISS030-E-{frames // 2}"]
    yield "report STORE --json", ["report", store, "--json"]
    page = str(folder / "report.html")
    yield "report STORE", ["report", store, "--out", page, "--quiet"]
    yield "export --format csv", export(folder, "all.h5", "csv")
    yield f"merge --grow: {ADDED:,} frames added", ["merge", run, "--out", store, "--grow"]
    yield "verify STORE", ["verify", store]
    yield "catalogue build", ["catalogue", "build", store, "--out", catalogue]
    for words in ("places", "best", "coverage", "changes"):
        yield f"catalogue query {words}", ["catalogue", "query", catalogue, words]
    for name in EXPORTS if exported else ():
        yield f"export --format {name}, {exported:,} frames", export(folder, "few.h5", name)


def export(folder: Path, store: str, name: str) -> list[str]:
    out = folder / name if name in ("stac", "gcp", "qgis") else folder / f"{store}.{name}"
    return ["export", str(folder / store), "--format", name, "--out", str(out), "--quiet"]


def measure_commands(
    folder: Path, sizes: list[int], exported: int, only: list[str], like: list[StoredFrame]
) -> tuple[list[str], bool]:
    """The table of all commands on stores of some sizes, and whether one failed."""
    found: dict[str, dict[int, tuple[float, float, str]]] = {}  # CPU s, MB, problem
    for frames in sizes:
        here = folder / str(frames)
        here.mkdir()
        make_store(here / "all.h5", frames, like)
        with StoreWriter(here / "run.h5") as writer:
            for k in range(ADDED):
                writer.add(renumber(frames + k, like))
            writer.flush()
        few = exported if frames == sizes[-1] else 0
        if few:
            make_store(here / "few.h5", few, like)
        for words, arguments in commands(here, frames, few):
            if any(part in words for part in only):
                _, messages, cpu_s, peak_mb = run_and_measure(arguments)
                problem = next((one for one in messages.splitlines() if one[:6] == "Error:"), "")
                found.setdefault(words, {})[frames] = cpu_s, peak_mb, problem
                tell(f"{frames} {words} {cpu_s:.2f} s, {peak_mb:.0f} MB {problem}")
    rows = []
    for words, by_size in found.items():
        spent = [number(by_size[frames][0]) if frames in by_size else "" for frames in sizes]
        peak = number(max(mb for _, mb, _ in by_size.values()), 0)
        problems = "; ".join(filter(None, (problem for _, _, problem in by_size.values())))
        rows.append((f"`{words}`", *spent, peak, problems))
    header = ("command", *(f"{frames:,}" for frames in sizes), "most MB", "problem")
    return table(header, rows, len(sizes) + 2), any(row[-1] for row in rows)
