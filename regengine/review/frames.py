"""The frames under review: columns of all of them, and single ones whole."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from pathlib import Path
from threading import RLock

from regengine.report.page import photo_file
from regengine.review.frame_columns import FrameColumns, read_columns
from regengine.store.rows import StoredFrame
from regengine.store.snapshot import OF_FRAMES, PartGoneError, Snapshot, frames_of, parts_folder

KEPT_FRAMES = 256
# A run writes a part every ten seconds; 100,000 frames are read anew in less than one
LOOK_AGAIN_S = 5.0


class ReviewFrames:
    """Reads a store for the review; safe to use from several threads.

    A run may be writing the store: `refresh` takes in what it added.

    Parameters
    ----------
    store : Path
        The store; need not exist while its first run is under way.

    Attributes
    ----------
    rows : FrameColumns
        What the queue knows of every frame.

    Raises
    ------
    StoreError
        If there is no store, or it cannot be read; of `frame` and `refresh`, too.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._lock = RLock()
        self._kept: OrderedDict[int, StoredFrame] = OrderedDict()
        self._snapshot: Snapshot | None = None
        self._looked_s = 0.0
        self.rows: FrameColumns
        self._open()

    def frame(self, number: int) -> StoredFrame:
        """The frame of a number, without its detections.

        Raises
        ------
        KeyError
            If there is none.
        """
        with self._lock:
            if number not in self._kept:
                self._kept[number] = self._read(number)
                while len(self._kept) > KEPT_FRAMES:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(number)
            return self._kept[number]

    def photo(self, number: int) -> Path | None:
        """The photo's file: its path as the store has it, else from the store's folder.

        Raises
        ------
        KeyError
            If there is no such frame.
        """
        return photo_file(self.frame(number).result.path, self._store)

    def refresh(self) -> None:
        """Take in what a run has written meanwhile; looks at most every few seconds."""
        with self._lock:
            if time.monotonic() - self._looked_s < LOOK_AGAIN_S:
                return
            self._looked_s = time.monotonic()
            if _signature(self._store) != self._signature:
                self._open()

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            if self._snapshot is not None:
                self._snapshot.close()
                self._snapshot = None

    def _open(self) -> None:
        while True:
            signature = _signature(self._store)
            try:
                snapshot = Snapshot.of(self._store)
                try:
                    rows = read_columns(snapshot)
                except BaseException:
                    snapshot.close()
                    raise
            except PartGoneError:  # merged meanwhile
                continue
            break
        self.close()
        self._snapshot, self._signature, self._looked_s = snapshot, signature, time.monotonic()
        self._kept.clear()
        self.rows = rows

    def _read(self, number: int) -> StoredFrame:
        while True:
            if self._snapshot is None or number not in self.rows.frame_index:
                raise KeyError(number)
            try:
                tables = self._snapshot.tables(number, number + 1, OF_FRAMES)
            except PartGoneError:
                self._open()
                continue
            return frames_of(tables, self._store)[0]


def _signature(store: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """What changes when a run writes a part, or merges its parts."""
    return tuple(_state(path) for path in (store, parts_folder(store)))


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
