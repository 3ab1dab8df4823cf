"""Tables as CSV: UTF-8, a header, empty cells for what is missing, numbers to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regengine.exchange.export.columns import TableColumn, table_of
from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.frame import ExportFrame
from regengine.io.tables import cell as table_cell
from regengine.io.tables import write_csv
from regengine.records import printable


def cell(column: TableColumn, value: Any) -> object:
    """A value as a cell that no spreadsheet takes for a formula."""
    if value is not None and column.kind == "flag":
        value = bool(value)
    elif value is not None and column.kind == "text":
        value = printable(str(value))
    return table_cell(column.name, value)


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    table = table_of(options.table)
    rows = (
        [cell(column, row[column.name]) for column in table.columns]
        for frame in frames
        for row in table.rows(frame)
    )
    write_csv(path, [column.name for column in table.columns], rows)


FORMAT = FileFormat(
    summary="a table of control points or of frames", endings=(".csv",), write=_write
)
