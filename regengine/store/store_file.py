"""One file of a store, read in stretches of frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from regengine.store.hdf5 import CHUNK_ROWS, damage_told, damaged, open_store
from regengine.store.schema import COLUMNS, GROUPS, TEXT_COLUMNS, Column
from regengine.store.tables import Selection, Table, Tables, missing


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
        self._datasets: dict[str, h5py.h5d.DatasetID] = {}
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
        self._datasets.clear()
        self._file.close()

    def column(
        self, group: str, name: str, start: int = 0, stop: int | None = None
    ) -> NDArray[Any]:
        """Rows of one column; texts are bytes of a fixed length.

        Returns
        -------
        ndarray, shape (rows,) or (rows, width)
        """
        with damage_told(self.path):
            return self._read(
                COLUMNS[group, name], group, start, self.rows(group) if stop is None else stop
            )

    def rows(self, group: str) -> int:
        """Number of rows of a group."""
        with damage_told(self.path):
            return int(self._dataset(group, "frame_index").shape[0])

    def text_lengths(self) -> dict[tuple[str, str], int]:
        """Bytes that each text column gives to a text, by group and column."""
        with damage_told(self.path):
            return {
                (group, name): self._dataset(group, name).dtype.itemsize
                for group, name in TEXT_COLUMNS
                if name in self._file[group]
            }

    def whole_chunks(
        self, group: str, name: str, like: h5py.Dataset, start: int, stop: int
    ) -> Iterator[bytes]:
        """Chunks of a column as they lie in the file, compressed.

        Parameters
        ----------
        group, name : str
            The column.
        like : h5py.Dataset
            A dataset that the chunks should fit into.
        start, stop : int
            Rows, multiples of `CHUNK_ROWS`.

        Yields
        ------
        bytes
            Nothing more from the first chunk on that does not fit.
        """
        with damage_told(self.path):
            dataset = self._file[group].get(name)
            if dataset is None or _layout(dataset) != _layout(like):
                return
            rest = (0,) * (dataset.ndim - 1)
            for row in range(start, stop, CHUNK_ROWS):
                skipped_filters, chunk = dataset.id.read_direct_chunk((row, *rest))
                if skipped_filters:
                    return
                yield chunk

    def row_of(self, group: str, frame_index: int) -> int:
        """The first row of a group that belongs to a frame of at least this number.

        Found by halving, so that a column of any length costs a few reads.
        """
        if group == "frames":
            return int(np.searchsorted(self.frame_index, frame_index))
        low, high = 0, self.rows(group)
        while high - low > CHUNK_ROWS:
            middle = (low + high) // 2
            if self.column(group, "frame_index", middle, middle + 1)[0] < frame_index:
                low = middle + 1
            else:
                high = middle
        column = self.column(group, "frame_index", low, high)
        return low + int(np.searchsorted(column, frame_index))

    def tables(self, first: int, beyond: int, groups: Selection = GROUPS) -> Tables:
        """Rows of the frames of a stretch.

        Parameters
        ----------
        first, beyond : int
            The stretch holds frames of the numbers ``first <= frame_index < beyond``.
        groups : mapping, optional
            The columns to read, by group.

        Returns
        -------
        dict
            Tables whose texts are bytes of a fixed length.
        """
        return {
            group: self.table(group, self.row_of(group, first), self.row_of(group, beyond), columns)
            for group, columns in groups.items()
        }

    def table(
        self, group: str, start: int, stop: int, columns: Sequence[Column] | None = None
    ) -> Table:
        """Rows of a group by their place in the file."""
        wanted = GROUPS[group] if columns is None else columns
        with damage_told(self.path):
            return {column.name: self._read(column, group, start, stop) for column in wanted}

    def _read(self, column: Column, group: str, start: int, stop: int) -> NDArray[Any]:
        shape = (stop - start,) if column.width == 1 else (stop - start, column.width)
        if column.since > 1 and column.name not in self._file[group]:
            kind = "S1" if column.kind == "text" else column.kind
            return np.full(shape, missing(column), dtype=kind)
        dataset = self._dataset(group, column.name)
        if dataset.shape[0] < stop or dataset.shape[1:] != shape[1:]:
            raise damaged(
                self.path, f"column {group}/{column.name} does not fit the others of its group"
            )
        values = np.empty(shape, dtype=dataset.dtype)
        if (column.kind == "text") != (values.dtype.kind == "S"):
            raise damaged(self.path, f"column {group}/{column.name} is not of its kind")
        if values.size:
            # As h5py's own slicing does it, in a tenth of its time: columns are many, parts small
            rows = dataset.get_space()
            rows.select_hyperslab((start, *(0 for _ in shape[1:])), shape)
            dataset.read(h5py.h5s.create_simple(shape), rows, values)
        return values if column.kind == "text" else values.astype(column.kind, copy=False)

    def _dataset(self, group: str, name: str) -> h5py.h5d.DatasetID:
        key = f"{group}/{name}"
        if key not in self._datasets:
            self._datasets[key] = h5py.h5d.open(self._file.id, key.encode())
        return self._datasets[key]


def _layout(dataset: h5py.Dataset) -> tuple[Any, ...]:
    """What two datasets must share for the chunks of one to be chunks of the other."""
    creation = dataset.id.get_create_plist()
    filters = [creation.get_filter(number) for number in range(creation.get_nfilters())]
    return (dataset.id.get_type(), dataset.chunks, dataset.shape[1:], filters)
