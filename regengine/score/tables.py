"""Add scores up, and format tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

import numpy as np

ScoreT = TypeVar("ScoreT")  # a dataclass whose fields all have a default


def add_scores(kind: type[ScoreT], scores: Iterable[ScoreT]) -> ScoreT:
    """The score of several frames together: counts are added, arrays put behind each other."""
    every = [kind(), *scores]

    def add(name: str) -> Any:
        values = [getattr(score, name) for score in every]
        return np.concatenate(values) if isinstance(values[0], np.ndarray) else sum(values)

    return kind(**{one.name: add(one.name) for one in fields(cast(Any, kind))})


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
