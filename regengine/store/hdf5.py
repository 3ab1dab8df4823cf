"""The HDF5 side of a store: how its file is laid out, and which files are accepted as one."""

from __future__ import annotations

import io
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from regengine.errors import StoreError
from regengine.store.rows import Tables
from regengine.store.schema import FORMAT, FORMAT_VERSION, GROUP_DESCRIPTIONS, GROUPS, Column

# HDF5 1.10 and later read it (2016). Its bookkeeping has check sums: damage there is told, where
# that of older formats sends the library into endless loops and other programs' memory.
LIBVER = ("v110", "v110")
CHUNK_ROWS = 1024  # 8 kB of float64: a part of 64 frames stays small, a column compresses well
# What reading a file raises whose bytes are not what was written
DAMAGE = (
    OSError,
    LookupError,
    ValueError,
    RuntimeError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)
_images = count()
SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification 3.0, section II.A
Bytes: TypeAlias = bytes | bytearray | memoryview


def encode(tables: Tables, attributes: Mapping[str, str]) -> bytes:
    """The content of a store file.

    The file is built in memory, so that a full disk can never leave half a file inside the
    HDF5 library; the caller writes the bytes. ``attributes`` are those of the root beside
    ``format`` and ``format_version``.
    """
    # HDF5 takes two files in memory of one name for one file, in other threads, too
    name = f"image {next(_images)}"
    with h5py.File(name, "w", driver="core", backing_store=False, libver=LIBVER) as file:
        for group, columns in create_groups(file, attributes):
            for column in columns:
                values = tables[group.name[1:]][column.name]
                data = _text_bytes(values) if column.dtype == "text" else values
                create_column(group, column, data.dtype.itemsize, data)
        file.flush()
        return bytes(file.id.get_file_image())


def create_groups(
    file: h5py.File, attributes: Mapping[str, str]
) -> Iterator[tuple[h5py.Group, tuple[Column, ...]]]:
    """Write the root attributes and make the groups, each with the columns that it should get."""
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    for name, value in attributes.items():
        file.attrs[name] = value
    for name, columns in GROUPS.items():
        group = file.create_group(name)
        group.attrs["description"] = GROUP_DESCRIPTIONS[name]
        yield group, columns


def open_store(path: Path) -> h5py.File:
    """Open a store, or one part of it, for reading, if this version can read it."""
    try:
        with path.open("rb") as stream:
            start = stream.read(SEARCHED_BYTES)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({_short(error)}): check its permissions."
        ) from error
    if not start.startswith(SIGNATURE):
        raise _foreign(path, "it is no HDF5 file")
    if not heaps_sound(start):
        raise damaged(path, "the texts of its attributes are no chain")
    try:
        # Chunks are read once and whole: a cache in each of eighty columns would only take memory
        file = h5py.File(path, "r", rdcc_nbytes=0)
    except (OSError, RuntimeError) as error:
        raise damaged(path, f"HDF5 cannot open it: {_short(error)}") from error
    try:
        _check_format(path, file)
    except BaseException:
        file.close()
        raise
    return file


def check(path: Path) -> None:
    """StoreError unless a file, which is only opened for reading, is a store that we can read."""
    open_store(path).close()


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what HDF5 and NumPy say of a broken file into one sentence, a StoreError."""
    try:
        yield
    except StoreError:
        raise
    except DAMAGE as error:
        raise damaged(path, _short(error)) from error


def damaged(path: Path, why: str) -> StoreError:
    """The error for a store whose content makes no sense."""
    return StoreError(
        f"{path} is a damaged store ({why}): restore it from a copy, save what is whole with "
        "regengine verify --salvage, or name another file with --store.",
        code="store_damaged",
    )


def create_column(group: h5py.Group, column: Column, length: int, data: Any = None) -> h5py.Dataset:
    """Make a column's dataset."""
    row = () if column.width == 1 else (column.width,)
    # The rest of a part's only chunk would be packed and unpacked for nothing
    chunk_rows = CHUNK_ROWS if data is None else min(max(len(data), 1), CHUNK_ROWS)
    dataset = group.create_dataset(
        column.name,
        data=data,
        shape=(0, *row) if data is None else data.shape,
        dtype=column_type(column, length),
        # Open-ended and of fixed-length text: PyTables opens neither empty fixed-size datasets
        # nor text of variable length.
        maxshape=(None, *row),
        chunks=(chunk_rows, *row),
        compression="gzip",
        shuffle=column.dtype != "text",
        fletcher32=True,  # a bit that flips on the disk is noticed when it is read
    )
    dataset.attrs["units"] = column.units
    dataset.attrs["description"] = column.description
    dataset.attrs["volatile"] = np.uint8(column.volatile)
    return dataset


def column_type(column: Column, length: int) -> np.dtype[Any]:
    """Type of a column's dataset; ``length`` is that of a text, in bytes."""
    if column.dtype == "text":
        return h5py.string_dtype("utf-8", max(1, length))
    return np.dtype(column.dtype)


def _check_format(path: Path, file: h5py.File) -> None:
    with damage_told(path):
        name, version = file.attrs.get("format"), int(file.attrs.get("format_version", 0))
        lost = name is None and all(file.id.links.exists(group.encode()) for group in GROUPS)
    if lost:
        raise damaged(path, "its attributes are lost")
    if name != FORMAT:
        raise _foreign(path, "it is an HDF5 file of another program")
    if version > FORMAT_VERSION:
        raise StoreError(
            f"{path} was written by a newer regengine (format version {version}, this one "
            f"knows up to {FORMAT_VERSION}): upgrade regengine, or name another file with --store.",
            code="store_newer",
        )


