"""Which frame of a store a photo's name stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from regengine.errors import ConfigError
from regengine.frame_id import archive_frame_id
from regengine.store.find import find_frames
from regengine.store.reader import frames_of
from regengine.store.rows import StoredFrame
from regengine.store.schema import select
from regengine.store.snapshot import PartGoneError, Snapshot

READ_FRAMES = 65536


def frames_by_name(store: Path, photos: Iterable[str]) -> dict[str, StoredFrame]:
    """Frames that some names stand for, with one look at the store's names.

    Parameters
    ----------
    store : Path
        The store.
    photos : iterable of str
        Frame ids, or names of files with or without their endings.

    Returns
    -------
    dict of str to StoredFrame
        By the names given.

    Raises
    ------
    ConfigError
        If a name stands for no frame, or for several.
    StoreError
        If the store cannot be read.
    """
    wanted: dict[str, set[str]] = {}
    for photo in photos:
        for spelling in _spellings(photo):
            wanted.setdefault(spelling, set()).add(photo)
    found: dict[str, set[int]] = {photo: set() for names in wanted.values() for photo in names}
    while True:
        try:
            with Snapshot.of(store) as snapshot:
                columns = select("frames/frame", "frames/path")
                for tables in snapshot.blocks(groups=columns, frames=READ_FRAMES):
                    rows = tables["frames"]
                    for number, frame, path in zip(
                        rows["frame_index"].tolist(),
                        rows["frame"].tolist(),
                        rows["path"].tolist(),
                        strict=True,
                    ):
                        names = _spellings(frame.decode()) | _spellings(path.decode())
                        for photo in set().union(*(wanted.get(name, set()) for name in names)):
                            found[photo].add(number)
                return {photo: _one(snapshot, store, photo, found[photo]) for photo in found}
        except PartGoneError:
            continue


def frame_named(store: Path, name: str) -> StoredFrame:
    """The one frame of a name that a person gave; ConfigError if it is none, or several."""
    found = find_frames(store, name)
    if len(found) > 1:
        raise ConfigError(
            f"{store} holds {len(found)} frames {name}: name one by the start of its SHA-256."
        )
    return found[0]


def _one(snapshot: Snapshot, store: Path, photo: str, numbers: set[int]) -> StoredFrame:
    if len(numbers) != 1:
        many = f"{len(numbers)} frames" if numbers else "no frame"
        raise ConfigError(
            f"{store} holds {many} of the name {photo}: say which with --frame, one file at a time."
        )
    (number,) = numbers
    return frames_of(snapshot.tables(number, number + 1), store)[0]


def _spellings(name: str) -> set[str]:
    """A name without its folder, without its ending, and as the archive spells it."""
    base = re.split(r"[/\\]", name)[-1]
    found = {base, Path(base).stem or base}
    return {spelling.casefold() for spelling in (*found, archive_frame_id(base) or base)}
