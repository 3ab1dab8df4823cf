"""Points in CSV: a row a point, columns found by their names."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from regengine.csv_cells import FORMULA_STARTS
from regengine.importing.point_file import (
    ForeignPoint,
    PhotoPoints,
    checked,
    read_text,
    refused,
)

# The first of a row's columns that is there
COLUMNS = {
    "photo": ("frame", "photo", "file", "filename", "image", "path"),
    "x": ("x", "column", "col", "pixel"),
    "y": ("y", "row", "line"),
    "lon": ("lon", "longitude", "lng"),
    "lat": ("lat", "latitude"),
    "sigma_px": ("sigma_px",),
}
NEEDED = ("x", "y", "lon", "lat")


def read_csv_points(path: Path) -> list[PhotoPoints]:
    """Points of each photo that a table names; without such a column, of the one it is named after.

    Parameters
    ----------
    path : Path
        Comma, semicolon or tab between cells; pixels zero-based, integers at centres.

    Returns
    -------
    list of PhotoPoints
        In the order in which photos come first.

    Raises
    ------
    ConfigError
        If a column is missing, or a cell holds no number.
    """
    text = read_text(path)
    lines = io.StringIO(text, newline=None)  # whatever ends them
    delimiter = max(",;\t", key=lines.readline().count)
    lines.seek(0)
    rows = csv.DictReader(lines, delimiter=delimiter)
    try:
        names = {name.strip().lower(): name for name in rows.fieldnames or []}
    except csv.Error as error:
        raise refused(path, f"it is no table ({error})") from error
    columns = {
        field: next((names[name] for name in known if name in names), None)
        for field, known in COLUMNS.items()
    }
    missing = [field for field in NEEDED if columns[field] is None]
    if missing:
        raise refused(path, f"it has no column {missing[0]}")
    found: dict[str, list[ForeignPoint]] = {}
    try:
        for row in rows:
            if not any(row.values()):
                continue
            cells = {field: row.get(name or "") or "" for field, name in columns.items()}
            numbers = [float(cells[field]) for field in NEEDED]
            sigma_px = float(cells["sigma_px"]) if cells["sigma_px"].strip() else None
            photo = _name(cells["photo"]) or path.stem
            point = ForeignPoint(
                x=numbers[0], y=numbers[1], lon=numbers[2], lat=numbers[3], sigma_px=sigma_px
            )
            found.setdefault(photo, []).append(point)
    except (ValueError, csv.Error) as error:
        raise refused(path, f"line {rows.line_num} holds no point ({error})") from error
    if not found:
        raise refused(path, "it has no points")
    return [
        PhotoPoints(file=path, photo=photo, points=checked(path, points))
        for photo, points in found.items()
    ]


def _name(cell: str) -> str:
    """A name without the apostrophe that keeps spreadsheets from running it."""
    text = cell.strip()
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA_STARTS) else text
