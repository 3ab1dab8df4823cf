"""Codes of figures in a table, to find those that are alike.

The numbers of a code but the last choose a cell of a grid, and the last one is sorted within it:
whatever lies within a distance of 1 stands in short runs of the table, one of each cell that the
distance reaches into, the shorter the farther the cell is. Far faster than a tree where a hundred
thousand pairs are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray, FloatImage, IndexArray

CODES_PER_SLOT = 4
MOST_SLOTS = 256

MOST_CELLS = 4  # numbers that choose the cell
CELL = 1.0  # as far as it reaches: three cells of each number; `compiled_figures` counts on it
REACH = 1.0 + 1e-6  # and what rounding adds
LAST_SPAN = 1024.0  # codes' last numbers lie within this: logarithms of lengths over a tolerance


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeSlots:
    """Cells that hold codes, and where their slots begin; make it with `of`."""

    cells: NDArray[np.int64]  # (c,): ascending
    # Where those begin that share all numbers but the last one, and how many cells there are
    firsts: NDArray[np.int64]
    slots: int  # in each cell
    width: float  # of a slot, in units of last numbers
    # (c * slots + 1,): row of the table at which each begins, and the table's length
    starts: IndexArray

    @classmethod
    def of(cls, keys: FloatArray, span: float, sides: tuple[int, ...]) -> CodeSlots:
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
            cells=cells,
            firsts=np.searchsorted(cells, sides[-1] * np.arange(math.prod(sides[:-1]) + 1)),
            slots=slots,
            width=width,
            starts=np.append(starts.ravel(), len(keys)),
        )


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
        return CodeSlots.of(self.keys, LAST_SPAN, self.cells)

    def alike(self, codes: FloatArray) -> tuple[IndexArray, IndexArray]:
        """Pairs within a distance of 1: rows of the codes (q, d) given here, and of the table's."""
        from matchers import compiled_figures

        # In order of the cells, neighbours in the table are looked up one after the other
        at = np.floor((codes[:, : len(self.cells)] - self.low[:-1]) / CELL)
        row, entry = compiled_figures.alike(
            np.ascontiguousarray(codes, float),
            np.argsort(self.cell_of(at), kind="stable"),
            self.compared,
            np.ascontiguousarray(self.low, float),
            np.array(self.cells),
            self.slots.cells,
            self.slots.firsts,
            self.slots.starts,
            self.slots.slots,
            self.slots.width,
            REACH,
        )
        return row, entry if self.origin is None else self.origin[entry]

    @cached_property
    def compared(self) -> FloatImage:
        """The codes as compiled code reads them: no copy of those that lie in a file."""
        from matchers.compiled_figures import WIDTH

        short = WIDTH - self.codes.shape[1]
        codes = np.pad(self.codes, ((0, 0), (0, short))) if short else np.asarray(self.codes)
        return np.require(codes, np.float32, ["C", "A"])

    def cell_of(self, at: FloatArray) -> NDArray[np.int64]:
        """Numbers of cells; ``at`` has shape (q, c) and counts along each of a code's numbers."""
        steps = np.cumprod([1, *self.cells[:0:-1]])[::-1]
        return np.asarray((at + 1.0) @ steps.astype(float), np.int64)


def cell_numbers(codes: FloatArray) -> int:
    """How many numbers of codes choose their cell: all but the last one, at most `MOST_CELLS`."""
    return min(MOST_CELLS, codes.shape[1] - 1)
