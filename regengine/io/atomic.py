"""Write files atomically, or append whole lines; lock them so that one writer changes them.

A new file is written next to the old one, flushed to the disk and renamed over it. This order
survived 20 of 20 kills; appending lost rows in 14. Also the folders of the user's files on each
system.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from io import FileIO
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile

from regengine.errors import ConfigError, RegengineError, StoreError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNWRITABLE = ("store_full", "store_unwritable")  # codes of what cannot be written
_PROBE_BYTES = 1 << 12  # a block of a file system, so that a full disk refuses it
_LEAST_FREE_BYTES = 1 << 20
# In messages of GDAL, HDF5 and SQLite, whose exceptions have no error number
_FULL_WORDS = (*map(os.strerror, FULL_DISK), "disk is full", "disk full")
_NUMBERS = count()  # numbers of new files, so that two threads can write one at the same time


def write_whole(path: Path, content: bytes, *, with_folder: bool = False) -> None:
    """Write a file so that any crash leaves either the old one or the new one.

    ``with_folder`` makes its folder if necessary. Raises StoreError if the disk is full or the
    folder cannot be written; no temporary file remains.
    """
    with raise_as_store_error(path):
        if with_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with provide_replacements((path,), ending=".tmp") as (new,):
            new.write_bytes(content)


@contextmanager
def replace_files(paths: tuple[Path, ...], *, sync: bool = True) -> Iterator[tuple[Path, ...]]:
    """Like `provide_replacements`, with the suffixes of the old files; StoreError on failure."""
    with raise_as_store_error(paths[0]), provide_replacements(paths, sync=sync) as temporary:
        yield temporary


@contextmanager
def raise_as_store_error(out: Path) -> Iterator[None]:
    """Raise write errors, also those of libraries, as a `StoreError` with one sentence."""
    try:
        yield
    except RegengineError:
        raise
    except OSError as error:
        full = find_full_disk(error)
        # Libraries do not always say why: with as little space as this, that is why
        if error.errno is None and shutil.disk_usage(_find_existing(out)).free < _LEAST_FREE_BYTES:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise make_refusal(out, full or error) from error
    except Exception as error:
        if full := find_full_disk(error):
            raise make_refusal(out, full) from error
        raise


def find_full_disk(error: BaseException | None) -> OSError | None:
    """Return the full disk that is behind an exception of any library; None if none is."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL_DISK:
            return error
        if any(words.lower() in str(error).lower() for words in _FULL_WORDS):
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        error = error.__cause__ or error.__context__
    return None


def make_refusal(
    out: Path | str, error: OSError, *, safe: str = "", instead: str = "choose another place"
) -> StoreError:
    """Return the error for a failed write; ``safe`` names what is in the file nevertheless."""
    is_full = error.errno in FULL_DISK
    why = os.strerror(error.errno or 0) if is_full else error.strerror or str(error)
    what = f"({why.lower()})" + (f"; {safe} of this run saved" if safe else "")
    if is_full:
        what = f"because the disk is full {what}: free some space, then run the same command again"
        return StoreError(f"{out} cannot be written {what}.", code="store_full")
    what += f": check the folder and its permissions, or {instead}"
    return StoreError(f"{out} cannot be written {what}.", code="store_unwritable")


