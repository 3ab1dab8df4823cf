"""A file that HDF5 can write to without ever meeting a full disk."""

from __future__ import annotations

import io
import os
from typing import TypeAlias

Bytes: TypeAlias = bytes | bytearray | memoryview


class HeldErrors:
    """The file object under an `h5py.File`; what goes wrong is held back until `check`.

    A write that fails inside the HDF5 library can leave it in a state in which it cannot even
    close the file, and takes the process down with it. Here the library never sees a failure:
    from the first one on, what it writes stays in memory, and is read back from there. That is
    little, as long as `check` is called every few megabytes.

    Parameters
    ----------
    stream : raw binary file
        Open for reading and writing, empty.
    """

    def __init__(self, stream: io.FileIO) -> None:
        self._handle = stream.fileno()
        self._position = self._size = 0
        self._error: BaseException | None = None
        self._kept: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise what went wrong since the file was opened, if anything did."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place, counted from the start or the end."""
        self._position = offset + (self._size if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        """The place."""
        return self._position

    def write(self, data: Bytes) -> int:
        """Take bytes, on the disk if it can be."""
        content = memoryview(data).cast("B")
        try:
            if self._error is None:
                self._write(content, self._position)
        except BaseException as error:  # an interrupt, too, must not be raised inside HDF5
            self._error = error
        if self._error is not None:
            self._kept.append((self._position, bytes(content)))
        self._position += len(content)
        self._size = max(self._size, self._position)
        return len(content)

    def read(self, size: int) -> bytes:
        """Some bytes; h5py takes nothing for a file that cannot be asked for them."""
        content = bytearray(size)
        self.readinto(content)
        return bytes(content)

    def readinto(self, data: Bytes) -> int:
        """Give bytes back; places that were never written hold zeros."""
        content = memoryview(data).cast("B")
        start = self._position
        try:
            found = os.preadv(self._handle, [content], start)
        except BaseException as error:
            self._error, found = self._error or error, 0
        content[found:] = bytes(len(content) - found)
        for offset, kept in self._kept:
            first, last = max(offset, start), min(offset + len(kept), start + len(content))
            if first < last:
                content[first - start : last - start] = kept[first - offset : last - offset]
        self._position += len(content)
        return len(content)

    def truncate(self, size: int) -> int:
        """Set the length."""
        try:
            if self._error is None:
                os.ftruncate(self._handle, size)
        except BaseException as error:
            self._error = error
        self._size = size
        return size

    def flush(self) -> None:
        """Nothing is buffered here."""

    def _write(self, content: memoryview, offset: int) -> None:
        while content:
            written = os.pwrite(self._handle, content, offset)
            content, offset = content[written:], offset + written
