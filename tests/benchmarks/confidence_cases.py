"""Made-up cases whose probability of being right is known exactly."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from benchmarks.arrays import BoolArray, FloatArray
from benchmarks.confidence import Proposals

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
        cases=count,
        source="made up",
    )
    return made, p
