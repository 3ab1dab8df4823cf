"""Figures of the satellites' benchmark: are probabilities honest, and a frame with its names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.satellites.trials import Named, Trial
from regengine.sky.satellites.tracks import drawn_track

EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 0.99, 0.999, 1.0)


def draw_calibration(streaks: Sequence[Named], target: Path) -> None:
    """Share of right names against their probability, and how many streaks have which."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.8))
    chosen = [one for one in streaks if one.best is not None]
    probability = np.array([one.probability for one in chosen])
    hit = np.array([one.right for one in chosen])
    means, shares, errors = [], [], []
    for low, high in itertools.pairwise(EDGES):
        inside = (probability >= low) & (probability < high)
        n = int(inside.sum())
        if n >= 5:
            share = float((hit[inside].sum() + 0.5) / (n + 1.0))
            means.append(float(probability[inside].mean()))
            shares.append(float(hit[inside].mean()))
            errors.append(float(np.sqrt(share * (1.0 - share) / n)))
    left.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    left.errorbar(means, shares, yerr=errors, fmt="o", markersize=4)
    left.set_xlabel("probability of the most probable name")
    left.set_ylabel("share that is right")
    left.set_title("Calibration, one sigma", fontsize=10)
    wrong = np.sort(1.0 - probability[~hit])
    good = np.sort(1.0 - probability[hit])
    for values, name in ((good, "right"), (wrong, "wrong")):
        if values.size:
            right.step(np.maximum(values, 1e-6), np.arange(1, values.size + 1), label=name)
    right.axvline(0.1, color="0.6", linewidth=1)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("1 − probability")
    right.set_ylabel("names at least as sure")
    right.legend(fontsize=8)
    right.set_title("Left of the line: P ≥ 0.9", fontsize=10)
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def draw_example(trial: Trial, target: Path) -> None:
    """Predicted tracks and named streaks of one simulated frame."""
    from matplotlib import pyplot

    frame = trial.frame
    figure, axes = pyplot.subplots(figsize=(9, 6.2))
    axes.set_facecolor("0.1")
    tracks, middle = trial.found.tracks, len(trial.found.tracks.seconds) // 2
    for row in np.flatnonzero(trial.found.inside):
        lit = tracks.sunlit[row, middle] > 0.5
        _, x, y = drawn_track(tracks, int(row), trial.exposure)
        axes.plot(x, y, color="deepskyblue" if lit else "0.45", linewidth=0.8)
        axes.plot(x[-1:], y[-1:], ".", color="deepskyblue" if lit else "0.45", markersize=3)
    for k, (streak, naming) in enumerate(zip(trial.streaks, trial.found.namings, strict=True)):
        axes.plot(
            [streak.x1, streak.x2], [streak.y1, streak.y2], color="white", linewidth=5, alpha=0.4
        )
        text, colour = "not in catalogue", "tomato"
        if len(naming.order) and naming.probability[0] >= 0.5:
            row = tracks.rows[naming.evidence.rows[naming.order[0]]]
            number = trial.satellites.numbers[row]
            text = f"{trial.satellites.names[row]} P {naming.probability[0]:.3f}"
            colour = "lime" if number == trial.true[k] else "red"
        axes.annotate(
            text, ((streak.x1 + streak.x2) / 2, (streak.y1 + streak.y2) / 2), color=colour,
            fontsize=7, xytext=(5, 5), textcoords="offset points",
        )  # fmt: skip
    axes.set_xlim(-0.5, frame.width_px - 0.5)
    axes.set_ylim(frame.height_px - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_xlabel("x, px")
    axes.set_ylabel("y, px")
    axes.set_title(
        f"{frame.exposure_s:.1f} s: streaks white; tracks blue where sunlit, grey in shadow",
        fontsize=9,
    )
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
