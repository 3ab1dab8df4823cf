"""Tables as CSV: UTF-8, a header, empty cells for what is missing, numbers to the last digit."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regengine.exchange.export.columns import TableColumn, table_of
from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.frame import ExportFrame
from regengine.io.tables import name_cell, path_cell
from regengine.records import printable


def cell(column: TableColumn, value: Any) -> str:
    """A value as text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if column.kind == "flag":
        return "true" if value else "false"
    if column.kind == "text":
        text = printable(str(value))
        return path_cell(text) if column.name == "path" else name_cell(text)
    return repr(value)


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    table = table_of(options.table)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.name for column in table.columns])
        for frame in frames:
            for row in table.rows(frame):
                writer.writerow([cell(column, row[column.name]) for column in table.columns])


FORMAT = FileFormat(
    summary="a table of control points or of frames", endings=(".csv",), write=_write
)
