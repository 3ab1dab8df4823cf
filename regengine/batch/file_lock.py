"""One writer for a file: a lock beside it that the kernel drops with the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from regengine.errors import StoreError


class FileLock:
    """Held from its making until `release`, or until the process ends, however it does.

    Parameters
    ----------
    path : Path
        The file that is written; ``.NAME.lock`` in its folder is what is locked, since the file
        itself may be replaced.

    Raises
    ------
    StoreError
        If another process writes the file.
    OSError
        If the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.lock")
        while True:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._handle)
                raise StoreError(
                    f"{path} is being written by another regengine: wait until it has finished, "
                    "or name another file with --out.",
                ) from error
            if self._is_there():
                return
            os.close(self._handle)  # who held it until just now deleted it

    def release(self) -> None:
        """Give the file up."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return False
