"""Which photos are to be worked on, and under which number."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from regengine.batch.same_settings import RunSettings
from regengine.errors import RegengineError, is_short_of_memory
from regengine.io.checksums import sha256_of
from regengine.io.extras import is_missing, missing
from regengine.io.plain import printable
from regengine.io.urls import Url
from regengine.registration.priors.neighbours import NeighbourPrior
from regengine.result import Reason
from regengine.store.read import (
    frame_identity,
    identity_key,
    is_there,
    iter_blocks,
    iter_frames,
    iter_frames_numbered,
)
from regengine.store.rows import StoredFrame, values_of
from regengine.store.schema import select
from regengine.store.writer import StoreWriter

# In which search a result was found, as `search_pass` of the store has it
ALONE, AGAIN = 1, 3
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
    settings: RunSettings,
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
            and taken_over(stored, settings, retry)
            and stored.result.sha256 == sha256  # else it could not be read then, and can now
        ):
            done = True
            yield stored
        if not done:
            number = next(numbers) if stored is None else stored.frame_index
            yield replace(task, frame_index=number, sha256=sha256)
        elif task.given_as is not None:
            discard(task.path)


def taken_over(stored: StoredFrame, settings: RunSettings, retry: Collection[str] = ()) -> bool:
    """Whether a stored result stands for these settings."""
    return not why_again(stored, settings, retry)


def why_again(
    stored: StoredFrame, settings: RunSettings, retry: Collection[str] = ()
) -> tuple[str, ...]:
    """Why a stored result does not stand for these settings, in words; empty where it does.

    A failure does not: its cause may have passed. But for those that take minutes each time, so
    that a run that goes on does not begin with hours of them; they are done again by ``retry``.
    """
    result = stored.result
    if result.verdict in retry:
        return (f"--retry {result.verdict}",)
    if result.verdict == "failed" and not any(reason.code in COSTLY for reason in result.reasons):
        return ("it failed before",)
    return settings.differences(stored)


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
    settings: RunSettings,
    retry: Collection[str] = (),
) -> dict[Path | Url, str]:
    """Verdicts of the photos that a run need not do again, without opening its store to write.

    A URL is known by itself, a file by its content and name. The store need not exist. StoreError
    if the store cannot be read.
    """
    if not is_there(store):
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
        if path is not None and taken_over(stored, settings, retry):
            found[path] = stored.result.verdict
    return found


def reasons_to_redo(
    photos: Sequence[Path | Url],
    store: Path,
    *,
    settings: RunSettings,
    retry: Collection[str] = (),
) -> Counter[str]:
    """Why stored results of photos do not stand for these settings, and for how many of them.

    Photos are known by their paths here, or by their names where they were moved: none is read.
    StoreError if the store cannot be read.
    """
    why: Counter[str] = Counter()
    if not is_there(store):
        return why
    paths = {printable(str(photo)) for photo in photos}
    names = {os.path.basename(path) for path in paths}
    columns = ("frames/path", "frames/verdict", "provenance/parameters_sha256")
    doubtful: list[int] = []
    for tables in iter_blocks(store, select(*columns)):
        frames, made = tables["frames"], tables["provenance"]
        texts = map(values_of, (frames["path"], frames["verdict"], made["parameters_sha256"]))
        rows = zip(frames["frame_index"].tolist(), *texts, strict=True)
        for number, path, verdict, sha256 in rows:
            given = path in paths or (os.path.basename(path) in names and not os.path.exists(path))
            if given and (sha256 != settings.sha256 or verdict == "failed" or verdict in retry):
                doubtful.append(number)
    for stored in iter_frames_numbered(store, np.array(doubtful, dtype=np.int64)):
        if reasons := why_again(stored, settings, retry):
            why["; ".join(reasons)] += 1
    return why


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
