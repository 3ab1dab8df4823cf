"""What a store holds of which photo, in some tens of bytes a frame."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError
from regengine.io.plain import printable
from regengine.photo.frame_records import archive_frame_id
from regengine.result import DetectedLights
from regengine.store.file import StoreFile
from regengine.store.hdf5 import damage_told
from regengine.store.rows import StoredFrame, Tables, of_frames
from regengine.store.schema import DETECTIONS, select
from regengine.store.snapshot import OF_FRAMES, Snapshot, frames_of, read_snapshot

READ_ROWS = 8192  # 7 MB for 100,000 frames; with 65536 31 MB, in no less time


@dataclass(frozen=True, kw_only=True)
class StoredEntry:
    """What decides whether a stored frame is done again; see `regengine.store.rows.StoredFrame`."""

    frame_index: int
    verdict: str
    reason_codes: tuple[str, ...]
    parameters_sha256: str
    hints_sha256: str
    search_pass: int


class StoreIndex:
    """Finds stored frames by the identity of their photo: content and file name.

    An open store is read once; StoreError if it is damaged. Without a store the index is empty.
    """

    def __init__(self, store: StoreFile | None) -> None:
        size = 0 if store is None else store.rows("frames")
        self._store = store
        self._keys = np.empty((size, 2), dtype=np.uint64)
        self._frame_index = np.empty(0, np.int64) if store is None else store.frame_index
        if store is not None:
            with damage_told(store.path):
                for start in range(0, size, READ_ROWS):
                    rows = (start, min(start + READ_ROWS, size))
                    self._keys[slice(*rows)] = identity_keys(
                        store.column("frames", "path", *rows),
                        store.column("frames", "sha256", *rows),
                    )
        self._order = np.argsort(self._keys[:, 0], kind="stable")
        self._sorted = self._keys[self._order, 0]

    def __len__(self) -> int:
        return len(self._frame_index)

    def free_numbers(self) -> Iterator[int]:
        """Numbers that no frame has, ascending, without end."""
        used = np.unique(self._frame_index)
        above = int(used[-1]) + 1 if len(used) else 0
        yield from np.setdiff1d(np.arange(above), used, assume_unique=True).tolist()
        yield from count(above)

    def find(self, path: str, sha256: str) -> StoredEntry | None:
        """The frame of a photo."""
        row = self._row(path, sha256)
        if row is None and sha256:
            row = self._row(path, "")
        if row is None:
            return None
        verdict, reasons, parameters, hints, search_pass = (column[row] for column in self._told)
        return StoredEntry(
            frame_index=int(self._frame_index[row]),
            verdict=verdict.decode(),
            reason_codes=tuple(reasons.decode().split(",")) if reasons else (),
            parameters_sha256=parameters.decode(),
            hints_sha256=hints.decode(),
            search_pass=int(search_pass),
        )

    @cached_property
    def _told(self) -> list[NDArray[Any]]:
        """The columns that decide; a run of new photos alone never asks for them."""
        assert self._store is not None  # a frame was found in it
        names = ("parameters_sha256", "hints_sha256", "search_pass")
        return [
            *(self._store.column("frames", name) for name in ("verdict", "reasons")),
            *(self._store.column("provenance", name) for name in names),
        ]

    def _row(self, path: str, sha256: str) -> int | None:
        first, second = identity_key(path, sha256)
        low = np.searchsorted(self._sorted, np.uint64(first), side="left")
        high = np.searchsorted(self._sorted, np.uint64(first), side="right")
        # Of several frames of one identity the last counts
        for row in self._order[low:high][::-1].tolist():
            if int(self._keys[row, 1]) == second:
                return int(row)
        return None


def frame_identity(path: str, sha256: str) -> tuple[str, str]:
    """Identity of a photo: its content (its path, if that is unreadable) and its file name."""
    path = printable(path)
    return sha256 or path, os.path.basename(path)  # a tenth of the time of pathlib


def identity_key(path: str, sha256: str) -> tuple[int, int]:
    """`identity_keys` of one photo, as two plain numbers."""
    (key,) = identity_keys(
        np.array([printable(path).encode()]), np.array([sha256.encode()], dtype="S")
    ).tolist()
    return key[0], key[1]


def identity_keys(paths: NDArray[Any], hashes: NDArray[Any]) -> NDArray[np.uint64]:
    """Identities of photos (`frame_identity`) in two numbers of 64 bits each, shape (n, 2).

    Paths and hashes are bytes of fixed length. That two of a million frames have the same by chance
    has a probability of 1e-27.
    """
    names = np.strings.rpartition(paths, b"/")[2]
    content = np.where(hashes == b"", paths, hashes)
    return np.stack(
        [_mixed(names, factor, start=_mixed(content, factor)) for factor in FACTORS], axis=1
    ).reshape(-1, 2)


# Odd, with about as many ones as zeros: those of SplitMix64 (Steele et al. 2014, OOPSLA)
FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def _mixed(
    texts: NDArray[Any], factor: np.uint64, start: NDArray[np.uint64] | None = None
) -> NDArray[np.uint64]:
    """A number of 64 bits for each text, eight bytes at a time; padding counts for nothing."""
    size = -(-max(texts.dtype.itemsize, 1) // 8) * 8
    words = np.ascontiguousarray(texts.astype(f"S{size}")).view("<u8").reshape(len(texts), -1)
    mixed = np.full(len(texts), factor) if start is None else (start + np.uint64(1)) * factor
    for word in words.T:
        stirred = (mixed ^ word) * factor
        stirred ^= stirred >> np.uint64(29)
        stirred *= factor
        mixed = np.where(word == 0, mixed, stirred ^ (stirred >> np.uint64(32)))
    return mixed


# Single frames out of a store and its parts, for a writer that looks back.

BLOCK_FRAMES = 512  # half a chunk: what is read for one frame serves its neighbours
BLOCKS = 4


class FrameCache:
    """Reads frames by their number; a few blocks of rows are kept, not the frames.

    The store is as it was merged, and need not exist; its frames are those of ``index``. StoreError
    if it is damaged.
    """

    def __init__(self, store: Path) -> None:
        self._store = StoreFile(store) if store.exists() else None
        self._parts: list[tuple[int, int, Path]] = []
        self._blocks: OrderedDict[tuple[Path, int], Tables] = OrderedDict()
        try:
            self.index = StoreIndex(self._store)
        except BaseException:
            self.close()
            raise

    def add_part(self, part: Path, first: int, last: int) -> None:
        """Know of a part with frames from one number to another."""
        self._parts.append((first, last, part))

    def frame(self, frame_index: int) -> StoredFrame:
        """The frame of a number, from the last file that holds it."""
        for first, last, part in reversed(self._parts):
            if first <= frame_index <= last:
                found = self._find(part, 0, frame_index)
                if found is not None:
                    return found
        if self._store is not None:
            row = int(np.searchsorted(self._store.frame_index, frame_index))
            found = self._find(self._store.path, row // BLOCK_FRAMES, frame_index)
            if found is not None:
                return found
        raise KeyError(frame_index)

    def with_detections(self, stored: StoredFrame) -> StoredFrame:
        """A frame of `frame` together with its detections."""
        index = stored.frame_index
        for first, last, part in reversed(self._parts):
            if first <= index <= last:
                with StoreFile(part) as file:
                    if index in file.frame_index:
                        return _with_lights(stored, file)
        if self._store is None:
            raise KeyError(index)
        return _with_lights(stored, self._store)

    def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            self._store.close()

    def _find(self, path: Path, block: int, frame_index: int) -> StoredFrame | None:
        tables = self._block(path, block)
        if frame_index not in tables["frames"]["frame_index"]:
            return None
        return frames_of(of_frames(tables, np.array([frame_index])), path)[0]

    def _block(self, path: Path, block: int) -> Tables:
        key = (path, block)
        if key not in self._blocks:
            self._blocks[key] = self._read(path, block)
            while len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(key)
        return self._blocks[key]

    def _read(self, path: Path, block: int) -> Tables:
        if self._store is not None and path == self._store.path:
            held = self._store.frame_index[block * BLOCK_FRAMES : (block + 1) * BLOCK_FRAMES]
            return _tables(self._store, held.tolist())
        with StoreFile(path) as part:
            return _tables(part, part.frame_index.tolist())


def _tables(file: StoreFile, held: list[int]) -> Tables:
    first, beyond = (held[0], held[-1] + 1) if held else (0, 0)
    return file.tables(first, beyond, OF_FRAMES)


def _with_lights(stored: StoredFrame, file: StoreFile) -> StoredFrame:
    index = stored.frame_index
    rows = file.tables(index, index + 1, {"detections": DETECTIONS})["detections"]
    lights = DetectedLights(**{name: rows[name] for name in ("x", "y", "contrast", "matched")})
    return replace(stored, result=replace(stored.result, detections=lights))


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
