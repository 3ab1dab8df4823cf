"""Reads a store together with the parts that a run under way, or a killed one, left beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from regengine.store.hdf5 import damage_told
from regengine.store.results import from_tables
from regengine.store.rows import StoredFrame
from regengine.store.schema import GROUPS
from regengine.store.snapshot import PartGoneError, Snapshot
from regengine.store.tables import Tables, join, with_texts

# What a frame consists of; its detections are rows of their own, hundreds a frame
OF_FRAMES = {group: columns for group, columns in GROUPS.items() if group != "detections"}


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
    return list(iter_frames(path))


def iter_frames(path: Path) -> Iterator[StoredFrame]:
    """Frames of a store one by one; few of them are in memory at a time.

    A run may be under way: what it adds behind the frames that were given already may be left
    out, nothing else.

    Parameters
    ----------
    path : Path
        The store; need not exist while its first run is under way.

    Yields
    ------
    StoredFrame
        In the order of their numbers.

    Raises
    ------
    StoreError
        If there is neither store nor part, or one of them cannot be read.
    """
    last: int | None = None
    while True:
        try:
            with Snapshot.of(path) as snapshot:
                for tables in snapshot.blocks(after=last, groups=OF_FRAMES):
                    for stored in frames_of(tables, path):
                        last = stored.frame_index
                        yield stored
            return
        except PartGoneError:  # merged meanwhile: go on with the store that has it now
            continue


def frames_of(tables: Tables, path: Path) -> list[StoredFrame]:
    """Frames out of tables that were read from a file.

    Raises
    ------
    StoreError
        If the rows make no sense.
    """
    with damage_told(path):
        return from_tables(tables)


def read_tables(path: Path) -> Tables:
    """All rows of a store and of its parts that are not merged yet; see `read_store`.

    Returns
    -------
    dict
        Tables of all groups, with texts as `str`.
    """
    while True:
        try:
            with Snapshot.of(path) as snapshot, damage_told(path):
                return with_texts(join(list(snapshot.blocks())))
        except PartGoneError:
            continue
