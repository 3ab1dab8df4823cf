"""The two tables: a row for each control point, or for each frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from regengine.errors import ConfigError
from regengine.export.columns import (
    FRAME_COLUMNS,
    POINT_COLUMNS,
    Row,
    frame_row,
    point_rows,
)
from regengine.export.frame import ExportFrame
from regengine.export.table_column import TableColumn


@dataclass(frozen=True, kw_only=True)
class ExportTable:
    """A table's columns, and the rows that a frame has in it."""

    columns: tuple[TableColumn, ...]
    rows: Callable[[ExportFrame], list[Row]]


TABLES = {
    "points": ExportTable(columns=POINT_COLUMNS, rows=point_rows),
    "frames": ExportTable(columns=FRAME_COLUMNS, rows=lambda frame: [frame_row(frame)]),
}


def table_of(name: str) -> ExportTable:
    """A table by its name; ConfigError if there is none."""
    if name not in TABLES:
        raise ConfigError(f"--table {name}: it is none of {', '.join(TABLES)}.")
    return TABLES[name]
