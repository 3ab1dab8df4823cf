"""Which photos are to be worked on, and under which number."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from regengine.batch.same_settings import RunSettings
from regengine.errors import RegengineError, is_short_of_memory
from regengine.io.checksums import compute_sha256
from regengine.io.extras import is_missing, make_missing_error
from regengine.io.plain import make_printable
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
FoundT = TypeVar("FoundT")


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

    @property
    def name(self) -> str:
        """What the photo is told as."""
        return str(self.path) if self.given_as is None else self.given_as


def discard(copy: Path) -> None:
    """Delete a copy and the folder that it has to itself."""
    with suppress(OSError):
        copy.unlink()
    with suppress(OSError):
        copy.parent.rmdir()


def look_up(
    photos: Iterable[Path | Task], find: Callable[[str, str], FoundT | None]
) -> Iterator[tuple[Task, FoundT | None]]:
    """Photos in their order, and what the results of earlier runs say of each.

    ``find`` takes the name that a photo is given by, and the hash of its content.
    """
    for photo in photos:
        task = photo if isinstance(photo, Task) else Task(path=photo)
        if task.sha256 is None:
            task = replace(task, sha256=compute_file_sha256(task.path))
        yield task, find(task.name, task.sha256 or "")


def plan(
    photos: Iterable[Path | Task],
    store: StoreWriter,
    *,
    settings: RunSettings,
    resume: bool = True,
    retry: Collection[str] = (),
) -> Iterator[tuple[Task, StoredFrame | None]]:
    """Go through photos in order; what is stored already comes with them as it is.

    A frame is the same if content and file name are, and its stored result is taken if it was made
    with the same settings; see `list_reasons_to_redo_stored`. Else it is done again and takes the
    place of the stored one. A photo that is given twice (two copies of the same name) is done
    once. New frames take the numbers that a killed run left out before those above, so that the
    run that goes on numbers its photos as an uninterrupted one.
    """
    numbers = store.frames.free_numbers()
    seen: set[int] = set()
    for task, stored in look_up(photos, store.frames.find):
        key = identity_key(task.name, task.sha256 or "")
        is_repeated = key in seen
        seen.add(key)
        stands = (
            stored is not None
            and resume
            and not list_reasons_to_redo_stored(stored, settings, retry)
            and stored.result.sha256 == task.sha256  # else it could not be read then, and can now
        )
        if not is_repeated:
            number = next(numbers) if stored is None else stored.frame_index
            yield replace(task, frame_index=number), stored if stands else None
        if (is_repeated or stands) and task.given_as is not None:
            discard(task.path)


def list_reasons_to_redo(
    verdict: str,
    differences: tuple[str, ...],
    retry: Collection[str] = (),
    *,
    may_have_passed: bool = False,
) -> tuple[str, ...]:
    """Why what an earlier run says of a photo does not stand, in words; empty where it does.

    ``differences`` are those of the settings, ``retry`` the verdicts that are worked out again in
    any case; ``may_have_passed`` tells so of the cause of a failure.
    """
    if verdict in retry:
        return (f"--retry {verdict}",)
    return ("failed in an earlier run",) if may_have_passed else differences


def list_reasons_to_redo_stored(
    stored: StoredFrame, settings: RunSettings, retry: Collection[str] = ()
) -> tuple[str, ...]:
    """`list_reasons_to_redo` of a stored result for these settings.

    The cause of a failure may have passed. But for those that take minutes each time, so that a run
    that goes on does not begin with hours of them; they are done again by ``retry``.
    """
    result = stored.result
    passing = result.verdict == "failed" and not any(r.code in COSTLY for r in result.reasons)
    differences = settings.differences(stored)
    return list_reasons_to_redo(result.verdict, differences, retry, may_have_passed=passing)


def compute_file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal; empty if it cannot be read."""
    try:
        return compute_sha256(path)
    except OSError:
        return ""


def read_stored_verdicts(
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
        else frame_identity(str(photo), compute_file_sha256(photo)): photo
        for photo in photos
    }
    found: dict[Path | Url, str] = {}
    for stored in iter_frames(store):
        result = stored.result
        path = wanted.get(frame_identity(result.path, result.sha256))
        path = path or (wanted.get(result.path) if result.sha256 else None)
        if path is not None and not list_reasons_to_redo_stored(stored, settings, retry):
            found[path] = stored.result.verdict
    return found


def count_reasons_to_redo(
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
    paths = {make_printable(str(photo)) for photo in photos}
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
        if reasons := list_reasons_to_redo_stored(stored, settings, retry):
            why["; ".join(reasons)] += 1
    return why


def describe_failure(path: Path, error: Exception, limit_s: float = 0.0) -> Reason:
    """What an exception means for the photo at which it was raised."""
    from concurrent.futures.process import BrokenProcessPool

    from pebble import ProcessExpired

    if isinstance(error, RegengineError):
        return Reason(code=error.code, text=str(error))
    if isinstance(error, ImportError) and is_missing(error):
        told = make_missing_error(f"{path}, or the way it is looked at,", error)
        return Reason(code=told.code, text=str(told))
    if is_short_of_memory(error):
        text = (
            f"{path} needs more memory than --max-memory-mb allows: raise the limit, or resize "
            "the photo."
        )
        return Reason(code="out_of_memory", text=text)
    if isinstance(error, OSError) and error.errno is not None:  # of a network's disk: ETIMEDOUT
        text = f"{path} cannot be read ({error.strerror}): check the disk, then try again."
        return Reason(code="unreadable", text=text)
    if isinstance(error, TimeoutError):
        text = f"{path} was stopped after {limit_s:.0f} s: try it on its own."
        return Reason(code="timed_out", text=text)
    if isinstance(error, ProcessExpired | BrokenProcessPool):
        # A worker that ends before its photo begins has no code to tell
        why = f"exit code {error.exitcode}" if isinstance(error, ProcessExpired) else "at its start"
        text = f"{path} crashed its worker process ({why}): the file may be damaged."
        return Reason(code="worker_died", text=text)
    logging.getLogger("regengine").debug("%s failed", path, exc_info=error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    text = f"unexpected error with {path} ({what}): please report it with the photo."
    return Reason(code="internal_error", text=text)
