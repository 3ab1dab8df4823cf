"""A file that grows by whole lines and survives whatever ends the process that writes it.

What is appended is safe once it was brought to the disk. What a crash leaves of a last line is cut
off when the file is opened again; whoever reads meanwhile leaves it out.
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path

from regengine.io.atomic import sync_folder


class Journal:
    """The one writer of a file of lines.

    Parameters
    ----------
    path : Path
        The file, made if need be.
    size : int
        Bytes of its whole lines; what follows was torn by a crash and is cut off.

    Raises
    ------
    OSError
        Of every method, if the file cannot be written. What was flushed before stays.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.size = size  # bytes that are safe
        self.n_flushed = 0  # lines that this writer has brought to the disk
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        # Unbuffered: what could not be written must not be written later, at close
        self._stream = FileIO(path, "a")
        try:
            if self._stream.tell() > size:
                os.ftruncate(self._stream.fileno(), size)
            sync_folder(path.absolute().parent)
        except BaseException:
            self._stream.close()
            raise

    def append(self, line: bytes) -> int:
        """Take a line, its end included; where it begins. It is not safe before `flush`."""
        begin = self.size + self._pending_bytes
        self._pending.append(line)
        self._pending_bytes += len(line)
        return begin

    def flush(self) -> None:
        """Bring all lines to the disk: all that wait, or none of them."""
        if not self._pending:
            return
        rest = memoryview(b"".join(self._pending))
        try:
            while rest:  # a disk that fills up takes a part first, and then fails
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
        """Let go of the file; lines that were never flushed are dropped."""
        self._stream.close()
