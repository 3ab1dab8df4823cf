"""Append whole lines to a file so that they survive a crash of the process.

A line is safe once it has been flushed to the disk. A torn last line, left by a crash, is cut off
when the file is opened again; readers ignore it meanwhile.
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from regengine.io.atomic import sync_folder


class Journal:
    """Writes a file of lines; only one writer at a time.

    Parameters
    ----------
    path : Path
        The file, created if necessary.
    size : int
        Bytes of its complete lines; the rest was torn by a crash and is cut off.

    Raises
    ------
    OSError
        By every method, if the file cannot be written. Lines flushed earlier stay.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.size = size  # bytes that are safe
        self.n_flushed = 0  # lines that this writer has flushed to the disk
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        # Unbuffered: a failed write must not be repeated later, on closing
        self._stream = FileIO(path, "a")
        try:
            if self._stream.tell() > size:
                os.ftruncate(self._stream.fileno(), size)
            sync_folder(path.absolute().parent)
        except BaseException:
            self._stream.close()
            raise

    def append(self, line: bytes) -> int:
        """Add a line, with its line break; return its offset. It is not safe before `flush`."""
        begin = self.size + self._pending_bytes
        self._pending.append(line)
        self._pending_bytes += len(line)
        return begin

    def flush(self) -> None:
        """Write all waiting lines to the disk, or none of them."""
        if not self._pending:
            return
        rest = memoryview(b"".join(self._pending))
        try:
            while rest:  # a disk that fills up accepts a part first, and then fails
                rest = rest[self._stream.write(rest) :]
            os.fsync(self._stream.fileno())
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._stream.fileno(), self.size)
            raise
        self.size += self._pending_bytes
        self.n_flushed += len(self._pending)
        self._pending, self._pending_bytes = [], 0

    def close(self) -> None:
        """Close the file; lines that were not flushed are dropped."""
        self._stream.close()
