"""How many star fields the blind solver solves, how fast, and whether any wrongly.

``python -m benchmarks solve`` prints the tables: simulated star lists with and without a notion of
the focal length, lists of no sky; ``--real`` adds the real star fields of REGENGINE_REAL_DATA,
``--peers`` tetra3rs on the same lists; ``--out FOLDER`` writes them as Markdown, dated.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pages import command_of, title_lines
from benchmarks.solve.real import (
    FOCALS_MM,
    HEIGHT_PX,
    NEGATIVES,
    WIDTH_PX,
    StarList,
    no_sky,
    real_table,
    star_list,
)
from matchers.sky_camera import SkyCamera, matrix_quaternion
from matchers.star_search import StarIndices
from regengine.sky.stars.catalogue import StarCatalogue, load_catalogue
from regengine.sky.stars.solve import NotSolved, SolveOptions, StarSolution, solve_stars

# Lists of no sky: how many the solver solves, which should be none.

Solver = Callable[[StarList], tuple[SkyCamera | None, float]]


@dataclass(frozen=True, kw_only=True)
class Negatives:
    """Which lists to try, and where to keep what came of them."""

    count: int
    seed: int
    store: Path | None = None  # lists that it has already are not tried again

    def table(self, name: str, catalogue: StarCatalogue, solver: Solver) -> Iterator[str]:
        """Rows by kind, and all together with the bound that no solution at all proves."""
        outcomes = self.outcomes(name, catalogue, solver)
        for kind in NEGATIVES:
            yield row(name, kind, [o for o in outcomes if o["kind"] == kind])
        yield row(name, "all", outcomes)

    def outcomes(
        self, name: str, catalogue: StarCatalogue, solver: Solver
    ) -> list[dict[str, object]]:
        """What became of each list, tried now or before."""
        known = {}
        if self.store is not None and self.store.exists():
            for line in self.store.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                known[entry["solver"], entry["seed"], entry["number"]] = entry
        outcomes = []
        for number in range(self.count):
            entry = known.get((name, self.seed, number))
            if entry is None:
                entry = self.tried(name, number, catalogue, solver)
                if self.store is not None:
                    with self.store.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(entry) + "\n")
            outcomes.append(entry)
        return outcomes

    def tried(
        self, name: str, number: int, catalogue: StarCatalogue, solver: Solver
    ) -> dict[str, object]:
        """One list, solved or not."""
        kind = NEGATIVES[number % len(NEGATIVES)]
        field = no_sky(np.random.default_rng([self.seed, number]), catalogue, kind)
        started = time.process_time()
        camera, odds = solver(field)
        return {
            "solver": name,
            "seed": self.seed,
            "number": number,
            "kind": kind,
            "solved": camera is not None,
            "log10_odds": round(odds, 2),
            "seconds": round(time.process_time() - started, 3),
        }


NEGATIVE_HEADER = (
    "| solver | lists | tried | solved | 95 % bound of wrong solutions | CPU s, median | 90 % |",
    "|---|---|---:|---:|---:|---:|---:|",
)


def row(name: str, kind: str, outcomes: list[dict[str, object]]) -> str:
    """One row of the table."""
    if not outcomes:
        return f"| {name} | {kind} | 0 | | | | |"
    solved = sum(bool(o["solved"]) for o in outcomes)
    seconds = np.array([o["seconds"] for o in outcomes], float)
    return (
        f"| {name} | {kind} | {len(outcomes)} | {solved} | {bound(solved, len(outcomes)):.2%} | "
        f"{np.median(seconds):.2f} | {np.quantile(seconds, 0.9):.2f} |"
    )


def bound(solved: int, tried: int) -> float:
    """Share that is exceeded with 5 % chance after so many of so many (Clopper and Pearson)."""
    from scipy.stats import beta

    return 1.0 if solved >= tried else float(beta.ppf(0.95, solved + 1, tried - solved))


RIGHT_SHARE = 0.01  # of the picture's diagonal: farther off anywhere is wrong
GOAL_STARS = 12
EXIF_SIGMA = 0.05


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


# tetra3rs on our star lists, to stand beside: its database is built once and kept.

FIELDS_DEG = (5.0, 70.0)
# Without a notion of the field it must be given one and an error: this ladder covers 5 to 100
LADDER_DEG = (7.0, 12.0, 20.0, 35.0, 60.0, 90.0)
TIMEOUT_MS = 1500


def tetra3rs_solver(*, prior: bool) -> Callable[[StarList], tuple[SkyCamera | None, float]]:
    """tetra3rs with the field of view known to 10 %, or tried on a ladder."""
    tetra3rs: Any = importlib.import_module("tetra3rs")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regengine"
    file = cache / "tetra3rs-5-70.bin"
    if file.exists():
        database = tetra3rs.SolverDatabase.load_from_file(str(file))
    else:
        print("building tetra3rs' database, about half a minute", file=sys.stderr)
        database = tetra3rs.SolverDatabase.generate_from_gaia(
            min_fov_deg=FIELDS_DEG[0], max_fov_deg=FIELDS_DEG[1]
        )
        cache.mkdir(parents=True, exist_ok=True)
        database.save_to_file(str(file) + ".part")
        os.replace(str(file) + ".part", file)

    def solve(field: StarList) -> tuple[SkyCamera | None, float]:
        stars = field.stars
        points = np.column_stack(
            [stars.x - (WIDTH_PX - 1) / 2.0, stars.y - (HEIGHT_PX - 1) / 2.0, stars.flux]
        )
        told = 2.0 * np.degrees(np.arctan(WIDTH_PX / 2.0 / field.focal_px))
        for guess in (told,) if prior else LADDER_DEG:
            found = database.solve_from_centroids(
                points,
                fov_estimate_deg=float(guess),
                fov_max_error_deg=float(guess * (0.1 if prior else 0.35)),
                image_width=WIDTH_PX,
                image_height=HEIGHT_PX,
                solve_timeout_ms=TIMEOUT_MS,
            )
            if found:
                matrix = np.asarray(found.rotation_matrix_icrs_to_camera).T
                camera = SkyCamera(
                    width_px=WIDTH_PX,
                    height_px=HEIGHT_PX,
                    focal_px=WIDTH_PX / 2.0 / np.tan(np.radians(found.fov_deg / 2.0)),
                    principal_point=((WIDTH_PX - 1) / 2.0, (HEIGHT_PX - 1) / 2.0),
                    quaternion_icrs=matrix_quaternion(matrix),
                    mirrored=bool(found.parity_flip),
                )
                return camera, -float(np.log10(max(found.probability, 1e-300)))
        return None, 0.0

    return solve
