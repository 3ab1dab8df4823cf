"""The catalogue with a million photos: arranging them, and the time of each list.

``python -m benchmarks catalogue`` prints the tables; ``--photos`` makes it smaller, ``--out
FOLDER`` writes them as Markdown, dated. The archive is made up, see `benchmarks.catalogue`.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.registration.process import peak_memory_mb
from benchmarks.registration.report import command_of, table, title_lines
from regengine.collection.catalogue.arrange import Arranged, arrange
from regengine.collection.catalogue.build import write_raw
from regengine.collection.catalogue.ground import month_of, night_of
from regengine.collection.catalogue.quality import quality_score
from regengine.collection.catalogue.query import (
    BY,
    Answer,
    Catalogue,
    Wanted,
    best,
    changes,
    coverage,
    places,
)
from regengine.exchange.export.footprint import polygons
from regengine.exchange.export.layers import Feature, wkb
from regengine.places import read_places

# Rows of a made-up archive: photos about the cities of the world, as many as people live there.

LENSES_MM, SHARES = (400, 180, 85, 50, 24), (0.25, 0.2, 0.35, 0.12, 0.08)
# Image centres lie about their city as far as a photo of the lens is wide, times about a quarter
SCATTER_KM_MM = 3000.0
KM_PER_DEG = 111.2
START, YEARS = datetime(2010, 1, 1, tzinfo=UTC), 11
WIDTH_PX, HEIGHT_PX, PITCH_UM, ALTITUDE_KM = 4256, 2832, 8.46, 400.0
FARTHEST_LAT = 60.0


def rows(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Rows for `regengine.collection.catalogue.build.write_raw`."""
    chance = np.random.default_rng(seed)
    towns, _ = read_places(15_000)
    seen = np.flatnonzero(np.abs(towns.lat) < FARTHEST_LAT)
    share = towns.population[seen].astype(float) ** 0.9
    town = seen[chance.choice(len(seen), count, p=share / share.sum())]
    lens = chance.choice(LENSES_MM, count, p=SHARES)
    north_km, east_km = chance.normal(0.0, SCATTER_KM_MM / lens, (2, count))
    lat = np.clip(towns.lat[town] + north_km / KM_PER_DEG, -85.0, 85.0)
    lon = towns.lon[town] + east_km / KM_PER_DEG / np.cos(np.radians(lat))
    lon = (lon + 180.0) % 360.0 - 180.0
    off_nadir = np.minimum(chance.gamma(2.0, 15.0, count), 60.0)
    sharpness, cloud = chance.uniform(0.0, 1.0, (2, count))
    seconds = chance.uniform(0.0, YEARS * 365.25 * 86_400.0, count)
    accepted = chance.uniform(0.0, 1.0, count) < 0.9
    columns = (lon, lat, lens, off_nadir, sharpness, cloud, seconds, accepted)
    for number, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        yield _row(number, *values)


def _row(
    number: int,
    lon: float,
    lat: float,
    lens: int,
    off_nadir_deg: float,
    sharpness: float,
    cloud: float,
    seconds: float,
    accepted: bool,
) -> dict[str, Any]:
    time_utc = START + timedelta(seconds=seconds)
    night = night_of(time_utc, lon)
    nadir_m = PITCH_UM * 1e-6 * ALTITUDE_KM * 1e3 / (lens * 1e-3)
    resolution_m = nadir_m / math.cos(math.radians(off_nadir_deg)) ** 1.5
    half_lat = min(0.5 * HEIGHT_PX * resolution_m / 1e3 / KM_PER_DEG, 4.0)
    half_lon = 0.5 * WIDTH_PX * resolution_m / 1e3 / KM_PER_DEG / math.cos(math.radians(lat))
    half_lon = min(half_lon, 10.0)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [half_lon, half_lat] + [lon, lat]
    rings = polygons(corners[:, 0], corners[:, 1])
    frame = f"ISS{number // 10_000:03d}-E-{number}"
    known: dict[str, Any] = {
        "off_nadir_deg": off_nadir_deg,
        "altitude_km": ALTITUDE_KM,
        "resolution_m": resolution_m,
        "sharpness": sharpness,
        "cloud": cloud,
    }
    return known | {
        "frame": frame,
        "sha256": f"{number:064x}",
        "store": "/archive/run.h5",
        "frame_index": number,
        "path": f"photos/{frame}.jpg",
        "verdict": "accepted" if accepted else "review",
        "probability": 0.999,
        "category": "cities",
        "time_utc": time_utc,
        "night": night,
        "month": month_of(night),
        "centre_lon": lon,
        "centre_lat": lat,
        "nadir_lon": lon,
        "nadir_lat": lat,
        "west": (lon - half_lon + 180.0) % 360.0 - 180.0,
        "south": lat - half_lat,
        "east": (lon + half_lon + 180.0) % 360.0 - 180.0,
        "north": lat + half_lat,
        "camera_body": "NIKON D3S",
        "focal_mm": float(lens),
        "lens": f"{lens} mm",
        "cloud_source": "lights",
        "quality": quality_score(**known),
        "geometry": wkb(Feature(row={}, polygons=tuple(rings))),
    }


