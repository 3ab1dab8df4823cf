"""The review's server with 100,000 frames: start, first picture, next frame, filters, tiles.

``python -m benchmarks review`` prints the tables; ``--frames`` makes the store smaller,
``--lights`` names a map, ``--out FOLDER`` writes the page as Markdown, dated. The store and its
photos of 45 megapixels are made in a temporary folder (``--folder``), 300 MB, and deleted.
``--solves FILE`` solves cameras from points alone, half an hour, and keeps each in the file, so
that the same command goes on where it was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import cv2
import httpx
import numpy as np

from benchmarks.made_up import make_store
from benchmarks.pages import command_of, parser, table, title_lines, write_page
from benchmarks.review_points import tally
from regengine.store.rows import Tables

SAMPLES = Path(__file__).resolve().parents[1] / "data_samples"
WIDTH_PX, HEIGHT_PX = 8256, 5504  # 45.4 MP, as of a Nikon D850 or Z9
NOISE = 6.0  # grey values: a smooth enlargement would be quicker to decode than any photo is
# The same picture under other names and hashes: nothing is known of one from the other
PHOTOS = 12


def scale_store(folder: Path, frames: int) -> Path:
    """Write a store whose frames share `PHOTOS` photos of 45 megapixels; returns its path."""
    hashes = _photos(folder / "photos")

    def with_photos(tables: Tables, chance: np.random.Generator) -> None:
        of_frames = tables["frames"]
        which = chance.integers(0, PHOTOS, len(of_frames["path"]))
        of_frames["path"] = np.array([f"photos/{k}.jpg".encode() for k in which])
        of_frames["sha256"] = np.array([hashes[k].encode() for k in which])
        of_frames["width_px"][:] = WIDTH_PX
        of_frames["height_px"][:] = HEIGHT_PX

    store = folder / "scale.h5"
    make_store(store, frames, with_photos)
    return store


def _photos(folder: Path) -> list[str]:
    folder.mkdir(parents=True)
    large_photo(folder / "0.jpg")
    for k in range(1, PHOTOS):
        shutil.copyfile(folder / "0.jpg", folder / f"{k}.jpg")
        with (folder / f"{k}.jpg").open("ab") as stream:  # beyond the picture's end
            stream.write(bytes([k]))
    names = [folder / f"{k}.jpg" for k in range(PHOTOS)]
    return [hashlib.sha256(name.read_bytes()).hexdigest() for name in names]


def large_photo(path: Path) -> None:
    """Write a JPEG of 45 MP: a sample enlarged, with the noise of a high sensitivity."""
    small = cv2.imread(str(SAMPLES / "ISS990-E-000101.jpg"), cv2.IMREAD_COLOR)
    assert small is not None
    large = cv2.resize(small, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(1)
    for row in range(0, HEIGHT_PX, 512):  # in strips, for memory
        strip = large[row : row + 512]
        noise = rng.normal(0.0, NOISE, strip.shape).astype(np.float32)
        strip[:] = np.clip(strip + noise, 0.0, 255.0).astype(np.uint8)
    cv2.imwrite(str(path), large, [cv2.IMWRITE_JPEG_QUALITY, 92])


ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")
ROOT = Path(__file__).resolve().parents[1]


class ReviewProcess:
    """``regengine review`` on a store, from its start until the block is left.

    Its ``address`` is where a browser finds the page, with the token; port 0 takes any.

    Raises
    ------
    RuntimeError
        If the server ends before it has told its address.
    """

    def __init__(self, store: Path, *options: str, port: int = 0) -> None:
        self.store = store
        command = [sys.executable, str(ROOT / "cli.py"), "review", str(store)]
        self._process = subprocess.Popen(
            [*command, "--no-browser", "--port", str(port), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
        )
        self.pid = self._process.pid
        self.address = self._told_address()
        self.port = urlsplit(self.address).port or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._leave()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._leave()

    def _leave(self) -> None:
        try:
            self._process.wait(timeout=20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _told_address(self) -> str:
        said: list[str] = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = ADDRESS.search(line)
            if found is not None:
                return found[0]
            said.append(line)
        self._leave()
        raise RuntimeError("the review server did not start: " + "".join(said))


TIMEOUT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An answer: seconds on the clock, seconds of the server's processor time, and its body."""

    clock_s: float
    cpu_s: float
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


