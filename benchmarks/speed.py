"""What commands cost with many frames, and how fast the review's server answers.

Stores of some sizes are made of the samples' frames under other names and places, and each command
is run on them as a process of its own. Stores are made in a temporary folder (``--folder``), some
gigabytes for a million frames, and deleted. ``--review`` measures the server instead, seconds to
the first picture and to the next frame, with a photo of 45 megapixels.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import httpx
import numpy as np
import typer
from typer import Option

from benchmarks.options import Out
from benchmarks.pages import number, table, tell, title_lines, write_page
from benchmarks.processes import run_and_measure
from regengine.io.atomic import provide_replacements
from regengine.store.file import GrowingStore
from regengine.store.journal import decode_lines, encode_frame
from regengine.store.read import iter_frames
from regengine.store.rows import StoredFrame, Tables
from regengine.store.schema import TEXT_COLUMNS
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
    review: Annotated[bool, Option("--review", help="the review's server instead")] = False,
    folder: Annotated[Path | None, Option(help="where to make the stores")] = None,
    out: Out = None,
) -> None:
    """Measure and print; 1 if a command failed."""
    sizes = sorted(int(text) for text in frames.split(","))
    failed = False
    with tempfile.TemporaryDirectory(dir=folder) as name:
        like = sample_frames(Path(name))
        if review:
            store = make_review_store(Path(name), sizes[0], like)
            note = f"A store of {sizes[0]:,} frames with photos of {WIDTH_PX} x {HEIGHT_PX} pixels."
            lines = table("what | s", measure_review(store), right=1)
            title = title_lines("The review's server", note)
        else:
            lines, failed = measure_commands(Path(name), sizes, exported, only.split(","), like)
            note = (
                "Processor seconds by frames of the store. Every frame is one of the samples' with "
                "another name, hash and place. A process each, imports among it."
            )
            title = title_lines("Commands at scale", note)
    write_page(out, "review" if review else "scale", [*title, *lines])
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
    """Path of a frame's photo."""
    return f"photos/iss030e{frame:07d}.jpg"


def renumber(frame: int, like: list[StoredFrame]) -> StoredFrame:
    """A frame of its own number and name with the rest of a sample's."""
    stored = like[frame % len(like)]
    result = replace(
        stored.result,
        frame=f"ISS030-E-{frame}",
        path=photo_path(frame),
        sha256=hashlib.sha256(str(frame).encode()).hexdigest(),
    )
    return replace(stored, frame_index=frame, result=result)


def make_store(
    path: Path, frames: int, like: list[StoredFrame], photos: dict[bytes, bytes] | None = None
) -> None:
    """A merged store of many frames anywhere, through the code that merging writes with.

    They show photos of their own, or those given, by path and hash.
    """
    chance = np.random.default_rng(0)
    block = decode_lines([encode_frame(renumber(k, like)) for k in range(BLOCK)])
    lengths = {(group, name): block[group][name].dtype.itemsize for group, name in TEXT_COLUMNS}
    lengths["frames", "frame"] = len(f"ISS030-E-{frames}")
    with (
        provide_replacements((path,)) as (new,),
        GrowingStore(new, root_attributes(), lengths) as output,
    ):
        for start in range(0, frames, BLOCK):
            output.append(
                renumber_rows(block, range(start, min(start + BLOCK, frames)), chance, photos)
            )


def renumber_rows(
    block: Tables, numbers: range, chance: np.random.Generator, photos: dict[bytes, bytes] | None
) -> Tables:
    """Rows of a block's first frames, numbered, named and placed anew."""
    moved: Tables = {}
    for group, rows in block.items():
        keep = rows["frame_index"] < len(numbers)
        moved[group] = {name: array[keep] for name, array in rows.items()}
        moved[group]["frame_index"] = moved[group]["frame_index"] + numbers[0]
    of_frames = moved["frames"]
    of_frames["frame"] = np.array([f"ISS030-E-{k}".encode() for k in numbers])
    if photos is None:
        paths = [photo_path(k).encode() for k in numbers]
        hashes = [hashlib.sha256(str(k).encode()).hexdigest().encode() for k in numbers]
    else:
        given = list(photos)
        paths = [given[k % len(given)] for k in numbers]
        hashes = [photos[path] for path in paths]
        of_frames["width_px"][:], of_frames["height_px"][:] = WIDTH_PX, HEIGHT_PX
    of_frames["path"], of_frames["sha256"] = np.array(paths), np.array(hashes)
    there = np.isfinite(of_frames["centre_lon"])
    for name, most in (("centre_lon", 180), ("centre_lat", 51)):
        of_frames[name] = np.where(there, chance.uniform(-most, most, len(numbers)), np.nan)
    return moved


