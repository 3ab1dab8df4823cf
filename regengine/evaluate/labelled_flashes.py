"""Score lightning detectors on labelled photos: detections in labelled boxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from detectors.types import BoolArray, FloatArray, IndexArray
from regengine.errors import ConfigError
from regengine.evaluate.detections import DetectionScore, Finder, check_labels
from regengine.evaluate.tables import numbers, read_labelled_rows
from regengine.sky.drawing import draw_comparison

BOX = ("x1", "y1", "x2", "y2")
IGNORED = "ignore"
ADVICE = "its first line must name path, x1, y1, x2, y2"
# The centre of the light may differ from that of its box: the box is extended by this margin
MARGIN_SHARE, MARGIN_PX = 0.25, 3.0  # of its shorter side, and pixels


@dataclass(frozen=True, kw_only=True)
class LabelledFlashes:
    """A photo and the flashes that a person labelled in it."""

    path: Path  # the photo
    boxes: FloatArray  # (N, 4): x1, y1, x2, y2 around the light, pixels of the picture as stored
    ignored: BoolArray  # (N,): possible lightning: need not be detected, and is not false


def read_flash_labels(path: Path) -> list[LabelledFlashes]:
    """Read labelled flashes: photos in the order of their first rows.

    CSV with the columns path, x1, y1, x2, y2, and optionally kind; others are ignored. A row with
    only a path means that the photo shows no lightning. Relative paths start at the table's folder.
    ConfigError if the file cannot be read, lacks a column, has no row, or a value is not a number.
    """
    photos: dict[str, tuple[list[list[float]], list[bool]]] = {}
    for photo, place, row in read_labelled_rows(path, BOX, ADVICE):
        boxes, ignored = photos.setdefault(photo, ([], []))
        texts = [row[name] for name in BOX]
        if not any(texts):
            continue
        values = numbers(place, texts)
        if not np.isfinite(values).all():
            raise ConfigError(f"{place}: a flash needs {', '.join(BOX)}.")
        boxes.append(values)
        ignored.append(row.get("kind", "") == IGNORED)
    if not photos:
        raise ConfigError(f"{path} labels no photo: add a row per flash, path, x1, y1, x2, y2.")
    return [
        LabelledFlashes(
            path=path.parent / name,
            boxes=np.array(boxes, float).reshape(-1, 4),
            ignored=np.array(ignored, bool),
        )
        for name, (boxes, ignored) in photos.items()
    ]


def match_flashes(boxes: FloatArray, found: FloatArray) -> tuple[IndexArray, BoolArray]:
    """Detection, x and y of (M, 2), of each labelled flash; -1 for none; and which are false.

    A detection in a box, or within its margin, may be that flash. The number of pairs is maximised,
    with each used once. Other detections in the same box are pieces of the flash and not false.
    """
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    margin = MARGIN_PX + MARGIN_SHARE * (high - low).min(axis=2, keepdims=True)
    inside = ((found >= low - margin) & (found <= high + margin)).all(axis=2)
    apart = np.linalg.norm(found - 0.5 * (low + high), axis=2)
    cost = np.where(inside, apart / (1.0 + apart), 2.0 * len(boxes) + 2.0)
    label, detection = linear_sum_assignment(cost)
    of_label = np.full(len(boxes), -1)
    paired = inside[label, detection]
    of_label[label[paired]] = detection[paired]
    return of_label, ~inside.any(axis=0)


def score_flash_photo(photo: LabelledFlashes, find: Finder, picture: Path | None) -> DetectionScore:
    """Score one method on one photo, and draw it if a path is given; FrameError if it fails."""
    middle = 0.5 * (photo.boxes[:, :2] + photo.boxes[:, 2:])
    check_labels(photo.path, middle)
    found, seconds = find(photo.path)
    of_label, false = match_flashes(photo.boxes, found)
    hit = of_label >= 0
    wanted = ~photo.ignored
    if picture is not None:
        missed = middle[wanted & ~hit]
        draw_comparison(photo.path, found[~false], found[false], missed, picture)
    apart = np.hypot(*(found[of_label[wanted & hit]] - middle[wanted & hit]).T)
    return DetectionScore(
        frames=1,
        wanted=int(wanted.sum()),
        found=int((wanted & hit).sum()),
        wanted_flux=float("nan"),
        found_flux=float("nan"),
        detections=len(found),
        false=int(false.sum()),
        distance_px=apart,
        seconds=seconds,
    )
