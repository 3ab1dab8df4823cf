"""The review's server with 100,000 frames: start, first picture, next frame, filters, tiles.

``python -m benchmarks review`` prints the tables; ``--frames`` makes the store smaller,
``--lights`` names a map, ``--out FOLDER`` writes the page as Markdown, dated. The store and its
photos of 45 megapixels are made in a temporary folder (``--folder``), 300 MB, and deleted. What a
browser does with the answers is measured by ``review-page``.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.registration_report import command_of, table, title_lines
from benchmarks.review_asked import Asked, Review
from benchmarks.review_large import HEIGHT_PX, WIDTH_PX
from benchmarks.review_sample import SAMPLES
from benchmarks.review_scale import scale_store

FRAMES_WALKED = 10
REPEATS = 12
PREVIEW = "preview.jpg?size=2048"  # what the page asks for
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
    for what, address in (
        ("frame", "api/frames/{}"),
        ("picture of 2048 px, not seen before", "api/frames/{}/" + PREVIEW),
        ("the same once more", "api/frames/{}/" + PREVIEW),
        ("first tile at full size", f"api/frames/{{}}/photo/{TOP}/8/5.jpg"),
        ("another tile at full size", f"api/frames/{{}}/photo/{TOP}/9/5.jpg"),
    ):
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
    for what, address in (
        ("values of the filters", "api/facets"),
        ("statistics", "api/stats"),
        ("names of towns on the map", f"api/places?{LEAST_BOX}"),
        ("coastline", "api/coastline.json"),
        ("a town by name, the first time", "api/places/search?q=nagoya"),
        ("a town by name", "api/places/search?q=munch"),
    ):
        asked = [review.ask(address) for _ in range(1 if "first" in what else REPEATS)]
        rows.append((what, *middle(asked)))
    return rows


def map_rows(review: Review) -> list[Row]:
    """Tiles of the map: made, and kept."""
    rows: list[Row] = []
    for tile in MAP_TILES:
        made, kept = (review.ask(f"api/lights/{tile}.png") for _ in range(2))
        rows.append((tile, f"{made.size / 1000:.0f}", milliseconds(made), milliseconds(kept)))
    return rows


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
        f"## Tiles of the light map ({lights.name})",
        "",
        "Where the map shows open sea, a tile has next to no bytes.",
        "",
        *table(("zoom/column/row", "kB", "made, ms", "kept, ms"), tiles, 3),
        "",
        f"The server's memory at its peak, after all of this: {memory:.0f} MB.",
    ]


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0 when done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks review")
    parser.add_argument("--frames", type=int, default=100_000, help="of the store")
    parser.add_argument("--lights", type=Path, default=SAMPLES / "lights.tif", help="the map")
    parser.add_argument("--folder", type=Path, help="where to make the store; else temporary")
    parser.add_argument("--out", type=Path, help="also write the Markdown into this folder")
    options = parser.parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
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
    page = "\n".join([*title, *lines])
    print(page)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"review-{datetime.now(UTC):%Y-%m-%d}.md"
        path.write_text(page + "\n", encoding="utf-8")
    return 0
