"""What a batch needs of the store that keeps its results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from regengine.store.index import StoredEntry
from regengine.store.rows import StoredFrame


class StoredIndex(Protocol):
    """What is stored, without the results themselves."""

    def find(self, path: str, sha256: str) -> StoredEntry | None:
        """The entry of a photo; None where the store does not have it."""

    def free_numbers(self) -> Iterator[int]:
        """Numbers that no frame has, ascending, without end."""


class Keeper(Protocol):
    """An open store; `regengine.store.writer.StoreWriter` is one."""

    @property
    def index(self) -> StoredIndex:
        """What was stored when the store was opened."""

    def stored_frame(self, frame_index: int, *, detections: bool = False) -> StoredFrame:
        """A frame that was stored before, or in this run and is safe."""

    def add(self, frame: StoredFrame) -> None:
        """Take a finished frame; it is not safe before the next `flush`."""

    def due(self, wait_s: float = 0.0) -> bool:
        """Whether to flush now, if the next chance comes only after ``wait_s`` seconds."""

    def flush(self) -> list[StoredFrame]:
        """Make safe what was added; gives the frames that are safe now and were not before."""
