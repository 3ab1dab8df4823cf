"""How well detectors find what simulated frames show: stars and streaks.

``python -m benchmarks detectors stars`` tries every method that finds stars. Photographs with
labels of your own are scored by ``regengine bench``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.stats import norm
from typer import Argument, Option

from benchmarks.arrays import BoolArray, FloatArray
from benchmarks.options import Out, some_of
from benchmarks.pages import number, table, tell, title_lines, write_page
from benchmarks.simulate.frames import GENERATORS
from benchmarks.simulate.frames.exposures import LENGTH_EDGES_PX, SNR_EDGES, Exposure
from detectors.types import STARS, STREAKS
from regengine.score.detections import match_positions
from regengine.score.labels import add_scores
from regengine.score.streak_scores import (
    StreakScore,
    score_streaks,
    streak_rows,
)


def main(
    kind: Annotated[Literal["stars", "streaks"], Argument(help="what is sought")],
    *,
    frames: Annotated[int, Option(min=1, help="of each generator")] = 20,
    seed: Annotated[int, Option(help="what the frames are drawn from")] = 1,
    methods: Annotated[str, Option(metavar="A,B", help="these detectors alone")] = "",
    generator: Annotated[
        str, Option(metavar="A,B", help=f"these alone: {', '.join(GENERATORS)}")
    ] = "",
    out: Out = None,
) -> None:
    """Run the benchmark."""
    cv2.setNumThreads(1)
    trials = {"stars": try_stars, "streaks": try_streaks}
    note, lines = trials[kind](frames, seed, methods, generator)
    title = title_lines(f"{kind.capitalize()} in simulated frames", note)
    write_page(out, kind, [*title, *lines])


def ranges_of(edges: Sequence[float]) -> dict[str, tuple[float, float]]:
    """Ranges between edges, by their words."""
    return {
        f"{low:g} to {high:g}" if np.isfinite(high) else f"{low:g} and more": (low, high)
        for low, high in itertools.pairwise(edges)
    }


def between(values: Any, low: float, high: float) -> BoolArray:
    return np.asarray((values >= low) & (values < high))


def pair(
    truth: dict[str, Any], found: FloatArray, tolerance_px: FloatArray
) -> tuple[pd.DataFrame, int]:
    """True objects (x, y, ...) with how far off each was found, NaN if not; detections of none."""
    objects = pd.DataFrame(truth)
    places = objects[["x", "y"]].to_numpy()
    at, paired, _ = match_positions(places, found, tolerance_px)
    off = np.full((len(places), 2), np.nan)
    off[at] = found[paired] - places[at]
    objects[["off_x", "off_y"]] = off
    objects["hit"] = np.isfinite(off[:, 0])
    return objects, len(found) - paired.size


def chosen(known: dict[str, Any], methods: str) -> dict[str, Any]:
    return {name: known[name] for name in some_of(methods, known, "--methods")}


# Stars

STAR_EDGES = (2.0, 3.0, 5.0, 10.0, 30.0, np.inf)
CENTROID_SNR = (10.0, 100.0)
TOLERANCE_PX = 2.0
# Centroids are held against the bound of a star alone: no neighbour of a twentieth of its light
# within so many widths
ALONE_FWHM, ALONE_FLUX = 4.0, 0.05
SEED_STEP = 1000
GENERATORS_NOTE = (
    "Generators (`benchmarks/simulate/frames`): *Open*: Moffat stars over sloping sky, Poisson and "
    "read noise, hot pixels and cosmic rays. *Crowded*: blended stars below the noise, pairs, "
    "clusters, galaxies, bleeding and hot columns, long tracks. *Camera*: mosaic of colours, "
    "correlated noise, JPEG, coma, shaken hand, rows and columns, moonlit clouds."
)
STARS_NOTE = (
    f"Frames of 1024 x 1024 pixels. {GENERATORS_NOTE}\n\n"
    "Columns of numbers are the part of the stars found, by the signal-to-noise ratio of the "
    "star's brightest pixel over sky and read-out. Stars are wanted that have a maximum of "
    f"their own and lie three pixels inside. Found is within {TOLERANCE_PX:g} px, each star "
    "and each detection once; a detection of no star, of any brightness, is false. Sigma is "
    f"the root mean square error per axis at {CENTROID_SNR[0]:g} to {CENTROID_SNR[1]:g} in "
    "frames without trails, blends counted, and of stars alone, without near neighbours: there "
    "no method can have less than the Cramer-Rao bound on average. *Of the bound* is the root "
    "mean square of their error over their bound."
)


def try_stars(n_frames: int, seed: int, methods: str, generators: str) -> tuple[str, list[str]]:
    """Stars of every generator, by peak signal-to-noise ratio."""
    ranges = ranges_of(STAR_EDGES) | ranges_of((10.0, np.inf))
    header = (
        *("method", *ranges, "false a frame", "sigma px, points", "alone"),
        *("of the bound", "of the bound, trails", "CPU s a frame"),
    )
    lines = []
    for generator in some_of(generators, GENERATORS, "--generator"):
        first = SEED_STEP * seed
        fields = [GENERATORS[generator](first + k, streaks=False) for k in range(n_frames)]
        rows, stars = [], pd.DataFrame()
        for name, detector in chosen(STARS.detectors(), methods).items():
            parts, false, seconds = [], 0, []
            for field in fields:
                started = time.process_time()
                seen = detector.detect(field.light, None, field.saturated)
                seconds.append(time.process_time() - started)
                objects, wrong = pair_stars(field, np.column_stack([seen.x, seen.y]))
                parts.append(objects)
                false += wrong
            stars = pd.concat(parts)[lambda some: some.resolved]
            found = [
                stars.hit[between(stars.peak_snr, *bounds)].mean() for bounds in ranges.values()
            ]
            cells = [name, *(number(share, 3) for share in found)]
            cells += [number(false / len(fields), 1), *centroid_cells(stars)]
            rows.append([*cells, number(float(np.median(seconds)), 3)])
            tell(" | ".join(rows[-1]))
        bright = stars[between(stars.peak_snr, *CENTROID_SNR) & ~stars.trailed]
        bound = number(rms(bright[["bound_x", "bound_y"]]), 3)
        trailed = sum(field.trail_px is not None for field in fields)
        said = f"{len(fields)} frames, {trailed} with trails; the bound is {bound} px."
        lines += [f"## Generator: {generator}", "", said, ""]
        lines += [*table(header, rows, right=len(header) - 1), ""]
    return STARS_NOTE, lines


def pair_stars(field: Exposure, found: FloatArray) -> tuple[pd.DataFrame, int]:
    """True stars with what a method makes of them; detections of none."""
    stars = field.stars
    known = {name: getattr(stars, name) for name in ("x", "y", "flux", "peak_snr", "resolved")}
    bounds = dict(zip(("bound_x", "bound_y"), stars.bound_px.T, strict=True))
    objects, false = pair(known | bounds, found, np.full(stars.x.size, TOLERANCE_PX))
    length = 0.0 if field.trail_px is None else float(np.hypot(*field.trail_px))
    places = np.column_stack([stars.x, stars.y])
    near = cKDTree(places).query_ball_point(places, ALONE_FWHM * field.fwhm_px + length)
    objects["alone"] = [
        all(j == i or stars.flux[j] < ALONE_FLUX * stars.flux[i] for j in others)
        for i, others in enumerate(near)
    ]
    objects["trailed"] = field.trail_px is not None
    return objects, false


def centroid_cells(stars: pd.DataFrame) -> list[str]:
    """Errors per axis of what was found, of all and of stars alone; over their bounds, too."""
    known = stars[stars.hit & between(stars.peak_snr, *CENTROID_SNR)]
    points, alone = known[~known.trailed], known[known.alone]

    def of_bound(some: pd.DataFrame) -> float:
        bounds = some[["bound_x", "bound_y"]].to_numpy()
        return rms(some[["off_x", "off_y"]].to_numpy() / bounds)

    return [
        number(rms(points[["off_x", "off_y"]]), 3),
        number(rms(points[points.alone][["off_x", "off_y"]]), 3),
        number(of_bound(alone[~alone.trailed])),
        number(of_bound(alone[alone.trailed])),
    ]


def rms(values: Any) -> float:
    known = np.asarray(values, float)
    return float(np.sqrt(np.mean(np.square(known)))) if known.size else float("nan")


# Streaks

SNR_RANGES = tuple(itertools.pairwise(SNR_EDGES))
LENGTH_RANGES = tuple(itertools.pairwise(LENGTH_EDGES_PX))
END_SNR = 1.0
FALSE_PER_FRAME, WIDTH_PX = 0.05, 3.0  # of the ideal matched filter
TEST_SEED = 10_000
STREAKS_NOTE = (
    f"Frames of 1024 x 1024 pixels, seeds that nothing was tuned on. {GENERATORS_NOTE}\n\n"
    "SNR is the peak of the mean cross profile over the noise of sky and read-out. Found "
    "is a line RMS of at most 3 px and an overlap of at least a half: the stretch that both "
    "cover over the stretch that either covers; each streak and each detection once. *Recall* "
    "is the mean over the cells of SNR and length, so that each counts alike; streaks outside "
    "of the cells are neither wanted nor false. *False* are detections a frame where no "
    "streak is, *pieces* those that lie along a true streak but are not its one detection. "
    "*End px* is the median distance of an end from the true one, at SNR 1 and more. *CPU s* "
    "is the median processor time of a frame on one thread. The ideal matched filter knows every "
    "shape, and needs {sigma:.1f} sigma for 0.05 false streaks a frame among all places, "
    "directions and lengths."
)
STREAKS_HEADER = (
    *("method", "frames", "streaks", "recall"),
    *(f"SNR {low:g}-{high:g}" for low, high in SNR_RANGES),
    *(f"{low:.0f}-{high:.0f} px" for low, high in LENGTH_RANGES),
    *("false", "pieces", "end px", "p90", "CPU s"),
)
SKY_WORDS = ("clear, points", "clear, trailed stars", "clouds")


def try_streaks(n_frames: int, seed: int, methods: str, generators: str) -> tuple[str, list[str]]:
    """Streaks of every generator, by strength and length."""
    lines = []
    pixels = 1024.0**2
    for generator in some_of(generators, GENERATORS, "--generator"):
        first = TEST_SEED + SEED_STEP * (seed - 1)
        frames = [GENERATORS[generator](first + k) for k in range(n_frames)]
        skies = [2 if one.cloudy else int(one.trail_px is not None) for one in frames]
        matched_snr = np.array([one.matched_snr for frame in frames for one in frame.streaks])
        rows, false_rows = [], []
        for name, detector in chosen(STREAKS.detectors(), methods).items():
            scores = [score_frame(detector, frame) for frame in frames]
            total = add_scores(StreakScore, scores)
            rows.append(streak_cells(name, total))
            tell(" | ".join(rows[-1]))
            cells = [name]
            for sky in range(len(SKY_WORDS)):
                some = [one.false[0] for one, of in zip(scores, skies, strict=True) if of == sky]
                cells.append(f"{number(np.mean(some) if some else None)} of {len(some)}")
            false_rows.append(cells)
        lines += [
            f"## Frames: {generator}",
            "",
            *table(
                STREAKS_HEADER,
                [*rows, ideal_cells(total, matched_snr, pixels)],
                len(STREAKS_HEADER) - 1,
            ),
            "",
            "False ones a frame, by the sky:",
            "",
            *table(("method", *SKY_WORDS), false_rows, right=3),
            "",
        ]
    return STREAKS_NOTE.format(sigma=look_elsewhere_sigma(pixels)), lines


def score_frame(detector: Any, frame: Exposure) -> StreakScore:
    """What a detector makes of a frame."""
    started = time.process_time()
    rows = streak_rows(detector.detect(frame.light, None, frame.saturated))
    return score_streaks(
        np.array([one.curve for one in frame.streaks], float).reshape(-1, 5),
        rows,
        peak_snr=np.array([one.peak_snr for one in frame.streaks]),
        seconds=time.process_time() - started,
    )


def select_wanted(score: StreakScore) -> BoolArray:
    """Streaks within the cells; the others are neither wanted nor false."""
    strong = between(score.peak_snr, SNR_EDGES[0], SNR_EDGES[-1])
    return strong & between(score.length_px, LENGTH_EDGES_PX[0], LENGTH_EDGES_PX[-1])


def stratified_recall(score: StreakScore) -> float:
    """Mean of the recalls of the cells of SNR and length that hold a streak."""
    cells = (
        between(score.peak_snr, *snr) & between(score.length_px, *length)
        for snr, length in itertools.product(SNR_RANGES, LENGTH_RANGES)
    )
    parts = [score.recall(cell) for cell in cells if cell.any()]
    return float(np.mean(parts)) if parts else float("nan")


def groups_of(score: StreakScore) -> Iterable[BoolArray]:
    want = select_wanted(score)
    for values, ranges in ((score.peak_snr, SNR_RANGES), (score.length_px, LENGTH_RANGES)):
        yield from (want & between(values, *bounds) for bounds in ranges)


def streak_cells(name: str, score: StreakScore) -> list[str]:
    """One row of the main table."""
    want = select_wanted(score)
    strong = want & (score.peak_snr >= END_SNR)
    return [
        *(name, str(score.frames), str(int(want.sum())), number(stratified_recall(score))),
        *(number(score.recall(group)) for group in groups_of(score)),
        *(number(score.false_per_frame), number(score.pieces_per_frame)),
        *(number(score.end_error(share, strong), 1) for share in (0.5, 0.9)),
        number(float(np.median(score.seconds))),
    ]


def look_elsewhere_sigma(pixels: float) -> float:
    """The matched filter's threshold at which noise alone gives `FALSE_PER_FRAME` streaks a frame.

    Of one length there are 8 pi pixels / width^2 that can be told apart; of lengths eleven, of
    widths three.
    """
    trials = 8.0 * np.pi * pixels / WIDTH_PX**2 * 11 * 3
    return float(norm.isf(FALSE_PER_FRAME / trials))


def ideal_cells(score: StreakScore, matched_snr: FloatArray, pixels: float) -> list[str]:
    """The row of an ideal matched filter: what it would find of the same streaks."""
    ideal = norm.cdf(matched_snr - look_elsewhere_sigma(pixels))
    groups = [number(ideal[group].mean() if group.any() else None) for group in groups_of(score)]
    cells = ["an ideal matched filter", "", str(int(select_wanted(score).sum())), "", *groups]
    return [*cells, number(FALSE_PER_FRAME), *[""] * (len(STREAKS_HEADER) - len(cells) - 1)]
