"""Which photos are to be worked on, and under which number."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from regengine.errors import RegengineError, is_short_of_memory
from regengine.io.checksums import sha256_of
from regengine.io.extras import is_missing, missing
from regengine.io.urls import Url
from regengine.registration.priors.neighbours import NeighbourPrior
from regengine.result import Reason
from regengine.store.index import frame_identity, identity_key
from regengine.store.rows import StoredFrame
from regengine.store.snapshot import iter_frames, list_parts, parts_folder
from regengine.store.writer import StoreWriter

# In which pass a photo was searched, as `search_pass` of the store has it
ALONE, FOLLOWING, AGAIN = 1, 2, 3
# Failures that take minutes each time, and more memory or time to come out otherwise
COSTLY = frozenset({"worker_died", "timed_out", "out_of_memory"})


@dataclass(frozen=True, kw_only=True)
class Task:
    """One photo of a batch."""

    path: Path
    # Of the file's content, hexadecimal; empty where it cannot be read. None until it is planned
    # but for what was done before, of which no copy is made
    sha256: str | None = None
    # What the photo was given as, where ``path`` is a copy of it that is deleted when it is not
    # needed any more
    given_as: str | None = None
    failure: Reason | None = None  # why there is no such copy
    frame_index: int = -1
    hints: NeighbourPrior | None = None  # what other photos of the batch tell of it
    # 1 by itself, 2 after another one of its minute, 3 once more after the whole batch.
    search_pass: int = ALONE


def discard(copy: Path) -> None:
    """Delete a copy and the folder that it has to itself."""
    with suppress(OSError):
        copy.unlink()
    with suppress(OSError):
        copy.parent.rmdir()


def plan(
    photos: Iterable[Path | Task],
    store: StoreWriter,
    *,
    parameters_sha256: str,
    resume: bool = True,
    retry: Collection[str] = (),
) -> Iterator[Task | StoredFrame]:
    """Go through photos in order; what is stored already comes back as it is.

    A frame is the same if content and file name are, and its stored result is taken if it was
    made with the same settings; see `taken_over`. Else it is done again and takes the place of the
    stored one. A photo that is given twice (two copies of the same name) is done once. New frames
    take the numbers that a killed run left out before those above, so that the run that goes on
    numbers its photos as an uninterrupted one.
    """
    numbers = store.frames.free_numbers()
    seen: set[int] = set()
    for photo in photos:
        task = photo if isinstance(photo, Task) else Task(path=photo)
        named = str(task.path) if task.given_as is None else task.given_as
        sha256 = file_sha256(task.path) if task.sha256 is None else task.sha256
        key = identity_key(named, sha256)
        done = key in seen
        seen.add(key)
        stored = None if done else store.frames.find(named, sha256)
        if (
            stored is not None
            and resume
            and taken_over(stored, parameters_sha256, retry)
            and stored.result.sha256 == sha256  # else it could not be read then, and can now
        ):
            done = True
            yield stored
        if not done:
            number = next(numbers) if stored is None else stored.frame_index
            yield replace(task, frame_index=number, sha256=sha256)
        elif task.given_as is not None:
            discard(task.path)


def taken_over(stored: StoredFrame, parameters_sha256: str, retry: Collection[str] = ()) -> bool:
    """Whether a stored result stands for these settings.

    A failure does not: its cause may have passed. But for those that take minutes each time, so
    that a run that goes on does not begin with hours of them; they are done again by ``retry``.
    """
    result = stored.result
    if stored.parameters_sha256 != parameters_sha256 or result.verdict in retry:
        return False
    return result.verdict != "failed" or any(reason.code in COSTLY for reason in result.reasons)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal; empty if it cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def stored_verdicts(
    photos: Sequence[Path | Url],
    store: Path,
    *,
    parameters_sha256: str,
    retry: Collection[str] = (),
) -> dict[Path | Url, str]:
    """Verdicts of the photos that a run need not do again, without opening its store to write.

    A URL is known by itself, a file by its content and name. The store need not exist. StoreError
    if the store cannot be read.
    """
    if not store.exists() and not list_parts(parts_folder(store)):
        return {}
    wanted: dict[object, Path | Url] = {
        str(photo)
        if isinstance(photo, Url)
        else frame_identity(str(photo), file_sha256(photo)): photo
        for photo in photos
    }
    found: dict[Path | Url, str] = {}
    for stored in iter_frames(store):
        result = stored.result
        path = wanted.get(frame_identity(result.path, result.sha256))
        path = path or (wanted.get(result.path) if result.sha256 else None)
        if path is not None and taken_over(stored, parameters_sha256, retry):
            found[path] = stored.result.verdict
    return found


def failure_of(path: Path, error: Exception, limit_s: float = 0.0) -> Reason:
    """What an exception means for the photo at which it was raised."""
    from concurrent.futures.process import BrokenProcessPool

    from pebble import ProcessExpired

    if isinstance(error, RegengineError):
        return Reason(code=error.code, text=str(error))
    if isinstance(error, ImportError) and is_missing(error):
        told = missing(f"{path}, or the way it is looked at,", error)
        return Reason(code=told.code, text=str(told))
    if is_short_of_memory(error):
        text = (
            f"{path} needs more memory than a worker may have: raise --max-memory-mb, or resize it."
        )
        return Reason(code="out_of_memory", text=text)
    if isinstance(error, OSError) and error.errno is not None:  # of a network's disk: ETIMEDOUT
        text = f"{path} cannot be read ({error.strerror}): check its disk, then try it again."
        return Reason(code="unreadable", text=text)
    if isinstance(error, TimeoutError):
        text = f"{path} took more than {limit_s:.0f} s and was given up: try it by itself."
        return Reason(code="timed_out", text=text)
    if isinstance(error, ProcessExpired | BrokenProcessPool):
        # A worker that ends before its photo begins has no code to tell
        why = f"exit code {error.exitcode}" if isinstance(error, ProcessExpired) else "at its start"
        text = f"{path} made its worker process die ({why}): its file may be damaged."
        return Reason(code="worker_died", text=text)
    logging.getLogger("regengine").debug("%s failed", path, exc_info=error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    text = f"{path} met something unforeseen ({what}): please report it with the photo."
    return Reason(code="internal_error", text=text)
