"""Codes of figures in a table, to find those that are alike.

The first two numbers of a code choose a cell of a grid, the last one is sorted within it: whatever
lies within a distance of 1 stands in four short runs of the table. Far faster than a tree where a
hundred thousand pairs are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

CELL = 2.0  # the reach of 1 either way: it touches two cells of each number
LAST_SPAN = 1024.0  # codes' last numbers lie within this: logarithms of lengths over a tolerance
PAIRS_AT_ONCE = 2_000_000  # candidates that are compared in one go


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeTable:
    """Codes sorted by cell and last number; make it with `of`.

    Attributes
    ----------
    codes : ndarray of float64, shape (m, d)
        In units of their tolerances, in the order of the table.
    origin : ndarray of int, shape (m,)
        Which row each was before.
    keys : ndarray of float64, shape (m,)
        Cell and last number, ascending.
    low : ndarray of float64, shape (3,)
        Least of the first two numbers and of the last one.
    rows : int
        Cells along the second number, and one spare on either side.
    """

    codes: FloatArray
    origin: IndexArray
    keys: FloatArray
    low: FloatArray
    rows: int

    @classmethod
    def of(cls, codes: FloatArray) -> CodeTable:
        """The table of these codes, shape (m, d), m >= 1 and d >= 3."""
        chosen = codes[:, [0, 1, -1]]
        low = chosen.min(axis=0)
        rows = int((chosen[:, 1].max() - low[1]) // CELL) + 3
        at = np.floor((chosen[:, :2] - low[:2]) / CELL) + 1.0
        keys = (at[:, 0] * rows + at[:, 1]) * LAST_SPAN + (chosen[:, 2] - low[2])
        order = np.argsort(keys, kind="stable")
        return cls(codes=codes[order], origin=order, keys=keys[order], low=low, rows=rows)

    def alike(self, codes: FloatArray) -> tuple[IndexArray, IndexArray]:
        """Pairs within a distance of 1.

        Parameters
        ----------
        codes : ndarray of float64, shape (q, d)

        Returns
        -------
        asked, found : ndarray of int, shape (p,)
            Rows of the codes given here, and of those that the table was made of.
        """
        starts, ends = [], []
        reach = 1.0 + 1e-9
        last = codes[:, -1] - self.low[2]
        for dx in (-reach, reach):
            column = np.floor((codes[:, 0] + dx - self.low[0]) / CELL) + 1.0
            for dy in (-reach, reach):
                row = np.floor((codes[:, 1] + dy - self.low[1]) / CELL) + 1.0
                outside = (row < 0) | (row >= self.rows) | (column < 0)
                cell = (column * self.rows + row) * LAST_SPAN
                # A last number beyond the span would reach into another cell's run
                first = np.searchsorted(self.keys, cell + np.clip(last - reach, 0.0, LAST_SPAN / 2))
                end = np.searchsorted(
                    self.keys, cell + np.clip(last + reach, -1.0, LAST_SPAN / 2), side="right"
                )
                starts.append(first)
                ends.append(np.where(outside, first, np.maximum(end, first)))
        first, count = np.concatenate(starts), np.concatenate(ends) - np.concatenate(starts)
        asked = np.tile(np.arange(len(codes)), 4)
        found = []
        for some in parts(count):
            row = np.repeat(asked[some], count[some])
            steps = np.arange(len(row)) - np.repeat(
                np.cumsum(count[some]) - count[some], count[some]
            )
            entry = np.repeat(first[some], count[some]) + steps
            apart = np.zeros(len(row))
            for number in range(codes.shape[1]):
                apart += (codes[row, number] - self.codes[entry, number]) ** 2
            close = np.flatnonzero(apart <= 1.0)
            found.append((row[close], self.origin[entry[close]]))
        return (
            np.concatenate([row for row, _ in found]),
            np.concatenate([entry for _, entry in found]),
        )


def parts(count: IndexArray) -> list[slice]:
    """Slices of so many runs that each holds about `PAIRS_AT_ONCE` candidates; at least one."""
    total = np.cumsum(count)
    if len(total) == 0:
        return [slice(0, 0)]
    cuts = np.searchsorted(total, np.arange(PAIRS_AT_ONCE, total[-1], PAIRS_AT_ONCE)) + 1
    edges = [0, *np.unique(cuts[cuts < len(total)]).tolist(), len(total)]
    return [slice(a, b) for a, b in pairwise(edges)]
