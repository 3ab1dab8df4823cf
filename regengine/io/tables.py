"""Tables as CSV: UTF-8, a header, empty cells for what is missing, and nothing that runs.

Spreadsheets run what begins with ``=``, ``+``, ``-`` or ``@``, also in a CSV file (OWASP, "CSV
Injection"). Names of photos come from strangers, so they are not to begin so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def name_cell(text: str) -> str:
    """A name as a cell: with an apostrophe before what would be a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def path_cell(path: Path | str) -> str:
    """A path as a cell: ``./=a.jpg`` names the same file as ``=a.jpg``."""
    text = str(path)
    return f"./{text}" if text.startswith(FORMULA_STARTS) else text


def cell(column: str, value: object) -> object:
    """A value as a cell of its column: text that is no formula, true or false, or a number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return path_cell(value) if column == "path" else name_cell(value)
    return value


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write rows of cells, see `cell`, below a header; numbers to their last digit."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def csv_lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Rows of cells as lines without their end."""
    for row in rows:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\n").writerow(row)  # quotes what holds its line's end
        yield line.getvalue().removesuffix("\n")
