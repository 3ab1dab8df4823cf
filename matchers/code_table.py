"""Codes of figures in a table, to find those that are alike.

The numbers of a code but the last choose a cell of a grid, and the last one is sorted within it:
whatever lies within a distance of 1 stands in short runs of the table, one of each cell that the
distance reaches into, the shorter the farther the cell is. Far faster than a tree where a hundred
thousand pairs are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray, IndexArray

CODES_PER_SLOT = 4
MOST_SLOTS = 256

MOST_CELLS = 4  # numbers that choose the cell
CELL = 1.0  # as far as it reaches: three cells of each number
NEIGHBOURS = np.array([-1.0, 0.0, 1.0])
REACH = 1.0 + 1e-6  # and what rounding adds
LAST_SPAN = 1024.0  # codes' last numbers lie within this: logarithms of lengths over a tolerance
ASKED_AT_ONCE = 20_000  # codes whose cells are listed in one go
PAIRS_AT_ONCE = 200_000  # candidates that are compared in one go: they stay in the cache


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeSlots:
    """Cells that hold codes, and where their slots begin; make it with `of`."""

    cells: NDArray[np.int64]  # (c,): ascending
    slots: int  # in each cell
    width: float  # of a slot, in units of last numbers
    # (c * slots + 1,): row of the table at which each begins, and the table's length
    starts: IndexArray

    @classmethod
    def of(cls, keys: FloatArray, span: float) -> CodeSlots:
        """The slots of a table whose keys are ``cell * span + last number``, ascending."""
        cell = np.floor_divide(keys, span).astype(np.int64)
        first = np.flatnonzero(np.diff(cell, prepend=-1))
        cells = cell[first]
        slots = int(np.clip(len(keys) // (CODES_PER_SLOT * max(len(cells), 1)), 1, MOST_SLOTS))
        farthest = float((keys - cell * span).max(initial=0.0))
        width = max(farthest, 1.0) / slots
        edges = cells[:, None] * span + width * np.arange(slots)
        # A cell's first slot begins with the cell, whatever was rounded
        starts = np.searchsorted(keys, edges)
        starts[:, 0] = first
        return cls(
            cells=cells, slots=slots, width=width, starts=np.append(starts.ravel(), len(keys))
        )

    def runs(
        self, cell: NDArray[np.int64], least: FloatArray, most: FloatArray
    ) -> tuple[IndexArray, IndexArray]:
        """Rows of the table that may lie in a cell and within bounds of the last number."""
        at = np.minimum(np.searchsorted(self.cells, cell), len(self.cells) - 1)
        low = np.clip(np.floor(least / self.width), 0, self.slots).astype(np.intp)
        high = np.clip(np.floor(most / self.width) + 1.0, low, self.slots).astype(np.intp)
        first = self.starts[at * self.slots + low]
        count = self.starts[at * self.slots + high] - first
        return first, np.where(self.cells[at] == cell, count, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeTable:
    """Codes sorted by cell and last number; make it with `of`.

    Attributes
    ----------
    codes : ndarray of float, shape (m, d)
        In units of their tolerances, in the order of the table.
    origin : ndarray of int, shape (m,), or None
        Which row each was before; None where rows stay as they are in the table.
    keys : ndarray of float64, shape (m,)
        Cell and last number, ascending.
    low : ndarray of float64, shape (c + 1,)
        Least of the numbers that choose the cell, and of the last one.
    cells : tuple of int
        Cells along each of these numbers, and one spare on either side.
    """

    codes: FloatArray
    origin: IndexArray | None
    keys: FloatArray
    low: FloatArray
    cells: tuple[int, ...]

    @classmethod
    def of(cls, codes: FloatArray) -> CodeTable:
        """The table of these codes, shape (m, d), m >= 1 and d >= 3."""
        chosen = np.column_stack([codes[:, : cell_numbers(codes)], codes[:, -1]])
        low = chosen.min(axis=0)
        at = np.floor((chosen[:, :-1] - low[:-1]) / CELL).astype(np.int64) + 1
        cells = tuple(int(number) + 2 for number in at.max(axis=0))
        keys = np.ravel_multi_index(tuple(at.T), cells) * LAST_SPAN + (chosen[:, -1] - low[-1])
        order = np.argsort(keys, kind="stable")
        return cls(codes=codes[order], origin=order, keys=keys[order], low=low, cells=cells)

    @cached_property
    def slots(self) -> CodeSlots:
        """Where codes stand, for looking up."""
        return CodeSlots.of(self.keys, LAST_SPAN)

    def alike(self, codes: FloatArray) -> tuple[IndexArray, IndexArray]:
        """Pairs within a distance of 1: rows of the codes (q, d) given here, and of the table's."""
        # In order of the cells, neighbours in the table are looked up one after the other
        at = np.floor((codes[:, : len(self.cells)] - self.low[:-1]) / CELL)
        order = np.argsort(self.cell_of(at), kind="stable")
        runs = [
            self._runs(codes, order[start : start + ASKED_AT_ONCE])
            for start in range(0, max(len(order), 1), ASKED_AT_ONCE)
        ]
        first, count, asked = (np.concatenate(part) for part in zip(*runs, strict=True))
        return self._close(codes, first, count, asked)

    def _runs(
        self, codes: FloatArray, asked: IndexArray
    ) -> tuple[IndexArray, IndexArray, IndexArray]:
        """Runs of the table that codes reach into: where they begin, how long, and who asks."""
        places = (codes[asked, : len(self.cells)] - self.low[:-1])[:, None]
        last = codes[asked, -1] - self.low[-1]
        at = np.floor(places / CELL) + NEIGHBOURS[:, None]
        beyond = np.maximum(np.maximum(at * CELL - places, places - (at + 1.0) * CELL), 0.0)
        inside = (at >= -1.0) & (at <= np.array(self.cells) - 2.0)
        squares = np.where(inside, beyond**2, np.inf)
        # What the cell is away leaves the last number less to differ by
        left = np.full((len(asked), 1), REACH**2)
        cell = np.zeros((len(asked), 1))
        for number, most in enumerate(self.cells):
            left = (left[:, :, None] - squares[:, None, :, number]).reshape(len(asked), -1)
            cell = cell[:, :, None] * most + (at[:, None, :, number] + 1.0)
            cell = cell.reshape(len(asked), -1)
        who, which = np.nonzero(left >= 0.0)
        reach = np.sqrt(left[who, which])
        first, count = self.slots.runs(
            cell[who, which].astype(np.int64), last[who] - reach, last[who] + reach
        )
        some = count > 0
        return first[some], count[some], asked[who[some]]

    def cell_of(self, at: FloatArray) -> NDArray[np.int64]:
        """Numbers of cells; ``at`` has shape (q, c) and counts along each of a code's numbers."""
        steps = np.cumprod([1, *self.cells[:0:-1]])[::-1]
        return np.asarray((at + 1.0) @ steps.astype(float), np.int64)

    def _close(
        self, codes: FloatArray, first: IndexArray, count: IndexArray, asked: IndexArray
    ) -> tuple[IndexArray, IndexArray]:
        """Of runs of the table, the entries within a distance of 1 of those that ask."""
        codes = codes.astype(self.codes.dtype)
        found = []
        for some in parts(count):
            row = np.repeat(asked[some], count[some])
            steps = np.arange(len(row)) - np.repeat(
                np.cumsum(count[some]) - count[some], count[some]
            )
            entry = np.repeat(first[some], count[some]) + steps
            # Whole rows at once: each is one place in memory
            apart = codes.take(row, axis=0, mode="clip")
            apart -= self.codes.take(entry, axis=0, mode="clip")
            apart = np.einsum("pd,pd->p", apart, apart)
            close = np.flatnonzero(apart <= 1.0)
            entries = entry[close]
            found.append((row[close], entries if self.origin is None else self.origin[entries]))
        return (
            np.concatenate([row for row, _ in found]),
            np.concatenate([entry for _, entry in found]),
        )


def cell_numbers(codes: FloatArray) -> int:
    """How many numbers of codes choose their cell: all but the last one, at most `MOST_CELLS`."""
    return min(MOST_CELLS, codes.shape[1] - 1)


def parts(count: IndexArray) -> list[slice]:
    """Slices of so many runs that each holds about `PAIRS_AT_ONCE` candidates; at least one."""
    total = np.cumsum(count)
    if len(total) == 0:
        return [slice(0, 0)]
    cuts = np.searchsorted(total, np.arange(PAIRS_AT_ONCE, total[-1], PAIRS_AT_ONCE)) + 1
    edges = [0, *np.unique(cuts[cuts < len(total)]).tolist(), len(total)]
    return [slice(a, b) for a, b in pairwise(edges)]
