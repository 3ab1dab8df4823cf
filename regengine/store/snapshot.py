"""A store and the parts beside it as they lie at one moment, read in blocks of frames.

Parts are what a run under way, or a killed one, left beside the store: one process writes their
folder, anybody may read it.
"""

from __future__ import annotations

import glob
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from regengine.errors import StoreError
from regengine.io.atomic import FileLock
from regengine.store.file import CHUNK_ROWS, StoreFile, damage_told
from regengine.store.rows import (
    Selection,
    StoredFrame,
    Tables,
    from_tables,
    join,
    of_frames,
    table_from_rows,
    with_texts,
)
from regengine.store.schema import GROUPS, TEXT_COLUMNS

LOCK_NAME = "lock"


def parts_folder(store: Path) -> Path:
    """Folder of the parts of a store: ``run.h5.parts`` beside ``run.h5``."""
    return store.with_name(f"{store.name}.parts")


def list_parts(folder: Path) -> list[Path]:
    """Finished parts of a folder in the order in which they were written."""
    if not folder.is_dir():
        return []
    named = [
        path
        for path in folder.iterdir()
        if re.fullmatch(r"\d{6,}\.h5", path.name) and path.is_file()
    ]
    return sorted(named, key=lambda path: int(path.stem))


def is_there(store: Path, parts: Sequence[Path]) -> bool:
    """Whether there is a store beside its parts; StoreError where there is neither."""
    if store.is_dir():
        raise StoreError(f"{store} is a folder, not a store: name the .h5 file in it.")
    if not store.exists() and not parts:
        raise StoreError(f"{store} does not exist: check the path of the store.")
    return store.exists()


class PartsFolder:
    """The parts of one store, held by this process until `release`.

    StoreError (``code="store_busy"``) if another process writes to the store; OSError if the folder
    cannot be made or written.
    """

    def __init__(self, store: Path) -> None:
        self.path = parts_folder(store)
        self._lock = FileLock(
            self.path / LOCK_NAME,
            StoreError(
                f"{store} is being written by another regengine: wait until it has finished, "
                "or name another file with --store.",
                code="store_busy",
            ),
        )
        unfinished = f".{glob.escape(store.name)}.*.tmp"
        for leftover in [*self.path.glob(".*.tmp"), *store.parent.glob(unfinished)]:
            leftover.unlink(missing_ok=True)
        parts = list_parts(self.path)
        self._last = int(parts[-1].stem) if parts else 0

    def next_part(self) -> Path:
        """Path of the part to write now."""
        self._last += 1
        return self.path / f"{self._last:06d}.h5"

    def remove(self, parts: list[Path]) -> None:
        """Delete parts whose rows are in the store."""
        for part in parts:
            part.unlink(missing_ok=True)

    def without_damaged(self, parts: list[Path]) -> list[Path]:
        """Set parts aside, under another name, that cannot be read: those that can."""
        sound = []
        for part in parts:
            try:
                with StoreFile(part) as file:
                    file.tables(0, int(file.frame_index.max(initial=-1)) + 1)
            except StoreError as error:
                if error.code not in ("store_damaged", "store_foreign"):
                    raise
                aside = part.rename(part.with_name(f"{part.name}.damaged"))
                logging.getLogger("regengine").warning(
                    "%s is damaged and was set aside as %s: its photos are done again when they "
                    "are given again.",
                    part,
                    aside.name,
                )
            else:
                sound.append(part)
        return sound

    def release(self) -> None:
        """Give the folder up, and delete it if nothing is left in it."""
        empty = not list_parts(self.path)
        self._lock.release(delete=empty)
        if empty:
            with suppress(OSError):
                self.path.rmdir()


BLOCK_FRAMES = 256  # of 60 lights each, 5 MB: with 1024 a merge takes 20 MB more and no less time
# Of thousands; a block of frames lies in about five. Each that is open takes 2 MB: with 16 a merge
# of 10,000 frames took 61 MB instead of 33, in no less time.
OPEN_PARTS = 6


