"""Tables of made-up trials, and what the tests have worker processes do."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from benchmarks.rows import Row


def made_row(seed: int, **known: Any) -> Row:
    """A registrable trial, right and accepted, but for what is said otherwise."""
    columns = {
        "seed": seed,
        "half": "test",
        "kind": "city",
        "registrable": True,
        "places": 20,
        "off_nadir_deg": 10.0,
        "focal_mm": 50.0,
        "focal_told": "exact",
        "clock_class": "2s",
        "continent": "Europe",
        "verdict": "accepted",
        "probability": 0.9995,
        "reasons": "",
        "problem": "",
        "right": True,
        "seconds_cpu": 2.0,
        "seconds_wall": 2.5,
        "point_error_m": [100.0, 200.0, 300.0, 400.0],
        "point_error_units": [0.2, 0.4, 0.6, 0.8],
        "z_east": [0.5, -0.5, 1.5, -0.2],
        "z_north": [0.1, 0.2, -2.0, 0.9],
        "grid_median_m": 120.0,
        "grid_max_m": 500.0,
        "grid_median_units": 0.3,
        "grid_median_percent": 0.05,
        "map": "map-a.tif",
        "budget_s": 15.0,
        "told": "all",
        "index": "map-a.tif.idx",
        "commit": "abc",
    }
    return columns | known


def reviewed(seed: int, **known: Any) -> Row:
    """A right proposal that a person must look at."""
    kind = {"verdict": "review", "probability": 0.6, "reasons": "low_margin|few_lights"}
    return made_row(seed, **(kind | known))


def unmatched(seed: int, **known: Any) -> Row:
    """A trial without a proposal."""
    kind = {
        "verdict": "no_match",
        "probability": None,
        "right": None,
        "reasons": "no_agreement",
        "point_error_m": None,
    }
    return made_row(seed, **(kind | known))


@dataclass(frozen=True)
class MadeUpSettings:
    """In the place of `Settings`: a worker need not load the engine to be told of them."""

    half: str = "test"
    lights: None = None
    told: str = "all"
    index_words: str = "none"
    limit_s: float = 240.0

    def parameters(self) -> SimpleNamespace:
        return SimpleNamespace(work_budget=15.0, search=SimpleNamespace(methods=("dense",)))


def ready(_: object) -> None:
    """Nothing to prepare."""


def columns_of(seed: int) -> dict[str, Any]:
    """A row that depends on the seed alone; odd seeds have a column more."""
    extra = {"odd": seed * 0.1} if seed % 2 else {}
    return {"seed": seed, "half": "test", "kind": "city", "verdict": "review", **extra}


def mishap(seed: int) -> dict[str, Any]:
    """Rows, but for three seeds: an error, a death, and work without end."""
    if seed == 1:
        raise ValueError("a bad\nday")
    if seed == 2:
        os._exit(3)
    if seed == 3:
        time.sleep(600.0)
    return columns_of(seed)


def drawn(seed: int) -> dict[str, Any]:
    """What was drawn of a trial; seed 1 cannot be."""
    if seed == 1:
        raise ValueError("a bad day")
    return {"seed": seed, "half": "test", "kind": "stars", "registrable": False}
