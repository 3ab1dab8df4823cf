"""Lists of no sky: how many the solver solves, which should be none.

Each list has its own seed, so that a run that was broken off goes on where it stopped: outcomes
are kept in a file of NDJSON lines, if one is given.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.star_fields import NEGATIVES, StarList, no_sky
from matchers.sky_camera import SkyCamera
from regengine.stars.catalogue import StarCatalogue

Solver = Callable[[StarList], tuple[SkyCamera | None, float]]


@dataclass(frozen=True, kw_only=True)
class Negatives:
    """Which lists to try, and where to keep what came of them.

    Attributes
    ----------
    count : int
    seed : int
    store : Path or None
        Lists that it has already are not tried again.
    """

    count: int
    seed: int
    store: Path | None = None

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


HEADER = (
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
