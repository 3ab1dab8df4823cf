"""Labelled streaks: the CSV files and the folders of boxes of docs/labels.md."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError

FloatArray = NDArray[np.float64]
ENDS = ("x1", "y1", "x2", "y2")
NUMBERS = (*ENDS, "bow_px", "peak_snr")
IGNORED, NO_STREAK = "ignore", "cosmic_ray"
# Boxes narrower than this may have been drawn around a level or upright streak: both ends of it
# then lie in the middle of the short sides, further than a match allows from any corner
NARROW_PX = 12.0


@dataclass(frozen=True, kw_only=True)
class LabelledStreaks:
    """A photo and the streaks that a person marked in it.

    Attributes
    ----------
    path : Path
        The photo.
    rows : ndarray of float64, shape (N, 5)
        Ends x1, y1, x2, y2 and bow, pixels of the picture as stored.
    peak_snr : ndarray of float64, shape (N,)
        Peak of the mean cross profile over the noise of a pixel; NaN where it is not given.
    ignored : ndarray of bool, shape (N,)
        Streaks that need not be found, and are not false if they are.
    boxes : ndarray of float64, shape (B, 4)
        Upright boxes, centre and size, as parts of the picture's width and height.
    outlines : tuple of ndarray of float64, shape (K, 2)
        Slanted boxes or other outlines, corners as parts of the picture's width and height.
    mask : Path or None
        A picture of the same size, black where no streak is.
    """

    path: Path
    rows: FloatArray
    peak_snr: FloatArray
    ignored: NDArray[np.bool_]
    boxes: FloatArray
    outlines: tuple[FloatArray, ...] = ()
    mask: Path | None = None

    def candidates(self, width_px: int, height_px: int) -> list[FloatArray]:
        """What each streak may be, shape (choices, 5), in a picture of that size.

        End points and slanted boxes leave no choice; an upright box has two diagonals, and a
        narrow one a middle line.
        """
        size = np.array([width_px, height_px], float)
        slanted = [_middle_line(corners * size - 0.5) for corners in self.outlines]
        boxes = [_lines_of_box(box * np.tile(size, 2)) for box in self.boxes]
        return [*(row[None] for row in self.rows), *(row[None] for row in slanted), *boxes]


def read_streak_labels(path: Path) -> list[LabelledStreaks]:
    """Read labelled streaks.

    Parameters
    ----------
    path : Path
        CSV with the columns path, x1, y1, x2, y2, or path and mask, or all of them; bow_px,
        peak_snr and kind if wanted; others are ignored. A row with a path alone says that the
        photo shows no streak. Or a folder of YOLO labels (`regengine.evaluate.yolo_labels`).

    Returns
    -------
    list of LabelledStreaks
        In the order of their first rows. Relative paths count from the table's folder.

    Raises
    ------
    ConfigError
        If the file cannot be read, lacks a column, has no row, or a value is no number.
    """
    if path.is_dir():
        from regengine.evaluate.yolo_labels import read_yolo_labels

        return read_yolo_labels(path)
    photos: dict[str, _Rows] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            _check_columns(path, table.fieldnames)
            for row in table:
                photo = (row["path"] or "").strip()
                if not photo:
                    raise ConfigError(
                        f"{path}, line {table.line_num}: the path is empty; name the photo."
                    )
                photos.setdefault(photo, _Rows()).add(f"{path}, line {table.line_num}", row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"{path} cannot be read as a table of labels ({error}): give a CSV file with the "
            f"columns path, {', '.join(ENDS)}, or a folder of YOLO labels."
        ) from error
    if not photos:
        raise ConfigError(f"{path} labels no photo: add a row per streak, path, x1, y1, x2, y2.")
    return [rows.of(path.parent, name) for name, rows in photos.items()]


class _Rows:
    """What the rows of one photo say."""

    def __init__(self) -> None:
        self.streaks: list[tuple[float, ...]] = []
        self.kinds: list[str] = []
        self.masks: list[str] = []

    def add(self, place: str, row: dict[str, str | None]) -> None:
        texts = {name: (row.get(name) or "").strip() for name in (*NUMBERS, "kind", "mask")}
        if texts["mask"] and texts["mask"] not in self.masks:
            self.masks.append(texts["mask"])
        if any(texts[name] for name in ENDS):
            try:
                values = {name: float(texts[name] or "nan") for name in NUMBERS}
            except ValueError as error:
                raise ConfigError(f"{place}: {error}; write a number.") from error
            if not np.isfinite([values[name] for name in ENDS]).all():
                raise ConfigError(f"{place}: a streak needs {', '.join(ENDS)}.")
            self.streaks.append(tuple(values.values()))
            self.kinds.append(texts["kind"])
        if len(self.masks) > 1 or (self.masks and self.streaks):
            raise ConfigError(
                f"{place}: a photo has either one mask or end points; remove one of them."
            )

    def of(self, folder: Path, name: str) -> LabelledStreaks:
        columns = np.array(self.streaks, float).reshape(-1, len(NUMBERS))
        wanted = np.array([kind != NO_STREAK for kind in self.kinds], bool)
        ignored = np.array([kind == IGNORED for kind in self.kinds], bool)
        rows = np.column_stack([columns[:, :4], np.nan_to_num(columns[:, 4])])
        return LabelledStreaks(
            path=folder / name,
            rows=rows[wanted],
            peak_snr=columns[wanted, 5],
            ignored=ignored[wanted],
            boxes=np.zeros((0, 4)),
            mask=folder / self.masks[0] if self.masks else None,
        )


def _check_columns(path: Path, columns: Sequence[str] | None) -> None:
    present = set(columns or ())
    if "path" in present and ("mask" in present or present >= set(ENDS)):
        return
    raise ConfigError(
        f"{path} lacks columns: its first line must name path, {', '.join(ENDS)}, or path, mask."
    )


def _lines_of_box(box: FloatArray) -> FloatArray:
    """Lines that a box may stand for, shape (2 or 3, 5); centre and size are those of edges."""
    x, y, width, height = box - [0.5, 0.5, 0.0, 0.0]
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    lines = [[left, top, right, bottom], [left, bottom, right, top]]
    if min(width, height) < NARROW_PX:
        lines.append([left, y, right, y] if width >= height else [x, top, x, bottom])
    return np.array([[*line, 0.0] for line in lines])


def _middle_line(corners: FloatArray) -> FloatArray:
    """The line along the smallest slanted box around an outline, shape (5,)."""
    import cv2

    box = cv2.boxPoints(cv2.minAreaRect(corners.astype(np.float32))).astype(float)
    sides = np.hypot(*(np.roll(box, -1, axis=0) - box).T)
    start = 1 if sides[0] >= sides[1] else 0  # of a short side
    first = 0.5 * (box[start] + box[start + 1])
    second = 0.5 * (box[(start + 2) % 4] + box[(start + 3) % 4])
    return np.array([*first, *second, 0.0])
