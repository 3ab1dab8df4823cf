"""Score detected streaks against ground truth: found, false, fragments, and position errors.

A streak is a row of five numbers: its ends x1, y1, x2, y2 and its bow (`StreakDetections.bow_px`),
the parabola through both ends whose middle is at that distance from the straight line. Two measures
determine whether a detection is a true streak. Both are computed along the straight line between
the true ends:

- *overlap*: the interval that both cover divided by the interval that either covers;
- *line RMS*: the root mean square distance across, of the detection from the true curve, over the
  interval that both cover.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from detectors.types import BoolArray, FloatArray, IndexArray, StreakDetections
from regengine.errors import FrameError
from regengine.photo.formats import read_photo_file
from regengine.photo.image import read_display_rgb
from regengine.score.labels import FactColumns, LabelledPhoto, add_scores, table
from regengine.store.records import plain

LINE_RMS_PX = 3.0
# A detection is a fragment of a true streak if this share of its own length lies along one
PIECE = 0.5
SAMPLES = 129


SNR_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 10.0, math.inf)
LENGTH_EDGES_PX = (0.0, 30.0, 100.0, 300.0, 1200.0, math.inf)
STREAK_TABLE: FactColumns = (
    ("method", "method", "s", 14),
    ("photos", "photos", "d", 6),
    ("labels", "labels", "d", 7),
    ("recall", "recall", ".3f", 7),
    ("false/photo", "false_per_photo", ".3f", 11),
    ("pieces", "pieces_per_photo", ".3f", 7),
    ("end px", "end_error_px", ".2f", 7),
    ("90 %", "end_error_p90_px", ".2f", 7),
    ("s/photo", "seconds_per_photo", ".3f", 8),
)


# Indices of the true streaks that were found, (K,); (K, 2): distances of both ends from the true
# ones; indices of unpaired detections along a true streak, fragments or duplicates, and of those
# where no streak is
StreakMatches = tuple[IndexArray, FloatArray, IndexArray, IndexArray]


@dataclass(frozen=True, kw_only=True)
class StreakScore:
    """Score of a method on some frames; the N true streaks are concatenated.

    ``peak_snr``, ``length_px``, shape (N,), are NaN if unknown; ``end_error_px``,
    shape (N, 2), if a streak was not found. ``false``, ``pieces`` (see `StreakMatches`) and
    ``seconds``, processor time, have shape (frames,).
    """

    frames: int = 0
    peak_snr: FloatArray = field(default_factory=lambda: np.zeros(0))
    length_px: FloatArray = field(default_factory=lambda: np.zeros(0))
    found: BoolArray = field(default_factory=lambda: np.zeros(0, bool))
    end_error_px: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    false: IndexArray = field(default_factory=lambda: np.zeros(0, int))
    pieces: IndexArray = field(default_factory=lambda: np.zeros(0, int))
    seconds: FloatArray = field(default_factory=lambda: np.zeros(0))

    def recall(self, wanted: BoolArray | None = None) -> float:
        """Detected share of the streaks that a mask selects, or of all; NaN without streaks."""
        found = self.found if wanted is None else self.found[wanted]
        return float(found.mean()) if found.size else float("nan")

    def end_error(self, quantile: float, wanted: BoolArray | None = None) -> float:
        """Quantile of the distances of detected ends from the true ones; NaN without detections."""
        errors = self.end_error_px if wanted is None else self.end_error_px[wanted]
        errors = errors[np.isfinite(errors)]
        return float(np.quantile(errors, quantile)) if errors.size else float("nan")

    @property
    def false_per_frame(self) -> float:
        """Detections without a streak, per frame; NaN without frames."""
        return float(self.false.mean()) if self.frames else float("nan")

    @property
    def pieces_per_frame(self) -> float:
        """Detections beyond the first along true streaks, per frame; NaN without frames."""
        return float(self.pieces.mean()) if self.frames else float("nan")


def streak_rows(found: StreakDetections) -> FloatArray:
    """Detections as rows of ends and bow, shape (M, 5)."""
    return np.column_stack([found.x1, found.y1, found.x2, found.y2, found.bow_px])


def curve_points(row: FloatArray, count: int = SAMPLES) -> FloatArray:
    """Places along a streak from end to end, shape (count, 2)."""
    first, last, bow = row[:2], row[2:4], float(row[4])
    step = last - first
    length = float(np.hypot(*step))
    t = np.linspace(0.0, 1.0, count)[:, None]
    if length == 0.0:
        return np.repeat(first[None, :], count, axis=0)
    right = np.array([-step[1], step[0]]) / length
    return np.asarray(first + t * step + 4.0 * bow * t * (1.0 - t) * right)


def line_measures(truth: FloatArray, found: FloatArray) -> tuple[float, float, float]:
    """Line RMS in pixels, overlap, and the share of the detection away from the truth."""
    step = truth[2:4] - truth[:2]
    length = float(np.hypot(*step))
    if length == 0.0:
        return float("inf"), 0.0, 0.0
    along_axis, right_axis = step / length, np.array([-step[1], step[0]]) / length
    points = curve_points(found) - truth[:2]
    along, across = points @ along_axis, points @ right_axis
    common = (along >= 0.0) & (along <= length)
    low, high = float(along.min()), float(along.max())
    shared = min(high, length) - max(low, 0.0)
    if shared <= 0.0 or not common.any():
        return float("inf"), 0.0, 0.0
    t = along[common] / length
    off = across[common] - 4.0 * float(truth[4]) * t * (1.0 - t)
    overlap = shared / (max(high, length) - min(low, 0.0))
    return float(np.sqrt(np.mean(off**2))), float(overlap), float(common.mean())


def match_streaks(truth: FloatArray, found: FloatArray) -> StreakMatches:
    """Pair as many detections with true streaks as possible, at the smallest distances."""
    shape = (len(truth), len(found))
    rms, overlap, beside = np.full(shape, np.inf), np.zeros(shape), np.zeros(shape)
    # Pairs with adjacent bounding boxes: a preselection for thousands of detections
    reach = LINE_RMS_PX * SAMPLES**0.5

    def box(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        ends = rows[:, :4].reshape(-1, 2, 2)
        bow = np.abs(rows[:, 4])[:, None]
        return ends.min(axis=1) - bow - reach, ends.max(axis=1) + bow + reach

    (true_low, true_high), (low, high) = box(truth), box(found)
    apart = (low[None] > true_high[:, None]) | (high[None] < true_low[:, None])
    for i, j in np.argwhere(np.asarray(~apart.any(axis=2))):
        rms[i, j], overlap[i, j], beside[i, j] = line_measures(truth[i], found[j])
    fits = np.zeros(shape, bool)
    fits[(rms <= LINE_RMS_PX) & (overlap >= 0.5)] = True
    # Greater than any sum of valid pairs: an additional pair has priority over nearer ones
    never = 3.0 * (1.0 + min(shape, default=0))
    cost = np.full(shape, never)
    cost[fits] = rms[fits] / LINE_RMS_PX + 1.0 - overlap[fits]
    rows, columns = linear_sum_assignment(cost)
    paired = fits[rows, columns]
    rows, columns = rows[paired], columns[paired]
    alone = np.setdiff1d(np.arange(len(found)), columns)
    along = np.asarray(((rms <= LINE_RMS_PX) & (beside >= PIECE)).any(axis=0))[alone]
    errors = []  # of both ends, paired for the smallest sum
    for true_ends, ends in zip(truth[rows, :4], found[columns, :4], strict=True):
        straight = np.hypot(*(ends - true_ends).reshape(2, 2).T)
        crossed = np.hypot(*(ends[[2, 3, 0, 1]] - true_ends).reshape(2, 2).T)
        errors.append(straight if straight.sum() <= crossed.sum() else crossed)
    return rows, np.array(errors).reshape(-1, 2), alone[along], alone[~along]


def score_streaks(
    truth: FloatArray,
    found: FloatArray,
    *,
    peak_snr: FloatArray | None = None,
    seconds: float = float("nan"),
) -> StreakScore:
    """Score one frame: all true streaks (N, 5) and all detections (M, 5), see `streak_rows`.

    The brightnesses of the true ones have shape (N,).
    """
    matched, end_error_px, pieces, false = match_streaks(truth, found)
    unknown = np.full(len(truth), np.nan)
    hit, errors = np.zeros(len(truth), bool), np.full((len(truth), 2), np.nan)
    hit[matched], errors[matched] = True, end_error_px
    return StreakScore(
        frames=1,
        peak_snr=unknown if peak_snr is None else np.asarray(peak_snr, float),
        length_px=np.hypot(truth[:, 2] - truth[:, 0], truth[:, 3] - truth[:, 1]),
        found=hit,
        end_error_px=errors,
        false=np.array([false.size]),
        pieces=np.array([pieces.size]),
        seconds=np.array([seconds]),
    )


def score_mask(truth: BoolArray, found: FloatArray) -> tuple[int, int, BoolArray]:
    """Compare detections with a mask whose objects may be wide, and may touch; rows (M, 5).

    Returns the number of objects, the number of those of which detections cover half of the length,
    and which detections, (M,), have less than half of their length in the mask.
    """
    # 3 px beside a mask, as beside a line
    near = cv2.dilate(truth.astype(np.uint8), np.ones((7, 7), np.uint8))
    count, drawn, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    label: NDArray[np.int32] = np.asarray(drawn, np.int32)
    area = stats[1:, cv2.CC_STAT_AREA] if count > 1 else np.zeros(0)
    # Smaller specks need not be found
    wanted = [k + 1 for k in range(count - 1) if area[k] >= 0.1 * area.max()]
    covered: dict[int, list[FloatArray]] = {k: [] for k in wanted}
    outside = np.zeros(len(found), bool)
    for number, row in enumerate(found):
        length = float(np.hypot(row[2] - row[0], row[3] - row[1]))
        points = curve_points(row, max(3, round(2.0 * length)))
        # The object at each position; 0 outside of all and outside of the image
        h, w = label.shape
        x, y = np.rint(points).astype(int).T
        inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        hit = np.zeros(len(points), np.int32)
        hit[inside] = label[y[inside], x[inside]]
        outside[number] = (hit > 0).mean() < PIECE
        for k in wanted:
            covered[k].append(points[hit == k])
    found_count = sum(
        _share(np.argwhere(label == k)[:, ::-1], np.concatenate([np.zeros((0, 2)), *covered[k]]))
        >= 0.5
        for k in wanted
    )
    return len(wanted), int(found_count), outside


def _share(object_xy: IndexArray, points: FloatArray) -> float:
    """Share of an object's length, along its longest axis, that is covered by points."""
    if len(points) == 0:
        return 0.0
    middle = object_xy.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((object_xy - middle).T))
    along = (object_xy - middle) @ axes[:, -1]
    low, high = float(along.min()), float(along.max())
    bins = max(1, int((high - low) / 4.0))  # pixels
    at = (((points - middle) @ axes[:, -1]) - low) / (high - low + 1e-9) * bins
    return len(np.unique(np.clip(at.astype(int), 0, bins - 1))) / bins


