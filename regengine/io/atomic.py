"""Files that appear whole or not at all, by one writer at a time.

A new file is written beside the old one, brought to the disk and renamed over it: the order that
survived 20 of 20 kills where appending lost rows in 14.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from regengine.errors import ConfigError, RegengineError, StoreError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NUMBERS = count()  # of new files, so that two threads can write one at a time


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that any crash leaves either the old one or the new one.

    OSError if the disk is full or the folder cannot be written; no temporary file remains.
    """
    with provide_replacements((path,), ending=".tmp") as (new,):
        new.write_bytes(content)


@contextmanager
def replace_files(paths: tuple[Path, ...], *, sync: bool = True) -> Iterator[tuple[Path, ...]]:
    """Paths for new files of the same endings, see `provide_replacements`; StoreError if they
    fail.
    """
    with raise_as_store_error(paths[0]), provide_replacements(paths, sync=sync) as temporary:
        yield temporary


@contextmanager
def raise_as_store_error(out: Path) -> Iterator[None]:
    """Tell in a sentence, a `StoreError`, that something cannot be written."""
    try:
        yield
    except OSError as error:
        if isinstance(error, RegengineError):
            raise
        raise make_refusal(out, error) from error


def make_refusal(out: Path, error: OSError, *, safe: str = "") -> StoreError:
    """The error for what a disk or folder refuses; ``safe`` is what is in it all the same."""
    what = f"({(error.strerror or str(error)).lower()})"
    what += f"; {safe} of this run are saved" if safe else ""
    if error.errno in FULL_DISK:
        what = f"because the disk is full {what}: free some space, then run the same command again"
        return StoreError(f"{out} cannot be written {what}.", code="store_full")
    what += ": check the folder and its permissions, or choose another place"
    return StoreError(f"{out} cannot be written {what}.", code="store_unwritable")


@contextmanager
def provide_replacements(
    paths: tuple[Path, ...], *, ending: str = "", sync: bool = True
) -> Iterator[tuple[Path, ...]]:
    """Paths for new files that take the place of others at the end of the block, or vanish.

    They are in the same folders; the block makes the files. ``ending`` is of their names: the old
    ones', for writers that go by it, if not given. Without ``sync`` they are whole whatever becomes
    of the program, but not if the power fails.
    """
    temporary = []
    for path in paths:
        unique = f"{os.getpid()}.{next(_NUMBERS)}"
        name = f".{path.name}.{unique}{ending}" if ending else f".{unique}.tmp{path.suffix}"
        temporary.append(path.with_name(name))
    try:
        yield tuple(temporary)
        for new in temporary if sync else ():
            _sync_file(new)
        for new, path in zip(temporary, paths, strict=True):
            new.replace(path)
        for folder in {path.parent for path in paths} if sync else ():
            sync_folder(folder)
    finally:
        for new in temporary:
            with suppress(OSError):
                new.unlink()


def put_in_place(made: Path, path: Path) -> None:
    """Bring a finished file to the disk and put it in the place of another of its folder."""
    _sync_file(made)
    made.replace(path)
    sync_folder(path.absolute().parent)


def _sync_file(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def hold_lock(path: Path, tell_busy: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold a file's lock, ``NAME.lock`` beside it, once whoever else holds it is done.

    ``tell_busy`` is called if that has to be waited for. Disks that know no locks, as some of
    networks, go without. OSError if the folder cannot be written.
    """
    beside = path.with_name(f"{path.name}.lock")
    try:
        try:
            lock = FileLock(beside, StoreError(f"{path} is in use."))
        except StoreError:
            tell_busy()
            lock = FileLock(beside)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        yield
        return
    try:
        yield
    finally:
        lock.release()


class FileLock:
    """A locked file, made if need be with its folder; the kernel lets go of it with the process.

    Held from its making until `release`, or until the process ends, however it does. ``busy`` is
    raised where another process or thread holds it, which without one is waited for; OSError if the
    folder cannot be written.
    """

    def __init__(self, path: Path, busy: StoreError | None = None) -> None:
        self._path = path
        while True:
            path.parent.mkdir(exist_ok=True)
            try:
                self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except FileNotFoundError:  # who held it until just now deleted the folder
                continue
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
            except BaseException as error:
                os.close(self._handle)
                if busy and isinstance(error, BlockingIOError):
                    raise busy from error
                raise
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


def check_new_file(out: Path, endings: Sequence[str], *, force: bool) -> None:
    """Refuse, before any work is done, an ``--out`` that cannot be written (ConfigError).

    Its name must end in one of ``endings``, if there are any; with ``force`` a file that exists may
    be replaced.
    """
    if endings and out.suffix.lower() not in endings:
        raise ConfigError(f"--out {out}: the file's name must end in {' or '.join(endings)}.")
    folder = out.absolute().parent
    if out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(
            f"--out {out} cannot be written: name a file in an existing, writable folder."
        )
    if os.path.lexists(out) and not force:
        raise ConfigError(f"--out {out} exists: name another file, or replace it with --force.")
