"""How many star fields the blind solver solves, how fast, and whether any wrongly.

``python -m benchmarks solve`` prints the tables: simulated star lists with and without a notion of
the focal length, lists of no sky; ``--real`` adds the real star fields of REGENGINE_REAL_DATA,
``--peers`` tetra3rs on the same lists; ``--out FOLDER`` writes them as Markdown, dated.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.registration_report import command_of, title_lines
from benchmarks.solve_negatives import HEADER as NEGATIVE_HEADER
from benchmarks.solve_negatives import Negatives
from benchmarks.solve_real import real_table
from benchmarks.star_fields import FOCALS_MM, StarList, star_list
from matchers.sky_camera import SkyCamera
from matchers.star_search import StarIndices
from regengine.stars.catalogue import StarCatalogue, load_catalogue
from regengine.stars.solution import NotSolved, StarSolution
from regengine.stars.solve import SolveOptions, solve_stars

RIGHT_SHARE = 0.01  # of the picture's diagonal: farther off anywhere is wrong
GOAL_STARS = 12
EXIF_SIGMA = 0.05

Solver = Callable[[StarList], tuple[SkyCamera | None, float]]


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One list and what a solver made of it."""

    field: StarList
    outcome: str  # right, wrong, none
    seconds: float
    log10_odds: float


def judged(field: StarList, camera: SkyCamera | None) -> str:
    """Whether a camera is right: it puts the picture's corners and middle where the truth does."""
    if camera is None:
        return "none"
    if field.truth is None:
        return "wrong"
    w, h = field.truth.width_px - 1.0, field.truth.height_px - 1.0
    x, y = np.array([0, w, 0, w, w / 2]), np.array([0, 0, h, h, h / 2])
    px, py = camera.project(field.truth.to_sky(x, y))
    off = np.hypot(px - x, py - y)
    # Where only a half shows stars the far corners are not measured: the middle must be right
    middle = off[-1] if np.isfinite(off[-1]) else np.inf
    return "right" if middle < RIGHT_SHARE * np.hypot(w, h) else "wrong"


def run(fields: Sequence[StarList], solver: Solver) -> list[Tried]:
    """Solve lists one after another."""
    tried = []
    for field in fields:
        started = time.process_time()
        camera, odds = solver(field)
        seconds = time.process_time() - started
        tried.append(
            Tried(field=field, outcome=judged(field, camera), seconds=seconds, log10_odds=odds)
        )
    return tried


def own_solver(
    catalogue: StarCatalogue, indices: StarIndices, *, prior: bool, only: bool, max_seconds: float
) -> Solver:
    """The engine's solver, with EXIF's focal length or without."""

    def solve(field: StarList) -> tuple[SkyCamera | None, float]:
        options = SolveOptions(
            focal_px=field.focal_px if prior else None,
            log_focal_sigma=EXIF_SIGMA,
            focal_only=only,
            max_seconds=max_seconds,
        )
        w, h = 4256, 2832
        found: StarSolution | NotSolved = solve_stars(
            field.stars, w, h, catalogue, indices, options
        )
        if isinstance(found, NotSolved):
            return None, 0.0
        return found.camera, found.log10_odds

    return solve


HEADER = (
    "| solver | lists | tried | solved | of those with 12 stars and more | wrong "
    "| CPU s, median | 90 % |",
    "|---|---|---:|---:|---:|---:|---:|---:|",
)


def table_line(name: str, kind: str, tried: list[Tried]) -> str:
    """One row: how many were solved, how many wrongly."""
    enough = [t for t in tried if t.field.in_view >= GOAL_STARS]
    right = sum(t.outcome == "right" for t in tried)
    share = f"{np.mean([t.outcome == 'right' for t in enough]):.1%}" if enough else "–"
    wrong = sum(t.outcome == "wrong" for t in tried)
    seconds = [t.seconds for t in tried]
    return (
        f"| {name} | {kind} | {len(tried)} | {right} | {share} | {wrong} | "
        f"{np.median(seconds):.2f} | {np.quantile(seconds, 0.9):.2f} |"
    )


def by_lens(name: str, tried: list[Tried]) -> list[str]:
    """Rows by focal length, and all together."""
    lines = [table_line(name, "all", tried)]
    for kind in dict.fromkeys(t.field.kind for t in tried):
        lines.append(table_line(name, kind, [t for t in tried if t.field.kind == kind]))
    return lines


def simulated(
    fields: Sequence[StarList], told: Solver, blind: Solver, *, peers: bool
) -> Iterator[str]:
    """The table of simulated star lists."""
    yield from ("## Simulated star lists", "", *HEADER)
    yield table_line("regengine, focal length told", "all", run(fields, told))
    yield from by_lens("regengine, blind", run(fields, blind))
    if peers:
        from benchmarks.solve_peers import tetra3rs_solver

        for told_too in (False, True):
            name = f"tetra3rs, {'field of view told' if told_too else 'blind'}"
            yield table_line(name, "all", run(fields, tetra3rs_solver(prior=told_too)))


def report(arguments: argparse.Namespace) -> Iterator[str]:
    """The tables as Markdown lines, each when it is known."""
    catalogue = load_catalogue(faintest_g=10.0)
    indices = StarIndices(vectors=catalogue.vectors)
    rng = np.random.default_rng(arguments.seed)
    limit = arguments.max_seconds
    blind = own_solver(catalogue, indices, prior=False, only=False, max_seconds=limit)
    told = own_solver(catalogue, indices, prior=True, only=True, max_seconds=limit)
    focals = itertools.islice(itertools.cycle(FOCALS_MM), arguments.fields)
    fields = [star_list(rng, catalogue, focal) for focal in focals]
    if fields:
        yield from simulated(fields, told, blind, peers=arguments.peers)
    yield from ("", "## Lists of no sky", "", *NEGATIVE_HEADER)
    for name, count, solver in (
        ("blind", arguments.blind_negatives, blind),
        ("focal length told", arguments.negatives, told),
    ):
        if count:
            lists = Negatives(count=count, seed=arguments.seed, store=arguments.store)
            yield from lists.table(f"regengine, {name}", catalogue, solver)
    folder = os.environ.get("REGENGINE_REAL_DATA")
    if arguments.real and folder and (Path(folder) / "starfields").is_dir():
        yield from ("", "## Real star fields", "")
        yield from real_table(Path(folder) / "starfields", catalogue, indices)


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks solve", description=__doc__)
    parser.add_argument("--fields", type=int, default=100, help="simulated star lists")
    parser.add_argument(
        "--negatives", type=int, default=100, help="lists of no sky, the focal length told"
    )
    parser.add_argument(
        "--blind-negatives", type=int, default=20, help="lists of no sky without a focal length"
    )
    parser.add_argument(
        "--store", type=Path, help="file that keeps what came of lists of no sky, to go on later"
    )
    parser.add_argument("--max-seconds", type=float, default=30.0, help="a list")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true", help="also the real star fields")
    parser.add_argument("--peers", action="store_true", help="also run tetra3rs")
    parser.add_argument("--out", type=Path, help="folder for the dated Markdown file")
    arguments = parser.parse_args(argv)
    lines = []
    for line in report(arguments):
        print(line, flush=True)
        lines.append(line)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        target = arguments.out / f"solve-{datetime.now(UTC):%Y-%m-%d}.md"
        note = "Star lists of the catalogue through simulated lenses, lists of no sky, real fields."
        page = [*title_lines("Star fields solved", command_of("solve", argv), note), *lines]
        target.write_text("\n".join(page) + "\n", encoding="utf-8")
        print(f"written to {target}", file=sys.stderr)
    return 0
