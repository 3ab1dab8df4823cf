"""What a file of lines holds: which photo's newest line is where. A few numbers a photo."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from regengine.batch.line_text import LineFacts, facts_of, identity, may_be_own
from regengine.errors import StoreError
from regengine.records import printable


class LineIndex:
    """The lines of a file, by photo.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    command : str
        What writes it.
    parameters_sha256 : str
        Hash of the settings of this run.

    Attributes
    ----------
    size : int
        Bytes up to the end of the last whole line: what follows was torn by a crash.
    surplus : bool
        Whether there are lines that `newest_lines` leaves out: older ones, damaged ones.

    Raises
    ------
    StoreError
        If the file was written by another command, or by another program.
    OSError
        If it cannot be read.
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
        """Take in the line at an offset; False if it says of no photo.

        Raises
        ------
        StoreError
            If another command wrote it.
        """
        facts = facts_of(line)
        if facts is None:
            return False
        self._refuse_other_command(facts)
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

    def _refuse_other_command(self, facts: LineFacts) -> None:
        if facts.command != self._command:
            raise StoreError(
                f"The file of --out holds what regengine {facts.command} wrote, and this is "
                f"{self._command}: name another file.",
            )


def write_lines(path: Path, lines: Iterator[bytes]) -> None:
    """Put a file in the place of another, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def foreign(path: Path, command: str) -> StoreError:
    """The error for a file that must not be touched."""
    return StoreError(
        f"{path} was not written by regengine {command} --out: name another file.",
    )


def _mark(members: set[int], key: int, belongs: bool) -> None:
    members.add(key) if belongs else members.discard(key)
