"""Tables of registrations of known truth, which a confidence is fitted on and judged by."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regengine.calibration_features import feature_values
from regengine.evidence import Evidence

# Frames of one region share towns, coasts and what is wrong with the map there
BLOCK_DEG = 15.0
# where a table does not tell the place
SEEDS_PER_BLOCK = 10
REASON_MARK = "|"  # between the codes of a cell
YES, NO = {"1", "1.0", "true"}, {"0", "0.0", "false"}


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Proposals of one half of the cases, one element or row each.

    Attributes
    ----------
    features : ndarray
        Shape (n, features).
    right : ndarray of bool
        Whether the proposal was right.
    doubted : ndarray of bool
        Whether a doubt kept the engine from accepting it, whatever the probability.
    blocks : ndarray of int
        Region that a case belongs to; none is on both sides of a cross-validation.
    labels : tuple of str
        Seed and kind.
    cases : int
        Cases of that half, those without a proposal included.
    source : str
        Which these were.
    """

    features: NDArray[np.float64]
    right: NDArray[np.bool_]
    doubted: NDArray[np.bool_]
    blocks: NDArray[np.intp]
    labels: tuple[str, ...]
    cases: int
    source: str

    def __len__(self) -> int:
        """Number of proposals."""
        return len(self.right)


def read_rows(tables: Sequence[Path]) -> list[dict[str, str]]:
    """Rows of some tables; of a case that comes twice, the last.

    Raises
    ------
    ValueError
        If a table has no rows of cases.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for table in tables:
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if "seed" not in row or "half" not in row or "right" not in row:
                    raise ValueError(f"{table}: no table of cases (columns seed, half, right)")
                rows[row["half"], row["seed"]] = row
    return list(rows.values())


def proposals_of(
    rows: Sequence[dict[str, str]], half: str, names: tuple[str, ...]
) -> Proposals | None:
    """Proposals of one half.

    Parameters
    ----------
    rows : sequence of dict
        Of `read_rows`.
    half : str
        "train" or "test".
    names : tuple of str
        Features.

    Returns
    -------
    Proposals or None
        None where that half has no proposal.

    Raises
    ------
    ValueError
        If a row lacks evidence or says neither right nor wrong.
    """
    mine = [row for row in rows if row["half"] == half]
    found = [row for row in mine if row["right"].strip() != ""]
    if not found:
        return None
    return Proposals(
        features=np.array([feature_values(evidence_of(row), names) for row in found]),
        right=np.array([is_yes(row["right"]) for row in found]),
        doubted=np.array([has_doubt(row.get("reasons", "")) for row in found]),
        blocks=blocks_of(found),
        labels=tuple(f"{row['seed']} ({row.get('kind', '')})" for row in found),
        cases=len(mine),
        source=source_of(mine, half),
    )


def is_yes(text: str) -> bool:
    """Whether a cell says yes."""
    word = text.strip().lower()
    if word not in YES | NO:
        raise ValueError(f"{text!r} is neither yes nor no")
    return word in YES


NO_DOUBTS = frozenset({"low_probability", "search_budget"})


def has_doubt(reasons: str) -> bool:
    """Whether there is a reason other than the probability itself, and the time that ran out."""
    return bool({code for code in reasons.split(REASON_MARK) if code} - NO_DOUBTS)


def evidence_of(row: dict[str, str]) -> Evidence:
    """Evidence of a row; an empty cell is not a number."""
    values: dict[str, float] = {}
    for field in fields(Evidence):
        text = row.get(f"ev_{field.name}")
        if text is not None:
            values[field.name] = float(text) if text.strip() else math.nan
        elif field.default is MISSING:
            raise ValueError(f"the table lacks the column ev_{field.name}")
    return Evidence(**values)  # type: ignore[arg-type]


def blocks_of(rows: Sequence[dict[str, str]]) -> NDArray[np.intp]:
    """Number of every row's block: a cell of longitude and latitude, or neighbouring seeds."""
    names = []
    for row in rows:
        lon, lat = row.get("lon", ""), row.get("lat", "")
        if lon and lat:
            names.append(f"{float(lon) // BLOCK_DEG:.0f} {float(lat) // BLOCK_DEG:.0f}")
        else:
            names.append(f"seeds {int(row['seed']) // SEEDS_PER_BLOCK}")
    return np.unique(names, return_inverse=True)[1]


def source_of(rows: Sequence[dict[str, str]], half: str) -> str:
    """Which cases these are, in words."""
    seeds = [int(row["seed"]) for row in rows]
    continents = sorted({row.get("continent", "") for row in rows} - {""})
    where = f" ({', '.join(continents)})" if continents else ""
    half_name = {"train": "training", "test": "test"}[half]
    return f"simulated cases, {half_name} half{where}, seeds {min(seeds)} to {max(seeds)}"
