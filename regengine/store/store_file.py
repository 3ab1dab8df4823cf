"""One file of a store, read in stretches of frames."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.store.hdf5 import CHUNK_ROWS, damage_told, damaged, open_store
from regengine.store.schema import GROUPS, Column
from regengine.store.tables import Table, Tables, missing


class StoreFile:
    """A store, or one part of it, open for reading.

    Only the numbers of its frames are held in memory. Columns that an older format does not have
    are filled with what stands for a missing value.

    Parameters
    ----------
    path : Path
        The file.

    Attributes
    ----------
    frame_index : ndarray of int64, shape (frames,)
        Numbers of the frames, ascending.
    attributes : dict of str to str
        Root attributes beside ``format`` and ``format_version``.

    Raises
    ------
    StoreError
        If the file is no store, damaged, or of a newer format; of every method, too.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_store(path)
        try:
            with damage_told(path):
                self.attributes = {
                    name: value
                    for name, value in self._file.attrs.items()
                    if isinstance(value, str) and name != "format"
                }
                self.frame_index: NDArray[np.int64] = self.column("frames", "frame_index")
            if (np.diff(self.frame_index) <= 0).any():
                raise damaged(path, "its frames are out of order")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> StoreFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def column(
        self, group: str, name: str, start: int = 0, stop: int | None = None
    ) -> NDArray[Any]:
        """Rows of one column; texts are bytes of a fixed length.

        Returns
        -------
        ndarray, shape (rows,) or (rows, width)
        """
        (column,) = (column for column in GROUPS[group] if column.name == name)
        with damage_told(self.path):
            return self._read(column, group, start, self.rows(group) if stop is None else stop)

    def rows(self, group: str) -> int:
        """Number of rows of a group."""
        with damage_told(self.path):
            return len(self._file[group]["frame_index"])

    def row_of(self, group: str, frame_index: int) -> int:
        """The first row of a group that belongs to a frame of at least this number.

        Found by halving, so that a column of any length costs a few reads.
        """
        with damage_told(self.path):
            column = self._file[group]["frame_index"]
            low, high = 0, len(column)
            while high - low > CHUNK_ROWS:
                middle = (low + high) // 2
                if column[middle] < frame_index:
                    low = middle + 1
                else:
                    high = middle
            return low + int(np.searchsorted(column[low:high], frame_index))

    def tables(self, first: int, beyond: int, groups: Iterable[str] = tuple(GROUPS)) -> Tables:
        """Rows of the frames of a stretch.

        Parameters
        ----------
        first, beyond : int
            The stretch holds frames of the numbers ``first <= frame_index < beyond``.
        groups : iterable of str, optional
            The groups to read; the tables of others are left out.

        Returns
        -------
        dict
            Tables whose texts are bytes of a fixed length.
        """
        return {
            group: self.table(group, self.row_of(group, first), self.row_of(group, beyond))
            for group in groups
        }

    def table(self, group: str, start: int, stop: int) -> Table:
        """Rows of a group by their place in the file."""
        with damage_told(self.path):
            return {column.name: self._read(column, group, start, stop) for column in GROUPS[group]}

    def _read(self, column: Column, group: str, start: int, stop: int) -> NDArray[Any]:
        datasets = self._file[group]
        shape = (stop - start,) if column.width == 1 else (stop - start, column.width)
        if column.since > 1 and column.name not in datasets:
            kind = "S1" if column.kind == "text" else column.kind
            return np.full(shape, missing(column), dtype=kind)
        values = datasets[column.name][start:stop]
        if values.shape != shape:
            raise damaged(
                self.path, f"column {group}/{column.name} does not fit the others of its group"
            )
        if column.kind != "text":
            return np.asarray(values, dtype=column.kind)
        if values.dtype.kind != "S":
            raise damaged(self.path, f"column {group}/{column.name} holds no text")
        return np.asarray(values)
