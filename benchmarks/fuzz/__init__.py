"""Whether any file can crash, hang or bloat the engine, or make it say something unclear.

``python -m benchmarks fuzz`` reads files that were damaged on purpose, each by the ways of the
commands, in worker processes with a limit on time and memory; ``--real FOLDER`` adds malformed
files that others collected, through every command; ``--commands N`` sends some of the damaged
photos through whole commands, and through ``regengine register``, whose store must hold a verdict
for each. ``--table FILE`` keeps what is done, and goes on from there; ``--keep FOLDER`` keeps every
file that was a finding, cut down to what matters; ``--out FOLDER`` writes a page.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.fuzz.batch import registered
from benchmarks.fuzz.cases import case_of, kind_of
from benchmarks.fuzz.page import page_lines, summary_lines
from benchmarks.fuzz.pool import WAYS, read_all
from benchmarks.fuzz.results import Row, Table, keep_reduced
from benchmarks.pages import command_of
from regengine.io.atomic import write_whole

PHOTO_KINDS = ("jpeg", "png", "tiff", "raw", "fits")
COMMANDS = tuple(way for way in WAYS if way in ("classify", "lights", "stars", "streaks", "solve"))
SHOWN_PATHS = ("--real", "--table", "--keep")


def mutations(arguments: argparse.Namespace, table: Table) -> Iterator[Row]:
    """Read damaged files by their readers, and some of the photos by whole commands."""
    seed = arguments.seed
    wanted = [(number, kind_of(number)) for number in range(arguments.count)]
    photos = [number for number, kind in wanted if kind in PHOTO_KINDS]
    step = max(1, len(photos) // max(arguments.commands, 1))
    chosen = photos[::step][: arguments.commands]
    wanted += [(n, COMMANDS[k % len(COMMANDS)]) for k, n in enumerate(chosen)]
    todo = [key for key in wanted if not table.has("damaged", *key)]
    jobs = ((key, key[1], case_of(seed, key[0])) for key in todo)
    for (number, way), outcome in read_all(
        jobs, workers=arguments.workers, limit_s=arguments.limit_s
    ):
        case = case_of(seed, number)
        done = "+".join(case.damage)
        yield Row.of("damaged", number, way, f"{case.kind} {case.name} {done}", outcome)


def real_files(arguments: argparse.Namespace, table: Table) -> Iterator[Row]:
    """Read malformed files of others by the readers of photos and by whole commands."""
    files = sorted(path for path in arguments.real.rglob("*") if path.is_file())
    keys = [(k, way) for way in ("jpeg", *COMMANDS) for k in range(len(files))]
    todo = [key for key in keys if not table.has("real", *key)]
    jobs = ((key, key[1], str(files[key[0]])) for key in todo)
    for (number, way), outcome in read_all(
        jobs, workers=arguments.workers, limit_s=arguments.limit_s
    ):
        name = files[number].relative_to(arguments.real).as_posix()
        yield Row.of("real", number, way, name, outcome, hide=str(arguments.real))


def main(argv: list[str]) -> int:
    """Run the benchmark; returns 1 if there was a finding."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fuzz")
    parser.add_argument("--seed", type=int, default=1, help="of the damage")
    parser.add_argument("--count", type=int, default=20_000, help="damaged files")
    parser.add_argument("--commands", type=int, default=0, help="photos through whole commands")
    parser.add_argument("--register", type=int, default=0, help="photos through register")
    parser.add_argument("--real", type=Path, help="folder of malformed files")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--limit-s", type=float, default=20.0, help="processor time for a file")
    parser.add_argument("--table", type=Path, help="what is done; a run goes on from there")
    parser.add_argument("--keep", type=Path, help="folder for files that were findings")
    parser.add_argument("--out", type=Path, help="folder to write the page to")
    arguments = parser.parse_args(argv)
    table = Table(arguments.table, seed=arguments.seed)
    for row in mutations(arguments, table):
        table.add(row)
        _tell(row)
    if arguments.real is not None:
        for row in real_files(arguments, table):
            table.add(row)
            _tell(row)
    batches = []
    workers = arguments.workers
    if arguments.register:
        batches.append(registered(arguments.seed, arguments.register, workers=workers))
    if arguments.real is not None and arguments.register:
        batches.append(registered(arguments.seed, 0, real=arguments.real, workers=workers))
    if arguments.keep is not None:
        keep_reduced(table.findings(), arguments.seed, arguments.keep, limit_s=arguments.limit_s)
    print("\n".join(summary_lines(table.rows, batches)))
    if arguments.out is not None:
        lines = page_lines(table.rows, batches, command_of("fuzz", _shown(argv)))
        page = arguments.out / f"fuzz-{datetime.now(UTC):%Y-%m-%d}.md"
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_whole(page, ("\n".join(lines) + "\n").encode())
    return int(bool(table.findings()) or any(batch.faults for batch in batches))


def _shown(argv: list[str]) -> list[str]:
    shown = list(argv)
    for k, word in enumerate(shown[:-1]):
        if word in SHOWN_PATHS:
            shown[k + 1] = "FOLDER" if word != "--table" else "TABLE.ndjson"
    return shown


def _tell(row: Row) -> None:
    if row.is_finding:
        print(f"{row.source} {row.number} {row.way}: {row.what}: {row.text}", file=sys.stderr)
