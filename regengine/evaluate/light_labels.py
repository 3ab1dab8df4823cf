"""Labelled lights: the CSV files of docs/labels.md."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError

FloatArray = NDArray[np.float64]
REQUIRED_COLUMNS = ("path", "x", "y")
OPTIONAL_COLUMNS = ("flux", "radius_px")


@dataclass(frozen=True, kw_only=True)
class LabelledPhoto:
    """A photo and the lights that a person marked in it.

    Attributes
    ----------
    path : Path
        The photo.
    x, y : ndarray of float64, shape (N,)
        Positions, pixels of the picture as stored.
    flux, radius_px : ndarray of float64, shape (N,)
        Flux in any unit and half-light radius; NaN where not given.
    """

    path: Path
    x: FloatArray
    y: FloatArray
    flux: FloatArray
    radius_px: FloatArray


def read_light_labels(path: Path) -> list[LabelledPhoto]:
    """Read a table of labelled lights.

    Parameters
    ----------
    path : Path
        CSV with the columns path, x, y and, if wanted, flux and radius_px; others are ignored. A
        row with a path alone says that the photo shows no light.

    Returns
    -------
    list of LabelledPhoto
        In the order of their first rows. Relative paths count from the table's folder.

    Raises
    ------
    ConfigError
        If the file cannot be read, lacks a column, has no row, or a value is no number.
    """
    rows: dict[str, list[tuple[float, ...]]] = {}
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
                light = _light(path, table.line_num, row)
                rows.setdefault(photo, []).extend([] if light is None else [light])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"{path} cannot be read as a table of labels ({error}): give a CSV file with the "
            f"columns {', '.join(REQUIRED_COLUMNS)}."
        ) from error
    if not rows:
        raise ConfigError(f"{path} labels no photo: add a row per light, path, x, y.")
    return [_photo(path.parent / name, lights) for name, lights in rows.items()]


def _check_columns(path: Path, columns: object) -> None:
    present = set(columns) if isinstance(columns, list) else set()
    missing = [name for name in REQUIRED_COLUMNS if name not in present]
    if missing:
        raise ConfigError(
            f"{path} lacks the column {', '.join(missing)}: its first line must name "
            f"{', '.join(REQUIRED_COLUMNS)}."
        )


def _light(path: Path, line: int, row: dict[str, str | None]) -> tuple[float, ...] | None:
    """x, y, flux and radius of a row; None for a row that says that there is no light."""
    texts = [(row.get(name) or "").strip() for name in ("x", "y", *OPTIONAL_COLUMNS)]
    if not texts[0] and not texts[1]:
        return None
    try:
        values = tuple(float(text) if text else float("nan") for text in texts)
    except ValueError as error:
        raise ConfigError(f"{path}, line {line}: {error}; write a number.") from error
    if not np.isfinite(values[:2]).all():
        raise ConfigError(f"{path}, line {line}: a light needs both x and y.")
    return values


def _photo(path: Path, lights: list[tuple[float, ...]]) -> LabelledPhoto:
    columns = np.array(lights, float).reshape(-1, 2 + len(OPTIONAL_COLUMNS)).T
    return LabelledPhoto(
        path=path, x=columns[0], y=columns[1], flux=columns[2], radius_px=columns[3]
    )
