"""How well streak detectors find simulated streaks, by strength and length.

``python -m benchmarks streaks`` prints the tables; ``--out FOLDER`` writes them as Markdown, dated.
Real frames with labels are scored by ``regengine bench streaks``.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
from scipy.stats import norm

from benchmarks.arrays import BoolArray
from benchmarks.pages import command_of, number, parser, table, title_lines, write_page
from benchmarks.simulate.streaks import LENGTH_EDGES_PX, SNR_EDGES, TEST_SEED0, StreakFrame
from benchmarks.simulate.streaks_camera import camera_exposure
from benchmarks.simulate.streaks_crowded import crowded_exposure
from benchmarks.simulate.streaks_open import open_exposure
from detectors.registry import STREAKS
from detectors.types import FloatArray
from regengine.evaluate.streak_scores import (
    StreakScore,
    score_streaks,
    streak_rows,
    total_streak_score,
)

SNR_RANGES = tuple(itertools.pairwise(SNR_EDGES))
LENGTH_RANGES = tuple(itertools.pairwise(LENGTH_EDGES_PX))
# Three that take different things for granted, so that a detector fitted to one is found out
GENERATORS: Mapping[str, Callable[[int], StreakFrame]] = {
    "open": lambda seed: open_exposure(seed).streak_frame(),
    "crowded": lambda seed: crowded_exposure(seed).streak_frame(),
    "camera": lambda seed: camera_exposure(seed).streak_frame(),
}
END_SNR = 1.0
FALSE_PER_FRAME, WIDTH_PX = 0.05, 3.0  # of the ideal matched filter


Results = Mapping[str, Sequence[StreakScore]]  # by method, of each frame


def run_method(
    find: Callable[[StreakFrame], FloatArray], frames: Sequence[StreakFrame]
) -> list[StreakScore]:
    """Run a method, from a frame to rows of ends and bow, shape (M, 5), on frames."""
    scores = []
    for frame in frames:
        started = time.process_time()
        rows = find(frame)
        scores.append(
            score_streaks(
                np.array([one.curve for one in frame.truth], float).reshape(-1, 5),
                rows,
                peak_snr=np.array([one.peak_snr for one in frame.truth]),
                matched_snr=np.array([one.matched_snr for one in frame.truth]),
                seconds=time.process_time() - started,
            )
        )
    return scores


def mark_within(values: FloatArray, low: float, high: float) -> BoolArray:
    """Which values lie from one bound on to below the other."""
    return np.asarray((values >= low) & (values < high))


def select_wanted(score: StreakScore) -> BoolArray:
    """Streaks within the cells; the others are neither wanted nor false."""
    strong = mark_within(score.peak_snr, SNR_EDGES[0], SNR_EDGES[-1])
    return strong & mark_within(score.length_px, LENGTH_EDGES_PX[0], LENGTH_EDGES_PX[-1])


def stratified_recall(score: StreakScore) -> float:
    """Mean of the recalls of the cells of SNR and length that hold a streak."""
    parts = []
    for (low, high), (short, long) in itertools.product(SNR_RANGES, LENGTH_RANGES):
        cell = mark_within(score.peak_snr, low, high) & mark_within(score.length_px, short, long)
        if cell.any():
            parts.append(score.recall(cell))
    return float(np.mean(parts)) if parts else float("nan")


def look_elsewhere_sigma(pixels: float) -> float:
    """The matched filter's threshold at which noise alone gives `FALSE_PER_FRAME` streaks a frame.

    Of one length there are 8 pi pixels / width^2 that can be told apart; of lengths eleven, of
    widths three.
    """
    trials = 8.0 * np.pi * pixels / WIDTH_PX**2 * 11 * 3
    return float(norm.isf(FALSE_PER_FRAME / trials))


def ideal_recall(matched_snr: FloatArray, pixels: float) -> FloatArray:
    """Chance that an ideal matched filter finds a streak of that integrated SNR."""
    return np.asarray(norm.cdf(matched_snr - look_elsewhere_sigma(pixels)))


HEADER = (
    "method",
    "frames",
    "streaks",
    "recall",
    *(f"SNR {low:g}-{high:g}" for low, high in SNR_RANGES),
    *(f"{low:.0f}-{high:.0f} px" for low, high in LENGTH_RANGES),
    "false",
    "pieces",
    "end px",
    "p90",
    "CPU s",
)


def method_cells(name: str, score: StreakScore) -> list[str]:
    """One row of the main table."""
    want = select_wanted(score)
    cells = [name, str(score.frames), str(int(want.sum())), number(stratified_recall(score))]
    for values, ranges in ((score.peak_snr, SNR_RANGES), (score.length_px, LENGTH_RANGES)):
        cells += [number(score.recall(want & mark_within(values, *bounds))) for bounds in ranges]
    strong = want & (score.peak_snr >= END_SNR)
    cells += [number(score.false_per_frame), number(score.pieces_per_frame)]
    cells += [number(score.end_error(0.5, strong), 1), number(score.end_error(0.9, strong), 1)]
    return [*cells, number(float(np.median(score.seconds)))]


def ideal_cells(score: StreakScore, pixels: float) -> list[str]:
    """The row of an ideal matched filter: what it would find of the same streaks."""
    want, ideal = select_wanted(score), ideal_recall(score.matched_snr, pixels)
    cells = ["an ideal matched filter", "", str(int(want.sum())), ""]
    for values, ranges in ((score.peak_snr, SNR_RANGES), (score.length_px, LENGTH_RANGES)):
        groups = [want & mark_within(values, *bounds) for bounds in ranges]
        cells += [number(float(ideal[group].mean()) if group.any() else None) for group in groups]
    return [*cells, number(FALSE_PER_FRAME), *[""] * (len(HEADER) - len(cells) - 1)]


def section(
    title: str, frames: Sequence[StreakFrame], results: Results, pixels: float
) -> list[str]:
    """Recall by SNR and length, false ones, ends and time of every method, on one generator."""
    totals = {name: total_streak_score(list(scores)) for name, scores in results.items()}
    rows = [method_cells(name, total) for name, total in totals.items()]
    rows += [ideal_cells(total, pixels) for total in list(totals.values())[:1]]
    skies = ("clear, points", "clear, trailed stars", "clouds")
    sky = [2 if frame.cloudy else int(frame.trail_px is not None) for frame in frames]
    false_rows = []
    for name, scores in results.items():
        cells = [name]
        for kind in range(len(skies)):
            some = [int(one.false[0]) for one, of in zip(scores, sky, strict=True) if of == kind]
            cells.append(f"{number(float(np.mean(some)) if some else None)} of {len(some)}")
        false_rows.append(cells)
    return [
        f"## {title}",
        "",
        *table(HEADER, rows, right=len(HEADER) - 1),
        "",
        "False ones a frame, by the sky:",
        "",
        *table(("method", *skies), false_rows, right=3),
        "",
    ]


def explain_columns() -> list[str]:
    """What the columns mean."""
    sigma = look_elsewhere_sigma(1024.0**2)
    return [
        "Simulated frames of three generators, seeds that nothing was tuned on: *open* "
        "(`benchmarks/simulate/streaks_open.py`), *crowded* (`streaks_crowded.py`: blended stars "
        "below the noise, clusters, galaxies, long tracks of particles, hot columns) and "
        "*camera* (`streaks_camera.py`: mosaic of colours, correlated noise, JPEG, coma, shaken "
        "hand, rows and columns, moonlit clouds). "
        "SNR is the peak of the mean cross profile over the noise of sky and read-out. Found "
        "is a line RMS of at most 3 px and an overlap of at least a half: the stretch that both "
        "cover over the stretch that either covers; each streak and each detection once. *Recall* "
        "is the mean over the cells of SNR and length, so that each counts alike; streaks outside "
        "of the cells are neither wanted nor false. *False* are detections a frame where no "
        "streak is, *pieces* those that lie along a true streak but are not its one detection. "
        "*End px* is the median distance of an end from the true one, at SNR 1 and more. *CPU s* "
        "is the median processor time of a frame on one thread.",
        "",
        f"The ideal matched filter knows every shape, and needs {sigma:.1f} sigma for 0.05 false "
        "streaks a frame among all places, directions and lengths.",
        "",
    ]


def main(argv: list[str]) -> int:
    """Run the benchmark."""
    given = parser("streaks", __doc__)
    given.add_argument("--frames", type=int, default=24, help="of 1024 x 1024 pixels a generator")
    known = STREAKS.detectors()
    given.add_argument(
        "--generator", nargs="+", choices=GENERATORS, default=list(GENERATORS), help="one or more"
    )
    given.add_argument("--seed0", type=int, default=TEST_SEED0)
    given.add_argument("--methods", nargs="+", choices=known, default=list(known), help="some")
    args = given.parse_args(argv)
    cv2.setNumThreads(1)
    lines: list[str] = []
    for generator in args.generator:
        draw = GENERATORS[generator]
        frames = [draw(seed) for seed in range(args.seed0, args.seed0 + args.frames)]
        results: dict[str, list[StreakScore]] = {}
        for name in args.methods:

            def find(frame: StreakFrame, name: str = name) -> FloatArray:
                return streak_rows(known[name].detect(frame.light, None, frame.saturated))

            results[name] = run_method(find, frames)
            total = total_streak_score(results[name])
            print(" | ".join(method_cells(name, total)), file=sys.stderr)
        pixels = float(frames[0].light.size)
        lines += section(f"Frames: {generator}", frames, results, pixels)
    note = " ".join(explain_columns()).strip()
    heading = title_lines("Streaks in simulated frames", command_of("streaks", argv), note)
    write_page(args.out, "streaks", [*heading, *lines])
    return 0
