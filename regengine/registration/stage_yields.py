"""How likely views are, how often methods find them, and what that costs: ``stage_yields.csv``."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True, kw_only=True)
class StageYields:
    """Tables of numbers, each row with its origin in the file.

    ``lens_*``: shares of focal lengths (ratio to the one given, or millimetres of a full frame);
    ``tilt``, ``region``, ``hand``, ``half``: shares of views; ``success …``: how often a method
    shows the true camera where its box is right, given that those before it did not; ``work …``:
    seconds of one core of the machine where they were measured.
    """

    tables: dict[str, dict[str, float]]

    def table(self, name: str) -> dict[float, float]:
        """A table whose keys are numbers."""
        return {float(key): value for key, value in self.tables[name].items()}

    def at(self, name: str, key: str) -> float:
        """One value."""
        return self.tables[name][key]

    def below(self, name: str, number: float) -> float:
        """The value of the least key above a number; that of the last beyond all of them."""
        table = self.table(name)
        return table[min((key for key in table if key >= number), default=max(table))]


@lru_cache(maxsize=1)
def read_stage_yields() -> StageYields:
    """The tables of this version, read when first asked for."""
    tables: dict[str, dict[str, float]] = {}
    path = files("regengine.registration") / "stage_yields.csv"
    for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
        tables.setdefault(row["table"], {})[row["key"]] = float(row["value"])
    return StageYields(tables=tables)
