"""A file of NDJSON lines, one a photo, that survives whatever ends the run that writes it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from io import FileIO
from pathlib import Path
from typing import Any

from regengine.errors import StoreError
from regengine.io.atomic import (
    FileLock,
    put_in_place,
    refusal,
    replacements,
    sync_folder,
)
from regengine.io.checksums import fingerprint
from regengine.io.plain import printable
from regengine.photo.frame_records import frame_id_of
from regengine.result import Failure

# All records begin alike; what is known of the photo's file stands at their end. Between the two
# may lie megabytes, which need not be read as JSON to know the photo again.
_TEXT = rb'"((?:[^"\\]|\\.)*)"'
_HEAD = re.compile(rb'\{"frame": ' + _TEXT + rb', "path": ' + _TEXT + rb'(, "failed": \{)?')
_TAIL = re.compile(
    rb', "command": "([a-z ]+)", "sha256": "([0-9a-f]{64})?", '
    rb'"parameters_sha256": "([0-9a-f]{64})"\}\n\Z'
)
TAIL_BYTES = 300
BEGINNING = b'{"frame": "'


@dataclass(frozen=True, kw_only=True)
class LineFacts:
    """What a line says of its photo; ``sha256`` is empty where it could not be read."""

    command: str
    path: str
    sha256: str
    parameters_sha256: str
    failed: bool


def stamped(line: str, *, command: str, sha256: str, parameters_sha256: str) -> str:
    """A record's line with the command, the photo's hash and that of the settings at its end."""
    known = {"command": command, "sha256": sha256, "parameters_sha256": parameters_sha256}
    return f"{line[:-1]}, {json.dumps(known)[1:]}"


def failed_line(path: Path, failure: Failure) -> str:
    """The record of a photo without a result."""
    return json.dumps(
        {
            "frame": printable(frame_id_of(path)),
            "path": printable(str(path)),
            "failed": {"code": failure.code, "text": printable(failure.text)},
        }
    )


def facts_of(line: bytes) -> LineFacts | None:
    """What a whole line, its end included, says of its photo; None if it was not stamped."""
    head, tail = _HEAD.match(line), _TAIL.search(line[-TAIL_BYTES:])
    if head is None or tail is None:
        return None
    try:
        path = json.loads(b'"' + head[2] + b'"')
    except ValueError:
        return None
    return LineFacts(
        command=tail[1].decode(),
        path=printable(path),
        sha256=(tail[2] or b"").decode(),
        parameters_sha256=tail[3].decode(),
        failed=head[3] is not None,
    )


def identity(path: str, sha256: str) -> int:
    """A number for what makes two photos the same: content and name, or path if unreadable.

    64 bits: of a million photos, two are taken for one with a chance of 3e-8.
    """
    text = f"{sha256}\n{Path(path).name}" if sha256 else f"\n{path}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def may_be_own(line: bytes) -> bool:
    """Whether a file's first line, damaged or cut as it is, may be a stamped one."""
    if line.endswith(b"}") and facts_of(line + b"\n") is None:
        return False  # whole, but not ours
    return line.startswith(BEGINNING) or BEGINNING.startswith(line)


