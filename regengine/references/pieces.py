"""Squares of maps that are kept as they were read: one photo looks again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock

import numpy as np

from regengine.references.radiance import Mask, Values
from regengine.references.source import PixelGrid

Block = tuple[int, int, int, int]  # of a grid: first row, first column, rows, columns


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """A square of a map, or what of it the map has."""

    values: Values
    valid: Mask | None  # None where all of it is


class Pieces:
    """Squares of ``side_px`` of maps, those that were used last.

    ``singly``: Each is read by itself, for maps of which a pixel depends on what is read with it.
    Otherwise what is missing is read in one go, with what lies between.
    """

    def __init__(self, side_px: int, most_pixels: int, *, singly: bool = False) -> None:
        self.side_px, self.most_pixels, self.singly = side_px, most_pixels, singly
        self._kept: OrderedDict[Hashable, Piece] = OrderedDict()
        self._pixels = 0
        self._lock = Lock()

    def get(self, name: Hashable) -> Piece | None:
        """A piece that is kept."""
        return self._kept.get(name)

    def put(self, name: Hashable, piece: Piece) -> None:
        """Keep a piece, or keep it for longer."""
        with self._lock:
            known = self._kept.pop(name, None)
            self._kept[name] = piece
            self._pixels += piece.values.size - (known.values.size if known is not None else 0)
            while self._pixels > self.most_pixels:
                self._pixels -= self._kept.popitem(last=False)[1].values.size

    def block(
        self,
        of: Hashable,
        grid: PixelGrid,
        block: Block,
        read: Callable[[Block], tuple[Values, Mask]],
    ) -> tuple[Values, Mask]:
        """Values and validity of a block of a grid; what is not kept ``of`` it is read."""
        row, col, rows, cols = block
        side = self.side_px
        names = [
            (i, j)
            for i in range(row // side, (row + rows - 1) // side + 1)
            for j in range(col // side, (col + cols - 1) // side + 1)
        ]
        pieces = {name: self.get((of, name)) for name in names}
        missing = [name for name, piece in pieces.items() if piece is None]
        groups = [[name] for name in missing] if self.singly else [missing]
        for some in filter(None, groups):
            pieces |= self._read(some, grid, read)
        values, valid = np.empty((rows, cols), np.float32), np.ones((rows, cols), np.bool_)
        for (i, j), piece in pieces.items():
            assert piece is not None
            self.put((of, (i, j)), piece)
            top, left = i * side, j * side
            height, width = piece.values.shape
            here = np.s_[
                max(row - top, 0) : min(row + rows - top, height),
                max(col - left, 0) : min(col + cols - left, width),
            ]
            there = np.s_[
                max(top - row, 0) : max(min(top + height - row, rows), 0),
                max(left - col, 0) : max(min(left + width - col, cols), 0),
            ]
            values[there] = piece.values[here]
            if piece.valid is not None:
                valid[there] = piece.valid[here]
        return values, valid

    def _read(
        self,
        names: list[tuple[int, int]],
        grid: PixelGrid,
        read: Callable[[Block], tuple[Values, Mask]],
    ) -> dict[tuple[int, int], Piece]:
        """Pieces by row and column, with what lies between them."""
        side = self.side_px
        (i0, j0), (i1, j1) = np.min(names, axis=0).tolist(), np.max(names, axis=0).tolist()
        top, left = i0 * side, j0 * side
        bottom, right = min((i1 + 1) * side, grid.rows), min((j1 + 1) * side, grid.cols)
        values, valid = read((top, left, bottom - top, right - left))
        found = {}
        for i, j in names:
            there = np.s_[
                i * side - top : (i + 1) * side - top, j * side - left : (j + 1) * side - left
            ]
            known = valid[there]
            found[i, j] = Piece(
                values=values[there].copy(), valid=None if known.all() else known.copy()
            )
        return found
