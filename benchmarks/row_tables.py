"""A table of rows on disk that grows line by line and survives being interrupted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regengine.io.atomic import write_whole

Row = dict[str, str]
LIST_MARK = ";"  # between the values of one cell


def cell(value: Any) -> str:
    """A value as the table has it: nothing for None, 1 and 0 for truth values."""
    if value is None:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.9g}"
    if isinstance(value, (list, tuple, np.ndarray)):
        return LIST_MARK.join(cell(one) for one in value)
    return str(value)


class RowTable:
    """A CSV file that rows are appended to, one complete line at a time.

    A line that an interrupted run left torn is dropped when the table is opened again. A row with
    a column that the table lacks has the table rewritten with it, whole or not at all.

    Parameters
    ----------
    path : Path
        Need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.columns: list[str] = []
        if path.exists():
            data = path.read_bytes()
            if not data.endswith(b"\n"):
                write_whole(path, data[: data.rfind(b"\n") + 1])
            with path.open(encoding="utf-8", newline="") as file:
                self.columns = next(csv.reader(file), [])

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row to the disk; columns it lacks stay empty."""
        if new := [name for name in row if name not in self.columns]:
            rows = self.rows()
            self.columns = [*self.columns, *new]
            lines = [self.columns, *([one.get(name, "") for name in self.columns] for one in rows)]
            write_whole(self.path, _lines(lines).encode("utf-8"))
        cells = [cell(row.get(name)) for name in self.columns]
        with self.path.open("ab") as file:
            file.write(_lines([cells]).encode("utf-8"))

    def rows(self) -> list[Row]:
        """All rows so far."""
        return read_rows([self.path])


def _lines(lines: Iterable[Sequence[str]]) -> str:
    stream = io.StringIO()
    # A torn line can be told from a whole one only if no cell holds a line break.
    flat = [[text.replace("\r", " ").replace("\n", " ") for text in cells] for cells in lines]
    csv.writer(stream, lineterminator="\n").writerows(flat)
    return stream.getvalue()


def read_rows(paths: Iterable[Path]) -> list[Row]:
    """Rows of some tables, one after the other; none of a table that does not exist."""
    rows: list[Row] = []
    for path in paths:
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                rows += list(csv.DictReader(file))
    return rows
