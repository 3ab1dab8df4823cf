"""Read and write one HDF5 file of a store, in blocks of frames, and check that it is one."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from regengine.errors import FrameError, StoreError
from regengine.io.atomic import provide_replacements
from regengine.io.checksums import compute_sha256_once
from regengine.io.decoding import open_regular
from regengine.io.hdf5 import HDF5_SIGNATURE, heaps_end, open_hdf5
from regengine.io.plain import restore_bytes
from regengine.store.result import Column
from regengine.store.rows import (
    COLUMNS,
    FORMAT,
    FORMAT_VERSION,
    GROUP_DESCRIPTIONS,
    GROUPS,
    TEXT_COLUMNS,
    Selection,
    Table,
    Tables,
)

# Readable by HDF5 1.10 and later (2016). Its metadata has checksums, so that damage is detected.
# Damaged metadata of older formats sends the library into endless loops and beyond its memory.
LIBVER = ("v110", "v110")
CHUNK_ROWS = 1024  # 8 kB of float64
# Exceptions when reading a file whose bytes are damaged
DAMAGE = (
    OSError, LookupError, ValueError, RuntimeError, TypeError, AttributeError, ArithmeticError,
    MemoryError,
)  # fmt: skip
PIECE_ROWS = 16 * CHUNK_ROWS  # read at a time if chunks cannot be copied directly


def _create_column(group: h5py.Group, column: Column, length: int) -> h5py.Dataset:
    """Create the empty dataset of a column; ``length`` is that of a text, in bytes."""
    row = () if column.width == 1 else (column.width,)
    is_text = column.dtype == "text"
    dataset = group.create_dataset(
        column.name,
        shape=(0, *row),
        dtype=h5py.string_dtype("utf-8", max(1, length)) if is_text else column.dtype,
        # Resizable and of fixed-length text: PyTables opens neither empty fixed-size datasets nor
        # text of variable length.
        maxshape=(None, *row),
        chunks=(CHUNK_ROWS, *row),
        compression="gzip",
        shuffle=not is_text,
        fletcher32=True,  # a flipped bit on the disk is detected when it is read
    )
    dataset.attrs["units"] = column.units
    dataset.attrs["description"] = column.description
    dataset.attrs["volatile"] = np.uint8(column.volatile)
    return dataset


def _extend(dataset: h5py.Dataset, data: NDArray[Any]) -> None:
    """Append rows to a column."""
    if len(data) == 0:
        return
    start = len(dataset)
    dataset.resize(start + len(data), axis=0)
    # HDF5 does not convert between character sets of text: the type must be the same
    values = np.empty(data.shape, dtype=dataset.dtype)
    values[...] = data
    dataset[start:] = values


def open_store(path: Path) -> h5py.File:
    """Open a store, or one part of it, for reading, if this version can read it.

    Raises StoreError, with ``code="store_busy"`` if another program has it open for writing.
    """
    try:
        with open_regular(path) as stream:
            # The attributes of a store are written first, their heaps soon after
            start = stream.read(1 << 20)
    except FrameError as error:
        raise StoreError(f"{error}.") from error
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({_short(error)}): check its permissions."
        ) from error
    if not start.startswith(HDF5_SIGNATURE):
        raise _foreign(path, "it is not an HDF5 file")
    if not heaps_end(start):
        raise make_damage_error(path, "its attributes of text are damaged")
    try:
        # Chunks are read once and whole: a cache in each of eighty columns would only use memory
        file = open_hdf5(path, partial(StoreError, code="store_busy"), rdcc_nbytes=0)
    except StoreError:
        raise
    except (OSError, RuntimeError) as error:
        raise make_damage_error(path, f"HDF5 cannot open it: {_short(error)}") from error
    try:
        with raise_as_damage(path):
            name = file.attrs.get("format")
            lost = name is None and all(file.id.links.exists(group.encode()) for group in GROUPS)
        if lost:
            raise make_damage_error(path, "its attributes are missing")
        if name != FORMAT:
            raise _foreign(path, "it is an HDF5 file of another program")
        with raise_as_damage(path):
            check_format(path, int(file.attrs["format_version"]))
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def raise_as_damage(path: Path) -> Iterator[None]:
    """Raise errors of HDF5 and NumPy about a broken file as a StoreError of one sentence."""
    try:
        yield
    except StoreError:
        raise
    except DAMAGE as error:
        raise make_damage_error(path, _short(error)) from error


def check_format(
    path: Path,
    version: int,
    read: int = FORMAT_VERSION,
    todo: str = "register its photos again, into another store",
) -> None:
    """Refuse a file of another format version than the one that is read: StoreError."""
    if version == read:
        return
    code, by = "store_older", "an older"
    if version > read:
        code, by, todo = "store_newer", "a newer", "upgrade regengine, or name another store"
    why = f"format version {version}, this one reads {read} alone"
    raise StoreError(f"{path} was written by {by} regengine ({why}): {todo}.", code=code)


def make_damage_error(path: Path, why: str) -> StoreError:
    """Return the error for a store whose content is inconsistent."""
    return StoreError(
        f"{path} is a damaged store ({why}): restore it from a copy, or name another store.",
        code="store_damaged",
    )


def _foreign(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is not a regengine store ({why}) and was not changed: name another store.",
        code="store_foreign",
    )


def _short(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def photo_file(text: str, store: Path, sha256: str = "", folder: Path | None = None) -> Path | None:
    """Return the path of a stored photo if it still exists as a regular file.

    The stored path can be any text; web addresses are not followed. A relative one begins from the
    present folder, the store's, or one in which a run of the store began: of several files, that
    with the hash ``sha256`` is taken. A photo that has moved is found by its name and hash:
    anywhere in ``folder``, or beside the store or above it, with or without its own folders.
    """
    text = restore_bytes(text)
    names = [name for name in Path(text).parts if name not in ("/", "..")]
    beside = store.absolute().parent
    if folder is not None and names:
        for path in _list_by_name(folder.absolute()).get(names[-1], ()):
            if _has_hash(path, sha256):
                return path
    if os.path.isabs(text):
        known = {Path(text)}
    else:
        known = {folder / text for folder in (beside, *_run_folders(store))}
    paths = [path for path in (Path(text), *sorted(known)) if os.path.isfile(path)]
    found = {path.absolute() for path in paths}
    # Content is read where the name leaves a choice, or the present folder alone has it
    if not sha256 or (len(found) == 1 and found <= known):
        return next(iter(paths), None)
    ends = [names[first:] for first in range(len(names))]
    moved = (above.joinpath(*end) for above in (beside, *beside.parents) for end in ends)
    for path in (*paths, *filter(os.path.isfile, moved)):
        if _has_hash(path, sha256):
            return path
    return next(iter(paths), None)


def _run_folders(store: Path) -> tuple[Path, ...]:
    """Folders in which the runs of a store began; empty if it cannot be read."""
    with suppress(OSError):
        return _read_run_folders(store.absolute(), store.stat().st_mtime_ns)
    return ()


@lru_cache(maxsize=16)
def _read_run_folders(store: Path, modified_ns: int) -> tuple[Path, ...]:
    with open_store(store) as file:
        return tuple(map(Path, decode_folders(file.attrs)))


def decode_folders(attributes: Mapping[str, Any]) -> list[str]:
    """Return the folders in which runs began, by a store's or journal's root attributes."""
    with suppress(*DAMAGE):
        return [str(folder) for folder in json.loads(attributes.get("folders", "[]"))]
    return []


@lru_cache(maxsize=1)
def _list_by_name(folder: Path) -> dict[str, list[Path]]:
    """Files of a folder and its subfolders by their names."""
    found: dict[str, list[Path]] = {}
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            found.setdefault(name, []).append(Path(parent, name))
    return found


def _has_hash(path: Path, sha256: str) -> bool:
    with suppress(OSError):
        return compute_sha256_once(path) == sha256
    return False


class StoreFile(AbstractContextManager["StoreFile"]):
    """A store, or one part of it, open for reading.

    Only ``frame_index``, the ascending frame numbers, is kept in memory. ``attributes`` are the
    root attributes except ``format`` and ``format_version``. Every method raises StoreError if the
    file is not a store, is damaged, or has another format version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_store(path)
        self._datasets: dict[str, h5py.h5d.DatasetID] = {}
        try:
            with raise_as_damage(path):
                self.attributes = {
                    name: value
                    for name, value in self._file.attrs.items()
                    if isinstance(value, str) and name != "format"
                }
                self.frame_index: NDArray[np.int64] = self.column("frames", "frame_index")
            if (np.diff(self.frame_index) <= 0).any():
                raise make_damage_error(path, "its frames are out of order")
        except BaseException:
            self._file.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._datasets.clear()
        self._file.close()

    def column(
        self, group: str, name: str, start: int = 0, stop: int | None = None
    ) -> NDArray[Any]:
        """Return rows of a column, shape (rows,) or (rows, width); texts are bytes."""
        with raise_as_damage(self.path):
            return self._read(
                COLUMNS[group, name], group, start, self.rows(group) if stop is None else stop
            )

    def rows(self, group: str) -> int:
        """Return the number of rows of a group."""
        with raise_as_damage(self.path):
            return int(self._dataset(group, "frame_index").shape[0])

    def text_lengths(self) -> dict[tuple[str, str], int]:
        """Return the length in bytes of each text column, by group and column."""
        with raise_as_damage(self.path):
            return {
                (group, name): self._dataset(group, name).dtype.itemsize
                for group, name in TEXT_COLUMNS
            }

    def can_grow(self, text_lengths: Mapping[tuple[str, str], int]) -> bool:
        """Whether a copy of the file can be extended, see `open_growing`.

        The file must have space for texts of the given lengths, and little unused space: data
        rewritten in a copy leaves unused space.
        """
        used = 0
        with raise_as_damage(self.path):
            for (group, name), column in COLUMNS.items():
                dataset = self._file[group][name]
                if dataset.chunks is None or dataset.chunks[0] != CHUNK_ROWS:
                    return False
                length = text_lengths.get((group, name), 0)
                if column.dtype == "text" and dataset.dtype.itemsize < length:
                    return False
                used += dataset.id.get_storage_size()
            # Smaller files are rewritten as fast, and without unused space
            return 1 << 22 < self.path.stat().st_size < 1.25 * used

    def row_of(self, group: str, frame_index: int) -> int:
        """Return the first row of a group whose frame has at least this number.

        A binary search: a column of any length needs only a few reads.
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
        """Return rows of the frames ``first <= frame_index < beyond``; texts are bytes."""
        return {
            group: self.table(group, self.row_of(group, first), self.row_of(group, beyond), columns)
            for group, columns in groups.items()
        }

    def table(
        self, group: str, start: int, stop: int, columns: Sequence[Column] | None = None
    ) -> Table:
        """Return rows of a group by their position in the file."""
        wanted = GROUPS[group] if columns is None else columns
        with raise_as_damage(self.path):
            return {column.name: self._read(column, group, start, stop) for column in wanted}

    def _read(self, column: Column, group: str, start: int, stop: int) -> NDArray[Any]:
        shape = (stop - start,) if column.width == 1 else (stop - start, column.width)
        dataset = self._dataset(group, column.name)
        if dataset.shape[0] < stop or dataset.shape[1:] != shape[1:]:
            raise make_damage_error(
                self.path,
                f"the length of column {group}/{column.name} differs from the others of its group",
            )
        values = np.empty(shape, dtype=dataset.dtype)
        if (column.dtype == "text") != (values.dtype.kind == "S"):
            raise make_damage_error(self.path, f"column {group}/{column.name} has the wrong type")
        if values.size:
            # Like h5py's own slicing, in a tenth of its time: there are many columns with small
            # parts
            rows = dataset.get_space()
            rows.select_hyperslab((start, *(0 for _ in shape[1:])), shape)
            dataset.read(h5py.h5s.create_simple(shape), rows, values)
        return values if column.dtype == "text" else values.astype(column.dtype, copy=False)

    def _dataset(self, group: str, name: str) -> h5py.h5d.DatasetID:
        key = f"{group}/{name}"
        if key not in self._datasets:
            self._datasets[key] = h5py.h5d.open(self._file.id, key.encode())
        return self._datasets[key]


@contextmanager
def _raise_disk_errors() -> Iterator[None]:
    """Raise system errors, which HDF5 reports in long sentences, as plain OSError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


