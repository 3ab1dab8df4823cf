"""The HDF5 side of a store: how its file is laid out, and which files are accepted as one."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from regengine.errors import FrameError, StoreError
from regengine.io.regular import open_regular
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
        with open_regular(path) as stream:
            start = stream.read(SEARCHED_BYTES)
    except FrameError as error:
        raise StoreError(f"{error}.") from error
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({_short(error)}): check its permissions."
        ) from error
    if not start.startswith(SIGNATURE):
        raise _foreign(path, "it is no HDF5 file")
    if not heaps_end(start):
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
        f"{path} is a damaged store ({why}): restore it from a copy, or name another file "
        "with --store.",
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


HEAP_SIGNATURE = b"GCOL\x01"
SEARCHED_BYTES = 1 << 20  # of a store: its attributes are written first, their heaps soon after


def heaps_end(data: bytes | mmap.mmap) -> bool:
    """Whether HDF5 comes to the end of the global heaps in some bytes of a file.

    It goes from object to object by their sizes, for ever where free space has none (HDF5 2.0).
    Heaps and objects have heads of 16 bytes: HDF5 File Format Specification 3.0, section III.E.
    """
    heap = data.find(HEAP_SIGNATURE)
    while heap >= 0:
        end = min(heap + int.from_bytes(data[heap + 8 : heap + 16], "little"), len(data))
        place = heap + 16
        while place + 16 <= end:
            index, size = struct.unpack_from("<H6xQ", data, place)
            step = size if index == 0 else 16 + -(-size // 8) * 8  # 0 is what is free, its head too
            if step == 0:
                return False
            place += step
        heap = data.find(HEAP_SIGNATURE, heap + 1)
    return True
