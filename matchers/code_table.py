"""Codes of figures in a table, to find those that are alike.

The numbers of a code but the last choose a cell of a grid, and the last one is sorted within it:
whatever lies within a distance of 1 stands in a few short runs of the table, four for triangles and
sixteen for quads. Far faster than a tree where a hundred thousand pairs are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

MOST_CELLS = 4  # numbers that choose the cell
CELL = 2.0  # the reach of 1 either way: it touches two cells of each number
LAST_SPAN = 1024.0  # codes' last numbers lie within this: logarithms of lengths over a tolerance
PAIRS_AT_ONCE = 200_000  # candidates that are compared in one go: they stay in the cache


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
        reach = 1.0 + 1e-9
        last = codes[:, -1] - self.low[-1]
        # A last number beyond the span would reach into another cell's run
        least, most = (
            np.clip(last - reach, 0.0, LAST_SPAN / 2),
            np.clip(last + reach, -1.0, LAST_SPAN / 2),
        )
        places = codes[:, : len(self.cells)] - self.low[:-1]
        sides = [np.floor((places + side) / CELL) + 1.0 for side in (-reach, reach)]
        starts, counts, askers = [], [], []
        for corner in product((0, 1), repeat=len(self.cells)):
            cell, inside = np.zeros(len(codes)), np.ones(len(codes), bool)
            for number, (side, most_cells) in enumerate(zip(corner, self.cells, strict=True)):
                at = sides[side][:, number]
                inside &= (at >= 0) & (at < most_cells)
                cell = cell * most_cells + at
            # In order of the cells, neighbours in the table are looked up one after the other
            asked = np.flatnonzero(inside)
            asked = asked[np.argsort(cell[asked], kind="stable")]
            run = cell[asked] * LAST_SPAN
            first = np.searchsorted(self.keys, run + least[asked])
            count = np.searchsorted(self.keys, run + most[asked], side="right") - first
            some = count > 0
            starts.append(first[some])
            counts.append(count[some])
            askers.append(asked[some])
        return self._close(
            codes, np.concatenate(starts), np.concatenate(counts), np.concatenate(askers)
        )

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
