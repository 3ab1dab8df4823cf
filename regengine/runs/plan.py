"""Decide which photos are processed, and assign their frame numbers."""

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

from regengine.errors import RegengineError, is_short_of_memory
from regengine.io.checksums import compute_sha256
from regengine.io.extras import is_missing, make_missing_error
from regengine.io.plain import make_printable
from regengine.io.urls import Url
from regengine.registration.priors import NeighbourPrior
from regengine.runs.same_settings import RunSettings
from regengine.store.read import (
    frame_identity,
    identity_key,
    is_there,
    iter_blocks,
    iter_frames,
    iter_frames_numbered,
)
from regengine.store.result import Reason
from regengine.store.rows import StoredFrame, values_of
from regengine.store.schema import select
from regengine.store.writer import StoreWriter

# The search that produced a result; values of `search_pass` in the store
ALONE, AGAIN = 1, 3
# Failures that cost minutes each time, and recur unless memory or the time limit is raised
COSTLY = frozenset({"worker_died", "timed_out", "out_of_memory"})
FoundT = TypeVar("FoundT")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One photo of a batch."""

    path: Path
    # SHA-256 of the file's content, hexadecimal; empty if the file cannot be read. None until the
    # photo is planned, except for photos with a reusable result, which are not copied
    sha256: str | None = None
    # The name that the user gave, if ``path`` is a temporary copy, which is deleted after use
    given_as: str | None = None
    failure: Reason | None = None  # why there is no such copy
    frame_index: int = -1
    hints: NeighbourPrior | None = None  # prior from other photos of the batch
    search_pass: int = ALONE

    @property
    def name(self) -> str:
        """The name of the photo in messages and records."""
        return str(self.path) if self.given_as is None else self.given_as


def discard(copy: Path) -> None:
    """Delete a copy, and its folder, which contains nothing else."""
    with suppress(OSError):
        copy.unlink()
    with suppress(OSError):
        copy.parent.rmdir()


def look_up(
    photos: Iterable[Path | Task], find: Callable[[str, str], FoundT | None]
) -> Iterator[tuple[Task, FoundT | None]]:
    """Yield photos in order, each with what results of earlier runs contain about it.

    ``find`` takes the name under which a photo was given, and the hash of its content.
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
    """Yield photos in order, each with its stored result if that result is reused.

    A frame is identified by content and file name. Its stored result is reused if it was made with
    the same settings; see `list_reasons_to_redo_stored`. Otherwise the frame is processed again and
    its result replaces the stored one. A photo that is given twice (two copies of the same name) is
    processed once. New frames first take the numbers that a killed run left free, then higher ones.
    A resumed run therefore numbers its photos like an uninterrupted run.
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
            and stored.result.sha256 == task.sha256  # was unreadable, is now readable
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
    """List the reasons to process a photo again despite a result of an earlier run.

    The list is empty if the result is reused. ``differences`` are differences of settings.
    ``retry`` lists the verdicts that are processed again in any case. ``may_have_passed`` is true
    if the cause of a failure may no longer exist.
    """
    if verdict in retry:
        return (f"--retry {verdict}",)
    return ("failed in an earlier run",) if may_have_passed else differences


def list_reasons_to_redo_stored(
    stored: StoredFrame, settings: RunSettings, retry: Collection[str] = ()
) -> tuple[str, ...]:
    """List the reasons to process a photo again despite its stored result and these settings.

    Failed photos are processed again, because the cause may no longer exist. Failures that cost
    minutes each time are an exception: a resumed run must not begin with hours of them. ``retry``
    processes these again. See `list_reasons_to_redo`.
    """
    result = stored.result
    passing = result.verdict == "failed" and not any(r.code in COSTLY for r in result.reasons)
    differences = settings.differences(stored)
    return list_reasons_to_redo(result.verdict, differences, retry, may_have_passed=passing)


def compute_file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal; empty if it cannot be read."""
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
    """Return the verdicts of photos that a run can reuse; the store is not opened for writing.

    A URL is identified by itself, a file by its content and name. The store need not exist. Raises
    StoreError if the store cannot be read.
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
    """Count the reasons why stored results of photos cannot be reused with these settings.

    Photos are identified by their paths, or by their names if they were moved. No photo is read.
    Raises StoreError if the store cannot be read.
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
    """Translate an exception into the reason why its photo failed."""
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
    if isinstance(error, OSError) and error.errno is not None:  # e.g. ETIMEDOUT of a network drive
        text = f"{path} cannot be read ({error.strerror}): check the disk, then try again."
        return Reason(code="unreadable", text=text)
    if isinstance(error, TimeoutError):
        text = f"{path} was stopped after {limit_s:.0f} s: try it on its own."
        return Reason(code="timed_out", text=text)
    if isinstance(error, ProcessExpired | BrokenProcessPool):
        # A worker that ends before its photo begins has no exit code
        why = f"exit code {error.exitcode}" if isinstance(error, ProcessExpired) else "at its start"
        text = f"{path} crashed its worker process ({why}): the file may be damaged."
        return Reason(code="worker_died", text=text)
    logging.getLogger("regengine").debug("%s failed", path, exc_info=error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    text = f"unexpected error with {path} ({what}): please report it with the photo."
    return Reason(code="internal_error", text=text)