def score_streak_photo(
    photo: LabelledPhoto, found: FloatArray, seconds: float
) -> tuple[StreakScore, BoolArray, FloatArray]:
    """Score detections (M, 5) in a photo; also which are false, (M,), and labels missed, (K, 4).

    Length and brightness of a mask's streaks are unknown. FrameError if the mask cannot be read or
    its size differs.
    """
    if photo.mask is not None:
        header = read_photo_file(photo.path)
        rgb = read_display_rgb(photo.mask, 1_000_000)[0]  # masks are never reduced
        if rgb.shape[:2] != (header.height_px, header.width_px):
            raise FrameError(
                f"{photo.mask} has {rgb.shape[1]} x {rgb.shape[0]} pixels and its photo "
                f"{header.width_px} x {header.height_px}: give a mask of the photo's size"
            )
        # Labels of masks are bright, JPEG artefacts are dark
        wanted, n_found, outside = score_mask(np.asarray(rgb.max(axis=2) >= 64), found)
        unknown = np.full(wanted, np.nan)
        score = StreakScore(
            frames=1,
            peak_snr=unknown,
            length_px=unknown,
            found=np.arange(wanted) < n_found,
            end_error_px=np.full((wanted, 2), np.nan),
            false=np.array([outside.sum()]),
            pieces=np.zeros(1, int),
            seconds=np.array([seconds]),
        )
        return score, outside, np.zeros((0, 4))
    truth = np.column_stack([photo.rows[:, :4], np.nan_to_num(photo.rows[:, 4])])
    outside = np.isin(np.arange(len(found)), match_streaks(truth, found)[3])
    score = score_streaks(truth, found, peak_snr=photo.rows[:, 5], seconds=seconds)
    missed = truth[~score.found & ~photo.ignored, :4]
    # Detections of ignored streaks are not false
    of_streaks = ("peak_snr", "length_px", "found", "end_error_px")
    kept = {name: getattr(score, name)[~photo.ignored] for name in of_streaks}
    return replace(score, **kept), outside, missed


