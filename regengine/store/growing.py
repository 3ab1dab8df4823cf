"""A store's file that grows row by row, chunk by chunk."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import TracebackType

import h5py
import numpy as np

from regengine.store.hdf5 import CHUNK_ROWS, LIBVER, create_column, create_groups
from regengine.store.held_errors import HeldErrors
from regengine.store.schema import GROUPS
from regengine.store.store_file import StoreFile
from regengine.store.tables import Table, Tables

PIECE_ROWS = 16 * CHUNK_ROWS  # read at a time where chunks cannot be taken as they are


class GrowingStore:
    """Writes the rows of a store in their order; at most some chunks of it are in memory.

    Parameters
    ----------
    stream : raw binary file
        Open for reading and writing, empty.
    attributes : mapping of str to str
        Root attributes beside ``format`` and ``format_version``.
    text_lengths : mapping
        Bytes that hold every text of each text column, by group and column.

    Raises
    ------
    OSError
        If the disk is full, or the file cannot be written; of every method, too.
    """

    def __init__(
        self,
        stream: io.FileIO,
        attributes: Mapping[str, str],
        text_lengths: Mapping[tuple[str, str], int],
    ) -> None:
        self._disk = HeldErrors(stream)
        # Chunks are written once and whole: a cache of them would only take memory
        self._file = h5py.File(self._disk, "w", libver=LIBVER, rdcc_nbytes=0)
        self._datasets: dict[str, dict[str, h5py.Dataset]] = {}
        self._waiting: dict[str, Table] = {}
        for group, columns in create_groups(self._file, attributes):
            name = group.name[1:]
            self._datasets[name] = {
                column.name: create_column(group, column, text_lengths.get((name, column.name), 0))
                for column in columns
            }
            self._waiting[name] = {
                column: dataset[:0] for column, dataset in self._datasets[name].items()
            }
        self._disk.check()

    def __enter__(self) -> GrowingStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what is left, and make the file complete."""
        try:
            if error is None:
                for group, table in self._waiting.items():
                    self._write(group, table)
        finally:
            self._datasets.clear()
            self._file.close()
        if error is None:
            self._disk.check()

    def append(self, tables: Tables) -> None:
        """Add rows to all groups; texts are bytes."""
        for group, table in tables.items():
            self._append(group, table)

    def copy(self, store: StoreFile, first: int, beyond: int) -> None:
        """Add the frames ``first <= frame_index < beyond`` of another store as they are.

        Chunks that come to lie as they did are not even decompressed.
        """
        for group in GROUPS:
            start, stop = store.row_of(group, first), store.row_of(group, beyond)
            # Up to the end of a chunk of ours, whole chunks, and the rest
            ready = min(start + -self._rows(group) % CHUNK_ROWS, stop)
            self._append_rows(store, group, start, ready)
            if ready % CHUNK_ROWS == 0:
                end = stop - stop % CHUNK_ROWS
                if end > ready:
                    self._copy_chunks(store, group, ready, end)
                    ready = end
            self._append_rows(store, group, ready, stop)

    def _rows(self, group: str) -> int:
        written = len(self._datasets[group]["frame_index"])
        return written + len(self._waiting[group]["frame_index"])

    def _append_rows(self, store: StoreFile, group: str, start: int, stop: int) -> None:
        for piece in range(start, stop, PIECE_ROWS):
            self._append(group, store.table(group, piece, min(piece + PIECE_ROWS, stop)))

    def _append(self, group: str, table: Table) -> None:
        waiting = self._waiting[group]
        whole = {name: np.concatenate([waiting[name], table[name]]) for name in waiting}
        rows = len(whole["frame_index"])
        full = rows - rows % CHUNK_ROWS
        self._write(group, {name: array[:full] for name, array in whole.items()})
        # Copies: a slice would keep the whole alive
        self._waiting[group] = {name: array[full:].copy() for name, array in whole.items()}

    def _write(self, group: str, table: Table) -> None:
        rows = len(table["frame_index"])
        if rows == 0:
            return
        for name, dataset in self._datasets[group].items():
            start = len(dataset)
            dataset.resize(start + rows, axis=0)
            # HDF5 converts no text of one character set to another: the type must be the same
            values = np.empty(table[name].shape, dtype=dataset.dtype)
            values[...] = table[name]
            dataset[start:] = values
            self._disk.check()

    def _copy_chunks(self, store: StoreFile, group: str, start: int, stop: int) -> None:
        """Add whole chunks; nothing waits to be written."""
        for name, dataset in self._datasets[group].items():
            at = len(dataset)
            dataset.resize(at + stop - start, axis=0)
            rest = (0,) * (dataset.ndim - 1)
            row = start
            for chunk in store.whole_chunks(group, name, dataset, start, stop):
                dataset.id.write_direct_chunk((at + row - start, *rest), chunk)
                row += CHUNK_ROWS
            self._disk.check()
            for piece in range(row, stop, PIECE_ROWS):
                end = min(piece + PIECE_ROWS, stop)
                values = np.empty((end - piece, *dataset.shape[1:]), dtype=dataset.dtype)
                values[...] = store.column(group, name, piece, end)
                dataset[at + piece - start : at + end - start] = values
                self._disk.check()
