"""Codes of asterisms in a table, to find those that are alike.

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

# The order of the table, which the file of an index keeps
MOST_CELL_NUMBERS = 4  # numbers that choose the cell, which is 1 wide
LAST_SPAN = 1024.0  # codes' last numbers lie within this: logarithms of lengths over a tolerance


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
        numbers = min(MOST_CELL_NUMBERS, codes.shape[1] - 1)
        chosen = np.column_stack([codes[:, :numbers], codes[:, -1]])
        low = chosen.min(axis=0)
        at = np.floor(chosen[:, :-1] - low[:-1]).astype(np.int64) + 1
        cells = tuple(int(number) + 2 for number in at.max(axis=0))
        keys = np.ravel_multi_index(tuple(at.T), cells) * LAST_SPAN + (chosen[:, -1] - low[-1])
        order = np.argsort(keys, kind="stable")
        return cls(codes=codes[order], origin=order, keys=keys[order], low=low, cells=cells)

    @cached_property
    def first_rows(self) -> NDArray[np.int64]:
        """Row at which each cell begins, and the table's length."""
        cell = np.floor_divide(self.keys, LAST_SPAN).astype(np.int64)
        counts = np.bincount(cell, minlength=math.prod(self.cells))
        return np.concatenate([[0], np.cumsum(counts)])

    @cached_property
    def single_codes(self) -> FloatImage:
        """The codes as compiled code reads them: no copy of those that lie in a file."""
        return np.require(np.asarray(self.codes), np.float32, ["C", "A"])

    def find_alike(self, codes: FloatArray) -> tuple[IndexArray, IndexArray]:
        """Pairs within a distance of 1: rows of the codes (q, d) given here, and of the table's."""
        from matchers.compiled_figures import find_alike_codes

        # In order of the cells, neighbours in the table are looked up one after the other
        steps = np.cumprod([1, *self.cells[:0:-1]])[::-1].astype(float)
        cell = np.floor(codes[:, : len(self.cells)] - self.low[:-1]) @ steps
        order = np.argsort(cell, kind="stable")
        room = 1 << 20  # memory is taken for what is found alone
        while True:
            row, entry = np.empty(room, np.int64), np.empty(room, np.int64)
            found = find_alike_codes(
                np.ascontiguousarray(codes, float),
                order,
                self.single_codes,
                self.first_rows,
                np.ascontiguousarray(self.low, float),
                np.array(self.cells),
                row,
                entry,
            )
            if found <= room:
                break
            room = found
        row, entry = row[:found], entry[:found]
        return row, entry if self.origin is None else self.origin[entry]
