"""How values are spread: quantiles and counts in bins."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Distribution:
    """Values of one kind, eight bytes each.

    Parameters
    ----------
    edges : sequence of float
        Of the bins; what lies beyond is counted in the first and the last.
    """

    def __init__(self, edges: Sequence[float]) -> None:
        self.edges = tuple(edges)
        self._values = array("d")

    def add(self, value: float | None) -> None:
        """Take a value; what is missing or not finite is left out."""
        if value is not None and math.isfinite(value):
            self._values.append(value)

    def figures(self) -> dict[str, Any]:
        """Count, mean, quantiles (None without values), bins."""
        values = np.asarray(self._values)
        inside = np.clip(values, self.edges[0], np.nextafter(self.edges[-1], -math.inf))
        names = [f"p{round(100 * quantile):02d}" for quantile in QUANTILES]
        found = np.quantile(values, QUANTILES).tolist() if len(values) else [None] * len(names)
        return {
            "count": len(values),
            "mean": float(values.mean()) if len(values) else None,
            **dict(zip(names, found, strict=True)),
            "edges": list(self.edges),
            "bins": np.histogram(inside, self.edges)[0].tolist(),
        }


def decades(lowest: int, highest: int, steps: tuple[float, ...] = (1.0, 2.0, 5.0)) -> list[float]:
    """Edges of bins for values of many sizes: 1, 2, 5, 10, 20 … between two powers of ten."""
    edges = [step * 10.0**power for power in range(lowest, highest) for step in steps]
    return [*edges, 10.0**highest]
