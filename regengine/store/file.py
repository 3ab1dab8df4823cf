"""One file of a store: read in stretches of frames, written row by row, chunk by chunk."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from regengine.io.atomic import replacements
from regengine.store.hdf5 import (
    CHUNK_ROWS,
    LIBVER,
    create_column,
    create_groups,
    damage_told,
    damaged,
    open_store,
)
from regengine.store.rows import Selection, Table, Tables, missing
from regengine.store.schema import COLUMNS, FORMAT_VERSION, GROUPS, TEXT_COLUMNS, Column

PIECE_ROWS = 16 * CHUNK_ROWS  # read at a time where chunks cannot be taken as they are
GROWN_BYTES = 1 << 22  # smaller files are written anew as fast, and without holes
MOST_UNUSED = 1.25  # size of a file that may be grown, over that of its columns


def photo_file(text: str, store: Path) -> Path | None:
    """Where a photo of a store lies, a regular file, if it is still there.

    The path is as the store has it: any text. Web addresses are not followed.
    """
    for path in (Path(text), store.absolute().parent / text):
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # too long for a name, say
            continue
    return None


class StoreFile:
    """A store, or one part of it, open for reading.

    Only ``frame_index``, the numbers of its frames, ascending, is held in memory. Columns that an
    older format does not have are filled with what stands for a missing value. ``attributes`` are
    those of the root beside ``format`` and ``format_version``. StoreError, of every method, too, if
    the file is no store, damaged, or of a newer format.
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._datasets.clear()
        self._file.close()

    def column(
        self, group: str, name: str, start: int = 0, stop: int | None = None
    ) -> NDArray[Any]:
        """Rows of one column, shape (rows,) or (rows, width); texts are bytes of fixed length."""
        with damage_told(self.path):
            return self._read(
                COLUMNS[group, name], group, start, self.rows(group) if stop is None else stop
            )

    def rows(self, group: str, name: str = "frame_index") -> int:
        """Number of rows of a group, as one of its columns has it."""
        with damage_told(self.path):
            return int(self._dataset(group, name).shape[0])

    def text_lengths(self) -> dict[tuple[str, str], int]:
        """Bytes that each text column gives to a text, by group and column."""
        with damage_told(self.path):
            return {
                (group, name): self._dataset(group, name).dtype.itemsize
                for group, name in TEXT_COLUMNS
                if name in self._file[group]
            }

    def can_grow(self, text_lengths: Mapping[tuple[str, str], int]) -> bool:
        """Whether a copy of the file can be gone on with, see `GrowingStore.grown`.

        It is to have all columns, with room for texts of such lengths, and little room unused: what
        is written anew in a copy leaves holes.
        """
        used = 0
        with damage_told(self.path):
            for (group, name), column in COLUMNS.items():
                dataset = self._file[group].get(name)
                if dataset is None or dataset.chunks is None or dataset.chunks[0] != CHUNK_ROWS:
                    return False
                length = text_lengths.get((group, name), 0)
                if column.dtype == "text" and dataset.dtype.itemsize < length:
                    return False
                used += dataset.id.get_storage_size()
            return int(self._file.attrs["format_version"]) == FORMAT_VERSION and (
                GROWN_BYTES < self.path.stat().st_size < MOST_UNUSED * used
            )

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
        """Rows of the frames ``first <= frame_index < beyond``; texts are bytes of fixed length."""
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
            dtype = "S1" if column.dtype == "text" else column.dtype
            return np.full(shape, missing(column), dtype=dtype)
        dataset = self._dataset(group, column.name)
        if dataset.shape[0] < stop or dataset.shape[1:] != shape[1:]:
            raise damaged(
                self.path, f"column {group}/{column.name} does not fit the others of its group"
            )
        values = np.empty(shape, dtype=dataset.dtype)
        if (column.dtype == "text") != (values.dtype.kind == "S"):
            raise damaged(self.path, f"column {group}/{column.name} is not of its kind")
        if values.size:
            # As h5py's own slicing does it, in a tenth of its time: columns are many, parts small
            rows = dataset.get_space()
            rows.select_hyperslab((start, *(0 for _ in shape[1:])), shape)
            dataset.read(h5py.h5s.create_simple(shape), rows, values)
        return values if column.dtype == "text" else values.astype(column.dtype, copy=False)

    def _dataset(self, group: str, name: str) -> h5py.h5d.DatasetID:
        key = f"{group}/{name}"
        if key not in self._datasets:
            self._datasets[key] = h5py.h5d.open(self._file.id, key.encode())
        return self._datasets[key]


class GrowingStore:
    """Writes the rows of a store in their order; at most some chunks of it are in memory.

    ``attributes`` are those of the root beside ``format`` and ``format_version``; ``text_lengths``
    are the bytes that hold every text of each text column, by group and column. OSError, of every
    method, too, if the disk is full or the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        attributes: Mapping[str, str],
        text_lengths: Mapping[tuple[str, str], int],
    ) -> None:
        # Chunks are written once and whole: a cache of them would only take memory
        self._file = h5py.File(path, "w", libver=LIBVER, rdcc_nbytes=0)
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

    @classmethod
    def grown(
        cls, path: Path, store: StoreFile, first: int, attributes: Mapping[str, str]
    ) -> GrowingStore:
        """A copy of a store, to go on behind its frames ``frame_index < first``.

        The file is copied as it is: no column is read, but for the last rows of each, so that it
        takes no longer for many frames than copying a file does. See `can_grow`.
        """
        shutil.copyfile(store.path, path)
        growing = cls.__new__(cls)
        growing._file = h5py.File(path, "r+", libver=LIBVER, rdcc_nbytes=0)
        growing._file.attrs.update(attributes)
        growing._datasets, growing._waiting = {}, {}
        for group, columns in GROUPS.items():
            datasets = {column.name: growing._file[group][column.name] for column in columns}
            rows = store.row_of(group, first)
            whole = rows - rows % CHUNK_ROWS
            growing._waiting[group] = store.table(group, whole, rows)
            growing._datasets[group] = datasets
            for dataset in datasets.values():
                dataset.resize(whole, axis=0)
        return growing

    def __enter__(self) -> GrowingStore:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        """Write what is left, and make the file complete."""
        try:
            if error is None:
                for group, table in self._waiting.items():
                    self._write(group, table)
        finally:
            self._datasets.clear()
            self._file.close()

    def append(self, tables: Tables) -> None:
        """Add rows to all groups; texts are bytes."""
        for group, table in tables.items():
            self._append(group, table)

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


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Raise what the system refused HDF5, which tells it in long sentences, as plain OSError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


@contextmanager
def growing(
    path: Path,
    store: StoreFile | None,
    numbers: NDArray[np.int64],
    changed: NDArray[np.bool_],
    attributes: Mapping[str, str],
    text_lengths: Mapping[tuple[str, str], int],
) -> Iterator[tuple[GrowingStore, int]]:
    """A store of these frames, which takes its place at the end of the block, and where to begin.

    Where an old ``store`` begins with most of them as they are, these are copied already.
    """
    first = int(np.argmax(changed)) if changed.any() else len(numbers)
    beyond = np.append(numbers, numbers[-1:] + 1)
    with replacements((path,), ending=".tmp") as (new,), _disk_errors():
        if store is not None and 2 * first >= len(numbers) and store.can_grow(text_lengths):
            output = GrowingStore.grown(new, store, int(beyond[first]), attributes)
        else:
            first, output = 0, GrowingStore(new, attributes, text_lengths)
        with output:
            yield output, first
