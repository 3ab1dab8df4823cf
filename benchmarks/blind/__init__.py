"""Which photographs are placed by their lights alone: real ones, and simulated ones by the hundred.

``python -m benchmarks blind --real FOLDER --cache FOLDER`` places every real photo without time
and orbit; with ``--seeds FIRST:LAST --table CASES.csv`` the simulated ones of those seeds, too;
with ``--sweep FIRST:LAST --sweep-table CASES.csv`` those in regions of several sizes, and with
lenses told more or less wrong. ``--out FOLDER`` writes the page and its figures, dated.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.blind.page import page_lines
from benchmarks.blind.trials import (
    FRAMES,
    VARIANTS,
    BlindTrialSettings,
    real_outcomes,
    run_blind_sweep,
    run_blind_trials,
    seeds_of,
)
from benchmarks.pages import command_of
from benchmarks.registration import publish, tell
from benchmarks.registration.real import built_map
from benchmarks.row_tables import read_rows
from regengine.registration.register import RegisterParams

INDEX = "earth.idx"


def main(argv: list[str]) -> int:
    """Run the benchmark; 0 when done, 2 if it cannot be started."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks blind", description=__doc__)
    parser.add_argument("--real", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--cache", type=Path, required=True, help="keeps map and index")
    parser.add_argument("--only", default="", help="real photos whose name contains this")
    parser.add_argument(
        "--kinds", choices=("all", "cities", "others"), default="all", help="of real photos"
    )
    parser.add_argument("--no-real", action="store_true", help="simulated photographs alone")
    parser.add_argument("--half", choices=("train", "test"), default="test", help="of the world")
    parser.add_argument("--seeds", default="", help="FIRST:LAST, simulated ones, LAST excluded")
    parser.add_argument(
        "--frames",
        choices=FRAMES,
        default="all",
        help="of these seeds, cities at most 30 degrees off nadir, with the limb in view, or with "
        "an unknown lens alone",
    )
    parser.add_argument("--table", type=Path, help="CSV of simulated ones; is continued")
    parser.add_argument(
        "--sweep", default="", help="FIRST:LAST, simulated ones placed with several areas, lenses"
    )
    parser.add_argument("--sweep-table", type=Path, help="CSV of them; is continued")
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--max-seconds", type=float, default=RegisterParams().max_seconds)
    parser.add_argument("--overlays", type=Path, help="folder for a picture per real photo")
    parser.add_argument("--out", type=Path, help="folder for the dated page")
    given = parser.parse_args(argv)
    if not (given.real / "photos" / "index.csv").is_file():
        tell(f"{given.real} holds no photos/index.csv: give the folder of the real data")
        return 2
    if given.seeds and given.table is None:
        tell("no table of simulated ones: say --table CASES.csv")
        return 2
    if given.sweep and given.sweep_table is None:
        tell("no table of areas and lenses: say --sweep-table CASES.csv")
        return 2
    given.cache.mkdir(parents=True, exist_ok=True)
    lights, note = built_map(given.real, given.cache)
    index, index_note = built_index(lights, given.cache)
    settings = BlindTrialSettings(
        half=given.half,
        real=given.real,
        lights=lights,
        index=index,
        register=RegisterParams(max_seconds=given.max_seconds, clock=time.process_time),
    )
    real = [] if given.no_real else real_outcomes(given, lights, index, tell)
    if given.seeds:
        first, last = (int(number) for number in given.seeds.split(":"))
        seeds = seeds_of(range(first, last), given.frames, settings)
        run_blind_trials(seeds, given.table, settings, given.workers, tell)
    if given.sweep:
        first, last = (int(number) for number in given.sweep.split(":"))
        run_blind_trials(
            range(first, last),
            given.sweep_table,
            replace(settings, searches=VARIANTS),
            given.workers,
            tell,
            run_blind_sweep,
        )
    rows = [] if given.table is None else read_rows([given.table])
    command = command_of("blind", [word for word in sys.argv[2:] if word])
    sweep = [] if given.sweep_table is None else read_rows([given.sweep_table])
    page = page_lines(real, rows, sweep, command, f"{note} {index_note}")
    publish(page, "blind", given.out)
    return 0


def built_index(lights: Path, cache: Path) -> tuple[Path, str]:
    """The map's index, made if it is not in the cache, and a sentence on it."""
    from regengine.errors import ConfigError
    from regengine.lights.map import open_light_map
    from regengine.registration.blind.index import (
        build_earth_index,
        read_earth_index,
        write_earth_index,
    )

    path = cache / INDEX
    try:
        read_earth_index(path, [lights])
        made = "made earlier"
    except ConfigError:
        started = time.process_time()
        write_earth_index(build_earth_index(open_light_map([lights])), [lights], path)
        made = f"made in {time.process_time() - started:.0f} s of CPU"
    return path, f"Index: {path.stat().st_size / 1e6:.0f} MB, {made}."
