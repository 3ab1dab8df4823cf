"""What a store holds of which photo, in some tens of bytes a frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError
from regengine.io.plain import printable
from regengine.photo.frame_records import archive_frame_id
from regengine.result import DetectedLights
from regengine.store.file import StoreFile, damage_told
from regengine.store.rows import StoredFrame, Tables, of_frames
from regengine.store.schema import DETECTIONS, select
from regengine.store.snapshot import OF_FRAMES, Snapshot, frames_of, read_snapshot

READ_ROWS = 8192  # 7 MB for 100,000 frames; with 65536 31 MB, in no less time


def frame_identity(path: str, sha256: str) -> tuple[str, str]:
    """Identity of a photo: its content (its path, if that is unreadable) and its file name."""
    path = printable(path)
    return sha256 or path, os.path.basename(path)  # a tenth of the time of pathlib


def identity_key(path: str, sha256: str) -> int:
    """`frame_identity` as a number of 64 bits, which holds within this process.

    That two of a million frames have the same by chance has a probability of 3e-8.
    """
    return hash(frame_identity(path, sha256))


def identity_keys(paths: NDArray[Any], hashes: NDArray[Any]) -> NDArray[np.int64]:
    """`identity_key` of photos whose paths and hashes are bytes of fixed length."""
    texts = zip(paths.tolist(), hashes.tolist(), strict=True)
    return np.array(
        [identity_key(path.decode(), sha256.decode()) for path, sha256 in texts], dtype=np.int64
    )


BLOCK_FRAMES = 512  # half a chunk: what is read for one frame serves its neighbours
BLOCKS = 4


class StoredFrames:
    """Frames of a store and its parts, for a writer that looks back: by photo and by number.

    The store is as it was merged, is read once for the identities of its photos, and need not
    exist. A few blocks of rows are kept, not the frames. StoreError if it is damaged.
    """

    def __init__(self, store: Path) -> None:
        self._path = store
        self._store = StoreFile(store) if store.exists() else None
        self._parts: list[tuple[int, int, Path]] = []
        self._block = lru_cache(maxsize=BLOCKS)(self._read_block)
        self._frame_index, keys = np.empty(0, np.int64), [np.empty(0, np.int64)]
        if self._store is not None:
            try:
                self._frame_index = self._store.frame_index
                for start in range(0, len(self._frame_index), READ_ROWS):
                    rows = (start, min(start + READ_ROWS, len(self._frame_index)))
                    names = ("path", "sha256")
                    columns = (self._store.column("frames", name, *rows) for name in names)
                    with damage_told(store):
                        keys.append(identity_keys(*columns))
            except BaseException:
                self.close()
                raise
        whole = np.concatenate(keys)
        self._order = np.argsort(whole, kind="stable")
        self._sorted = whole[self._order]

    def free_numbers(self) -> Iterator[int]:
        """Numbers that no frame has, ascending, without end."""
        used = np.unique(self._frame_index)
        above = int(used[-1]) + 1 if len(used) else 0
        yield from np.setdiff1d(np.arange(above), used, assume_unique=True).tolist()
        yield from count(above)

    def find(self, path: str, sha256: str) -> StoredFrame | None:
        """The frame of a photo that the store held; of several of one identity the last."""
        for known in dict.fromkeys((sha256, "")):  # or as it was stored while it was unreadable
            key = identity_key(path, known)
            place = np.searchsorted(self._sorted, key, side="right") - 1
            if place >= 0 and self._sorted[place] == key:
                return self.frame(int(self._frame_index[self._order[place]]))
        return None

    def add_part(self, part: Path, first: int, last: int) -> None:
        """Know of a part with frames from one number to another."""
        self._parts.append((first, last, part))

    def frame(self, frame_index: int, *, detections: bool = False) -> StoredFrame:
        """The frame of a number, from the last file that holds it."""
        places: list[tuple[Path | None, int]] = []  # files and blocks of them, the oldest first
        if self._store is not None:
            row = int(np.searchsorted(self._frame_index, frame_index))
            places.append((None, row // BLOCK_FRAMES))
        places += [(part, 0) for first, last, part in self._parts if first <= frame_index <= last]
        for part, block in reversed(places):
            tables = self._block(part, block)
            if frame_index not in tables["frames"]["frame_index"]:
                continue
            (stored,) = frames_of(of_frames(tables, np.array([frame_index])), part or self._path)
            if not detections:
                return stored
            with self._file(part) as file:
                groups = {"detections": DETECTIONS}
                rows = file.tables(frame_index, frame_index + 1, groups)["detections"]
            names = ("x", "y", "contrast", "matched")
            found = DetectedLights(**{name: rows[name] for name in names})
            return replace(stored, result=replace(stored.result, detections=found))
        raise KeyError(frame_index)

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    def _file(self, part: Path | None) -> AbstractContextManager[StoreFile]:
        if part is None and self._store is not None:
            return nullcontext(self._store)
        return StoreFile(part or self._path)

    def _read_block(self, part: Path | None, block: int) -> Tables:
        with self._file(part) as file:
            held = file.frame_index
            if part is None:
                held = held[block * BLOCK_FRAMES : (block + 1) * BLOCK_FRAMES]
            first, beyond = (int(held[0]), int(held[-1]) + 1) if len(held) else (0, 0)
            return file.tables(first, beyond, OF_FRAMES)


# Frames of a store by the names that people give them.

READ_FRAMES = 65536
HASH_DIGITS = 6  # of a SHA-256, at least: fewer would stand for many photos

Match = Callable[[NDArray[Any]], NDArray[np.bool_]]


def find_frames(path: Path, name: str) -> list[StoredFrame]:
    """Frames that a name stands for, without reading the others.

    A name is a frame id in any spelling, else file name or path, else at least six digits of the
    SHA-256. Only the column of names is read whole; those of paths and of hashes where it does not
    hold the name. The store need not exist while its first run is under way. ConfigError if there
    is no such frame; StoreError if the store cannot be read.
    """

    def read(snapshot: Snapshot) -> list[StoredFrame]:
        numbers = _numbers(snapshot, name)
        if not numbers:
            raise ConfigError(
                f"{path} holds no frame {name}: regengine show {path} lists the "
                f"{len(snapshot.frame_index):,} it has."
            )
        found = []
        for number in numbers:
            found += frames_of(snapshot.tables(number, number + 1, OF_FRAMES), path)
        return found

    return read_snapshot(path, read)


def _numbers(snapshot: Snapshot, name: str) -> list[int]:
    wanted = name.encode("utf-8", "backslashreplace")
    ids = [wanted, (archive_frame_id(name) or name).encode("utf-8", "backslashreplace")]
    ways: list[tuple[str, Match]] = [
        ("frame", lambda frames: np.isin(frames, ids)),
        ("path", lambda paths: (paths == wanted) | np.strings.endswith(paths, b"/" + wanted)),
    ]
    if len(name) >= HASH_DIGITS:
        ways.append(("sha256", lambda hashes: np.strings.startswith(hashes, wanted.lower())))
    for column, match in ways:
        numbers: list[int] = []
        for tables in snapshot.blocks(groups=select(f"frames/{column}"), frames=READ_FRAMES):
            frames = tables["frames"]
            numbers += frames["frame_index"][match(frames[column])].tolist()
        if numbers:
            return numbers
    return []
