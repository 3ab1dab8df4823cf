"""Read ``stage_yields.csv``: probabilities of views, success rates of methods, and their cost."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True, kw_only=True)
class StageYields:
    """Tables of numbers, each row with its origin in the file.

    ``lens_*``: shares of focal lengths (ratio to the given one, or full-frame millimetres);
    ``tilt``, ``region``, ``hand``, ``half``: shares of views; ``success …``: how often a method
    finds the true camera in its box, given that earlier stages did not; ``work …``: seconds of one
    core of the machine where they were measured.
    """

    tables: dict[str, dict[str, float]]

    def table(self, name: str) -> dict[float, float]:
        """Return a table whose keys are numbers."""
        return {float(key): value for key, value in self.tables[name].items()}

    def at(self, name: str, key: str) -> float:
        """Return one value."""
        return self.tables[name][key]

    def below(self, name: str, number: float) -> float:
        """Return the value of the smallest key not below a number, or of the largest key."""
        table = self.table(name)
        return table[min((key for key in table if key >= number), default=max(table))]


@lru_cache(maxsize=1)
def read_stage_yields() -> StageYields:
    """Read the tables of this version, once per process."""
    tables: dict[str, dict[str, float]] = {}
    path = files("regengine.registration") / "stage_yields.csv"
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        tables.setdefault(row["table"], {})[row["key"]] = float(row["value"])
    return StageYields(tables=tables)