class LineIndex:
    """Which photo's newest line is where in a file: a few numbers a photo.

    ``size`` counts bytes up to the end of the last whole line: what follows was torn by a crash.
    ``surplus`` tells whether there are lines that `newest_lines` leaves out: older ones, damaged
    ones. StoreError if the file was written by another command, or by another program; OSError if
    it cannot be read.
    """

    def __init__(self, path: Path, *, command: str, parameters_sha256: str) -> None:
        self._command, self._parameters = command, parameters_sha256
        self._offsets: dict[int, int] = {}
        self._failed: set[int] = set()
        self._other: set[int] = set()  # made with other settings
        self.surplus = False
        self.size = self._scan(path) if path.exists() else 0

    def has(self, path: Path, sha256: str) -> str | None:
        """Whether a photo's line is there: "done", "failed", or None if it is to be made."""
        key = identity(printable(str(path)), sha256)
        if key not in self._offsets or key in self._other:
            return None
        return "failed" if key in self._failed else "done"

    def note(self, line: bytes, offset: int) -> bool:
        """Take in the line at an offset; False if it says of no photo."""
        facts = facts_of(line)
        if facts is None:
            return False
        if facts.command != self._command:
            raise StoreError(
                f"The file of --out holds what regengine {facts.command} wrote, and this is "
                f"{self._command}: name another file.",
            )
        key, unreadable = identity(facts.path, facts.sha256), identity(facts.path, "")
        self.surplus |= key in self._offsets
        if key != unreadable and self._offsets.pop(unreadable, None) is not None:
            self.surplus = True
            self._failed.discard(unreadable)
        self._offsets[key] = offset
        _mark(self._failed, key, facts.failed)
        _mark(self._other, key, facts.parameters_sha256 != self._parameters)
        return True

    def newest_lines(self, path: Path) -> Iterator[bytes]:
        """Of each photo its newest line, in the place of its first."""
        done: set[int] = set()
        with path.open("rb") as lines, path.open("rb") as newest:
            for line in lines:
                facts = facts_of(line)
                key = None if facts is None else identity(facts.path, facts.sha256)
                if key is None or key in done or key not in self._offsets:
                    continue
                done.add(key)
                newest.seek(self._offsets[key])
                yield newest.readline()

    def _scan(self, path: Path) -> int:
        offset = damaged = 0
        with path.open("rb") as stream:
            for line in stream:
                known = self.note(line, offset)
                if not known and offset == 0 and not may_be_own(line):
                    raise foreign(path, self._command)
                if not line.endswith(b"\n"):
                    break
                damaged += not known
                offset += len(line)
        if damaged and not self._offsets:
            raise foreign(path, self._command)
        if damaged:
            self.surplus = True
            text = "%s: %d damaged lines are left out, and their photos done again."
            logging.getLogger("regengine").warning(text, path, damaged)
        return offset


def foreign(path: Path, command: str) -> StoreError:
    """The error for a file that must not be touched."""
    return StoreError(
        f"{path} was not written by regengine {command} --out: name another file.",
    )


def _mark(members: set[int], key: int, belongs: bool) -> None:
    members.add(key) if belongs else members.discard(key)


FLUSH_LINES = 64
FLUSH_S = 1.0  # people watch the lines come


class LineFile:
    """The one writer of a file of lines.

    A line is safe once `flush` has returned. A torn last line, which a crash leaves, is cut off
    when the file is opened again. Of a photo that is done again both lines are in the file until
    `finish` leaves the newer one, in the place of the older. With ``anew`` all lines are written
    anew, into ``NAME.new`` until `finish`; a run that is ended before is taken up there by the next
    one. StoreError if the file is a foreign one (not written by this class for this command), is in
    use or cannot be written.
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
        """Bring all lines to the disk."""
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
        """Put the file into its final shape: a line a photo, under its own name."""
        self.flush()
        try:
            if self._index.surplus:
                lines = self._index.newest_lines(self._current)
                with replacements((self._current,)) as (new,), new.open("wb") as stream:
                    stream.writelines(lines)
            if self._current != self.path:
                put_in_place(self._current, self.path)
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
            try:
                if self._stream.tell() > self._size:
                    os.ftruncate(self._stream.fileno(), self._size)
                sync_folder(self.path.parent)
            except BaseException:
                self._stream.close()
                raise
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
        return refusal(self.path, error, safe=f"{self.written} lines" if self.written else "")


def _write_all(stream: FileIO, content: bytes) -> None:
    """Write to the last byte: a disk that fills up takes a part first, and then fails."""
    rest = memoryview(content)
    while len(rest):
        rest = rest[stream.write(rest) :]


def line_parameters(command: str, settings: dict[str, Any]) -> str:
    """Hash of all that the lines of a run depend on, the photos excepted.

    Files among the settings count by name and content, so that moving them changes nothing.
    """
    known = {"engine_version": version("regengine"), "command": command}
    known |= {name: _plain(value) for name, value in settings.items()}
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return {"name": value.name, "fingerprint": fingerprint(value)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