def _foreign(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is not a regengine store ({why}) and was left untouched: "
        "name another file with --store.",
        code="store_foreign",
    )


def _text_bytes(values: NDArray[Any]) -> NDArray[Any]:
    encoded = [value.encode("utf-8") for value in values]
    length = max([1, *(len(value) for value in encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", length))


def _short(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())


# Whether the texts of a file's attributes can be walked through, before HDF5 tries: where they are
# no chain, the library never comes to an end.

HEAP_SIGNATURE = b"GCOL\x01"
_RESERVED = b"\0\0\0"  # behind it; HDF5 does not look at them
_BEYOND_FILES = 1 << 40  # bytes: what claims to be larger are values that look like a heap
SEARCHED_BYTES = 1 << 20  # of a store: its attributes are written first, their heaps soon after
_HEAD = 16  # bytes: signature and version, size of the heap
_ENTRY = 16  # bytes: index, references, reserved, size of the text
# Size of the heap, and head of an entry, by the bytes that the file's lengths have
_FORMS = {
    4: (struct.Struct("<I"), struct.Struct("<HHII")),
    8: (struct.Struct("<Q"), struct.Struct("<HHIQ")),
}


def file_heaps_sound(path: Path) -> bool:
    """Whether all global heaps of an HDF5 file can be walked through.

    It is searched whole, a matter of milliseconds for tens of megabytes. Raises OSError.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return heaps_sound(data)


def heaps_sound(data: bytes | mmap.mmap) -> bool:
    """Whether all global heaps in the first bytes of a file can be walked through."""
    # Sections II.A.1 to 3: where a superblock says how long the lengths in the file are
    at = 14 if data[8:9] < b"\x02" else 10
    lengths = data[at] if len(data) > at else 0
    place = data.find(HEAP_SIGNATURE)
    if place >= 0 and lengths not in _FORMS:
        return False
    while place >= 0:
        if not _sound(data, place, lengths):
            return False
        place = data.find(HEAP_SIGNATURE, place + len(HEAP_SIGNATURE))
    return True


def _sound(data: bytes | mmap.mmap, heap: int, lengths: int) -> bool:
    size_form, entry_form = _FORMS[lengths]
    if len(data) < heap + _HEAD:  # it begins where the bytes end
        return True
    begun = heap + len(HEAP_SIGNATURE) + len(_RESERVED)
    (size,) = size_form.unpack_from(data, begun)
    if size > _BEYOND_FILES and data[begun - len(_RESERVED) : begun] != _RESERVED:
        return True
    beyond = heap + size
    place = heap + _HEAD
    while place + _ENTRY <= min(beyond, len(data)):
        index, _, _, length = entry_form.unpack_from(data, place)
        # Entry 0 is what is free; its size counts its own head
        step = length if index == 0 else _ENTRY + -(-length // 8) * 8
        if step < _ENTRY or place + step > beyond:
            return False
        place += step
    return True


class HeldErrors:
    """The file object under an `h5py.File`; what goes wrong is held back until `check`.

    A write that fails inside the HDF5 library can leave it in a state in which it cannot even
    close the file, and takes the process down with it. Here the library never sees a failure:
    from the first one on, what it writes stays in memory, and is read back from there. That is
    little, as long as `check` is called every few megabytes. The stream is open for reading and
    writing.
    """

    def __init__(self, stream: io.FileIO) -> None:
        self._handle = stream.fileno()
        self._position, self._size = 0, os.fstat(self._handle).st_size
        self._error: BaseException | None = None
        self._kept: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise what went wrong since the file was opened, if anything did."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place, counted from the start or the end."""
        self._position = offset + (self._size if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        """The place."""
        return self._position

    def write(self, data: Bytes) -> int:
        """Take bytes, on the disk if it can be."""
        content = memoryview(data).cast("B")
        try:
            if self._error is None:
                self._write(content, self._position)
        except BaseException as error:  # an interrupt, too, must not be raised inside HDF5
            self._error = error
        if self._error is not None:
            self._kept.append((self._position, bytes(content)))
        self._position += len(content)
        self._size = max(self._size, self._position)
        return len(content)

    def read(self, size: int) -> bytes:
        """Some bytes; h5py takes nothing for a file that cannot be asked for them."""
        content = bytearray(size)
        self.readinto(content)
        return bytes(content)

    def readinto(self, data: Bytes) -> int:
        """Give bytes back; places that were never written hold zeros."""
        content = memoryview(data).cast("B")
        start = self._position
        try:
            found = os.preadv(self._handle, [content], start)
        except BaseException as error:
            self._error, found = self._error or error, 0
        content[found:] = bytes(len(content) - found)
        for offset, kept in self._kept:
            first, last = max(offset, start), min(offset + len(kept), start + len(content))
            if first < last:
                content[first - start : last - start] = kept[first - offset : last - offset]
        self._position += len(content)
        return len(content)

    def truncate(self, size: int) -> int:
        """Set the length."""
        try:
            if self._error is None:
                os.ftruncate(self._handle, size)
        except BaseException as error:
            self._error = error
        self._size = size
        return size

    def flush(self) -> None:
        """Nothing is buffered here."""

    def _write(self, content: memoryview, offset: int) -> None:
        while content:
            written = os.pwrite(self._handle, content, offset)
            content, offset = content[written:], offset + written
