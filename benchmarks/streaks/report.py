"""The tables of the streak benchmark, and the lines of its page."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.pages import number, table
from benchmarks.row_tables import LIST_MARK, Row, number_of
from benchmarks.simulate.streak_draw import LENGTH_EDGES_PX, SNR_EDGES
from benchmarks.streaks.run import score_of
from regengine.evaluate.streak_scores import StreakScore, total_streak_score

BoolArray = NDArray[np.bool_]
MATCHED_BOUNDS = (7.0, 10.0)
END_SNR = 1.0


def wanted(score: StreakScore) -> BoolArray:
    """Streaks within the cells; the others are neither wanted nor false."""
    strong = (score.peak_snr >= SNR_EDGES[0]) & (score.peak_snr < SNR_EDGES[-1])
    long = (score.length_px >= LENGTH_EDGES_PX[0]) & (score.length_px < LENGTH_EDGES_PX[-1])
    return np.asarray(strong & long)


def stratified_recall(score: StreakScore) -> float:
    """Mean of the recalls of the cells of SNR and length that hold a streak."""
    parts = []
    for low, high in itertools.pairwise(SNR_EDGES):
        for short, long in itertools.pairwise(LENGTH_EDGES_PX):
            cell = (score.peak_snr >= low) & (score.peak_snr < high)
            cell &= (score.length_px >= short) & (score.length_px < long)
            if cell.any():
                parts.append(score.recall(cell))
    return float(np.mean(parts)) if parts else float("nan")


def look_elsewhere_sigma(
    pixels: float, false_per_frame: float = 0.05, width_px: float = 3.0
) -> float:
    """The matched filter's threshold at which noise alone gives so many streaks a frame.

    Streaks of one length L are told apart by about a quarter of L along, half a width across, and
    a width over L in direction: 8 pi pixels / width^2 of them, whatever the length. Lengths from
    30 to 1,200 px in steps of the square root of 2 are eleven, and three widths are tried.
    """
    trials = 8.0 * np.pi * pixels / width_px**2 * 11 * 3
    return float(norm.isf(false_per_frame / trials))


def ideal_recall(matched_snr: NDArray[np.float64], pixels: float) -> NDArray[np.float64]:
    """Chance that an ideal matched filter finds a streak of that integrated SNR."""
    return np.asarray(norm.cdf(matched_snr - look_elsewhere_sigma(pixels)))


def by_method(rows: Sequence[Row], size: str) -> dict[str, list[Row]]:
    """Rows of frames of one size, by method."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["size"] == size:
            found.setdefault(row["method"], []).append(row)
    return found


HEADER = (
    "method",
    "frames",
    "streaks",
    "recall",
    *(f"SNR {low:g}-{high:g}" for low, high in itertools.pairwise(SNR_EDGES)),
    *(f"{low:.0f}-{high:.0f} px" for low, high in itertools.pairwise(LENGTH_EDGES_PX)),
    "false",
    "pieces",
    "end px",
    "p90",
    "CPU s",
)


def method_cells(name: str, score: StreakScore) -> list[str]:
    """One row of the main table."""
    want = wanted(score)
    cells = [name, str(score.frames), str(int(want.sum())), number(stratified_recall(score))]
    for low, high in itertools.pairwise(SNR_EDGES):
        cells.append(number(score.recall(want & (score.peak_snr >= low) & (score.peak_snr < high))))
    for low, high in itertools.pairwise(LENGTH_EDGES_PX):
        inside = (score.length_px >= low) & (score.length_px < high)
        cells.append(number(score.recall(want & inside)))
    strong = want & (score.peak_snr >= END_SNR)
    cells += [number(score.false_per_frame), number(score.pieces_per_frame)]
    cells += [number(score.end_error(0.5, strong), 1), number(score.end_error(0.9, strong), 1)]
    return [*cells, number(float(np.median(score.seconds)))]


def main_table(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """Recall by SNR and length, false ones, ends and time of every method."""
    lines = [
        method_cells(name, total_streak_score([score_of(row) for row in of]))
        for name, of in rows.items()
    ]
    return table(HEADER, lines, right=len(HEADER) - 1)


def matched_table(rows: Mapping[str, Sequence[Row]], pixels: float) -> list[str]:
    """Recall against the integrated SNR, all streaks; the ideal filter in the last row."""
    low, high = MATCHED_BOUNDS
    header = ("method", f"above {high:g}", f"{low:g}-{high:g}", f"below {low:g}")
    lines, limit = [], [float("nan")] * 3
    most = 0
    for name, of in rows.items():
        score = total_streak_score([score_of(row) for row in of])
        snr = score.matched_snr
        groups = (snr > high, (snr >= low) & (snr <= high), snr < low)
        lines.append([name, *(f"{number(score.recall(g))} of {int(g.sum())}" for g in groups)])
        if snr.size > most:  # methods may have been asked about different frames
            most, ideal = snr.size, ideal_recall(snr, pixels)
            limit = [float(ideal[g].mean()) if g.any() else float("nan") for g in groups]
    lines.append(["an ideal matched filter", *(number(value) for value in limit)])
    return table(header, lines, right=3)


def condition_table(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """False ones a frame by what the frames are like."""
    header = ("method", "clear, points", "clear, trailed stars", "clouds")
    lines = []
    for name, of in rows.items():
        cells = [name]
        for want in ((False, False), (False, True), (True, None)):
            some = [
                number_of(row["false"])
                for row in of
                if (row["cloudy"] == "1") == want[0]
                and want[1] in (None, number_of(row["trail_px"]) > 0.0)
            ]
            cells.append(f"{number(float(np.mean(some)) if some else None)} of {len(some)}")
        lines.append(cells)
    return table(header, lines, right=3)


def ends_table(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """Errors of the ends of each kind at `END_SNR` and more, median and 90 %: meteors fade."""
    kinds = ("satellite", "aircraft", "meteor")
    lines = []
    for name, of in rows.items():
        errors: dict[str, list[float]] = {kind: [] for kind in kinds}
        for row in of:
            score = score_of(row)
            told = (row.get("kind") or "").split(LIST_MARK)
            for kind, ends, snr in zip(told, score.end_error_px, score.peak_snr, strict=False):
                if kind in errors and snr >= END_SNR and np.isfinite(ends).all():
                    errors[kind] += ends.tolist()
        cells = [name]
        for kind in kinds:
            some = errors[kind]
            pair = [number(float(np.quantile(some, q)), 1) for q in (0.5, 0.9)] if some else []
            cells.append(f"{' / '.join(pair) or number(None)} of {len(some) // 2}")
        lines.append(cells)
    return table(("method", *kinds), lines, right=3)


def problem_lines(rows: Sequence[Row]) -> list[str]:
    """Frames that a method did not answer."""
    bad = [row for row in rows if row.get("problem")]
    if not bad:
        return []
    lines = [f"- {row['method']}, seed {row['seed']}: {row['problem']}" for row in bad]
    return ["", f"Not answered, counted as nothing found ({len(bad)}):", "", *lines[:20]]


# Figures of the streak benchmark: recall of all methods against both signal-to-noise ratios.

FloatArray = NDArray[np.float64]
PEAK_EDGES = np.geomspace(0.5, 10.0, 9)
MATCHED_EDGES = np.geomspace(4.0, 400.0, 11)
FEWEST = 4  # streaks of a point that is drawn


def draw_streak_figures(
    rows: Mapping[str, Sequence[Row]], peers: set[str], pixels: float, folder: Path
) -> list[Path]:
    """Draw both curves."""
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
