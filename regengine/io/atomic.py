"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from regengine.errors import ConfigError, StoreError


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


# One writer at a time: a locked file that the kernel lets go of with the process.


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


# What a disk or a folder that refuses a store means, in one sentence.

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refusal(path: Path, error: OSError, *, written: int = 0) -> StoreError:
    """The error for a store that cannot be written.

    Parameters
    ----------
    path : Path
        The store.
    error : OSError
        What the system said.
    written : int
        Frames of this run that are safe in it.

    Returns
    -------
    StoreError
    """
    why = (error.strerror or str(error)).lower()
    safe = f"; {written} frames of this run are safe in it" if written else ""
    if error.errno in FULL_DISK:
        return StoreError(
            f"{path} cannot be written because its disk is full ({why}){safe}: "
            "free some space, then give the same command again.",
            code="store_full",
        )
    return StoreError(
        f"{path} cannot be written ({why}){safe}: check its folder and permissions, "
        "or name another file with --store.",
        code="store_unwritable",
    )


@contextmanager
def refusals_told(path: Path) -> Iterator[None]:
    """Turn what the system says while a store is written into one sentence.

    Raises
    ------
    StoreError
        For every `OSError` that is none yet.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise refusal(path, error) from error


# Whether an output may be written: asked before any work is done.


def check_new_file(out: Path, endings: Sequence[str], *, force: bool) -> None:
    """See to it that a file can be written.

    Parameters
    ----------
    out : Path
        Of ``--out``.
    endings : sequence of str
        What its name may end in.
    force : bool
        Whether a file that exists is to be replaced.

    Raises
    ------
    ConfigError
        If not.
    """
    if out.suffix.lower() not in endings:
        raise ConfigError(f"--out {out}: the file's name ends in {' or '.join(endings)}.")
    folder = out.absolute().parent
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(
            f"--out {out} cannot be written: name a file in a folder that exists and that you may "
            "write to."
        )
    if os.path.lexists(out) and not force:
        raise ConfigError(f"--out {out} exists: name another file, or replace it with --force.")
