"""Read tables of labels, and format tables of scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError
from regengine.io.tables import csv_rows


def read_labelled_rows(
    path: Path, needed: Sequence[str], advice: str
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Photo, place in the file and cells of each row of a table of labels; see `csv_rows`."""
    for place, row in csv_rows(path, ("path", *needed), advice):
        if not row["path"]:
            raise ConfigError(f"{place}: the path is empty; name the photo.")
        yield row["path"], place, row


def numbers(place: str, texts: Iterable[str]) -> list[float]:
    """Parse cells as numbers, NaN if empty; ConfigError with the place of an invalid one."""
    try:
        return [float(text) if text else math.nan for text in texts]
    except ValueError as error:
        raise ConfigError(f"{place}: {error}; write a number.") from error


def bound_share(hits: int, tried: int, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a share (Clopper and Pearson 1934); 1 without trials."""
    from scipy.special import betaincinv

    return float(betaincinv(hits + 1, tried - hits, confidence)) if hits < tried else 1.0


@dataclass(frozen=True, kw_only=True)
class FactTable:
    """A table with a line for each method's facts."""

    method_width: int
    columns: tuple[tuple[str, str, str, int], ...]  # heading, fact, its format, width

    @property
    def header(self) -> str:
        """The first line."""
        heads = (f"{head:>{width}s}" for head, _, _, width in self.columns)
        return " ".join([f"{'method':{self.method_width}s}", *heads])

    def line(self, facts: dict[str, Any]) -> str:
        """One method's facts; ``-`` where something is not known."""
        cells = (
            f"{'-' if facts[key] is None else format(facts[key], form):>{width}s}"
            for _, key, form, width in self.columns
        )
        return " ".join([f"{facts['method']:{self.method_width}s}", *cells])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Markdown table with columns of even width: the first to the left, the others to the right."""
    body = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if place == 0 else "-" * (width + 1) + ":"
        for place, width in enumerate(widths)
    )
    return [line(header), rule + "|", *map(line, body)]
