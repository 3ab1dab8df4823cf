"""Read a store together with its journal: frames by number, photo or name, or in blocks.

The journal contains results that a running or killed run has not merged into the store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.errors import NoFrameError, StoreError
from regengine.io.plain import format_command, format_count, make_printable
from regengine.photo.notations import archive_frame_id
from regengine.store.file import CHUNK_ROWS, StoreFile, raise_as_damage
from regengine.store.journal import JournalFile, journal_path
from regengine.store.result import DetectedLights
from regengine.store.rows import (
    DETECTIONS,
    GROUPS,
    TEXT_COLUMNS,
    Selection,
    StoredFrame,
    Tables,
    from_tables,
    join,
    select,
    select_frames,
    table_from_rows,
    values_of,
)

BLOCK_FRAMES = 256  # with 60 lights each, 5 MB: with 1024 a merge uses 20 MB more and takes as long


def is_there(store: Path) -> bool:
    """Whether a store exists, or the journal of a first run that has no store yet."""
    return store.exists() or journal_path(store).exists()


class Snapshot(AbstractContextManager["Snapshot"]):
    """A store, or None if it does not exist yet, and its journal, both as of one moment.

    A frame of the journal replaces that of the store. ``store`` is open as long as the snapshot is.
    ``frame_index`` are the numbers of all frames, ascending. Every method raises StoreError if
    neither store nor journal exists, or one of them cannot be read.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise StoreError(f"{path} is a folder, not a store: name the .h5 file in it.")
        # Opened before the store: if the journal is merged meanwhile, the store has its content
        self.journal = JournalFile(journal_path(path))
        self.store: StoreFile | None = None
        try:
            if path.exists():
                self.store = StoreFile(path)
            elif not self.journal.is_there:
                raise StoreError(f"{path} does not exist: check the path of the store.")
        except BaseException:
            self.close()
            raise
        in_store = np.empty(0, np.int64) if self.store is None else self.store.frame_index
        self.frame_index: NDArray[np.int64] = np.union1d(in_store, self.journal.frame_index)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close both files."""
        self.journal.close()
        if self.store is not None:
            self.store.close()

    def blocks(self, *, groups: Selection = GROUPS, frames: int = BLOCK_FRAMES) -> Iterator[Tables]:
        """Yield all frames in blocks; texts are bytes of a fixed length.

        ``groups`` are the columns to read and must include ``frames``.
        """
        for start in range(0, len(self.frame_index), frames):
            block = self.frame_index[start : start + frames]
            yield self.tables(int(block[0]), int(block[-1]) + 1, groups)

    def tables(self, first: int, beyond: int, groups: Selection = GROUPS) -> Tables:
        """Return rows of the frames ``first <= frame_index < beyond``; texts are bytes."""
        newer = self.journal.numbers_within(first, beyond)
        if self.store is None:
            return self.journal.rows_of(newer, groups)
        stored = self.store.tables(first, beyond, groups)
        return join([stored, self.journal.rows_of(newer, groups)], groups) if newer else stored

    def identity_keys(self) -> NDArray[np.int64]:
        """Return `identity_key` of the photos of all frames."""
        keys = [np.empty(0, np.int64)]
        # 8192: 7 MB for 100,000 frames; with 65536 31 MB, in the same time
        for tables in self.blocks(groups=select("frames/path", "frames/sha256"), frames=8192):
            columns = (tables["frames"][name].tolist() for name in ("path", "sha256"))
            texts = zip(*columns, strict=True)
            keys.append(np.array([identity_key(p.decode(), s.decode()) for p, s in texts], int))
        return np.concatenate(keys)

    def text_lengths(self) -> dict[tuple[str, str], int]:
        """Return the length in bytes that every text of a column fits into, by group and column."""
        lengths = dict.fromkeys(TEXT_COLUMNS, 1)
        if self.store is not None:
            lengths |= self.store.text_lengths()
        texts = {
            group: [one for one in columns if one.dtype == "text" or one.name == "frame_index"]
            for group, columns in GROUPS.items()
        }
        for start in range(0, len(self.journal.frame_index), BLOCK_FRAMES):
            numbers = self.journal.frame_index[start : start + BLOCK_FRAMES].tolist()
            tables = self.journal.rows_of(numbers, texts)
            for group, name in TEXT_COLUMNS:
                length = tables[group][name].dtype.itemsize
                lengths[group, name] = max(lengths[group, name], length)
        return lengths


# Groups of a frame without its detections, which are hundreds of rows per frame
OF_FRAMES = {group: columns for group, columns in GROUPS.items() if group != "detections"}


def iter_blocks(
    path: Path, groups: Selection = GROUPS, frames: int = BLOCK_FRAMES
) -> Iterator[Tables]:
    """Yield `Snapshot.blocks` of a store that a run may be writing."""
    with Snapshot(path) as snapshot:
        yield from snapshot.blocks(groups=groups, frames=frames)


def iter_frames(
    path: Path, numbers: Iterable[int] | None = None, *, hypotheses: bool = True
) -> Iterator[StoredFrame]:
    """Yield the frames of a store and of its journal, in the order of their numbers.

    With ``numbers``, only those of the frames that exist; little more is read. Without their
    ``hypotheses``, including the proposal, frames are read faster. Few are in memory at a time. The
    store need not exist during its first run. Frames that a run adds meanwhile are not included.
    Raises StoreError if neither store nor journal exists, or one of them cannot be read.
    """
    groups = OF_FRAMES
    none: Tables = {}
    if not hypotheses:
        groups = {group: columns for group, columns in OF_FRAMES.items() if group != "hypotheses"}
        none = {"hypotheses": table_from_rows(GROUPS["hypotheses"], [])}
    with Snapshot(path) as snapshot:
        index = snapshot.frame_index
        chosen = index
        if numbers is not None:
            chosen = np.intersect1d(index, np.fromiter(numbers, dtype=np.int64))
        # Each chunk is decompressed once
        for block in np.split(chosen, np.searchsorted(chosen, index[CHUNK_ROWS::CHUNK_ROWS])):
            if len(block):
                tables = snapshot.tables(int(block[0]), int(block[-1]) + 1, groups)
                yield from make_frames(none | select_frames(tables, block), path)


def make_frames(tables: Tables, path: Path) -> list[StoredFrame]:
    """Build frames from tables read from a file; StoreError if the rows are inconsistent."""
    with raise_as_damage(path):
        return from_tables(tables)


def read_tables(path: Path, groups: Collection[str] = tuple(GROUPS)) -> Tables:
    """Return all rows of groups of a store and of its journal, texts as `str`."""
    joined_by = {"frames": tuple(one for one in GROUPS["frames"] if one.name == "frame_index")}
    columns = joined_by | {group: GROUPS[group] for group in groups}
    with Snapshot(path) as snapshot, raise_as_damage(path):
        tables = join(list(snapshot.blocks(groups=columns)), columns)
        for table in tables.values():
            for name, values in table.items():
                if values.dtype.kind == "S":
                    table[name] = np.array(values_of(values), dtype=object)
        return tables


# Look up frames by their photos


def frame_identity(path: str, sha256: str) -> tuple[str, str]:
    """Return the identity of a photo: its content (or path, if it is unreadable) and file name."""
    path = make_printable(path)
    return sha256 or path, os.path.basename(path)  # a tenth of the time of pathlib


def identity_key(path: str, sha256: str) -> int:
    """Return `frame_identity` as a 64-bit number, valid within this process.

    The probability that two of a million frames have the same number by chance is 3e-8.
    """
    return hash(frame_identity(path, sha256))


LOOK_BACK_FRAMES = 512  # half a chunk: a read for one frame also serves its neighbours


class StoredFrames:
    """Frames that a writer can read back, by photo and by number, as flushed last.

    The store is read once for the identities of its photos, and need not exist; the journal is the
    file that this run appends to. A few blocks of rows are cached, not the frames. Raises
    StoreError if the store is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._snapshot = Snapshot(path)
        self._frame_index = self._snapshot.frame_index
        self._block = lru_cache(maxsize=4)(self._read_block)
        try:
            with raise_as_damage(path):
                whole = self._snapshot.identity_keys()
        except BaseException:
            self.close()
            raise
        self._order = np.argsort(whole, kind="stable")
        self._sorted = whole[self._order]

    def free_numbers(self) -> Iterator[int]:
        """Yield the numbers that no frame has, ascending, without end."""
        used = np.unique(self._frame_index)
        above = int(used[-1]) + 1 if len(used) else 0
        yield from np.setdiff1d(np.arange(above), used, assume_unique=True).tolist()
        yield from count(above)

    def find(self, path: str, sha256: str) -> StoredFrame | None:
        """Return the stored frame of a photo; of several with one identity, the last."""
        for known in dict.fromkeys((sha256, "")):  # or as stored while it was unreadable
            key = identity_key(path, known)
            place = np.searchsorted(self._sorted, key, side="right") - 1
            if place >= 0 and self._sorted[place] == key:
                return self.frame(int(self._frame_index[self._order[place]]))
        return None

    def note(self, frame_index: int, offset: int) -> None:
        """Register the byte offset of a frame's line in the journal."""
        self._snapshot.journal.offsets[frame_index] = offset

    def frame(self, frame_index: int, *, detections: bool = False) -> StoredFrame:
        """Return the frame of a number as flushed last; KeyError if there is none."""
        snapshot = self._snapshot
        if frame_index in snapshot.journal.offsets:
            tables = snapshot.journal.rows_of([frame_index], GROUPS if detections else OF_FRAMES)
        else:
            row = int(np.searchsorted(self._frame_index, frame_index))
            if snapshot.store is None or row == len(self._frame_index):
                raise KeyError(frame_index)
            tables = select_frames(self._block(row // LOOK_BACK_FRAMES), np.array([frame_index]))
            if detections:
                only = {"detections": DETECTIONS}
                tables |= snapshot.store.tables(frame_index, frame_index + 1, only)
        frames = make_frames({group: tables[group] for group in OF_FRAMES}, self._path)
        if not frames:
            raise KeyError(frame_index)
        if not detections:
            return frames[0]
        found = {name: tables["detections"][name] for name in ("x", "y", "contrast", "matched")}
        return replace(
            frames[0], result=replace(frames[0].result, detections=DetectedLights(**found))
        )

    def close(self) -> None:
        """Close the store."""
        self._snapshot.close()

    def _read_block(self, block: int) -> Tables:
        held = self._frame_index[block * LOOK_BACK_FRAMES : (block + 1) * LOOK_BACK_FRAMES]
        return self._snapshot.tables(int(held[0]), int(held[-1]) + 1, OF_FRAMES)


# Look up frames of a store by name

READ_FRAMES = 65536


def find_frames(path: Path, name: str) -> list[StoredFrame]:
    """Return the frames with a name, without reading the others.

    A name is a frame id in any spelling, else a file name or path, else at least six digits of the
    SHA-256. Only the column of names is read completely. The columns of paths and hashes are read
    if it does not contain the name. The store need not exist during its first run. Raises
    NoFrameError if there is no such frame, and StoreError if the store cannot be read.
    """
    wanted = name.encode("utf-8", "backslashreplace")
    ids = [wanted, (archive_frame_id(name) or name).encode("utf-8", "backslashreplace")]
    ways: dict[str, Callable[[NDArray[Any]], NDArray[np.bool_]]] = {
        "frame": lambda frames: np.isin(frames, ids),
        "path": lambda paths: (paths == wanted) | np.strings.endswith(paths, b"/" + wanted),
    }
    # Fewer digits of a SHA-256 would match many photos
    if len(name) >= 6:
        ways["sha256"] = lambda hashes: np.strings.startswith(hashes, wanted.lower())
    numbers: list[int] = []
    with Snapshot(path) as snapshot:
        for column, match in ways.items():
            for tables in snapshot.blocks(groups=select(f"frames/{column}"), frames=READ_FRAMES):
                frames = tables["frames"]
                numbers += frames["frame_index"][match(frames[column])].tolist()
            if numbers:
                return list(iter_frames(path, numbers))
        raise NoFrameError(
            f"{path} has no frame named {name}: {format_command('show', path)} lists the "
            f"{format_count(len(snapshot.frame_index), 'frame')} that it has."
        )
