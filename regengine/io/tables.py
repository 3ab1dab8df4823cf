"""Read and write CSV tables: UTF-8, a header, empty cells for missing values, no formulas.

Input tables may also be in UTF-16, as spreadsheets write "Unicode text".

Spreadsheets run what begins with ``=``, ``+``, ``-`` or ``@``, also in a CSV file (OWASP, "CSV
Injection"). Names of photos are untrusted, so cells must not begin with these characters.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from regengine.errors import ConfigError
from regengine.io.decoding import is_packed

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


def check_unpacked(data: bytes) -> None:
    """Raise OSError if the text of a file is compressed."""
    if is_packed(data):
        spreadsheet = ", or save a spreadsheet as CSV" if data.startswith(b"PK") else ""
        raise OSError(f"it is compressed: unpack it first{spreadsheet}")


def decode_text(data: bytes, errors: str = "strict") -> str:
    """Decode the text of a file: UTF-8 or UTF-16, with or without a byte-order mark.

    Raises UnicodeError if it is neither, unless ``errors`` specifies otherwise; OSError if it is
    compressed.
    """
    check_unpacked(data)
    try:
        return data.decode(utf16_codec(data) or "utf-8", errors).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UnicodeError("it is not text in UTF-8 or UTF-16") from error


def read_text(path: Path, errors: str = "strict") -> str:
    """Read the text of a file, see `decode_text`; an OSError says why alone, without the path."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OSError(error.strerror or str(error)) from error
    return decode_text(data, errors)


def split_lines(text: str) -> list[str]:
    r"""Split text where files end lines: ``\n``, ``\r\n`` or ``\r``.

    Other line breaks of Unicode, such as U+2028, are part of a text. Joined files may have a
    byte-order mark in front of any line.
    """
    return [line.removeprefix("\ufeff").rstrip("\n") for line in io.StringIO(text, newline=None)]


def check_columns_once(headings: Iterable[str], meaning: Callable[[str], str]) -> None:
    """Raise csv.Error if two headings have the same ``meaning``, other than "" for unknown."""
    first: dict[str, str] = {}
    for heading in headings:
        name = meaning(heading)
        if name in first:
            one, other = first[name].strip(), heading.strip()
            spelt = repr(one) if one == other else f"{one!r}, or {other!r},"
            raise csv.Error(f"the column {spelt} is given twice: keep one")
        if name:
            first[name] = heading


def read_csv(text: str, meaning: Callable[[str], str]) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and rows of a table; header first.

    Columns are separated by commas, semicolons or tabs, or as a first line ``sep=;`` says. The
    header is the line with the most known columns, so that titles, comments and blank lines may
    stand above it. Comments (``#``) below it are left out, and so are repeated headers, because
    pages of query results are often concatenated.

    ``meaning`` is the name by which a heading is known, "" for an unknown one. Raises csv.Error,
    which names the line, if it is not such a table, or a known column is given twice.
    """
    # Among which the header of a table is looked for
    above = list(islice(io.StringIO(text, newline=""), 100))
    declared = re.fullmatch(r'"?sep=(\\t|.)"?\s*', above[0], re.IGNORECASE) if above else None
    start, separator, most_known = len(above), ",", -1
    header: list[str] = []
    line_number = 0
    try:
        for at, line in enumerate(above):
            if not line.strip() or (declared and at == 0):
                continue
            line_number = at + 1
            own = declared[1].replace("\\t", "\t") if declared else max(",;\t", key=line.count)
            n_known = len({*map(meaning, next(csv.reader([line], delimiter=own)))} - {""})
            if n_known > most_known:
                start, separator, most_known = at, own, n_known
        lines = islice(io.StringIO(text, newline=""), start, None)
        reader = csv.reader(lines, delimiter=separator)
        for cells in reader:
            line_number = start + reader.line_num
            if not header:
                header = cells
                check_columns_once(header, meaning)
            is_short = len(cells) < max(len(header), 2)
            is_comment = is_short and "".join(cells[:1]).startswith("#")
            if cells is header or not (is_comment or cells == header):
                yield line_number, cells
    except csv.Error as error:
        raise csv.Error(f"line {line_number}: {error}") from error


def csv_rows(
    path: Path,
    needed: Sequence[str],
    advice: str,
    meaning: Callable[[str], str] | None = None,
) -> Iterator[tuple[str, dict[str, str]]]:
    """Place in the file and cells of each row of a table with a header.

    ``meaning`` is the name of a column that may have others, "" for an unknown one. ConfigError if
    the table cannot be read, lacks one of the ``needed`` columns, or has a column twice; ``advice``
    says what to give instead.
    """
    known = meaning or (lambda heading: heading.strip() if heading.strip() in needed else "")
    try:
        rows = read_csv(read_text(path), known)
        _, header = next(rows, (1, []))
        names = [known(heading) or heading.strip() for heading in header]
        lacking = [name for name in needed if name not in names]
        if lacking:
            raise ConfigError(f"{path} lacks the column {', '.join(lacking)}: {advice}.")
        check_columns_once(names, str)
        for line, cells in rows:
            if any(cells):
                texts = [*map(str.strip, cells), *[""] * (len(names) - len(cells))]
                yield f"{path}, line {line}", dict(zip(names, texts, strict=False))
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as a table ({error}): {advice}.") from error
