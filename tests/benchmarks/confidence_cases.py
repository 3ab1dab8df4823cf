"""Made-up cases whose probability of being right is known exactly."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from scipy.special import expit

from benchmarks.arrays import BoolArray, FloatArray
from benchmarks.confidence.fit import Proposals

FLOOR, CEILING = 0.02, 0.985


def proposals(
    count: int,
    seed: int,
    log10_odds: FloatArray | None = None,
    right: BoolArray | None = None,
    doubted: BoolArray | None = None,
) -> tuple[Proposals, FloatArray]:
    """Proposals, and the true probability that each is right, from which the truth is drawn."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.0, 3.0, count) if log10_odds is None else log10_odds
    p = FLOOR + (CEILING - FLOOR) * expit(1.2 * odds)
    drawn = rng.random(count) < p
    made = Proposals(
        log10_odds=odds,
        right=drawn if right is None else right,
        placed=drawn if right is None else right,
        right_if_placed=np.ones(count),
        doubted=np.zeros(count, bool) if doubted is None else doubted,
        blocks=np.arange(count) // 20,
        kinds={},
        labels=("",) * count,
        cases=count,
        source="made up",
    )
    return made, p


def evidence_row(quality: float, rng: np.random.Generator) -> dict[str, float]:
    """Evidence of a proposal, the better the higher the quality (about -4 to 4)."""
    noise = rng.normal(0.0, 1.0, 5)
    ncc = float(np.clip(0.45 + 0.08 * quality + 0.05 * noise[0], 0.0, 0.97))
    margin = max(0.0, 0.12 + 0.06 * quality + 0.03 * noise[1])
    return {
        "ncc": ncc,
        "runner_up_ncc": ncc - margin,
        "town_log10_odds": 2.0 + 3.0 * quality + noise[3],
        "patch_log10_odds": 2.0 + 2.0 * quality + noise[4],
        "runner_up_town_log10_odds": 0.0,
        "picture_log10_odds": 4.0 + 2.0 * quality,
        "runner_up_picture_log10_odds": 3.0,
        "log10_tried": 6.0,
        "towns": 100,
        "met_towns": int(np.clip(30 + 10 * quality, 0, 100)),
        "residual_px": 0.8,
        "held_out_residual_px": float(np.exp(0.1 - 0.25 * quality)) if quality > -3 else np.inf,
    }


def case_rows(count: int, half: str, seed: int) -> list[dict[str, object]]:
    """Rows of a table of cases; every twelfth case has no proposal."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        quality = rng.normal(3.5 if rng.random() < 0.65 else -3.0, 1.3)
        right = rng.random() < 1.0 / (1.0 + np.exp(-3.5 * quality))
        evidence = evidence_row(quality, rng)
        proposed = number % 12 != 11
        row: dict[str, object] = {
            "seed": seed * 10_000 + number,
            "half": half,
            "kind": "city",
            "registrable": True,
            "right": int(right) if proposed else "",
            "lon": round(rng.uniform(-20.0, 40.0), 3),
            "lat": round(rng.uniform(-30.0, 60.0), 3),
            "continent": "Europe" if half == "train" else "Asia",
        }
        rows.append(row | {f"ev_{n}": v if proposed else "" for n, v in evidence.items()})
    return rows


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    """A table of cases."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
