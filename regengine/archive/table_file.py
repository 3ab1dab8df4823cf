"""Any file that tells of photos, as rows of cells by heading."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.archive.headers import known_columns
from regengine.errors import ConfigError

LARGEST_BYTES = 1 << 28  # the whole archive, 5 million photos, is asked for in parts
LONGEST_LINE = 1 << 20  # of a record that is a line
NAMING = {"frame_id", "frame", "bare_id"}
WEB_PAGE = ("<!doctype", "<html", "<?xml")


@dataclass(frozen=True, slots=True)
class Cells:
    """A row: its line or number in the file, and text by heading."""

    number: int
    by_heading: dict[str, str]


def read_cells(path: Path) -> Iterator[Cells]:
    """Rows of a file of any of the kinds that archives and volunteers keep.

    Parameters
    ----------
    path : Path
        Comma, semicolon or tab separated text with a line of headings; JSON, a list of objects
        or an object of objects; a JSON object or Python dictionary a line.

    Yields
    ------
    Cells
        Of an object of objects, the key is the cell ``path``.

    Raises
    ------
    ConfigError
        If the file cannot be read, or is none of these.
    """
    text = read_any_text(path)
    start = text.lstrip()[:512]
    if start.lower().startswith(WEB_PAGE):
        raise refused(path, "it is a web page, not a table: the page may say why")
    if start[:1] == "[":
        yield from _of_json(path, text)
    elif start[:1] == "{":
        first = text.lstrip().partition("\n")[0].rstrip()
        lines = first.endswith("}") and len(first) > 2 and "\n" in text.strip()
        yield from (_of_lines(path, text) if lines or first[1:2] == "'" else _of_json(path, text))
    elif not start:
        raise refused(path, "it is empty")
    else:
        yield from _of_table(path, text)


def read_any_text(path: Path) -> str:
    """Text of a file, whatever its encoding: UTF-8, else each line that is not as Windows-1252."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise refused(path, f"it has more than {LARGEST_BYTES >> 20} MB: split it")
        data = path.read_bytes()
    except OSError as error:
        raise refused(path, error.strerror or str(error)) from error
    if b"\0" in data[:4096]:
        raise refused(path, "it is no text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "".join(_decoded(line) for line in data.splitlines(keepends=True))


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def refused(path: Path, why: str) -> ConfigError:
    """One sentence for a file that is not read."""
    return ConfigError(
        f"{path} cannot be read as a table of photos ({why}); give the archive's text tables or "
        "JSON, or CSV with a line of headings."
    )


def _of_table(path: Path, text: str) -> Iterator[Cells]:
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        headings = next(reader, [])
        names = [heading.strip() or f"#{index}" for index, heading in enumerate(headings)]
        for cells in reader:
            if cells == headings or not any(cells):  # answers put one behind the other
                continue
            yield Cells(reader.line_num, dict(zip(names, cells, strict=False)))
    except csv.Error as error:
        raise refused(path, f"line {reader.line_num}: {error}") from error


def _of_json(path: Path, text: str) -> Iterator[Cells]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused(path, f"its JSON is damaged or cut short: {error}") from error
    if isinstance(said, dict) and known_columns(map(str, said)).keys() & NAMING:
        said = [said]  # one record
    elif isinstance(said, dict) and not all(isinstance(value, dict) for value in said.values()):
        told = next((str(v) for k, v in said.items() if k in ("error", "result")), "")
        raise refused(path, f"it holds no rows{': ' + told[:100] if told else ''}")
    if isinstance(said, dict):
        said = [{"path": key, **value} for key, value in said.items()]
    for number, record in enumerate(said, start=1):
        if not isinstance(record, dict):
            raise refused(path, f"its item {number} is no object")
        yield Cells(number, _texts(record))


def _of_lines(path: Path, text: str) -> Iterator[Cells]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            if len(line) > LONGEST_LINE:
                raise ValueError("it is too long")
            record = _record(line)
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise refused(path, f"line {number} is no record ({error})") from error
        if not isinstance(record, dict):
            raise refused(path, f"line {number} is no record")
        yield Cells(number, _texts(record))


def _record(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return ast.literal_eval(line.strip())  # constants alone, nothing is run


def _texts(record: dict[Any, Any]) -> dict[str, str]:
    return {
        str(key): ""
        if value is None
        else "; ".join(map(str, value))
        if isinstance(value, list)
        else str(value)
        for key, value in record.items()
    }
