"""What a command printed and wrote, as few numbers and words by key.

A number has six digits. A long list is its length, how many are numbers, their sum, sum of squares
and twenty entries; a table is such a list a column, its twenty in order of size, so that a row more
or less moves them little; a picture is the means of 16 x 16 blocks.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

Figure = int | float | str | list[int | float | str]
Figures = dict[str, Figure]

DIGITS = 6
LONGEST = 12  # list that is written as it is
ENTRIES = 20
BLOCKS = 16
RUN = re.compile(
    r"(?:[\w.:-]*/)+|\b(?:\d+\.\d+|in \d+) s\b|\b[0-9a-f]{32,}\b|127\.0\.0\.1:\d+"
    r"|20(?:2[6-9]|3\d)-\d\d-\d\d"
)
PROGRESS = re.compile(r"photos/(?:s|min)\b|, \S.* left(?:$|;)")
LONGEST_TEXT = 300
NO_NUMBER = (None, "None", "nan")  # among numbers
# What differs from run to run, or from machine to machine
PASSING = re.compile(
    r"(?:^|[._/:])(?:\w*seconds|\w*path|\w*sha256|\w*checksum|\w*version|package_versions|libraries"
    r"|made_with|made_at|created|updated|processed_utc|reported_utc|command_line|href)$"
)


def summarise(value: Any, key: str = "") -> Figures:
    """Every number and word of nested values, by the names that lead there."""
    found: Figures = {}
    if PASSING.search(key):
        return found
    if is_dataclass(value) and not isinstance(value, type):
        value = {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, Mapping):
        for name, part in value.items():
            found |= summarise(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        found[key] = shorten(value.astype(float).ravel())
    elif isinstance(value, (list, tuple, np.ndarray)):
        found |= _summarise_list(list(value), key)
    elif isinstance(value, Callable):  # type: ignore[arg-type]
        return found
    else:
        found[key] = _single(value)
    return found


def _summarise_list(values: Sequence[Any], key: str) -> Figures:
    if values and all(isinstance(one, Mapping) or is_dataclass(one) for one in values):
        if len(values) <= 2:
            return _join(summarise(one, f"{key}.{k}") for k, one in enumerate(values))
        rows = [summarise(one) for one in values]
        names = dict.fromkeys(name for row in rows for name in row)
        return {f"{key}.n": len(rows)} | _join(
            _column([row.get(name, math.nan) for row in rows], f"{key}.{name}") for name in names
        )
    if values and all(isinstance(one, (list, tuple, np.ndarray)) for one in values):
        if all(_is_number(x) for one in values for x in one):
            return _column([x for one in values for x in one], key) | {f"{key}.n": len(values)}
        return _join(summarise(one, f"{key}.{k}") for k, one in enumerate(values[:LONGEST]))
    return _column(values, key)


def _column(values: Sequence[Any], key: str) -> Figures:
    if any(isinstance(one, list) for one in values):
        flat = [x for one in values for x in (one if isinstance(one, list) else [one])]
        return _column(flat, key)
    if all(_is_number(one) or one in NO_NUMBER for one in values):
        column = np.array([math.nan if one in NO_NUMBER else float(one) for one in values])
        return {key: shorten(column if column.size <= LONGEST else np.sort(column))}
    words = [str(_single(one)) for one in values]
    if len(words) <= LONGEST:
        return {key: words}
    counted = Counter(words)
    return {key: [f"{n} {word}" for word, n in sorted(counted.items())[:ENTRIES]]}


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, (int, float, np.number, np.bool_))


def _join(parts: Iterator[Figures]) -> Figures:
    return {name: value for part in parts for name, value in part.items()}


def _single(value: Any) -> int | float | str:
    if isinstance(value, (bool, np.bool_)) or value is None:
        return str(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return round_digits(float(value))
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return re.sub(r"(?:/[\w.+ -]+)+/", "", text)[:LONGEST_TEXT]


def round_digits(value: float) -> float | str:
    """A number of six digits; what is no number as its name."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)


def shorten(values: np.ndarray) -> list[int | float | str]:
    """A short list as it is; of a long one how many are numbers, their sums, and some of them."""
    if values.size <= LONGEST:
        return [round_digits(float(x)) for x in values]
    known = values[np.isfinite(values)]
    some = values[np.linspace(0, values.size - 1, ENTRIES).round().astype(int)]
    sums = (float(known.size), float(known.sum()), float((known**2).sum()))
    return [values.size, *(round_digits(float(x)) for x in (*sums, *some))]


def read_table(text: str) -> dict[str, list[Any]]:
    """Columns of a CSV, numbers as such."""
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    return {str(name): [_number(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def _number(word: str | None) -> Any:
    try:
        return float(word) if word else None
    except ValueError:
        return word


def read_records(text: str) -> list[Any]:
    """Lines of JSON."""
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def read_lines(text: str) -> list[str]:
    """Lines that a command printed, without progress and what differs from run to run."""
    lines = RUN.sub("", text).split("\n")
    return [one for one in lines if "\r" not in one and not PROGRESS.search(one)][:60]


def block_means(picture: np.ndarray) -> np.ndarray:
    """Means of 16 x 16 blocks of each band of a picture, shape (rows, columns, ...)."""
    rows, columns = (np.linspace(0, n, BLOCKS + 1).astype(int) for n in picture.shape[:2])
    whole = np.nan_to_num(picture.astype(float))
    sums = np.zeros((picture.shape[0] + 1, picture.shape[1] + 1, *picture.shape[2:]))
    sums[1:, 1:] = whole.cumsum(0).cumsum(1)
    block = sums[rows][:, columns]
    total = block[1:, 1:] - block[:-1, 1:] - block[1:, :-1] + block[:-1, :-1]
    size = np.outer(np.diff(rows), np.diff(columns)).clip(1)
    return np.asarray(total / size.reshape(*size.shape, *(1,) * (picture.ndim - 2)))


def read_picture(path: Path) -> np.ndarray:
    """Block means of a picture's file."""
    from PIL import Image

    with Image.open(path) as image:
        return block_means(np.asarray(image.convert("RGBA" if image.mode == "P" else image.mode)))


def read_store(path: Path) -> dict[str, Any]:
    """Every column of a store, but when and on what it was made."""
    import h5py

    found: dict[str, Any] = {}

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("provenance"):
            values = item[()]
            if values.dtype.names:
                found.update({f"{name}.{x}": values[x] for x in values.dtype.names})
            else:
                found[name] = values

    with h5py.File(path) as file:
        file.visititems(add)
    return found
