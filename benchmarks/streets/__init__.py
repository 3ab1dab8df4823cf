"""Telephoto frames on street maps: simulated by two generators, negatives, and real Paris.

A frame a seed is registered by the whole rule with an element set that is off by 5 km, a clock off
by up to 10 s and a focal length off by up to 3 %. ``--table`` keeps a row a trial; seeds that are
in it are not tried again. Real Paris is done before the first seed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Option

from benchmarks.options import Out, Real, Seeds, Workers, seeds_of
from benchmarks.pages import tell, title_lines, write_page
from benchmarks.processes import Lost, work_through
from benchmarks.rows import Row, append_row, read_rows
from benchmarks.streets.maps import build_maps
from benchmarks.streets.run import PARIS_SEED, Plan, page_lines, try_paris, try_seed
from regengine.errors import ConfigError

LIMIT_S = 900.0  # of the clock, for a seed
_HELD: dict[str, Any] = {}


def main(
    *,
    real: Real,
    table: Annotated[Path, Option(metavar="FILE", help="rows of trials, continued")],
    seeds: Seeds = "",
    maps: Annotated[Path, Option(help="folder that keeps the built street maps")] = Path(
        "out/street-maps"
    ),
    workers: Workers = 1,
    no_paris: Annotated[bool, Option("--no-paris")] = False,
    harsh: Annotated[bool, Option("--harsh", help="the second generator")] = False,
    loose: Annotated[
        bool, Option("--loose", help="a clock off by up to 120 s, a focal length by up to 20 %")
    ] = False,
    negatives: Annotated[
        bool, Option("--negatives", help="the streets of other cities, and mirrored ones")
    ] = False,
    grid: Annotated[bool, Option("--grid", help="a city of regular blocks")] = False,
    which: Annotated[bool, Option("--which", help="all four cities laid in one place")] = False,
    out: Out = None,
) -> None:
    """Run the benchmark."""
    if not (real / "streets").is_dir():
        raise ConfigError(f"{real} holds no streets/: give the folder of the real data.")
    kinds = {"harsh": harsh, "loose": loose, "negatives": negatives, "grid": grid, "which": which}
    plan = Plan(real=real, folder=maps, **kinds)
    done = {row["seed"] for row in read_rows(table)}
    held = build_maps(real, maps)
    if not no_paris and PARIS_SEED not in done:
        for row in try_paris(plan, held):
            append_row(table, row)
    wanted = [seed for seed in seeds_of(seeds) if seed not in done]
    for seed, rows in work_through(
        wanted, work, workers=workers, limit_s=LIMIT_S, prepare=prepare, prepare_args=(plan,)
    ):
        if isinstance(rows, Lost):
            rows = [{"seed": seed, "trial": "lost", "verdict": "lost", "reasons": rows.problem}]
        for row in rows:
            append_row(table, row)
            tell(f"seed {seed}, {row['trial']}: {row['verdict']}, right: {row.get('right')}")
    words = ", ".join(name for name, asked in kinds.items() if asked) or "first generator"
    title = title_lines(f"Streets: {words}")
    write_page(out, "streets", [*title, *page_lines(read_rows(table), plan)])


def prepare(plan: Plan) -> None:
    """Open the maps in a worker process."""
    _HELD.update(plan=plan, maps=build_maps(plan.real, plan.folder))


def work(seed: int) -> list[Row]:
    """All trials of a seed in a worker process."""
    return list(try_seed(seed, _HELD["plan"], _HELD["maps"]))