class Review(ReviewProcess):
    """A server that is asked as its page asks it.

    ``started`` is what it took until the server told its address.
    """

    def __init__(self, store: Path, lights: Path) -> None:
        begun = time.perf_counter()
        super().__init__(store, "--lights", str(lights), "--reviewer", "bench")
        self.started = Asked(clock_s=time.perf_counter() - begun, cpu_s=self._cpu_s())
        parts = urlsplit(self.address)
        self._client = httpx.Client(
            base_url=f"{parts.scheme}://{parts.netloc}", timeout=TIMEOUT_S, follow_redirects=True
        )
        self._client.get(f"/?{parts.query}").raise_for_status()

    def __exit__(self, *_: object) -> None:
        self._client.close()
        super().__exit__()

    def ask(self, path: str) -> Asked:
        """GET a path; RuntimeError where the answer is an error."""
        cpu, clock = self._cpu_s(), time.perf_counter()
        answer = self._client.get(f"/{path}")
        clock_s = time.perf_counter() - clock
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.url}: {answer.status_code} {answer.text}")
        return Asked(clock_s=clock_s, cpu_s=self._cpu_s() - cpu, body=answer.content)

    def peak_mb(self) -> float:
        """Largest resident memory of the server so far."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return float(status.partition("VmHWM:")[2].split()[0]) / 1024

    def _cpu_s(self) -> float:
        """Processor time of all threads so far, in steps of 10 ms."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


FRAMES_WALKED = 10
REPEATS = 12
PREVIEW = "preview.jpg?size=2048"  # what the page asks for
CAMERAS, STARTS = 40, 200
TOP = 5  # level of a photo of 45 megapixels at its full size
FILTERS = {
    "all, by doubt": "",
    "one verdict": "verdict=review",
    "two verdicts and a reason": "verdict=review&verdict=no_match&reason=low_margin",
    "a category": "category=cities",
    "a camera and dates": "camera=NIKON%20D3S&date_from=2012-03-01&date_to=2012-03-31",
    "a box across the antimeridian": "bbox=170,-40,-170,10",
    "a word in the name": "text=E-99",
    "a country": "text=japan",
    "open ones, by name": "status=open&sort=name",
    "by time": "sort=time",
}
MAP_TILES = ("0/0/0", "2/0/1", "4/1/5", "6/6/23", "7/13/47", "8/27/95", "10/108/380")
LEAST_BOX = "bbox=-10,35,30,60"

OTHERS = {
    "values of the filters": "api/facets",
    "names of towns on the map": f"api/places?{LEAST_BOX}",
    "coast, borders and lakes of the world": "api/outlines/0/0/0.json",
    "the same of a region": "api/outlines/5/28/12.json",
    "a town by name, the first time": "api/places/search?q=nagoya",
    "a town by name": "api/places/search?q=munch",
}
FRAME_PARTS = {
    "frame": "api/frames/{}",
    "picture of 2048 px, not seen before": "api/frames/{}/" + PREVIEW,
    "the same once more": "api/frames/{}/" + PREVIEW,
    "first tile at full size": f"api/frames/{{}}/photo/{TOP}/8/5.jpg",
    "another tile at full size": f"api/frames/{{}}/photo/{TOP}/9/5.jpg",
}

Row = tuple[str, ...]


def start_rows(store: Path, lights: Path) -> list[Row]:
    """From the command to the first picture, step by step; the quickest of three servers."""
    tries = []
    for _ in range(3):
        with Review(store, lights) as review:
            steps = {"command to address": review.started}
            steps["the page's files"] = review.ask("")
            steps["session"] = review.ask("api/session")
            steps["queue: its first 100 rows"] = queue = review.ask("api/frames?limit=100")
            first = queue.json["frames"][0]["id"]
            steps["first frame"] = review.ask(f"api/frames/{first}")
            steps["its picture (2048 px of 45 MP)"] = review.ask(f"api/frames/{first}/{PREVIEW}")
        tries.append(steps)
    best = min(tries, key=lambda steps: sum(step.cpu_s for step in steps.values()))
    rows = [(name, *seconds(step)) for name, step in best.items()]
    whole = Asked(
        clock_s=sum(step.clock_s for step in best.values()),
        cpu_s=sum(step.cpu_s for step in best.values()),
    )
    return [*rows, ("**all of it**", *seconds(whole))]


def frame_rows(review: Review) -> list[Row]:
    """The next frames, one after the other, none of which was seen before; then once more."""
    queue = review.ask("api/frames?limit=200").json["frames"]
    frames = [review.ask(f"api/frames/{row['id']}").json for row in queue]
    firsts = {frame["sha256"]: frame["id"] for frame in reversed(frames) if frame["photo"]}
    chosen = list(firsts.values())[:FRAMES_WALKED]
    rows: list[Row] = []
    for what, address in FRAME_PARTS.items():
        # What is kept is bounded: one such photo at its full size, or dozens of previews
        numbers = chosen[:1] if "full size" in what else chosen
        rows.append((what, *middle([review.ask(address.format(one)) for one in numbers])))
    return rows


def filter_rows(review: Review) -> list[Row]:
    """Filters of the queue: how many frames they find, and the middle of repeated times."""
    rows: list[Row] = []
    for what, query in FILTERS.items():
        asked = [review.ask(f"api/frames?limit=100&{query}") for _ in range(REPEATS)]
        rows.append((what, f"{asked[0].json['total']:,}", *middle(asked)))
    return rows


def other_rows(review: Review) -> list[Row]:
    """What else the page asks for."""
    rows: list[Row] = []
    for what, address in OTHERS.items():
        asked = [review.ask(address) for _ in range(1 if "first" in what else REPEATS)]
        rows.append((what, *middle(asked)))
    return rows


