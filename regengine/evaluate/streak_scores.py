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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from detectors.types import (
    BoolArray,
    FloatArray,
    IndexArray,
    StreakDetections,
)

LINE_RMS_PX = 3.0
OVERLAP = 0.5
# A detection is a fragment of a true streak if this share of its own length lies along one
PIECE = 0.5
SAMPLES = 129


@dataclass(frozen=True, kw_only=True)
class StreakMatches:
    """One-to-one assignment of detections to true streaks."""

    # truth, found, line_rms_px, overlap, (K,): indices of the pairs, and their measures
    truth: IndexArray
    found: IndexArray
    line_rms_px: FloatArray
    overlap: FloatArray
    end_error_px: FloatArray  # (K, 2): distances of both ends from the true ones
    # Unpaired detections along a true streak: fragments or duplicates
    pieces: IndexArray
    false: IndexArray  # detections where no streak is


@dataclass(frozen=True, kw_only=True)
class StreakScore:
    """Score of a method on some frames; the N true streaks are concatenated.

    ``peak_snr``, ``matched_snr``, ``length_px``, shape (N,), are NaN if unknown; ``end_error_px``,
    shape (N, 2), if a streak was not found. ``false``, ``pieces`` (see `StreakMatches`) and
    ``seconds``, processor time, have shape (frames,).
    """

    frames: int
    peak_snr: FloatArray
    matched_snr: FloatArray
    length_px: FloatArray
    found: BoolArray
    end_error_px: FloatArray
    false: IndexArray
    pieces: IndexArray
    seconds: FloatArray

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


def as_rows(streaks: FloatArray) -> FloatArray:
    """Rows of ends, or of ends and bow, as rows of both, shape (N, 5); ValueError of others."""
    rows = np.asarray(streaks, float)
    if rows.size == 0:
        return np.zeros((0, 5))
    if rows.ndim != 2 or rows.shape[1] not in (4, 5):
        raise ValueError(f"streaks are rows of 4 or 5 numbers, not an array of shape {rows.shape}")
    return rows if rows.shape[1] == 5 else np.column_stack([rows, np.zeros(len(rows))])


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


def end_errors(truth: FloatArray, found: FloatArray) -> FloatArray:
    """Distances of both ends in pixels, paired for the smallest sum, shape (2,)."""
    straight = np.hypot(*(found[:4] - truth[:4]).reshape(2, 2).T)
    crossed = np.hypot(*(found[[2, 3, 0, 1]] - truth[:4]).reshape(2, 2).T)
    return np.asarray(straight if straight.sum() <= crossed.sum() else crossed)


def match_streaks(truth: FloatArray, found: FloatArray) -> StreakMatches:
    """Pair as many detections with true streaks as possible, at the smallest distances."""
    truth, found = as_rows(truth), as_rows(found)
    shape = (len(truth), len(found))
    rms, overlap, beside = np.full(shape, np.inf), np.zeros(shape), np.zeros(shape)
    for i, j in np.argwhere(_may_touch(truth, found)):
        rms[i, j], overlap[i, j], beside[i, j] = line_measures(truth[i], found[j])
    fits = np.zeros(shape, bool)
    fits[(rms <= LINE_RMS_PX) & (overlap >= OVERLAP)] = True
    # Greater than any sum of valid pairs: an additional pair has priority over nearer ones
    never = 3.0 * (1.0 + min(shape, default=0))
    cost = np.full(shape, never)
    cost[fits] = rms[fits] / LINE_RMS_PX + 1.0 - overlap[fits]
    rows, columns = linear_sum_assignment(cost)
    paired = fits[rows, columns]
    rows, columns = rows[paired], columns[paired]
    alone = np.setdiff1d(np.arange(len(found)), columns)
    along = np.asarray(((rms <= LINE_RMS_PX) & (beside >= PIECE)).any(axis=0))[alone]
    errors = [end_errors(truth[i], found[j]) for i, j in zip(rows, columns, strict=True)]
    return StreakMatches(
        truth=rows,
        found=columns,
        line_rms_px=rms[rows, columns],
        overlap=overlap[rows, columns],
        end_error_px=np.array(errors).reshape(-1, 2),
        pieces=alone[along],
        false=alone[~along],
    )


def _may_touch(truth: FloatArray, found: FloatArray) -> BoolArray:
    """Pairs with adjacent bounding boxes: a preselection for thousands of detections."""
    reach = LINE_RMS_PX * SAMPLES**0.5

    def box(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        ends = rows[:, :4].reshape(-1, 2, 2)
        bow = np.abs(rows[:, 4])[:, None]
        return ends.min(axis=1) - bow - reach, ends.max(axis=1) + bow + reach

    (true_low, true_high), (low, high) = box(truth), box(found)
    apart = (low[None] > true_high[:, None]) | (high[None] < true_low[:, None])
    return np.asarray(~apart.any(axis=2))


def score_streaks(
    truth: FloatArray,
    found: FloatArray,
    *,
    peak_snr: FloatArray | None = None,
    matched_snr: FloatArray | None = None,
    seconds: float = float("nan"),
) -> StreakScore:
    """Score one frame: all true streaks and all detections, rows as `as_rows` takes them.

    `streak_rows` makes the latter. Brightnesses of the true ones have shape (N,).
    """
    truth, found = as_rows(truth), as_rows(found)
    matches = match_streaks(truth, found)
    unknown = np.full(len(truth), np.nan)
    hit, errors = np.zeros(len(truth), bool), np.full((len(truth), 2), np.nan)
    hit[matches.truth] = True
    errors[matches.truth] = matches.end_error_px
    return StreakScore(
        frames=1,
        peak_snr=unknown if peak_snr is None else np.asarray(peak_snr, float),
        matched_snr=unknown if matched_snr is None else np.asarray(matched_snr, float),
        length_px=np.hypot(truth[:, 2] - truth[:, 0], truth[:, 3] - truth[:, 1]),
        found=hit,
        end_error_px=errors,
        false=np.array([matches.false.size]),
        pieces=np.array([matches.pieces.size]),
        seconds=np.array([seconds]),
    )


def total_streak_score(scores: Sequence[StreakScore]) -> StreakScore:
    """The score of several frames together."""

    def joined(name: str, kind: type, *shape: int) -> Any:
        return np.concatenate([np.zeros((0, *shape), kind), *(getattr(s, name) for s in scores)])

    return StreakScore(
        frames=sum(s.frames for s in scores),
        peak_snr=joined("peak_snr", float),
        matched_snr=joined("matched_snr", float),
        length_px=joined("length_px", float),
        found=joined("found", bool),
        end_error_px=joined("end_error_px", float, 2),
        false=joined("false", int),
        pieces=joined("pieces", int),
        seconds=joined("seconds", float),
    )
