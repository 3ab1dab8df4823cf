"""One writer at a time: a locked file that the kernel lets go of with the process."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from regengine.errors import StoreError


class FileLock:
    """Held from its making until `release`, or until the process ends, however it does.

    Parameters
    ----------
    path : Path
        The file to lock; its folder is made if need be, and so is the file.
    busy : StoreError
        What is raised where another process holds it.

    Raises
    ------
    StoreError
        If another process holds it.
    OSError
        If the folder cannot be written.
    """

    def __init__(self, path: Path, busy: StoreError) -> None:
        self._path = path
        while True:
            path.parent.mkdir(exist_ok=True)
            try:
                self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except FileNotFoundError:  # who held it until just now deleted the folder
                continue
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._handle)
                raise busy from error
            if self._is_there():
                return
            os.close(self._handle)  # who held it until just now deleted it

    def release(self, *, delete: bool = True) -> None:
        """Give it up, and delete the file where that can be done and is wanted."""
        if delete:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return False