@contextmanager
def open_growing(
    path: Path,
    attributes: Mapping[str, str],
    text_lengths: Mapping[tuple[str, str], int],
    *,
    store: StoreFile | None = None,
    first: int = 0,
) -> Iterator[Callable[[Tables], None]]:
    """Provide the function that appends rows, texts as bytes, to a store that replaces ``path``.

    Rows come in order; at most a few chunks are in memory. ``attributes`` are the root attributes
    except ``format`` and ``format_version``. ``text_lengths`` are the lengths in bytes that every
    text of a column fits into, by group and column. If an old ``store`` is given, the file is a
    copy of it, which is extended after its frames ``frame_index < first``. Only the last rows of
    each column are then read, so that the time is that of a file copy, for any number of frames;
    see `StoreFile.can_grow`. Raises OSError if the disk is full or the file cannot be written.
    """
    with provide_replacements((path,), ending=".tmp") as (new,), _raise_disk_errors():
        if store is not None:
            shutil.copyfile(store.path, new)
        mode = "w" if store is None else "r+"
        # Chunks are written once and whole: a cache would only use memory
        with h5py.File(new, mode, libver=LIBVER, rdcc_nbytes=0) as file:
            own = {"format": FORMAT, "format_version": FORMAT_VERSION} if store is None else {}
            file.attrs.update({**own, **attributes})
            waiting: Tables = {group: {} for group in GROUPS}  # rows of chunks that are not full
            for group, columns in GROUPS.items():
                if store is None:
                    file.create_group(group).attrs["description"] = GROUP_DESCRIPTIONS[group]
                    for column in columns:
                        length = text_lengths.get((group, column.name), 0)
                        dataset = _create_column(file[group], column, length)
                        waiting[group][column.name] = dataset[:]
                else:
                    rows = store.row_of(group, first)
                    whole = rows - rows % CHUNK_ROWS
                    waiting[group] = store.table(group, whole, rows)
                    for column in columns:
                        file[group][column.name].resize(whole, axis=0)

            def append(tables: Tables) -> None:
                for group, table in tables.items():
                    for name, left in waiting[group].items():
                        values = np.concatenate([left, table[name]])
                        full = len(values) - len(values) % CHUNK_ROWS
                        _extend(file[group][name], values[:full])
                        # A copy: a slice would keep the whole array in memory
                        waiting[group][name] = values[full:].copy()

            yield append
            for group, table in waiting.items():
                for name, values in table.items():
                    _extend(file[group][name], values)
