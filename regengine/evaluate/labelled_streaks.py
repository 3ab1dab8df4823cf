"""How a method that finds streaks does on labelled photos: facts and tables."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from detectors.types import BoolImage, FloatArray
from regengine.errors import FrameError
from regengine.evaluate.streak_labels import LabelledStreaks, MaskScore, score_mask
from regengine.evaluate.streak_scores import (
    StreakScore,
    match_streaks,
    score_streaks,
    total_streak_score,
)
from regengine.evaluate.tables import FactTable
from regengine.photo.formats import read_image_header
from regengine.photo.image import read_display_rgb
from regengine.records import plain
from regengine.sky.detection.overlay import draw_comparison

SNR_EDGES = (0.0, 0.5, 1.0, 2.0, 4.0, 10.0, math.inf)
LENGTH_EDGES_PX = (0.0, 30.0, 100.0, 300.0, 1200.0, math.inf)
MASK_LEVEL = 64  # of 255: labels of masks are bright, traces of JPEG are dark
WHOLE_PX = 1_000_000  # masks are never brought down

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


@dataclass(frozen=True, kw_only=True)
class FoundStreaks:
    """What a method found in a photo: ends and bow, pixels as stored, shape (M, 5)."""

    rows: FloatArray
    seconds: float


StreakFinder = Callable[[Path], FoundStreaks]


@dataclass(frozen=True, kw_only=True)
class StreakTruth:
    """One photo's labels, and its size."""

    photo: LabelledStreaks
    width_px: int
    height_px: int


def read_streak_truth(photo: LabelledStreaks) -> StreakTruth:
    """A labelled photo and its size; FrameError if it cannot be read."""
    header = read_image_header(photo.path)
    return StreakTruth(photo=photo, width_px=header.width_px, height_px=header.height_px)


def _read_mask(path: Path, truth: StreakTruth) -> BoolImage:
    rgb = read_display_rgb(path, WHOLE_PX)[0]
    if rgb.shape[:2] != (truth.height_px, truth.width_px):
        raise FrameError(
            f"{path} has {rgb.shape[1]} x {rgb.shape[0]} pixels and its photo {truth.width_px} x "
            f"{truth.height_px}; give a mask of the photo's size"
        )
    return np.asarray(rgb.max(axis=2) >= MASK_LEVEL)


def score_streak_photo(
    truth: StreakTruth, find: StreakFinder, picture: Path | None = None
) -> StreakScore:
    """Score of one method on one photo.

    The comparison is drawn where a picture is named. Of a mask's streaks neither length nor
    brightness is known. FrameError if the photo or its mask cannot be read or their sizes differ,
    or the picture cannot be written.
    """
    found = find(truth.photo.path)
    if truth.photo.mask is not None:
        counts = score_mask(_read_mask(truth.photo.mask, truth), found.rows)
        outside = counts.outside
        score, missed = _score_of_mask(counts, found.seconds), np.zeros((0, 5))
    else:
        rows = truth.photo.rows
        matches = match_streaks(rows, found.rows)
        outside = np.zeros(len(found.rows), bool)
        outside[matches.false] = True
        score = score_streaks(
            rows, found.rows, peak_snr=truth.photo.peak_snr, seconds=found.seconds
        )
        missed = rows[~score.found & ~truth.photo.ignored]
        score = _without(score, truth.photo.ignored)
    if picture is not None:
        draw_comparison(
            truth.photo.path,
            found.rows[~outside][:, :4],
            found.rows[outside][:, :4],
            missed[:, :4],
            picture,
        )
    return score


def _score_of_mask(counts: MaskScore, seconds: float) -> StreakScore:
    unknown = np.full(counts.wanted, np.nan)
    return StreakScore(
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


def _without(score: StreakScore, ignored: BoolImage) -> StreakScore:
    """The score without some of the true streaks; what was found of them is not false."""
    return replace(
        score,
        peak_snr=score.peak_snr[~ignored],
        matched_snr=score.matched_snr[~ignored],
        length_px=score.length_px[~ignored],
        found=score.found[~ignored],
        end_error_px=score.end_error_px[~ignored],
    )


def streak_summary(method: str, scores: Sequence[StreakScore]) -> dict[str, Any]:
    """What is said of one method, ready for JSON; None stands for what is not known."""
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
    """Recall in each cell of brightness and length that holds a label."""
    cells = []
    for snr in _bins(SNR_EDGES):
        bright = (total.peak_snr >= snr[0]) & (total.peak_snr < snr[1])
        for length in _bins(LENGTH_EDGES_PX):
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


def _bins(edges: tuple[float, ...]) -> list[tuple[float, float]]:
    return list(itertools.pairwise(edges))


def recall_lines(methods: list[dict[str, Any]]) -> list[str]:
    """Recall of all methods by brightness and length; no line where neither is known."""
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
