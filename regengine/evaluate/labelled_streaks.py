"""Score streak detectors on labelled photos: summaries and tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from detectors.types import BoolImage, FloatArray
from regengine.errors import FrameError
from regengine.evaluate.detections import check_labels
from regengine.evaluate.streak_labels import LabelledStreaks, score_mask
from regengine.evaluate.streak_scores import (
    StreakScore,
    match_streaks,
    score_streaks,
    total_streak_score,
)
from regengine.evaluate.tables import FactTable
from regengine.photo.formats import read_photo_file
from regengine.photo.image import read_display_rgb
from regengine.records import plain
from regengine.sky.drawing import draw_comparison

SNR_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 10.0, math.inf)
LENGTH_EDGES_PX = (0.0, 30.0, 100.0, 300.0, 1200.0, math.inf)
MASK_LEVEL = 64  # of 255: labels of masks are bright, JPEG artefacts are dark
WHOLE_PX = 1_000_000  # masks are never reduced

STREAK_TABLE = FactTable(
    method_width=14,
    columns=(
        ("photos", "photos", "d", 6),
        ("labels", "labels", "d", 7),
        ("recall", "recall", ".3f", 7),
        ("false/photo", "false_per_photo", ".3f", 11),
        ("pieces", "pieces_per_photo", ".3f", 7),
        ("end px", "end_error_px", ".2f", 7),
        ("90 %", "end_error_p90_px", ".2f", 7),
        ("s/photo", "seconds_per_photo", ".3f", 8),
    ),
)


# Takes a photo; returns the detections, rows of ends and bow in stored pixels, shape (M, 5), and
# the processing time in seconds
StreakFinder = Callable[[Path], tuple[FloatArray, float]]


def _read_mask(photo: LabelledStreaks, mask: Path) -> BoolImage:
    header = read_photo_file(photo.path)
    rgb = read_display_rgb(mask, WHOLE_PX)[0]
    if rgb.shape[:2] != (header.height_px, header.width_px):
        raise FrameError(
            f"{mask} has {rgb.shape[1]} x {rgb.shape[0]} pixels and its photo {header.width_px} x "
            f"{header.height_px}: give a mask of the photo's size"
        )
    return np.asarray(rgb.max(axis=2) >= MASK_LEVEL)


def score_streak_photo(
    photo: LabelledStreaks, find: StreakFinder, picture: Path | None = None
) -> StreakScore:
    """Score one method on one photo.

    The comparison is drawn if a path is given. Length and brightness of a mask's streaks are
    unknown. FrameError if the photo or its mask cannot be read or their sizes differ, or the
    picture cannot be written.
    """
    check_labels(photo.path, 0.5 * (photo.rows[:, :2] + photo.rows[:, 2:4]))
    found, seconds = find(photo.path)
    if photo.mask is not None:
        counts = score_mask(_read_mask(photo, photo.mask), found)
        outside, missed = counts.outside, np.zeros((0, 5))
        unknown = np.full(counts.wanted, np.nan)
        score = StreakScore(
            frames=1,
            peak_snr=unknown,
            matched_snr=unknown,
            length_px=unknown,
            found=np.arange(counts.wanted) < counts.found,
            end_error_px=np.full((counts.wanted, 2), np.nan),
            false=np.array([counts.false]),
            pieces=np.zeros(1, int),
            seconds=np.array([seconds]),
        )
    else:
        outside = np.zeros(len(found), bool)
        outside[match_streaks(photo.rows, found).false] = True
        score = score_streaks(photo.rows, found, peak_snr=photo.peak_snr, seconds=seconds)
        missed = photo.rows[~score.found & ~photo.ignored]
        # Detections of ignored streaks are not false
        told = ("peak_snr", "matched_snr", "length_px", "found", "end_error_px")
        score = replace(score, **{name: getattr(score, name)[~photo.ignored] for name in told})
    if picture is not None:
        draw_comparison(
            photo.path, found[~outside][:, :4], found[outside][:, :4], missed[:, :4], picture
        )
    return score


def streak_summary(method: str, scores: Sequence[StreakScore]) -> dict[str, Any]:
    """Summary of one method as JSON-serialisable values; None for unknown values."""
    total = total_streak_score(scores)
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
    return {**plain(facts, str), "recall_by": recall_cells(total)}


def recall_cells(total: StreakScore) -> list[dict[str, Any]]:
    """Recall in each cell of brightness and length with at least one label."""
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
    return cells


def recall_lines(methods: list[dict[str, Any]]) -> list[str]:
    """Recall of all methods by brightness and length; empty if neither is known."""
    names = [facts["method"] for facts in methods]
    table: dict[tuple[str, str], dict[str, str]] = {}
    for facts in methods:
        for cell in facts["recall_by"]:
            place = (_range(cell["peak_snr"]), _range(cell["length_px"]))
            row = table.setdefault(place, {"labels": str(cell["labels"])})
            row[facts["method"]] = f"{cell['recall']:.2f}"
    if not table:
        return []
    widths = [max(6, len(name)) for name in names]
    head = [f"{name:>{width}s}" for name, width in zip(names, widths, strict=True)]
    lines = ["", f"{'peak SNR':>9s} {'length px':>10s} {'labels':>7s} " + " ".join(head)]
    for (snr, length), row in table.items():
        cells = [f"{row.get(n, '-'):>{width}s}" for n, width in zip(names, widths, strict=True)]
        lines.append(f"{snr:>9s} {length:>10s} {row['labels']:>7s} " + " ".join(cells))
    return lines


def _range(ends: list[float | None]) -> str:
    low, high = ends
    return f"over {low:g}" if high is None else f"{low:g}-{high:g}"
