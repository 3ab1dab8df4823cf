"""Frames of a store by the names that people give them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError
from regengine.frame_id import archive_frame_id
from regengine.store.reader import OF_FRAMES, frames_of
from regengine.store.rows import StoredFrame
from regengine.store.schema import select
from regengine.store.snapshot import PartGoneError, Snapshot

READ_FRAMES = 65536
HASH_DIGITS = 6  # of a SHA-256, at least: fewer would stand for many photos

Match = Callable[[NDArray[Any]], NDArray[np.bool_]]


def find_frames(path: Path, name: str) -> list[StoredFrame]:
    """Frames that a name stands for, without reading the others.

    Only the column of names is read whole; those of paths and of hashes where it does not hold
    the name.

    Parameters
    ----------
    path : Path
        The store; need not exist while its first run is under way.
    name : str
        Frame id in any spelling, else file name or path, else at least six digits of the SHA-256.

    Returns
    -------
    list of StoredFrame
        At least one.

    Raises
    ------
    ConfigError
        If there is none.
    StoreError
        If the store cannot be read.
    """
    while True:
        try:
            with Snapshot.of(path) as snapshot:
                numbers = _numbers(snapshot, name)
                if not numbers:
                    raise ConfigError(
                        f"{path} holds no frame {name}: regengine show {path} lists the "
                        f"{len(snapshot.frame_index):,} it has."
                    )
                found = []
                for number in numbers:
                    tables = snapshot.tables(number, number + 1, OF_FRAMES)
                    found += frames_of(tables, path)
                return found
        except PartGoneError:
            continue


def _numbers(snapshot: Snapshot, name: str) -> list[int]:
    wanted = name.encode("utf-8", "backslashreplace")
    ids = [wanted, (archive_frame_id(name) or name).encode("utf-8", "backslashreplace")]
    looks: list[tuple[str, Match]] = [
        ("frame", lambda frames: np.isin(frames, ids)),
        ("path", lambda paths: (paths == wanted) | np.strings.endswith(paths, b"/" + wanted)),
    ]
    if len(name) >= HASH_DIGITS:
        looks.append(("sha256", lambda hashes: np.strings.startswith(hashes, wanted.lower())))
    for column, match in looks:
        numbers: list[int] = []
        for tables in snapshot.blocks(groups=select(f"frames/{column}"), frames=READ_FRAMES):
            frames = tables["frames"]
            numbers += frames["frame_index"][match(frames[column])].tolist()
        if numbers:
            return numbers
    return []