def map_rows(review: Review) -> list[Row]:
    """Tiles of the map: made, and kept."""
    rows: list[Row] = []
    for tile in MAP_TILES:
        made, kept = (review.ask(f"api/lights/{tile}.png") for _ in range(2))
        rows.append((tile, f"{len(made.body) / 1000:.0f}", milliseconds(made), milliseconds(kept)))
    return rows


def solver_row(kept: Path | None = None) -> Row:
    """How points are solved on simulated cameras from wrong starts; see `tally` for ``kept``."""
    ended = tally(CAMERAS, STARTS, kept=kept)
    spent_ms = 1000 * ended.cpu_s / ended.trials
    right = f"{100 * ended.right / ended.trials:.2f} %"
    suspects = f"{ended.suspects} of {ended.points:,} points"
    return f"{CAMERAS}", f"{STARTS}", right, suspects, f"{spent_ms:.0f}"


def seconds(asked: Asked) -> Row:
    """Processor time and clock, seconds."""
    return f"{asked.cpu_s:.2f}", f"{asked.clock_s:.2f}"


def milliseconds(asked: Asked) -> str:
    """Clock, milliseconds."""
    return f"{1000 * asked.clock_s:.0f}"


def middle(asked: Sequence[Asked]) -> Row:
    """Mean processor time, and middle and longest time on the clock, milliseconds."""
    clocks = sorted(one.clock_s for one in asked)
    mean = sum(one.cpu_s for one in asked) / len(asked)
    return tuple(f"{1000 * s:.0f}" for s in (mean, clocks[len(clocks) // 2], clocks[-1]))


def report(folder: Path, frames: int, lights: Path) -> list[str]:
    """All tables, as lines of Markdown."""
    store = scale_store(folder, frames)
    start = start_rows(store, lights)
    with Review(store, lights) as review:
        walked, filtered = frame_rows(review), filter_rows(review)
        others, tiles = other_rows(review), map_rows(review)
        memory = review.peak_mb()
    solved = solver_row()
    head = ("CPU ms", "ms", "longest ms")
    return [
        "## From the command to the first picture",
        "",
        "At most 1.5 s are asked. The least of three servers; the browser's own work is not in it. "
        "The first photo is decoded in a thread, while the server loads its libraries.",
        "",
        *table(("step", "CPU s", "s"), start, 2),
        "",
        "## Next frames",
        "",
        f"At most 150 ms are asked for a frame that the page fetched before. {FRAMES_WALKED} "
        "frames, one for the full size; mean processor time, middle and longest time.",
        "",
        *table(("what", *head), walked, 3),
        "",
        "## Filters of the queue",
        "",
        f"At most 100 ms are asked. 100 rows are answered; {REPEATS} times each.",
        "",
        *table(("filter", "frames", *head), filtered, 4),
        "",
        "## What else the page asks",
        "",
        *table(("what", *head), others, 3),
        "",
        *solver_lines(solved),
        "",
        f"## Tiles of the light map ({lights.name})",
        "",
        "Where the map shows open sea, a tile has next to no bytes.",
        "",
        *table(("zoom/column/row", "kB", "made, ms", "kept, ms"), tiles, 3),
        "",
        f"The server's memory at its peak, after all of this: {memory:.0f} MB.",
    ]


def solver_lines(solved: Row) -> list[str]:
    """The table of `solver_row`."""
    return [
        "## Cameras from points",
        "",
        "Four to eight points, exact or of a pixel's noise, solved from cameras up to 1,500 km "
        "off, nothing else known. At least 99 % are to be right, and of the points, all of which "
        "are, at most 1 in 1,000 suspect.",
        "",
        *table(("cameras", "starts each", "right", "suspects", "CPU ms each"), [solved], 5),
    ]


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0 when done."""
    given = parser("review", None)
    given.add_argument("--frames", type=int, default=100_000, help="of the store")
    given.add_argument("--lights", type=Path, default=SAMPLES / "lights.tif", help="the map")
    given.add_argument("--folder", type=Path, help="where to make the store; else temporary")
    given.add_argument("--solves", type=Path, metavar="FILE", help="cameras alone, kept there")
    options = given.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if options.solves is not None:
        title = title_lines("Cameras from a person's points", command_of("review", argv), "")
        write_page(options.out, "solves", [*title, *solver_lines(solver_row(options.solves))])
        return 0
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        lines = report(Path(folder), options.frames, options.lights.resolve())
    note = (
        f"A store of {options.frames:,} frames with photos of {WIDTH_PX} x {HEIGHT_PX} pixels, "
        "`regengine review` in a process of its own, asked one thing after the other. CPU is the "
        f"server's processor time. {load:.0f} other processes wanted the machine's "
        f"{os.cpu_count()} processors meanwhile: times on the clock are longer for it."
    )
    title = title_lines("The review's server", command_of("review", argv), note)
    write_page(options.out, "review", [*title, *lines])
    return 0
