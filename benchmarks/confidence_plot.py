"""The reliability diagram, and the wrong among accepted over the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.confidence_measures import reliability
from benchmarks.confidence_report import Judged
from benchmarks.confidence_threshold import acceptance
from benchmarks.trials.stats import calibration as calibration_figures
from regengine.calibration import Calibration

NAME = "reliability.png"
COLOURS = ("tab:blue", "tab:orange")
WIDE = (-0.03, 1.03)


def plot_reliability(judged: Sequence[Judged], calibration: Calibration, folder: Path) -> Path:
    """Draw both diagrams into one picture.

    Parameters
    ----------
    judged : sequence of Judged
        One colour each.
    calibration : Calibration
        For its threshold and target.
    folder : Path
        Made if it does not exist.

    Returns
    -------
    Path
        The picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(3.2, 1.0))
    curve, counts = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    tail = figure.add_subplot(grid[:, 1])
    for one, colour in zip(judged, COLOURS, strict=False):
        draw_reliability(curve, one, colour)
        counts.hist(one.p, list(np.linspace(0.0, 1.0, 21)), histtype="step", color=colour)
        draw_tail(tail, one, calibration.accept_probability, colour)
    curve.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
    curve.set(xlim=WIDE, ylim=WIDE, ylabel="share right (95 % interval)")
    legend_above(curve, columns=1)
    counts.set(xlim=WIDE, yscale="log", ylim=(0.7, None), xlabel="probability", ylabel="proposals")
    tail.axhline(100.0 * calibration.target_wrong_rate, color="0.4", linestyle=":", label="target")
    tail.set(
        xlabel="proposals accepted, most probable first",
        ylabel="wrong among them, %",
        yscale="log",
        ylim=(0.02, 100.0),
    )
    legend_above(tail, columns=2)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    # Without the version of the library, equal tables give equal bytes
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return path


def draw_reliability(axes: Any, judged: Judged, colour: str) -> None:
    """Share of right proposals over the mean probability of their bin."""
    table = reliability(judged.p, judged.proposals.right)
    share = np.array([b.share_right for b in table])
    interval = np.array([b.interval for b in table]).T
    error = calibration_figures(judged.p, judged.proposals.right).expected_error
    axes.errorbar(
        [b.mean_probability for b in table],
        share,
        yerr=np.maximum(np.stack([share - interval[0], interval[1] - share]), 0.0),
        fmt="o",
        color=colour,
        capsize=3,
        label=f"{judged.name}: n = {len(judged.p)}, calibration error {error:.3f}",
    )


def draw_tail(axes: Any, judged: Judged, threshold: float, colour: str) -> None:
    """Wrong among accepted, most probable first: expected, and its exact upper bound."""
    proposals = judged.proposals
    p = np.sort(judged.p[~proposals.doubted])[::-1]
    steps = np.unique(np.linspace(min(len(p), 1), len(p), 200).astype(int))
    let_in = [
        acceptance(judged.p, proposals.right, proposals.doubted, p[k - 1]) for k in steps if k
    ]
    accepted = np.array([a.accepted for a in let_in])
    expected = [100.0 * a.expected_wrong_rate for a in let_in]
    axes.plot(accepted, expected, color=colour, label=f"{judged.name}: expected")
    observed = [100.0 * a.wrong / a.accepted if a.wrong else np.nan for a in let_in]
    axes.plot(accepted, observed, color=colour, linewidth=3, alpha=0.4, label="observed")
    bound = [100.0 * a.wrong_rate_upper_95 for a in let_in]
    axes.plot(accepted, bound, color=colour, linestyle="--", label="95 % upper bound")
    accepted_now = int((p >= threshold).sum())
    label = f"{accepted_now} at the threshold"
    axes.axvline(accepted_now, color=colour, linewidth=1, alpha=0.6, label=label)


def legend_above(axes: Any, columns: int) -> None:
    """A legend that hides nothing of the diagram."""
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, fontsize=8, frameon=False
    )
