"""Tables as the bytes of an HDF5 file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from regengine.errors import StoreError
from regengine.store.schema import (
    FORMAT,
    FORMAT_VERSION,
    GROUP_DESCRIPTIONS,
    GROUPS,
    Column,
)
from regengine.store.tables import Tables

CHUNK_ROWS = 1024  # 8 kB of float64: a part of 64 frames stays small, a column compresses well
SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification 3.0, section II.A


def encode(tables: Tables, attributes: Mapping[str, str]) -> bytes:
    """The content of a store file.

    The file is built in memory, so that a full disk can never leave half a file inside the
    HDF5 library; the caller writes the bytes.

    Parameters
    ----------
    tables : dict
        One table per group of the schema.
    attributes : mapping of str to str
        Root attributes beside ``format`` and ``format_version``.

    Returns
    -------
    bytes
    """
    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        for name, value in attributes.items():
            file.attrs[name] = value
        for group_name, columns in GROUPS.items():
            group = file.create_group(group_name)
            group.attrs["description"] = GROUP_DESCRIPTIONS[group_name]
            for column in columns:
                _write_column(group, column, tables[group_name][column.name])
        file.flush()
        return bytes(file.id.get_file_image())


def decode(path: Path) -> tuple[Tables, dict[str, str]]:
    """Read a store file.

    Parameters
    ----------
    path : Path
        A store, or one part of it.

    Returns
    -------
    tables : dict
        One table per group of the schema.
    attributes : dict of str to str
        Root attributes beside ``format`` and ``format_version``.

    Raises
    ------
    StoreError
        If the file is no store, damaged, or of a newer format.
    """
    check(path)
    try:
        with h5py.File(path, "r") as file:
            tables = {
                group: {column.name: _read_column(file[group], column) for column in columns}
                for group, columns in GROUPS.items()
            }
            attributes = {k: v for k, v in file.attrs.items() if isinstance(v, str)}
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise StoreError(
            f"{path} is a damaged store ({_short(error)}): restore it from a copy, "
            "or name another file with --store."
        ) from error
    attributes.pop("format")
    return tables, attributes


def check(path: Path) -> None:
    """Make sure that a file is a store that this version can read.

    Raises
    ------
    StoreError
        If it is not; the file is only ever opened for reading.
    """
    try:
        with path.open("rb") as stream:
            signature = stream.read(len(SIGNATURE))
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({_short(error)}): check its permissions."
        ) from error
    if signature != SIGNATURE:
        raise _foreign(path, "it is no HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            name, version = file.attrs.get("format"), file.attrs.get("format_version", 0)
    except (OSError, RuntimeError) as error:
        raise _foreign(path, f"it is a damaged HDF5 file: {_short(error)}") from error
    if name != FORMAT:
        raise _foreign(path, "it is an HDF5 file of another program")
    if int(version) > FORMAT_VERSION:
        raise StoreError(
            f"{path} was written by a newer regengine (format version {int(version)}, this one "
            f"knows up to {FORMAT_VERSION}): upgrade regengine, or name another file with --store.",
            code="store_newer",
        )


def _foreign(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is not a regengine store ({why}) and was left untouched: "
        "name another file with --store.",
        code="store_foreign",
    )


def _write_column(group: h5py.Group, column: Column, values: NDArray[Any]) -> None:
    data = _text_bytes(values) if column.kind == "text" else values
    dataset = group.create_dataset(
        column.name,
        data=data,
        # Open-ended and of fixed-length text: PyTables opens neither empty fixed-size datasets
        # nor text of variable length.
        maxshape=(None, *data.shape[1:]),
        chunks=(CHUNK_ROWS, *data.shape[1:]),
        compression="gzip",
        shuffle=column.kind != "text",
    )
    dataset.attrs["units"] = column.units
    dataset.attrs["description"] = column.description
    dataset.attrs["volatile"] = np.uint8(column.volatile)


def _read_column(group: h5py.Group, column: Column) -> NDArray[Any]:
    values = group[column.name][()]
    if column.kind != "text":
        return np.asarray(values, dtype=column.kind)
    texts = np.empty(len(values), dtype=object)
    texts[:] = [value.decode("utf-8") for value in values]
    return texts


def _text_bytes(values: NDArray[Any]) -> NDArray[Any]:
    encoded = [value.encode("utf-8") for value in values]
    length = max([1, *(len(value) for value in encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", length))


def _short(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())
