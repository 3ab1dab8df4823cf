"""A file of NDJSON lines, one a photo, that survives whatever ends the run that writes it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from regengine.batch.line_index import LineIndex, foreign, write_lines
from regengine.batch.line_text import facts_of
from regengine.errors import StoreError
from regengine.store.atomic import sync_folder
from regengine.store.file_lock import FileLock

FLUSH_LINES = 64
FLUSH_S = 1.0  # people watch the lines come
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LineFile:
    """The one writer of a file of lines.

    A line is safe once `flush` has returned. A torn last line, which a crash leaves, is cut off
    when the file is opened again. Of a photo that is done again both lines are in the file until
    `finish` leaves the newer one, in the place of the older.

    Parameters
    ----------
    path : Path
        The file. It must be one that this class wrote, or none.
    command : str
        What writes it: lines of another command are refused.
    parameters_sha256 : str
        Hash of the settings of this run.
    anew : bool, optional
        Write all lines anew, into ``NAME.new`` until `finish`; a run that is ended before is
        taken up there by the next one.
    clock : callable, optional
        Seconds that never run backwards.

    Raises
    ------
    StoreError
        If the file is a foreign one, is in use or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        command: str,
        parameters_sha256: str,
        anew: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._command, self._parameters = command, parameters_sha256
        self._clock = clock
        self._pending: list[bytes] = []
        self._flushed_s = clock()
        self.written = 0
        try:
            self._open(anew)
        except OSError as error:
            raise self._failure(error) from error

    def has(self, path: Path, sha256: str) -> str | None:
        """Whether a photo's line is there: "done", "failed", or None if it is to be made."""
        return self._index.has(path, sha256)

    def add(self, line: str) -> None:
        """Take a photo's stamped line; it is not safe before the next `flush`."""
        content = line.encode("utf-8", "backslashreplace") + b"\n"
        self._index.note(content, self._size + sum(map(len, self._pending)))
        self._pending.append(content)

    @property
    def pending(self) -> bool:
        """Whether there are lines that are not safe yet."""
        return bool(self._pending)

    def due(self) -> bool:
        """Whether it is time to flush."""
        late = self._clock() - self._flushed_s >= FLUSH_S
        return len(self._pending) >= FLUSH_LINES or (late and bool(self._pending))

    def flush(self) -> None:
        """Bring all lines to the disk.

        Raises
        ------
        StoreError
            If they cannot be written; the file keeps what was safe.
        """
        if not self._pending:
            return
        content = b"".join(self._pending)
        try:
            _write_all(self._stream, content)
            os.fsync(self._stream.fileno())
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._stream.fileno(), self._size)
            raise self._failure(error) from error
        self._size += len(content)
        self.written += len(self._pending)
        self._pending = []
        self._flushed_s = self._clock()

    def finish(self) -> None:
        """Put the file into its final shape: a line a photo, under its own name.

        Raises
        ------
        StoreError
            If that cannot be done; all lines are safe and the next run does it.
        """
        self.flush()
        try:
            if self._index.surplus:
                write_lines(self._current, self._index.newest_lines(self._current))
            if self._current != self.path:
                self._current.replace(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Let go of the file; lines that were never flushed are dropped."""
        self._stream.close()
        self._lock.release()

    def _open(self, anew: bool) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and not self.path.is_file():
            raise StoreError(f"{self.path} is no file: name one with --out.")
        self._lock = FileLock(
            # Not the file itself, which may be replaced
            self.path.with_name(f".{self.path.name}.lock"),
            StoreError(
                f"{self.path} is being written by another regengine: wait until it has finished, "
                "or name another file with --out.",
                code="store_busy",
            ),
        )
        try:
            self._current = self._file_to_write(anew)
            self._index = LineIndex(
                self._current, command=self._command, parameters_sha256=self._parameters
            )
            self._size = self._index.size
            # Unbuffered: what could not be written must not be written later, at close
            self._stream = FileIO(self._current, "a")
            if self._stream.tell() > self._size:
                os.ftruncate(self._stream.fileno(), self._size)
            sync_folder(self.path.parent)
        except BaseException:
            self._lock.release()
            raise

    def _file_to_write(self, anew: bool) -> Path:
        """The file itself, or the one beside it that will take its place."""
        beside = self.path.with_name(f"{self.path.name}.new")
        if anew:
            beside.unlink(missing_ok=True)
        if not self.path.exists() or not (anew or beside.exists()):
            return self.path
        with self.path.open("rb") as stream:
            first = stream.readline()
        facts = facts_of(first)
        if first and (facts is None or facts.command != self._command):
            raise foreign(self.path, self._command)
        return beside

    def _failure(self, error: OSError) -> StoreError:
        if isinstance(error, StoreError):
            return error
        why = (error.strerror or str(error)).lower()
        safe = f"; {self.written} lines of this run are safe in it" if self.written else ""
        if error.errno in FULL_DISK:
            return StoreError(
                f"{self.path} cannot be written because its disk is full ({why}){safe}: "
                "free some space, then give the same command again.",
            )
        return StoreError(
            f"{self.path} cannot be written ({why}){safe}: check its folder and permissions, "
            "or name another file with --out.",
        )


def _write_all(stream: FileIO, content: bytes) -> None:
    """Write to the last byte: a disk that fills up takes a part first, and then fails."""
    rest = memoryview(content)
    while len(rest):
        rest = rest[stream.write(rest) :]
