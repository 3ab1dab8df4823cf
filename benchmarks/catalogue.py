"""The catalogue with a million photos: arranging them, and the time of each list.

``python -m benchmarks catalogue`` prints the tables; ``--photos`` makes it smaller, ``--out
FOLDER`` writes them as Markdown, dated. The archive is made up, see `benchmarks.made_up_archive`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.made_up_archive import rows
from benchmarks.registration_process import peak_memory_mb
from benchmarks.registration_report import command_of, table, title_lines
from regengine.catalogue.arrange import Arranged, arrange
from regengine.catalogue.coverage import BY, coverage
from regengine.catalogue.questions import Wanted, best, changes, places
from regengine.catalogue.raw_rows import write_raw
from regengine.catalogue.reader import Answer, Catalogue

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
