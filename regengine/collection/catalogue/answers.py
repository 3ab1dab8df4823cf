"""Format query results: a text table, CSV, or one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Any

from regengine.collection.catalogue.query import Answer
from regengine.errors import ConfigError, shorten_to_line
from regengine.io.plain import plain
from regengine.io.tables import cell, csv_lines, name_cell
from regengine.io.times import iso_utc

FORMS = ("table", "csv", "json")
LOOKED_AT = 1000  # rows that determine the column widths of a table
WIDEST = 60  # maximum characters of a table's column


def format_lines(answer: Answer, form: str) -> Iterator[str]:
    """Format a result as lines of a ``table``, of ``csv`` or of ``json``.

    Lines contain no line breaks except within a cell of CSV. ConfigError for other forms.
    """
    if form not in FORMS:
        raise ConfigError(f"--format {form} is unknown: choose from {', '.join(FORMS)}.")
    lines = (json.dumps(plain(row, str), default=_to_json) for row in answer.dicts())
    if form == "json":
        yield from lines
        return
    rows = (
        {
            name: json.dumps(value) if isinstance(value, list | dict) else value
            for name, value in json.loads(line).items()
        }
        for line in lines
    )
    if form == "csv":
        yield from csv_lines([[name_cell(name) for name in answer.names]])
        yield from csv_lines([cell(*item) for item in row.items()] for row in rows)
    else:
        yield from _table(answer.names, rows)


def _to_json(value: Any) -> object:
    """Convert a value for JSON: times to ISO 8601 in UTC, bytes to hexadecimal digits."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return iso_utc(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def _table(names: tuple[str, ...], rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    first = list(islice(rows, LOOKED_AT))
    forms = []
    for name in names:
        column = [row[name] for row in first]
        width = min(max([len(name), *(len(_format_cell(value)) for value in column)]), WIDEST)
        # Numbers are right-aligned
        numbers = column and all(value is None or type(value) in (int, float) for value in column)
        forms.append(f"{'>' if numbers else '<'}{width}")
    for texts in chain([names], (map(_format_cell, row.values()) for row in chain(first, rows))):
        yield "  ".join(map(format, texts, forms)).rstrip()


def _format_cell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    text = shorten_to_line(str(value))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
