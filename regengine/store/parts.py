"""The folder of parts beside a store: one process writes it, anybody may read it."""

from __future__ import annotations

import glob
import re
from contextlib import suppress
from pathlib import Path

from regengine.errors import StoreError
from regengine.store.file_lock import FileLock

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


class PartsFolder:
    """The parts of one store, held by this process until `release`.

    Parameters
    ----------
    store : Path
        The store that the parts belong to.

    Raises
    ------
    StoreError
        If another process writes to the store (``code="store_busy"``).
    OSError
        If the folder cannot be made or written.
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

    def release(self) -> None:
        """Give the folder up, and delete it if nothing is left in it."""
        empty = not list_parts(self.path)
        self._lock.release(delete=empty)
        if empty:
            with suppress(OSError):
                self.path.rmdir()
