"""Read labelled lights, stars, flashes and streaks from the CSV files of docs/labels.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numpy as np

from detectors.types import BoolArray, FloatArray
from regengine.errors import ConfigError, FrameError
from regengine.io.tables import csv_rows
from regengine.photo.formats import check_pixels, read_photo_file

KindName = Literal["lights", "lightning", "stars", "streaks"]
# A position, or the ends of a streak and the corners of the box around a flash
POINT, ENDS = ("x", "y"), ("x1", "y1", "x2", "y2")
# What a row labels, the columns that it needs, and those that it may have
COLUMNS: dict[KindName, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "lights": ("light", POINT, ("flux", "radius_px")),
    "stars": ("star", POINT, ("flux", "radius_px")),
    "lightning": ("flash", ENDS, ()),
    "streaks": ("streak", ENDS, ("bow_px", "peak_snr")),
}
IGNORED, NO_STREAK = "ignore", "cosmic_ray"


@dataclass(frozen=True, kw_only=True)
class LabelledPhoto:
    """A photo and what a person labelled in it."""

    path: Path  # the photo
    # (N, K): the columns of its kind (`COLUMNS`), in pixels of the picture as stored; NaN where a
    # column that is not needed is empty
    rows: FloatArray
    ignored: BoolArray  # (N,): need not be detected, and is not false if it is
    has_ends: bool  # whether the first columns are `ENDS`, or else `POINT`
    mask: Path | None = None  # a picture of the same size, black where no streak is

    @property
    def middle(self) -> FloatArray:
        """Positions, shape (N, 2): of points, or halfway between both ends or corners."""
        rows = self.rows
        return 0.5 * (rows[:, :2] + rows[:, 2:4]) if self.has_ends else rows[:, :2]


def read_labels(path: Path, kind: KindName) -> list[LabelledPhoto]:
    """Read a table of labels: photos in the order of their first rows.

    CSV with the column path and those of `COLUMNS`; others are ignored but ``kind`` of flashes and
    streaks, which may be `IGNORED`, and of streaks `NO_STREAK`. Streaks may be given by a column
    ``mask`` instead. A row with only a path means that the photo shows none. Relative paths start
    at the table's folder. ConfigError if the file cannot be read, lacks a column, has no row, or a
    value is not a number.
    """
    what, needed, more = COLUMNS[kind]
    may_be_mask = kind == "streaks"
    listed = ", ".join(needed)
    advice = f"the first line must name path, {listed}" + ", or path, mask" * may_be_mask
    photos: dict[str, tuple[list[list[float]], list[str], list[str]]] = {}
    for place, row in csv_rows(path, ("path", *(() if may_be_mask else needed)), advice):
        if may_be_mask and not ("mask" in row or row.keys() >= set(needed)):
            raise ConfigError(f"{path} lacks columns: {advice}.")
        if not row["path"]:
            raise ConfigError(f"{place}: the path is empty; name the photo.")
        rows, kinds, masks = photos.setdefault(row["path"], ([], [], []))
        mask = row.get("mask", "") if may_be_mask else ""
        if mask and mask not in masks:
            masks.append(mask)
        if any(row.get(name) for name in needed):
            values = parse_numbers(place, (row.get(name, "") for name in (*needed, *more)))
            if not np.isfinite(values[: len(needed)]).all():
                raise ConfigError(f"{place}: a {what} needs {listed}.")
            rows.append(values)
            kinds.append(row.get("kind", "") if needed == ENDS else "")
        if len(masks) > 1 or (masks and rows):
            raise ConfigError(
                f"{place}: a photo has either one mask or end points; remove one of them."
            )
    if not photos:
        raise ConfigError(f"{path} labels no photo: add one row per {what}, path, {listed}.")
    found = []
    for name, (rows, kinds, masks) in photos.items():
        counts = np.array([not may_be_mask or one != NO_STREAK for one in kinds], bool)
        found.append(
            LabelledPhoto(
                path=path.parent / name,
                rows=np.array(rows, float).reshape(-1, len(needed) + len(more))[counts],
                ignored=np.array([one == IGNORED for one in kinds], bool)[counts],
                mask=path.parent / masks[0] if masks else None,
                has_ends=needed == ENDS,
            )
        )
    return found


def parse_numbers(place: str, texts: Iterable[str]) -> list[float]:
    """Parse cells as numbers, NaN if empty; ConfigError with the place of an invalid one."""
    try:
        return [float(text) if text else math.nan for text in texts]
    except ValueError as error:
        raise ConfigError(f"{place}: {error}; write a number.") from error


def check_labels(photo: LabelledPhoto) -> None:
    """Raise FrameError if a label is outside of its photo, or wider than it."""
    file = read_photo_file(photo.path)
    try:
        check_pixels(photo.middle.tolist(), file.width_px, file.height_px)
        for radius_px in [] if photo.has_ends else photo.rows[:, 3].tolist():
            if radius_px < 0.0 or radius_px > max(file.width_px, file.height_px):
                raise ConfigError(f"radius_px {radius_px:g} is not the radius of a light in it")
    except ConfigError as error:
        raise FrameError(
            f"{photo.path}: a label does not fit the photo ({error}); check columns and units"
        ) from error


ScoreT = TypeVar("ScoreT")  # a dataclass whose fields all have a default


def add_scores(kind: type[ScoreT], scores: Iterable[ScoreT]) -> ScoreT:
    """The score of several frames together: counts are added, arrays put behind each other."""
    every = [kind(), *scores]

    def add(name: str) -> Any:
        values = [getattr(score, name) for score in every]
        return np.concatenate(values) if isinstance(values[0], np.ndarray) else sum(values)

    return kind(**{one.name: add(one.name) for one in fields(cast(Any, kind))})


def bound_share(hits: int, tried: int) -> float:
    """Exact one-sided 95 % upper bound of a share (Clopper and Pearson 1934); 1 without trials."""
    from scipy.special import betaincinv

    return float(betaincinv(hits + 1, tried - hits, 0.95)) if hits < tried else 1.0


# Heading, fact, its format and width of each column
FactColumns = tuple[tuple[str, str, str, int], ...]


def fact_line(columns: FactColumns, facts: dict[str, Any] | None = None) -> str:
    """A method's line of a table, or its header; ``-`` where something is not known."""
    cells = []
    for place, (heading, key, form, width) in enumerate(columns):
        text = heading
        if facts is not None:
            text = "-" if facts[key] is None else format(facts[key], form)
        cells.append(text.ljust(width) if place == 0 else text.rjust(width))
    return " ".join(cells)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Markdown table with columns of even width: the first to the left, the others to the right."""
    lines = [list(row) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rules = [f"{'-' * (width + 1)}{':' if place else '-'}" for place, width in enumerate(widths)]
    head, *body = (
        " | ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])])
        for cells in lines
    )
    return [f"| {head} |", f"|{'|'.join(rules)}|", *(f"| {line} |" for line in body)]