REPEATS = 3
GOAL_S = 0.3
FIRST = Wanted(limit=20)
QUERIES = {
    "one photo by its name": "SELECT * FROM frames WHERE frame = 'ISS001-E-12345'",
    "photos by lens": "SELECT lens, count(*), avg(off_nadir_deg) FROM frames GROUP BY lens",
    "good photos of a box": "SELECT count(*) FROM frames WHERE centre_lon BETWEEN 130 AND 146 "
    "AND centre_lat BETWEEN 30 AND 46 AND quality > 0.5",
}
Question = Callable[[Catalogue], Answer]


def questions() -> dict[str, Question]:
    """What is asked, by the words of a table."""
    asked: dict[str, Question] = {
        "`places`": lambda held: held.ask(*places(FIRST)),
        "`places --country Japan`": lambda held: held.ask(
            *places(Wanted(country="Japan", limit=20))
        ),
        "`best`": lambda held: held.ask(*best(FIRST)),
        "`best --place Tokyo`": lambda held: held.ask(*best(Wanted(place="Tokyo"))),
        "`best --month 2012-03`": lambda held: held.ask(*best(Wanted(month="2012-03", limit=20))),
        "`changes`": lambda held: held.ask(*changes(FIRST)),
        "`changes --place Tokyo --each month`": lambda held: held.ask(
            *changes(Wanted(place="Tokyo", limit=20), "month")
        ),
    }
    for by in BY:
        asked[f"`coverage --by {by}`"] = lambda held, by=by: coverage(held, by)  # type: ignore[misc]
    for words, sql in QUERIES.items():
        asked[f"`query`: {words}"] = lambda held, sql=sql: held.query(sql)  # type: ignore[misc]
    return asked


def _made(raw: Path, count: int) -> tuple[float, float]:
    start = time.process_time()
    write_raw(raw, rows(count))
    return time.process_time() - start, peak_memory_mb()


def _arranged(raw: Path, out: Path) -> tuple[float, float, Arranged]:
    start = time.process_time()
    told = arrange(raw, out)
    return time.process_time() - start, peak_memory_mb(), told


def _asked(out: Path) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    with Catalogue(out) as held:
        for words, question in questions().items():
            spent = []
            for _ in range(REPEATS):
                start, wall = time.process_time(), time.perf_counter()
                count = sum(1 for _ in question(held).rows)
                spent.append((time.process_time() - start, time.perf_counter() - wall))
            cpu_s, wall_s = min(cpu for cpu, _ in spent), min(wall for _, wall in spent)
            met = "yes" if cpu_s <= GOAL_S else "no"
            lines.append((words, f"{count:,}", f"{cpu_s:.3f}", f"{wall_s:.3f}", met))
    return lines


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Work in a process of its own, whose peak of memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def report(folder: Path, count: int) -> list[str]:
    """Measure; lines of Markdown."""
    raw, out = folder / "raw.parquet", folder / "archive.parquet"
    made_s, made_mb = alone(_made, raw, count)
    arranged_s, arranged_mb, told = alone(_arranged, raw, out)
    steps = [
        ("rows made up, their cities named, written", f"{made_s:.0f}", f"{made_mb:.0f}"),
        (
            "places, the best, coverage, sorted and written",
            f"{arranged_s:.0f}",
            f"{arranged_mb:.0f}",
        ),
    ]
    megabytes = out.stat().st_size / 1e6
    return [
        f"{told.frames:,} photos, {told.places:,} places, {told.nights:,} nights; "
        f"{megabytes:.0f} MB.",
        "",
        *table(("step", "CPU s", "peak MB"), steps, 2),
        "",
        f"Each question {REPEATS} times in one process, the quickest; the goal is {GOAL_S} s of "
        "processor time, over all threads.",
        "",
        *table(("question", "rows", "CPU s", "wall s", "met"), alone(_asked, out), 4),
    ]


def main(argv: Sequence[str]) -> int:
    """Measure and print; 0 when done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks catalogue")
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to make it; else temporary")
    parser.add_argument("--out", type=Path, help="also write the Markdown into this folder")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        lines = report(Path(folder), options.photos)
    note = (
        "Made-up photos about the cities of the world, as many as people live there. Wall times "
        "are of a machine that may have had other work."
    )
    page = "\n".join([*title_lines("The catalogue", command_of("catalogue", argv), note), *lines])
    print(page)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"catalogue-{datetime.now(UTC):%Y-%m-%d}.md"
        path.write_text(page + "\n", encoding="utf-8")
    return 0