# Commands


def commands(folder: Path, frames: int, exported: int) -> Iterator[tuple[str, list[str]]]:
    """What is measured, in this order, by the words of the table."""
    store, run, catalogue = (str(folder / name) for name in ("all.h5", "run.h5", "all.parquet"))
    yield "show STORE FRAME", ["show", store, f"ISS030-E-{frames // 2}"]
    yield "report STORE --json", ["report", store, "--json"]
    page = str(folder / "report.html")
    yield "report STORE", ["report", store, "--out", page, "--quiet"]
    yield "export --format csv", export(folder, "all.h5", "csv")
    yield f"merge --grow: {ADDED:,} frames added", ["merge", run, "--out", store, "--grow"]
    yield "verify STORE", ["verify", store]
    yield "catalogue build", ["catalogue", "build", store, "--out", catalogue]
    for words in ("places", "best", "coverage", "changes"):
        yield f"catalogue {words}", ["catalogue", words, catalogue]
    for name in EXPORTS if exported else ():
        yield f"export --format {name}, {exported:,} frames", export(folder, "few.h5", name)


def export(folder: Path, store: str, name: str) -> list[str]:
    """The arguments of an export."""
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


# The review's server

WIDTH_PX, HEIGHT_PX = 8256, 5504  # 45.4 MP, as of a Nikon D850 or Z9
PREVIEW = "preview.jpg?size=2048"  # what the page asks for
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/(\?token=\S+)")
NEXT = 10


def make_review_store(folder: Path, frames: int, like: list[StoredFrame]) -> Path:
    """A store whose frames show a few photos of 45 megapixels, a sample enlarged."""
    small = cv2.imread(str(sorted(SAMPLES.glob("*.jpg"))[0]), cv2.IMREAD_COLOR)
    assert small is not None
    large = cv2.resize(small, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    noise = np.random.default_rng(1).integers(-9, 10, large.shape, dtype=np.int16)
    noisy = np.clip(large + noise, 0, 255).astype(np.uint8)
    encoded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    (folder / "photos").mkdir()
    photos = {}
    for k in range(NEXT + 2):  # of one another nothing is known
        data = encoded + bytes([k])  # beyond the picture's end
        (folder / f"photos/{k}.jpg").write_bytes(data)
        photos[f"photos/{k}.jpg".encode()] = hashlib.sha256(data).hexdigest().encode()
    make_store(folder / "review.h5", frames, like, photos)
    return folder / "review.h5"


def measure_review(store: Path) -> list[tuple[str, str]]:
    """Seconds from the command to the first picture, and of the next frames."""
    begun = time.perf_counter()
    words = ["review", str(store), "--no-browser", "--port", "0", "--lights", str(LIGHTS)]
    server = subprocess.Popen(
        [sys.executable, "-m", "cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    try:
        assert server.stdout is not None
        told = next(filter(None, map(ADDRESS.search, server.stdout)), None)
        if told is None:
            raise RuntimeError("the review server did not start")
        with httpx.Client(base_url=told[1], timeout=120.0, follow_redirects=True) as client:

            def ask(path: str) -> Any:
                answer = client.get(f"/{path}").raise_for_status()
                return answer.json() if answer.headers["content-type"].endswith("json") else None

            ask(told[2])
            ask("api/session")
            queue = ask("api/frames?limit=100")["frames"]
            photos = {ask(f"api/frames/{row['id']}")["sha256"]: row["id"] for row in queue}
            first, *others = photos.values()
            begun_first = time.perf_counter()
            ask(f"api/frames/{first}/{PREVIEW}")
            rows = [("address, page, session and queue", f"{begun_first - begun:.2f}")]
            rows += [("its first picture", f"{time.perf_counter() - begun_first:.2f}")]
            for what in ("a next picture, not seen before", "the same once more"):
                taken = []
                for frame in others[:NEXT]:
                    started = time.perf_counter()
                    ask(f"api/frames/{frame}/{PREVIEW}")
                    taken.append(time.perf_counter() - started)
                rows.append((what, f"{np.median(taken):.3f} (most {max(taken):.3f})"))
        return rows
    finally:
        server.terminate()
        server.wait(timeout=30.0)
