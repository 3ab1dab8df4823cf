"""Figures of `python -m benchmarks attitude`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.trials.table import Row, numbers

PANELS = (
    ("seconds_cpu", "processor time, s"),
    ("grid_p95_m", "ground off by (95 %), m"),
    ("offset_error_s", "place in orbit off by, s"),
)
LEAST = {"grid_p95_m": 50.0, "offset_error_s": 0.01, "seconds_cpu": 1.0}
MOST = {"grid_p95_m": 1e5, "offset_error_s": 20.0, "seconds_cpu": 20.0}


def save_figure(rows: Sequence[Row], way: str, path: Path) -> None:
    """Every frame with its stars against the same without: time, ground, place in orbit."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cities = [r for r in rows if r["kind"] == "city"]
    plain = {r["seed"]: r for r in cities if r["way"] == "plain"}
    other = {r["seed"]: r for r in cities if r["way"] == way}
    seeds = sorted(set(plain) & set(other), key=int)
    solved = np.isfinite(numbers([other[s] for s in seeds], "stars_solved"))
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    for axis, (name, title) in zip(axes, PANELS, strict=True):
        first, second = (
            np.clip(
                np.nan_to_num(numbers([d[s] for s in seeds], name), nan=np.inf),
                LEAST[name],
                MOST[name],
            )
            for d in (plain, other)
        )
        for chosen, colour, label in ((solved, "C0", "solved"), (~solved, "C7", "not solved")):
            axis.loglog(first[chosen], second[chosen], "o", color=colour, ms=5, label=label)
        axis.plot([LEAST[name], MOST[name]], [LEAST[name], MOST[name]], color="0.7", lw=1)
        axis.set_xlabel(f"{title}: without stars")
        axis.set_ylabel("with stars")
    axes[0].legend(title="sky")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
