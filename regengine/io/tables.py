"""Read and write CSV tables: UTF-8, a header, empty cells for missing values, no formulas.

Input tables may also be in UTF-16, as spreadsheets write "Unicode text".

Spreadsheets run what begins with ``=``, ``+``, ``-`` or ``@``, also in a CSV file (OWASP, "CSV
Injection"). Names of photos are untrusted, so cells must not begin with these characters.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def name_cell(text: str) -> str:
    """Return a name as a cell: an apostrophe is added if it would be a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def unquote_name(text: str) -> str:
    """Return the name from a cell that `name_cell` may have written."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA_STARTS) else text


def path_cell(path: Path | str) -> str:
    """Return a path as a cell: ``./=a.jpg`` names the same file as ``=a.jpg``."""
    text = str(path)
    return f"./{text}" if text.startswith(FORMULA_STARTS) else text


def cell(column: str, value: object) -> object:
    """Format a value as a cell of its column: text without formulas, true, false, or a number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return path_cell(value) if column == "path" else name_cell(value)
    return value


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write rows of cells, see `cell`, below a header; numbers with all digits."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def csv_lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Yield rows of cells as lines without line breaks."""
    for row in rows:
        line = io.StringIO(newline="")
        # Quotes cells that contain the line terminator
        csv.writer(line, lineterminator="\n").writerow(row)
        yield line.getvalue().removesuffix("\n")


def utf16_codec(data: bytes) -> str | None:
    """Return the UTF-16 codec of a text, by its byte-order mark or first letter; else None."""
    first = data[:2]
    if first in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if len(first) < 2 or first.count(0) != 1:
        return None
    return "utf-16-be" if first[0] == 0 else "utf-16-le"


def decode_text(data: bytes, errors: str = "strict") -> str:
    """Decode the text of a file: UTF-8 or UTF-16, with or without a byte-order mark.

    Raises UnicodeDecodeError if it is neither, unless ``errors`` specifies otherwise.
    """
    return data.decode(utf16_codec(data) or "utf-8-sig", errors)


def read_csv(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and rows of a table separated by commas, semicolons or tabs; header first.

    Pages of query results are often concatenated: a repeated header is left out.

    Raises
    ------
    csv.Error
        It is not such a table; the message names the line.
    """
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    header: list[str] | None = None
    try:
        for cells in reader:
            if header is None or cells != header:
                header = cells if header is None else header
                yield reader.line_num, cells
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from error
