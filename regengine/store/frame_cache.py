"""Single frames out of a store and its parts, for a writer that looks back."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np

from regengine.result import DetectedLights
from regengine.store.index import StoreIndex
from regengine.store.reader import OF_FRAMES, frames_of
from regengine.store.rows import StoredFrame
from regengine.store.schema import DETECTIONS, GROUPS
from regengine.store.store_file import StoreFile
from regengine.store.tables import Tables

BLOCK_FRAMES = 512  # half a chunk: what is read for one frame serves its neighbours
BLOCKS = 4


class FrameCache:
    """Reads frames by their number; a few blocks of rows are kept, not the frames.

    Parameters
    ----------
    store : Path
        The store as it was merged; need not exist.

    Attributes
    ----------
    index : StoreIndex
        Index of the frames of the store.

    Raises
    ------
    StoreError
        If the store is damaged.
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
        """The frame of a number, from the last file that holds it.

        Raises
        ------
        KeyError
            If there is none.
        StoreError
            If it cannot be read.
        """
        for first, last, part in reversed(self._parts):
            if first <= frame_index <= last:
                found = self._look(part, 0, frame_index)
                if found is not None:
                    return found
        if self._store is not None:
            row = int(np.searchsorted(self._store.frame_index, frame_index))
            found = self._look(self._store.path, row // BLOCK_FRAMES, frame_index)
            if found is not None:
                return found
        raise KeyError(frame_index)

    def with_detections(self, stored: StoredFrame) -> StoredFrame:
        """A frame of `frame` together with its detections.

        Raises
        ------
        StoreError
            If they cannot be read.
        """
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

    def _look(self, path: Path, block: int, frame_index: int) -> StoredFrame | None:
        tables = self._block(path, block)
        if frame_index not in tables["frames"]["frame_index"]:
            return None
        one: Tables = {}
        for group, table in tables.items():
            rows = np.flatnonzero(table["frame_index"] == frame_index)
            one[group] = {column.name: table[column.name][rows] for column in GROUPS[group]}
        return frames_of(one, path)[0]

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
