"""Commands that write one line of NDJSON per photo: reuse, process, save, report."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from regengine.errors import StoreError
from regengine.io.atomic import (
    FileLock,
    Journal,
    make_refusal,
    provide_replacements,
    raise_as_store_error,
    sync_folder,
)
from regengine.io.checksums import fingerprint
from regengine.io.plain import format_count, make_printable
from regengine.photo.notations import frame_id_of
from regengine.runs.map_photos import TeamOptions, start_executor
from regengine.runs.plan import Task, describe_failure, look_up
from regengine.store.read import identity_key
from regengine.store.reasons import Reason
from regengine.store.result import Answer

WINDOW = 4  # photos per worker that may start ahead of the oldest unfinished one
State = Literal["done", "failed"]  # state of a photo that has a line
# Outcome of a photo; if its line is already in the file, the state in that line
Outcome = Answer | Reason | State
BEGINNING = b'{"frame": "'  # of each record
# Fields of each line that identify its photo and run; ``sha256`` is empty if the photo was
# unreadable
FACTS = ("path", "command", "sha256", "parameters_sha256")


def answer_photos(
    photos: Sequence[Path],
    function: Callable[[Path], Answer],
    options: TeamOptions,
    stop: Callable[[], bool],
    *,
    command: str,
    settings: Mapping[str, Any],
    out: Path | None,
    retry: str | None,
) -> Generator[Outcome]:
    """Process photos; yield each outcome once its line is safe, in the order of the photos.

    ``function`` takes the path of a photo; it must be picklable if there are workers, and an
    exception fails the photo, not the run. As soon as ``stop`` returns True, photos in progress are
    finished, and no more are started. Lines that the file ``out`` has already of the ``command``
    with these ``settings`` are reused, except those of photos to ``retry``: ``failed``, or ``all``.

    Raises StoreError if the file can no longer be written, WorkerError if no worker can be started.
    """
    # In order, each with its state if its line in the file is reused
    known: Iterable[tuple[Task, State | None]] = ((Task(path=path), None) for path in photos)
    # Finished out of order, until all earlier photos are done
    waiting: dict[int, tuple[Task, Outcome]] = {}
    file, n_yielded = None, 0
    with ExitStack() as opened:
        if out is not None:
            sha256 = hash_line_parameters(command, settings)
            file = LineFile(out, command=command, parameters_sha256=sha256)
            opened.enter_context(closing(file))
            known = look_up(photos, file.find)
        tasks = (
            (replace(task, frame_index=number), None if retry in ("all", state) else state)
            for number, (task, state) in enumerate(known)
        )
        executor = opened.enter_context(
            closing(start_executor(partial(answer_photo, function), options))
        )
        turns = executor.map_photos(tasks, stop, window=WINDOW * options.workers or None)
        for finished in opened.enter_context(closing(turns)):
            waiting |= {task.frame_index: (task, outcome) for task, outcome in finished}
            ready: list[Outcome] = []
            while n_yielded + len(ready) in waiting:
                task, outcome = waiting.pop(n_yielded + len(ready))
                if file is not None and not isinstance(outcome, str):
                    outcome = file.add(task.path, task.sha256 or "", outcome)
                ready.append(outcome)
            n_yielded += len(ready)
            if file is not None:
                file.flush()
            yield from ready
        if file is not None and not stop():
            file.finish()


def answer_photo(function: Callable[[Path], Answer], task: Task) -> Answer | Reason:
    """Return the answer for a photo, or its failure: some exceptions cannot be pickled."""
    try:
        return function(task.path)
    except Exception as error:
        return describe_failure(task.path, error)


class LineFile:
    """Appends lines to a file; only one process can write a file at a time.

    A line is safe once `flush` has returned. A torn last line, left by a crash, is cut off when the
    file is opened again. If a photo is processed again, the file contains both lines until
    `finish`, which keeps the newer line in the position of the older. Raises StoreError if the file
    was not written by this class for this command, is in use, or cannot be written.
    """

    def __init__(self, path: Path, *, command: str, parameters_sha256: str) -> None:
        self.path = path
        self._command, self._parameters = command, parameters_sha256
        # By identity of the photo: offset of its newest line, and its state if the line was
        # written with these settings
        self._lines: dict[int, tuple[int, State | None]] = {}
        self._surplus = False  # whether the file has lines that `finish` leaves out
        with raise_as_store_error(path), ExitStack() as opened:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():
                raise StoreError(f"{path} is not a file: name one with --out.")
            busy = (
                f"{path} is being written by another regengine: wait until it has finished, or "
                "name another file with --out."
            )
            # Not the file itself, which may be replaced
            beside = path.with_name(f".{path.name}.lock")
            opened.callback(FileLock(beside, StoreError(busy, code="store_busy")).close)
            size = self._scan() if path.exists() else 0
            self._journal = Journal(path, size)
            opened.callback(self._journal.close)
            self._opened = opened.pop_all()

    def find(self, path: str, sha256: str) -> State | None:
        """Return the state of a photo; None without a line that was written with these settings."""
        return self._lines.get(identity_key(path, sha256), (0, None))[1]

    def add(self, path: Path, sha256: str, outcome: Answer | Reason) -> Answer | Reason:
        """Append the line of a photo, with the fields of the run; it is not safe before `flush`.

        Returns the outcome with the line as it is written.
        """
        if isinstance(outcome, Answer):
            line = outcome.line
        else:
            failure = {"code": outcome.code, "text": make_printable(outcome.text)}
            photo = {"frame": make_printable(frame_id_of(path)), "path": make_printable(str(path))}
            line = json.dumps(photo | {"failed": failure})
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
        """Bring the file into its final form: one line per photo."""
        self.flush()
        try:
            if self._surplus:
                with (
                    self.path.open("rb") as old,
                    provide_replacements((self.path,)) as (path,),
                    path.open("wb") as new,
                ):
                    for offset, _ in self._lines.values():
                        old.seek(offset)
                        new.write(old.readline())
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file; lines that were not flushed are dropped."""
        self._opened.close()

    def _scan(self) -> int:
        """Read the lines of the file; return the size of those that no crash has torn."""
        damaged = size = 0
        whose = f"{self.path} was not written by regengine {self._command} --out"
        foreign = StoreError(f"{whose}: name another file.")
        with self.path.open("rb") as stream:
            for line in stream:
                known = self._note(line, size)
                # A first line that is damaged or cut may be ours. A complete record without the
                # fields of a run is not.
                torn = BEGINNING.startswith(line) or line.startswith(BEGINNING)
                whole = line.endswith(b"}") and parse_line(line + b"\n") is None
                if not known and size == 0 and (whole or not torn):
                    raise foreign
                if not line.endswith(b"\n"):
                    break
                damaged += not known
                size += len(line)
        if damaged and not self._lines:
            raise foreign
        if damaged:
            self._surplus = True
            text = "%s: %s skipped; their photos are processed again."
            lines = format_count(damaged, "damaged line", "damaged lines")
            logging.getLogger("regengine").warning(text, self.path, lines)
        return size

    def _note(self, line: bytes, offset: int) -> bool:
        """Register the line at an offset; return False if it is not a record of a photo."""
        facts = parse_line(line)
        if facts is None:
            return False
        if facts["command"] != self._command:
            raise StoreError(
                f"The file of --out was written by regengine {facts['command']}, not by "
                f"{self._command}: name another file."
            )
        path = facts["path"]
        key, unreadable = identity_key(path, facts["sha256"]), identity_key(path, "")
        self._surplus |= key in self._lines
        if key != unreadable and self._lines.pop(unreadable, None) is not None:
            self._surplus = True
        state: State = "failed" if "failed" in facts else "done"
        same_settings = facts["parameters_sha256"] == self._parameters
        # Replaces an older line
        self._lines[key] = offset, state if same_settings else None
        return True

    def _failure(self, error: OSError) -> StoreError:
        n_safe = self._journal.n_flushed
        return make_refusal(self.path, error, safe=format_count(n_safe, "line") if n_safe else "")


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line; None if it is incomplete or lacks the fields of a run."""
    if not (line.startswith(BEGINNING) and line.endswith(b"\n")):
        return None
    try:
        record: dict[str, Any] = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if all(isinstance(record.get(name), str) for name in FACTS) else None


def hash_line_parameters(command: str, settings: Mapping[str, Any]) -> str:
    """Return the hash of all settings that the lines of a run depend on, except the photos.

    Files among the settings are identified by name and content, so that moving them does not change
    the hash.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Path):
            return {"name": value.name, "fingerprint": fingerprint(value)}
        return [plain(one) for one in value] if isinstance(value, list | tuple) else value

    known = {"engine_version": version("regengine"), "command": command}
    known |= {name: plain(value) for name, value in settings.items()}
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()
