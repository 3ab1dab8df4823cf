"""Reads a store together with the parts that a run under way, or a killed one, left beside it."""

from __future__ import annotations

from pathlib import Path

from regengine.errors import StoreError
from regengine.store.hdf5 import decode
from regengine.store.parts import list_parts, parts_folder
from regengine.store.results import from_tables
from regengine.store.rows import StoredFrame
from regengine.store.tables import Tables, join


def read_store(path: Path) -> list[StoredFrame]:
    """Frames of a store, in its order, and of its parts that are not merged yet.

    Parameters
    ----------
    path : Path
        The store; need not exist while its first run is under way.

    Returns
    -------
    list of StoredFrame

    Raises
    ------
    StoreError
        If there is neither store nor part, or one of them cannot be read.
    """
    return from_tables(read_tables(path))


def read_tables(path: Path) -> Tables:
    """Tables of a store and of its parts that are not merged yet; see `read_store`."""
    # Parts first: one that vanishes meanwhile is in the store by the time that this is read.
    parts = [tables for part in list_parts(parts_folder(path)) if (tables := _part(part))]
    if path.is_dir():
        raise StoreError(f"{path} is a folder, not a store: name the .h5 file in it.")
    if not path.exists() and not parts:
        raise StoreError(f"{path} does not exist: check the path of the store.")
    return join([decode(path)[0], *parts] if path.exists() else parts)


def _part(part: Path) -> Tables | None:
    try:
        return decode(part)[0]
    except StoreError:
        if part.exists():
            raise
        return None