def summarise_streaks(method: str, scores: Sequence[StreakScore]) -> dict[str, Any]:
    """Summary of one method as JSON-serialisable values; None for unknown values."""
    total = add_scores(StreakScore, scores)
    facts: dict[str, Any] = {
        "method": method,
        "photos": total.frames,
        "labels": int(total.found.size),
        "recall": total.recall(),
        "false_per_photo": total.false_per_frame,
        "pieces_per_photo": total.pieces_per_frame,
        "end_error_px": total.end_error(0.5),
        "end_error_p90_px": total.end_error(0.9),
        "seconds_per_photo": float(total.seconds.mean()) if total.frames else float("nan"),
    }
    # Recall in each cell of brightness and length with at least one label
    cells = []
    for snr in itertools.pairwise(SNR_EDGES):
        bright = (total.peak_snr >= snr[0]) & (total.peak_snr < snr[1])
        for length in itertools.pairwise(LENGTH_EDGES_PX):
            here = bright & (total.length_px >= length[0]) & (total.length_px < length[1])
            if here.any():
                cells.append(
                    {
                        "peak_snr": [snr[0], None if math.isinf(snr[1]) else snr[1]],
                        "length_px": [length[0], None if math.isinf(length[1]) else length[1]],
                        "labels": int(here.sum()),
                        "recall": total.recall(here),
                    }
                )
    return {**plain(facts, str), "recall_by": cells}


def recall_lines(methods: list[dict[str, Any]]) -> list[str]:
    """Recall of all methods by brightness and length; empty if neither is known."""
    names = [facts["method"] for facts in methods]
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for facts in methods:
        for cell in facts["recall_by"]:
            place = (_range(cell["peak_snr"]), _range(cell["length_px"]))
            row = cells.setdefault(place, {"labels": str(cell["labels"])})
            row[facts["method"]] = f"{cell['recall']:.2f}"
    rows = [
        [*place, *(row.get(n, "-") for n in ("labels", *names))] for place, row in cells.items()
    ]
    return ["", *table(["peak SNR", "length px", "labels", *names], rows)] if rows else []


def _range(ends: list[float | None]) -> str:
    low, high = ends
    return f"over {low:g}" if high is None else f"{low:g}-{high:g}"
