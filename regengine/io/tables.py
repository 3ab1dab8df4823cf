"""Tables as CSV: UTF-8, a header, empty cells for what is missing, and nothing that runs.

Tables that are read may be in UTF-16, too, as spreadsheets write "Unicode text".

Spreadsheets run what begins with ``=``, ``+``, ``-`` or ``@``, also in a CSV file (OWASP, "CSV
Injection"). Names of photos come from strangers, so they are not to begin so.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def name_cell(text: str) -> str:
    """A name as a cell: with an apostrophe before what would be a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def unquote_name(text: str) -> str:
    """The name of a cell that `name_cell` may have made."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA_STARTS) else text


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


def utf16_codec(data: bytes) -> str | None:
    """The codec of a text in UTF-16, by its byte-order mark or its first letter; None of others."""
    first = data[:2]
    if first in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if len(first) < 2 or first.count(0) != 1:
        return None
    return "utf-16-be" if first[0] == 0 else "utf-16-le"


def decode_text(data: bytes, errors: str = "strict") -> str:
    """Text of a file: UTF-8 or UTF-16, with or without a byte-order mark.

    UnicodeDecodeError where it is neither, unless ``errors`` says otherwise.
    """
    return data.decode(utf16_codec(data) or "utf-8-sig", errors)


def read_csv(text: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of a table separated by commas, semicolons or tabs, header first.

    Pages of answers are often put one behind the other: a header that comes again is left out.

    Raises
    ------
    csv.Error
        It is no such table; the message names the line.
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
