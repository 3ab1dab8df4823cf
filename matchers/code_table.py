"""Codes of asterisms in a table, to find those that are alike.

The numbers of a code but the last choose a cell of a grid, and the last one is sorted within it:
whatever lies within a distance of 1 stands in short runs of the table, one of each cell that the
distance reaches into, the shorter the farther the cell is. Far faster than a tree where a hundred
thousand pairs are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray, FloatImage, IndexArray


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeTable:
    """Codes sorted by cell and last number; make it with `of`.

    codes: In units of their tolerances, in the order of the table, shape (m, d).
    origin: Which row each was before, shape (m,).
    first_rows: Row at which each cell begins, and the table's length.
    low: Least of the numbers, shape (d,).
    cells: Cells along each number but the last, and one spare on either side.
    """

    codes: FloatImage
    origin: IndexArray
    first_rows: NDArray[np.int64]
    low: FloatArray
    cells: tuple[int, ...]

    @classmethod
    def of(cls, codes: FloatArray) -> CodeTable:
        """The table of these codes, shape (m, d), m >= 1 and d >= 3."""
        low = codes.min(axis=0)
        at = np.floor(codes[:, :-1] - low[:-1]).astype(np.int64) + 1
        cells = tuple(int(number) + 2 for number in at.max(axis=0))
        cell = np.ravel_multi_index(tuple(at.T), cells)
        order = np.lexsort((codes[:, -1], cell))
        counts = np.bincount(cell, minlength=math.prod(cells))
        return cls(
            codes=np.ascontiguousarray(codes[order], np.float32),
            origin=order,
            first_rows=np.concatenate([[0], np.cumsum(counts)]),
            low=low,
            cells=cells,
        )

    def find_alike(self, codes: FloatArray) -> tuple[IndexArray, IndexArray]:
        """Pairs within a distance of 1: rows of the codes (q, d) given here, and of the table's."""
        from matchers.compiled_figures import find_alike_codes

        # In order of the cells, neighbours in the table are looked up one after the other
        steps = np.cumprod([1, *self.cells[:0:-1]])[::-1].astype(float)
        order = np.argsort(np.floor(codes[:, :-1] - self.low[:-1]) @ steps, kind="stable")
        table = self.codes, self.first_rows, self.low, np.array(self.cells)
        room = 1 << 20  # memory is taken for what is found alone
        while True:
            row, entry = np.empty(room, np.int64), np.empty(room, np.int64)
            found = find_alike_codes(np.ascontiguousarray(codes, float), order, *table, row, entry)
            if found <= room:
                return row[:found], self.origin[entry[:found]]
            room = found
