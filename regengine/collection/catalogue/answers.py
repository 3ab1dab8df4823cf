"""Answers as text: a table to read, CSV for spreadsheets, JSON a line for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Any

from regengine.collection.catalogue.query import Answer
from regengine.errors import ConfigError, one_line
from regengine.io.tables import cell, csv_lines, name_cell

LOOKED_AT = 1000  # rows that the widths of a table's columns are taken from
WIDEST = 60  # letters of a column of a table


def lines_of(answer: Answer, form: str) -> Iterator[str]:
    """An answer as lines of a ``table``, of ``csv`` or of ``json``; ConfigError for other forms.

    They have no line breaks, but for those within a cell of CSV.
    """
    if form not in FORMS:
        raise ConfigError(f"--as {form}: it is none of {', '.join(FORMS)}.")
    yield from FORMS[form](answer)


def plain(value: Any) -> Any:
    """A value as JSON knows it: times as ISO 8601 in UTC, bytes as hexadecimal digits."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def _json(answer: Answer) -> Iterator[str]:
    for row in answer.dicts():
        told = {name: plain(value) for name, value in row.items()}
        yield json.dumps(told, allow_nan=False)


def _csv(answer: Answer) -> Iterator[str]:
    yield from csv_lines([[name_cell(name) for name in answer.names]])
    rows = (zip(answer.names, row, strict=True) for row in answer.rows)
    yield from csv_lines([_cell(name, value) for name, value in row] for row in rows)


def _cell(name: str, value: Any) -> object:
    told = plain(value)
    return json.dumps(told) if isinstance(told, list | dict) else cell(name, told)


def _table(answer: Answer) -> Iterator[str]:
    rows = ([_shown(value) for value in row] for row in answer.rows)
    first = list(islice(rows, LOOKED_AT))
    columns = zip(*first, strict=True) if first else [[] for _ in answer.names]
    named = list(zip(answer.names, columns, strict=True))
    widths = [
        min(max(len(name), *(len(text) for text, _ in cells), 0), WIDEST) for name, cells in named
    ]
    right = [bool(cells) and all(number for _, number in cells) for _, cells in named]
    yield _row(list(answer.names), widths, right)
    for row in chain(first, rows):
        yield _row([text for text, _ in row], widths, right)


def _shown(value: Any) -> tuple[str, bool]:
    """A cell, and whether it may stand at the right as numbers do."""
    told = plain(value)
    if told is None:
        return "", True
    if isinstance(told, bool):
        return str(told).lower(), False
    if isinstance(told, list | dict):
        told = json.dumps(told)
    text = one_line(str(told))
    short = text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
    return short, isinstance(told, int | float)


def _row(cells: list[str], widths: list[int], right: list[bool]) -> str:
    columns = zip(cells, widths, right, strict=True)
    return "  ".join(
        text.rjust(width) if number else text.ljust(width) for text, width, number in columns
    ).rstrip()


FORMS: dict[str, Callable[[Answer], Iterator[str]]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
}
