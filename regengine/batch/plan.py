"""Which photos are to be worked on, and under which number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from regengine.hints import Hints
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter, frame_identity


@dataclass(frozen=True, kw_only=True)
class Task:
    """One photo to process."""

    frame_index: int
    path: Path
    sha256: str  # empty where the file cannot be read
    hints: Hints | None = None  # of other photos of the batch


def plan(
    photos: Sequence[Path], writer: StoreWriter, *, parameters_sha256: str, resume: bool
) -> Iterator[Task | StoredFrame]:
    """Go through photos in order; what is stored already comes back as it is.

    A frame is the same if content and file name are, and its stored result is taken if it was
    made with the same settings and did not fail. Else it is done again and takes the place of the
    stored one. A photo that is given twice (two copies of the same name) is done once.

    Parameters
    ----------
    photos : sequence of Path
        Files, which are hashed one at a time as the iteration reaches them.
    writer : StoreWriter
        The open store.
    parameters_sha256 : str
        Hash of the settings of this run.
    resume : bool
        False to do every photo again.

    Yields
    ------
    Task or StoredFrame
    """
    next_index = writer.next_index
    seen: set[tuple[str, str]] = set()
    for path in photos:
        sha256 = file_sha256(path)
        identity = frame_identity(str(path), sha256)
        if identity in seen:
            continue
        seen.add(identity)
        stored = writer.stored.get(identity)
        if stored is None:
            yield Task(frame_index=next_index, path=path, sha256=sha256)
            next_index += 1
        elif resume and _is_current(stored, parameters_sha256):
            yield stored
        else:
            yield Task(frame_index=stored.frame_index, path=path, sha256=sha256)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal; empty if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _is_current(stored: StoredFrame, parameters_sha256: str) -> bool:
    return stored.parameters_sha256 == parameters_sha256 and stored.result.verdict != "failed"
