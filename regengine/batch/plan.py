"""Which photos are to be worked on, and under which number."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.batch.mishaps import Mishap
from regengine.batch.source import Source, discard
from regengine.hints import Hints
from regengine.store.index import frame_identity
from regengine.store.rows import StoredFrame

if TYPE_CHECKING:
    from regengine.batch.keeper import Keeper
    from regengine.store.index import StoredEntry

# In which pass a photo was searched, as `search_pass` of the store has it
ALONE, FOLLOWING, AGAIN = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Task:
    """One photo to process.

    Attributes
    ----------
    frame_index : int
        Its number in the store.
    path : Path
        Its file.
    sha256 : str
        Of the file's content, hexadecimal; empty where it cannot be read.
    hints : Hints or None
        What other photos of the batch tell of it.
    given_as : str or None
        What the photo was given as, where ``path`` is a copy of it that is deleted when the
        search is over.
    mishap : Mishap or None
        Why there is no such copy.
    search_pass : int
        1 by itself, 2 after another one of its minute, 3 once more after the whole batch.
    """

    frame_index: int
    path: Path
    sha256: str
    hints: Hints | None = None
    search_pass: int = ALONE
    given_as: str | None = None
    mishap: Mishap | None = None


def plan(
    photos: Iterable[Path | Source],
    store: Keeper,
    *,
    parameters_sha256: str,
    resume: bool = True,
    retry: Collection[str] = (),
) -> Iterator[Task | StoredFrame]:
    """Go through photos in order; what is stored already comes back as it is.

    A frame is the same if content and file name are, and its stored result is taken if it was
    made with the same settings. Else it is done again and takes the place of the stored one. A
    photo that is given twice (two copies of the same name) is done once. New frames take the
    numbers that a killed run left out before those above, so that the run that goes on numbers
    its photos as an uninterrupted one.

    Parameters
    ----------
    photos : iterable of Path or Source
        Files, which are hashed one at a time as the iteration reaches them.
    store : Keeper
        The open store.
    parameters_sha256 : str
        Hash of the settings of this run.
    resume : bool
        False to do every photo again.
    retry : collection of str
        Verdicts that are not taken from the store but worked out again.

    Yields
    ------
    Task or StoredFrame
    """
    numbers = store.index.free_numbers()
    seen: set[bytes] = set()
    for photo in photos:
        source = photo if isinstance(photo, Source) else Source(path=photo)
        named = str(source.path) if source.given_as is None else source.given_as
        sha256 = file_sha256(source.path) if source.sha256 is None else source.sha256
        key = hashlib.blake2b(repr(frame_identity(named, sha256)).encode(), digest_size=16)
        done = key.digest() in seen
        seen.add(key.digest())
        stored = None if done else store.index.find(named, sha256)
        if stored is not None and resume and taken_over(stored, parameters_sha256, retry):
            frame = store.stored_frame(stored.frame_index)
            if frame.result.sha256 == sha256:  # else it could not be read then, and can now
                done = True
                yield frame
        if not done:
            yield Task(
                frame_index=next(numbers) if stored is None else stored.frame_index,
                path=source.path,
                sha256=sha256,
                given_as=source.given_as,
                mishap=source.mishap,
            )
        elif source.given_as is not None:
            discard(source.path)


def taken_over(stored: StoredEntry, parameters_sha256: str, retry: Collection[str] = ()) -> bool:
    """Whether a stored result stands for these settings."""
    return stored.parameters_sha256 == parameters_sha256 and stored.verdict not in retry


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal; empty if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
