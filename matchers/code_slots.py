"""Where those codes of a cell stand whose last number lies within bounds: looked up, not sought.

A binary search among millions of keys waits for memory at each of its twenty steps. So each cell's
last numbers are cut into slots, and where each slot begins is noted once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

CODES_PER_SLOT = 4
MOST_SLOTS = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeSlots:
    """Cells that hold codes, and where their slots begin; make it with `of`.

    Attributes
    ----------
    cells : ndarray of int64, shape (c,)
        Ascending.
    slots : int
        In each cell.
    width : float
        Of a slot, in units of last numbers.
    starts : ndarray of int, shape (c * slots + 1,)
        Row of the table at which each begins, and the table's length.
    """

    cells: NDArray[np.int64]
    slots: int
    width: float
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
        """Rows of the table that may lie in a cell and within bounds of the last number.

        Parameters
        ----------
        cell : ndarray of int64, shape (q,)
            That are asked for.
        least, most : ndarray of float64, shape (q,)
            Bounds, both included.

        Returns
        -------
        first, count : ndarray of int, shape (q,)
            Runs; up to a slot more at either end than was asked.
        """
        at = np.minimum(np.searchsorted(self.cells, cell), len(self.cells) - 1)
        low = np.clip(np.floor(least / self.width), 0, self.slots).astype(np.intp)
        high = np.clip(np.floor(most / self.width) + 1.0, low, self.slots).astype(np.intp)
        first = self.starts[at * self.slots + low]
        count = self.starts[at * self.slots + high] - first
        return first, np.where(self.cells[at] == cell, count, 0)
