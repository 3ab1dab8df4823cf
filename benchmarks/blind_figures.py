"""Figures of the blind search: recall and cost by the number of lit places and by the tilt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.blind_sweep import AREAS, FOCALS_OFF
from benchmarks.blind_trials import CITIES
from benchmarks.trials.table import Row, number_of

EDGES_PLACES = (0, 5, 10, 15, 25, 40, 80, 1e9)
EDGES_TILT = (0, 10, 20, 30, 40, 50, 60, 90)


def save_figures(rows: Sequence[Row], folder: Path) -> list[str]:
    """Draw the figures; their names.

    Parameters
    ----------
    rows : sequence of dict
        Simulated photographs.
    folder : Path
        Made if need be.

    Returns
    -------
    list of str
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    cities = [row for row in rows if row["kind"] in CITIES]
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), constrained_layout=True)
    for column, (name, title, edges) in enumerate(
        (("places", "lit places", EDGES_PLACES), ("off_nadir_deg", "off-nadir, °", EDGES_TILT))
    ):
        values = np.array([number_of(row[name]) for row in cities])
        placed = np.array(
            [row["verdict"] == "accepted" and row.get("right") == "1" for row in cities]
        )
        cpu = np.array([number_of(row["seconds_cpu"]) for row in cities])
        bins = list(pairwise(edges))
        inside = [(values >= a) & (values < b) for a, b in bins]
        labels = [f"{a:g}–{b:g}" if b < 1e9 else f"{a:g}+" for a, b in bins]
        shares = [placed[some].mean() if some.any() else np.nan for some in inside]
        costs = [np.nanmedian(cpu[some]) if some.any() else np.nan for some in inside]
        axes[0][column].bar(labels, shares, color="#3b6ea5")
        axes[0][column].set(ylim=(0, 1), ylabel="right and accepted", xlabel=title)
        axes[1][column].bar(labels, costs, color="#a5673b")
        axes[1][column].set(ylabel="median CPU s", xlabel=title)
        for number, some in enumerate(inside):
            axes[0][column].annotate(f"{int(some.sum())}", (number, 0.02), ha="center", color="w")
    figure.savefig(folder / "places.png", dpi=110)
    plt.close(figure)
    return ["places.png"]


def save_sweep(sweep: Sequence[Row], folder: Path) -> str:
    """Draw recall and cost by the area searched and by how far off the lens is told; the name.

    Parameters
    ----------
    sweep : sequence of dict
        Of `benchmarks.blind_sweep`.
    folder : Path
        Made if need be.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    placed = [row for row in sweep if row.get(f"area_{AREAS[0]:g}_verdict")]
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), constrained_layout=True)
    sides = (
        ("share of the Earth", [(f"area_{s:g}", f"{s:.0%}") for s in AREAS]),
        (
            "lens off by",
            [(f"area_{AREAS[0]:g}", "0%")] + [(f"focal_{f:g}", f"{f:.0%}") for f in FOCALS_OFF],
        ),
    )
    for column, (title, searches) in enumerate(sides):
        labels = [label for _, label in searches]
        good = [[row[f"{name}_right"] == "1" for row in placed] for name, _ in searches]
        taken = [[row[f"{name}_verdict"] == "accepted" for row in placed] for name, _ in searches]
        accepted = [np.mean(np.logical_and(g, t)) for g, t in zip(good, taken, strict=True)]
        cpu = [[number_of(row[f"{name}_seconds_cpu"]) for row in placed] for name, _ in searches]
        upper, lower = axes[0][column], axes[1][column]
        upper.bar(labels, [np.mean(g) for g in good], color="#b8c9dc", label="right")
        upper.bar(labels, accepted, color="#3b6ea5", label="and accepted")
        upper.set(ylim=(0, 1), ylabel=f"share of {len(placed)}", xlabel=title)
        upper.legend(frameon=False)
        lower.bar(labels, [np.median(c) for c in cpu], color="#a5673b")
        lower.set(ylabel="median CPU s", xlabel=title)
    figure.savefig(folder / "area-lens.png", dpi=110)
    plt.close(figure)
    return "area-lens.png"