@contextmanager
def provide_replacements(
    paths: tuple[Path, ...], *, ending: str = "", sync: bool = True
) -> Iterator[tuple[Path, ...]]:
    """Provide paths for new files that replace others at the end; on errors, delete them.

    They are in the same folders; the block creates the files. ``ending`` is the suffix of their
    names; by default, that of the old files, for writers that depend on it. Without ``sync``, the
    files survive a crash of the program, but possibly not a power failure.
    """
    temporary = []
    for path in paths:
        unique = f"{os.getpid()}.{next(_NUMBERS)}"
        name = f".{path.name}.{unique}{ending}" if ending else f".{unique}.tmp{path.suffix}"
        temporary.append(path.with_name(name))
    try:
        yield tuple(temporary)
        for new in temporary if sync else ():
            with new.open("rb+") as stream:
                os.fsync(stream.fileno())
        for new, path in zip(temporary, paths, strict=True):
            new.replace(path)
        for folder in {path.parent for path in paths} if sync else ():
            sync_folder(folder)
    finally:
        for new in temporary:
            with suppress(OSError):
                new.unlink()


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def hold_lock(path: Path, tell_busy: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file, ``NAME.lock`` next to it; wait while another process holds it.

    ``tell_busy`` is called before waiting. File systems without locks, such as some network drives,
    are used without one. Raises OSError if the folder cannot be written.
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
    with closing(lock):
        yield


class FileLock:
    """A lock file, created with its folder if necessary; the kernel releases it with the process.

    The lock is held from construction until `close` or the end of the process, even by a crash.
    If another process or thread holds it, ``busy`` is raised; without ``busy``, the constructor
    waits. Raises OSError if the folder cannot be written.
    """

    def __init__(self, path: Path, busy: StoreError | None = None) -> None:
        self._path, tries_left = path, 100
        while True:
            path.parent.mkdir(exist_ok=True)
            try:
                self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except FileNotFoundError:
                # The previous holder has just deleted the folder, or it takes no files, as /proc
                tries_left -= 1
                if not tries_left:
                    raise
                continue
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
            except BaseException as error:
                os.close(self._handle)
                if busy and isinstance(error, BlockingIOError):
                    raise busy from error
                raise
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(self._handle)):
                    return
            os.close(self._handle)  # the previous holder has just deleted the file

    def close(self) -> None:
        """Release the lock, and delete the file if possible."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        os.close(self._handle)


def check_new_file(out: Path, endings: Sequence[str], *, force: bool) -> None:
    """Raise an error, before any work is done, if an ``--out`` file cannot be written.

    Its name must have one of the suffixes ``endings``, if there are any. With ``force``, an
    existing file may be replaced. Raises ConfigError for a name that cannot be used, and StoreError
    for a place that cannot be written.
    """
    if endings and out.suffix.lower() not in endings:
        raise ConfigError(f"--out {out}: the file's name must end in {' or '.join(endings)}.")
    check_file(out)
    if os.path.lexists(out) and not force:
        raise ConfigError(f"--out {out} exists: name another file, or replace it with --force.")


def check_file(path: Path) -> None:
    """Raise StoreError, before any work is done, if a file cannot be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise StoreError(
            f"{path} cannot be written: name a file in an existing, writable folder.",
            code="store_unwritable",
        )
    check_folder(path.parent, named=path)


def check_folder(folder: Path, *, named: Path | None = None) -> None:
    """Raise StoreError, before any work is done, if a folder cannot be made or written.

    ``named`` is what the error names instead. Nothing is made: a file without a name is written to
    the folder, or to the nearest that exists.
    """
    there = _find_existing(folder)
    with raise_as_store_error(named or folder), TemporaryFile(dir=there, buffering=0) as probe:
        probe.write(bytes(_PROBE_BYTES))


def _find_existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    path = path.absolute()
    while not os.path.lexists(path):
        path = path.parent
    return path


def data_folder() -> Path:
    """Return the folder for maps and element sets: REGENGINE_DATA, or the system's data folder."""
    return _folder("REGENGINE_DATA", "Application Support", "XDG_DATA_HOME", ".local/share")


def cache_folder() -> Path:
    """Return the folder for downloads: REGENGINE_CACHE, or the system's cache folder."""
    return _folder("REGENGINE_CACHE", "Caches", "XDG_CACHE_HOME", ".cache")


def make_folder(folder: Path, *, variable: str = "REGENGINE_DATA") -> Path:
    """Create a folder for the user's files if necessary; StoreError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise make_refusal(folder, error, instead=f"set {variable} to another folder") from error
    return folder


def _folder(variable: str, mac: str, xdg: str, usual: str) -> Path:
    if given := os.environ.get(variable):
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / mac / "regengine"
    return Path(os.environ.get(xdg) or Path.home() / usual) / "regengine"


class Journal:
    """Writes a file of lines, which is created if necessary; only one writer at a time.

    ``size`` is that of its complete lines; the rest was torn by a crash and is cut off. Every
    method raises OSError if the file cannot be written. Lines flushed earlier stay.
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
