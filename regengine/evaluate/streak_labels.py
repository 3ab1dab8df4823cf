"""Labelled streaks: the CSV files and the folders of boxes of docs/labels.md."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from regengine.errors import ConfigError
from regengine.evaluate.marked_streaks import LabelledStreaks
from regengine.evaluate.yolo_labels import read_yolo_labels

ENDS = ("x1", "y1", "x2", "y2")
NUMBERS = (*ENDS, "bow_px", "peak_snr")
IGNORED, NO_STREAK = "ignore", "cosmic_ray"


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
