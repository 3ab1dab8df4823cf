"""Figures of the streak benchmark: recall of all methods against both signal-to-noise ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.streak_run import score_of
from benchmarks.streak_tables import ideal_recall, wanted
from benchmarks.trials.table import Row
from regengine.evaluate.streak_scores import total_streak_score

FloatArray = NDArray[np.float64]
PEAK_EDGES = np.geomspace(0.5, 10.0, 9)
MATCHED_EDGES = np.geomspace(4.0, 400.0, 11)
FEWEST = 4  # streaks of a point that is drawn


def draw_streak_figures(
    rows: Mapping[str, Sequence[Row]], peers: set[str], pixels: float, folder: Path
) -> list[Path]:
    """Draw both curves.

    Parameters
    ----------
    rows : mapping of str to sequence of Row
        Rows by method.
    peers : set of str
        Methods that are drawn dashed.
    pixels : float
        Of a frame: the ideal filter's threshold depends on it.
    folder : Path
        Where the PNG files go.

    Returns
    -------
    list of Path
        What was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _curves(rows, peers, pixels, folder / "recall-snr.png", matched=False),
        _curves(rows, peers, pixels, folder / "recall-matched.png", matched=True),
    ]


def _curves(
    rows: Mapping[str, Sequence[Row]],
    peers: set[str],
    pixels: float,
    target: Path,
    *,
    matched: bool,
) -> Path:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    edges = MATCHED_EDGES if matched else PEAK_EDGES
    limit: tuple[FloatArray, FloatArray] = (np.zeros(0), np.zeros(0))
    for name, of in rows.items():
        score = total_streak_score([score_of(row) for row in of])
        want = np.ones(score.found.size, bool) if matched else wanted(score)
        snr = (score.matched_snr if matched else score.peak_snr)[want]
        _line(axes, snr, score.found[want].astype(float), edges, name, dashed=name in peers)
        if snr.size > limit[0].size:
            limit = snr, ideal_recall(score.matched_snr[want], pixels)
    _limit(axes, limit[0], limit[1], edges)
    axes.set_xscale("log")
    if matched:
        axes.set_xlabel("integrated signal-to-noise ratio of an ideal matched filter")
    else:
        axes.set_xlabel("peak of the mean cross profile over sigma of sky and read-out")
    axes.set_ylabel("part of the streaks found")
    axes.set_ylim(-0.02, 1.04)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)
    return target


def _binned(snr: FloatArray, part: FloatArray, edges: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Geometric means of SNR and means of the bins that hold enough."""
    at = np.digitize(snr, edges) - 1
    full = [k for k in range(len(edges) - 1) if (at == k).sum() >= FEWEST]
    middle = [float(np.exp(np.log(snr[at == k]).mean())) for k in full]
    return np.array(middle), np.array([float(part[at == k].mean()) for k in full])


def _line(
    axes: Any, snr: FloatArray, hit: FloatArray, edges: FloatArray, name: str, *, dashed: bool
) -> None:
    x, y = _binned(snr, hit, edges)
    axes.plot(x, y, "--" if dashed else "-", marker="o", markersize=3, lw=1.2, label=name)


def _limit(axes: Any, snr: FloatArray, chance: FloatArray, edges: FloatArray) -> None:
    x, y = _binned(snr, chance, edges)
    axes.plot(x, y, "k:", lw=2.0, label="ideal matched filter")
