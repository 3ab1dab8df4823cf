"""Read labelled streaks from the CSV files of docs/labels.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import BoolArray, FloatArray, IndexArray
from regengine.errors import ConfigError
from regengine.evaluate.streak_scores import PIECE, as_rows, curve_points
from regengine.evaluate.tables import numbers, read_labelled_rows

PHOTOS, LABELS = "images", "labels"
ENDS = ("x1", "y1", "x2", "y2")
NUMBERS = (*ENDS, "bow_px", "peak_snr")
IGNORED, NO_STREAK = "ignore", "cosmic_ray"
ADVICE = "the first line must name path, x1, y1, x2, y2, or path, mask"

REACH_PX = 3.0  # beside a mask, as beside a line
COVERED = 0.5  # of an object's length
SMALLEST = 0.1  # of the largest object: smaller specks need not be found


@dataclass(frozen=True, kw_only=True)
class LabelledStreaks:
    """A photo and the streaks that a person labelled in it."""

    path: Path  # the photo
    rows: FloatArray  # (N, 5): ends x1, y1, x2, y2 and bow, pixels of the picture as stored
    # (N,): peak of the mean cross profile over the noise of a pixel; NaN where it is not given
    peak_snr: FloatArray
    ignored: BoolArray  # (N,): streaks that need not be found, and are not false if they are
    mask: Path | None = None  # a picture of the same size, black where no streak is


def read_streak_labels(path: Path) -> list[LabelledStreaks]:
    """Read labelled streaks: photos in the order of their first rows.

    CSV with the columns path, x1, y1, x2, y2, or path and mask, or all of them; bow_px, peak_snr
    and kind if wanted; others are ignored. A row with a path alone says that the photo shows no
    streak. Relative paths count from the table's folder. ConfigError if the file cannot be read,
    lacks a column, has no row, or a value is no number.
    """
    photos: dict[str, tuple[list[list[float]], list[str], list[str]]] = {}
    for photo, place, row in read_labelled_rows(path, (), ADVICE):
        if not ("mask" in row or row.keys() >= set(ENDS)):
            raise ConfigError(f"{path} lacks columns: {ADVICE}.")
        streaks, kinds, masks = photos.setdefault(photo, ([], [], []))
        mask = row.get("mask", "")
        if mask and mask not in masks:
            masks.append(mask)
        if any(row.get(name) for name in ENDS):
            values = numbers(place, (row.get(name, "") for name in NUMBERS))
            if not np.isfinite(values[: len(ENDS)]).all():
                raise ConfigError(f"{place}: a streak needs {', '.join(ENDS)}.")
            streaks.append(values)
            kinds.append(row.get("kind", ""))
        if len(masks) > 1 or (masks and streaks):
            raise ConfigError(
                f"{place}: a photo has either one mask or end points; remove one of them."
            )
    if not photos:
        raise ConfigError(f"{path} labels no photo: add one row per streak, path, x1, y1, x2, y2.")
    found = []
    for name, (streaks, kinds, masks) in photos.items():
        columns = np.array(streaks, float).reshape(-1, len(NUMBERS))
        wanted = np.array([kind != NO_STREAK for kind in kinds], bool)
        rows = np.column_stack([columns[:, :4], np.nan_to_num(columns[:, 4])])
        found.append(
            LabelledStreaks(
                path=path.parent / name,
                rows=rows[wanted],
                peak_snr=columns[wanted, 5],
                ignored=np.array([kind == IGNORED for kind in kinds], bool)[wanted],
                mask=path.parent / masks[0] if masks else None,
            )
        )
    return found


@dataclass(frozen=True, kw_only=True)
class MaskScore:
    """Comparison of detections with a mask.

    For ``found`` of the ``wanted`` objects, detections cover half of their length; ``outside``,
    shape (M,), are detections with less than half of their length in the mask.
    """

    wanted: int
    found: int
    outside: BoolArray

    @property
    def false(self) -> int:
        """Number of detections with less than half of their length in the mask."""
        return int(self.outside.sum())


def score_mask(truth: BoolArray, found: FloatArray) -> MaskScore:
    """Compare detections with a mask whose objects may be wide, and may touch; see `as_rows`."""
    rows = as_rows(found)
    side = 2 * int(REACH_PX) + 1
    near = cv2.dilate(truth.astype(np.uint8), np.ones((side, side), np.uint8))
    count, drawn, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    label: NDArray[np.int32] = np.asarray(drawn, np.int32)
    area = stats[1:, cv2.CC_STAT_AREA] if count > 1 else np.zeros(0)
    wanted = [k + 1 for k in range(count - 1) if area[k] >= SMALLEST * area.max()]
    covered: dict[int, list[FloatArray]] = {k: [] for k in wanted}
    outside = np.zeros(len(rows), bool)
    for number, row in enumerate(rows):
        length = float(np.hypot(row[2] - row[0], row[3] - row[1]))
        points = curve_points(row, max(3, round(2.0 * length)))
        hit = _labels(label, points)
        outside[number] = (hit > 0).mean() < PIECE
        for k in wanted:
            covered[k].append(points[hit == k])
    found_count = sum(
        _share(np.argwhere(label == k)[:, ::-1], np.concatenate([np.zeros((0, 2)), *covered[k]]))
        >= COVERED
        for k in wanted
    )
    return MaskScore(wanted=len(wanted), found=int(found_count), outside=outside)


def _labels(label: NDArray[np.int32], points: FloatArray) -> NDArray[np.int32]:
    """The object at each position; 0 outside of all and outside of the image."""
    h, w = label.shape
    x, y = np.rint(points).astype(int).T
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    found = np.zeros(len(points), np.int32)
    found[inside] = label[y[inside], x[inside]]
    return found


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