class PartGoneError(StoreError):
    """A part was deleted meanwhile: what it held is in the store by now."""

    code = "store_busy"


class Snapshot:
    """A store, None where there is none yet, and its parts in the order in which they were written.

    Each frame counts as the last file has it that holds it. ``store`` is open for as long as the
    snapshot is; ``frame_index`` are the numbers of all frames, ``parts_index`` those of the frames
    that the parts hold, ascending. StoreError, of every method, too, if a file cannot be read;
    PartGoneError if a part does not exist any more.
    """

    def __init__(self, store: Path | None, parts: Sequence[Path]) -> None:
        self.store: StoreFile | None = None
        self._parts = list(parts)
        self._open: OrderedDict[Path, StoreFile] = OrderedDict()
        try:
            ranges = []
            numbers = [np.empty(0, dtype=np.int64)]
            for part in self._parts:
                held = self._part(part).frame_index
                numbers.append(held)
                ranges.append((held[0], held[-1]) if len(held) else (0, -1))
            self._ranges = np.array(ranges, dtype=np.int64).reshape(-1, 2)
            self.parts_index: NDArray[np.int64] = np.unique(np.concatenate(numbers))
            # After the parts: one that vanishes meanwhile is in the store by the time it is opened
            self.store = None if store is None else StoreFile(store)
        except BaseException:
            self.close()
            raise
        stored = self.parts_index if self.store is None else self.store.frame_index
        self.frame_index: NDArray[np.int64] = np.union1d(stored, self.parts_index)

    @classmethod
    def of(cls, path: Path) -> Snapshot:
        """What lies at a path now; StoreError if there is neither store nor part."""
        try:
            parts = list_parts(parts_folder(path))
        except OSError as error:
            raise StoreError(
                f"{parts_folder(path)} cannot be read ({error.strerror}): check its permissions."
            ) from error
        return cls(path if is_there(path, parts) else None, parts)

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all files."""
        for file in self._open.values():
            file.close()
        self._open.clear()
        if self.store is not None:
            self.store.close()

    def blocks(
        self,
        *,
        after: int | None = None,
        groups: Selection = GROUPS,
        frames: int | None = None,
    ) -> Iterator[Tables]:
        """All frames, or those after a number, some at a time; texts are bytes of a fixed length.

        ``groups`` are the columns to read and must include ``frames``.
        """
        wanted = self.frame_index
        if after is not None:
            wanted = wanted[np.searchsorted(wanted, after, side="right") :]
        size = frames or BLOCK_FRAMES
        for start in range(0, len(wanted), size):
            block = wanted[start : start + size]
            yield self.tables(int(block[0]), int(block[-1]) + 1, groups)

    def tables(self, first: int, beyond: int, groups: Selection = GROUPS) -> Tables:
        """Rows of the frames of a stretch; see `StoreFile.tables`."""
        overlap = (self._ranges[:, 0] < beyond) & (self._ranges[:, 1] >= first)
        sets = [] if self.store is None else [self.store.tables(first, beyond, groups)]
        if sets and not overlap.any():
            return sets[0]
        for number in np.flatnonzero(overlap):  # one after the other: few may be open at a time
            sets.append(self._part(self._parts[number]).tables(first, beyond, groups))
        return join(sets, groups)

    def text_lengths(self) -> dict[tuple[str, str], int]:
        """Bytes that hold every text of each text column, by group and column."""
        of_files = [{} if self.store is None else self.store.text_lengths()]
        of_files += [self._part(part).text_lengths() for part in self._parts]
        return {key: max(one.get(key, 1) for one in of_files) for key in TEXT_COLUMNS}

    def _part(self, path: Path) -> StoreFile:
        """A part, opened at most now and then."""
        if path not in self._open:
            try:
                self._open[path] = StoreFile(path)
            except StoreError as error:
                if path.exists():
                    raise
                raise PartGoneError(
                    f"{path} was deleted while it was needed: give the same command again."
                ) from error
            while len(self._open) > OPEN_PARTS:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return self._open[path]


# What a frame consists of; its detections are rows of their own, hundreds a frame
OF_FRAMES = {group: columns for group, columns in GROUPS.items() if group != "detections"}

Found = TypeVar("Found")


def read_snapshot(path: Path, read: Callable[[Snapshot], Found]) -> Found:
    """What is read of a store and its parts, from the start again where one is merged meanwhile.

    StoreError if there is neither store nor part, or one of them cannot be read.
    """
    while True:
        try:
            with Snapshot.of(path) as snapshot:
                return read(snapshot)
        except PartGoneError:
            continue


def iter_blocks(
    path: Path, groups: Selection = GROUPS, frames: int | None = None
) -> Iterator[Tables]:
    """`Snapshot.blocks` of a store that a run may be writing.

    What the run adds behind the frames that were given already may be left out, nothing else.
    """
    last: int | None = None
    while True:
        try:
            with Snapshot.of(path) as snapshot:
                for tables in snapshot.blocks(after=last, groups=groups, frames=frames):
                    yield tables
                    last = int(tables["frames"]["frame_index"][-1])
            return
        except PartGoneError:  # merged meanwhile: go on with the store that has it now
            continue


def iter_frames(path: Path) -> Iterator[StoredFrame]:
    """Frames of a store, and of its parts that are not merged yet, in the order of their numbers.

    Few are in memory at a time. The store need not exist while its first run is under way; what a
    run adds behind the frames that were given already may be left out. StoreError if there is
    neither store nor part, or one of them cannot be read.
    """
    for tables in iter_blocks(path, OF_FRAMES, CHUNK_ROWS):  # each chunk is unpacked once
        yield from frames_of(tables, path)


def iter_frames_numbered(
    path: Path, numbers: NDArray[np.int64], *, hypotheses: bool = False
) -> Iterator[StoredFrame]:
    """Those of `iter_frames` that have some numbers, which ascend; the others are not made.

    Their hypotheses, of which the proposal is one, are left out unless they are asked for.
    """
    if hypotheses:
        for tables in iter_blocks(path, OF_FRAMES, CHUNK_ROWS):
            yield from frames_of(of_frames(tables, numbers), path)
        return
    groups = {group: columns for group, columns in OF_FRAMES.items() if group != "hypotheses"}
    for tables in iter_blocks(path, groups, CHUNK_ROWS):
        none = {"hypotheses": table_from_rows(GROUPS["hypotheses"], [])}
        yield from frames_of(none | of_frames(tables, numbers), path)


def frames_of(tables: Tables, path: Path) -> list[StoredFrame]:
    """Frames out of tables that were read from a file; StoreError if the rows make no sense."""
    with damage_told(path):
        return from_tables(tables)


def frames_numbered(path: Path, numbers: Iterable[int]) -> list[StoredFrame]:
    """Frames of a store by their numbers, without reading the others; those that it has."""

    def read(snapshot: Snapshot) -> list[StoredFrame]:
        return [
            stored
            for number in numbers
            for stored in frames_of(snapshot.tables(number, number + 1, OF_FRAMES), path)
        ]

    return read_snapshot(path, read)


def read_tables(path: Path, groups: Collection[str] = tuple(GROUPS)) -> Tables:
    """All rows of groups of a store and of its parts that are not merged yet, texts as `str`."""
    joined_by = {"frames": tuple(one for one in GROUPS["frames"] if one.name == "frame_index")}
    columns = joined_by | {group: GROUPS[group] for group in groups}

    def read(snapshot: Snapshot) -> Tables:
        with damage_told(path):
            return with_texts(join(list(snapshot.blocks(groups=columns)), columns))

    return read_snapshot(path, read)
