"""Write a file of NDJSON lines, one per photo; it survives a crash of the run."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from regengine.errors import StoreError
from regengine.io.atomic import (
    FileLock,
    make_refusal,
    provide_replacements,
    put_in_place,
    sync_folder,
)
from regengine.io.checksums import fingerprint
from regengine.io.journal import Journal
from regengine.io.plain import format_count, make_printable
from regengine.photo.frame_ids import frame_id_of
from regengine.store.read import identity_key
from regengine.store.result import Answer, Reason

BEGINNING = b'{"frame": "'  # of each record
State = Literal["done", "failed"]  # state of a photo that has a line
# Fields of each line that identify its photo and run; ``sha256`` is empty if the photo was
# unreadable
FACTS = ("path", "command", "sha256", "parameters_sha256")


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line; None if it is incomplete or lacks the fields of a run."""
    if not (line.startswith(BEGINNING) and line.endswith(b"\n")):
        return None
    try:
        record: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if all(isinstance(record.get(name), str) for name in FACTS) else None


class LineFile:
    """Writes a file of lines; only one process can write a file at a time.

    A line is safe once `flush` has returned. A torn last line, left by a crash, is cut off when the
    file is opened again. If a photo is processed again, the file contains both lines until
    `finish`, which keeps the newer line in the position of the older. With ``anew``, all lines are
    written again, to ``NAME.new`` until `finish`; if the run ends before that, the next run
    continues there. Raises StoreError if the file was not written by this class for this command,
    is in use, or cannot be written.
    """

    def __init__(
        self, path: Path, *, command: str, parameters_sha256: str, anew: bool = False
    ) -> None:
        self.path = path
        self._command, self._parameters = command, parameters_sha256
        # By identity of the photo: offset of its newest line, state of the photo, and whether the
        # line was written with these settings
        self._lines: dict[int, tuple[int, State, bool]] = {}
        self._surplus = False  # whether the file has lines that `finish` leaves out
        self._size = 0  # offset of the end of the last complete line in the existing file
        try:
            self._open(anew)
        except StoreError:
            raise
        except OSError as error:
            raise make_refusal(path, error) from error

    def find(self, path: str, sha256: str) -> tuple[State, tuple[str, ...]] | None:
        """Return the state of a photo and the differences of settings; None if it has no line."""
        known = self._lines.get(identity_key(path, sha256))
        if known is None:
            return None
        _, state, same_settings = known
        return state, () if same_settings else ("other settings",)

    def add(self, path: Path, sha256: str, outcome: Answer | Reason) -> Answer | Reason:
        """Append the line of a photo, with the fields of the run; it is not safe before `flush`.

        Returns the outcome with the line as it is written.
        """
        if isinstance(outcome, Answer):
            line = outcome.line
        else:
            failure = {"code": outcome.code, "text": make_printable(outcome.text)}
            told = {"frame": make_printable(frame_id_of(path)), "path": make_printable(str(path))}
            line = json.dumps(told | {"failed": failure})
        known = {"command": self._command, "sha256": sha256, "parameters_sha256": self._parameters}
        line = f"{line[:-1]}, {json.dumps(known)[1:]}"
        content = line.encode("utf-8", "backslashreplace") + b"\n"
        self._note(content, self._journal.append(content))
        return replace(outcome, line=line) if isinstance(outcome, Answer) else outcome

    def flush(self) -> None:
        """Write all lines to the disk."""
        try:
            self._journal.flush()
        except OSError as error:
            raise self._failure(error) from error

    def finish(self) -> None:
        """Bring the file into its final form: one line per photo, under its own name."""
        self.flush()
        try:
            if self._surplus:
                with (
                    self._current.open("rb") as old,
                    provide_replacements((self._current,)) as (path,),
                    path.open("wb") as new,
                ):
                    for offset, _, _ in self._lines.values():
                        old.seek(offset)
                        new.write(old.readline())
            if self._current != self.path:
                put_in_place(self._current, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file; lines that were not flushed are dropped."""
        self._opened.close()

    def _open(self, anew: bool) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and not self.path.is_file():
            raise StoreError(f"{self.path} is not a file: name one with --out.")
        lock = FileLock(
            # Not the file itself, which may be replaced
            self.path.with_name(f".{self.path.name}.lock"),
            StoreError(
                f"{self.path} is being written by another regengine: wait until it has finished, "
                "or name another file with --out.",
                code="store_busy",
            ),
        )
        with ExitStack() as opened:
            opened.callback(lock.release)
            self._current = self._file_to_write(anew)
            if self._current.exists():
                self._scan()
            self._journal = Journal(self._current, self._size)
            opened.callback(self._journal.close)
            self._opened = opened.pop_all()

    def _file_to_write(self, anew: bool) -> Path:
        """Return the file itself, or the file next to it that will replace it."""
        beside = self.path.with_name(f"{self.path.name}.new")
        if anew:
            beside.unlink(missing_ok=True)
        if not self.path.exists() or not (anew or beside.exists()):
            return self.path
        with self.path.open("rb") as stream:
            first = stream.readline()
        facts = parse_line(first)
        if first and (facts is None or facts["command"] != self._command):
            raise self._foreign(self.path)
        return beside

    def _scan(self) -> None:
        """Read the lines of the file; the part after the last complete line was torn by a crash."""
        damaged = 0
        with self._current.open("rb") as stream:
            for line in stream:
                known = self._note(line, self._size)
                # A first line that is damaged or cut may be ours. A complete record without the
                # fields of a run is not.
                torn = BEGINNING.startswith(line) or line.startswith(BEGINNING)
                whole = line.endswith(b"}") and parse_line(line + b"\n") is None
                if not known and self._size == 0 and (whole or not torn):
                    raise self._foreign(self._current)
                if not line.endswith(b"\n"):
                    break
                damaged += not known
                self._size += len(line)
        if damaged and not self._lines:
            raise self._foreign(self._current)
        if damaged:
            self._surplus = True
            text = "%s: %s skipped; their photos are processed again."
            lines = format_count(damaged, "damaged line", "damaged lines")
            logging.getLogger("regengine").warning(text, self._current, lines)

    def _note(self, line: bytes, offset: int) -> bool:
        """Register the line at an offset; return False if it is not a record of a photo."""
        facts = parse_line(line)
        if facts is None:
            return False
        if facts["command"] != self._command:
            raise StoreError(
                f"The file of --out was written by regengine {facts['command']}, not by "
                f"{self._command}: name another file.",
            )
        path = facts["path"]
        key, unreadable = identity_key(path, facts["sha256"]), identity_key(path, "")
        self._surplus |= key in self._lines
        if key != unreadable and self._lines.pop(unreadable, None) is not None:
            self._surplus = True
        same_settings = facts["parameters_sha256"] == self._parameters
        # Replaces an older line
        self._lines[key] = offset, "failed" if "failed" in facts else "done", same_settings
        return True

    def _foreign(self, path: Path) -> StoreError:
        """Return the error for a file of another program, which must not be changed."""
        return StoreError(
            f"{path} was not written by regengine {self._command} --out: name another file.",
        )

    def _failure(self, error: OSError) -> StoreError:
        n_safe = self._journal.n_flushed
        return make_refusal(self.path, error, safe=f"{n_safe} lines" if n_safe else "")


def hash_line_parameters(command: str, settings: Mapping[str, Any]) -> str:
    """Return the hash of all settings that the lines of a run depend on, except the photos.

    Files among the settings are identified by name and content, so that moving them does not change
    the hash.
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
