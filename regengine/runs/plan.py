"""Decide which photos are processed, and assign their frame numbers.

A stored result is reused if it was made with the same settings: options, version, and files by name
and content. They are those of `regengine.runs.register.collect_settings`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import TimeoutError
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from regengine.errors import RegengineError, describe_exception, is_short_of_memory
from regengine.io.checksums import compute_sha256
from regengine.io.extras import is_import_failure, make_import_error
from regengine.io.plain import make_printable, restore_bytes
from regengine.io.urls import Url
from regengine.registration.priors import NeighbourPrior
from regengine.store.read import frame_identity, identity_key, is_there, iter_blocks
from regengine.store.reasons import Reason, make_error_reason
from regengine.store.rows import StoredFrame, dict_rows, select
from regengine.store.writer import StoreWriter

# The search that produced a result, by itself or with its neighbours; `search_pass` of the store
ALONE, AGAIN = 1, 3
# Failures that cost minutes each time, and recur unless memory or the time limit is raised
COSTLY = frozenset({"worker_died", "timed_out", "out_of_memory"})
MAX_DIFFERENCES = 3  # of settings, listed in a message
FoundT = TypeVar("FoundT")


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings that the results of a run depend on, except the photo."""

    parameters: str  # a JSON object
    sha256: str  # results with the same hash were made with the same settings


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
    neighbours: NeighbourPrior | None = None  # prior from other photos of the batch
    search_pass: int = ALONE

    @property
    def name(self) -> str:
        return str(self.path) if self.given_as is None else self.given_as


def discard(copy: Path) -> None:
    """Delete a copy, and its folder, which contains nothing else."""
    with suppress(OSError):
        copy.unlink(missing_ok=True)
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
    the same settings; see `list_reasons_to_redo`. Otherwise the frame is processed again and its
    result replaces the stored one. A photo that is given twice (two copies of the same name) is
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
            and is_reusable(stored, settings, retry)
            and stored.result.sha256 == task.sha256  # was unreadable, is now readable
        )
        if not is_repeated:
            number = next(numbers) if stored is None else stored.frame_index
            yield replace(task, frame_index=number), stored if stands else None
        if (is_repeated or stands) and task.given_as is not None:
            discard(task.path)


def is_reusable(stored: StoredFrame, settings: RunSettings, retry: Collection[str] = ()) -> bool:
    """Whether a stored result stands with these settings; see `list_reasons_to_redo`."""
    result = stored.result
    codes = [reason.code for reason in result.reasons]
    made_with = stored.parameters, stored.parameters_sha256
    return not list_reasons_to_redo(result.verdict, codes, made_with, settings, retry)


def list_reasons_to_redo(
    verdict: str,
    codes: Collection[str],
    made_with: tuple[str, str],
    settings: RunSettings,
    retry: Collection[str] = (),
) -> tuple[str, ...]:
    """List the reasons to process a photo again despite a stored result; empty if it is reused.

    Verdicts of ``retry`` are processed again in any case, and failed photos, because the cause may
    no longer exist. Failures with one of the ``codes`` that cost minutes each time are an
    exception: a resumed run must not begin with hours of them.
    """
    if verdict in retry:
        return (f"--retry {verdict}",)
    if verdict == "failed" and not COSTLY & set(codes):
        return ("failed in an earlier run",)
    parameters, sha256 = made_with
    if sha256 == settings.sha256:
        return ()
    return describe_differences(parameters, settings.parameters)


@lru_cache(maxsize=64)  # keyed by settings of runs, not by photos
def describe_differences(was: str, now: str) -> tuple[str, ...]:
    """Describe the differences of settings, JSON objects; files differ by name or content."""
    before, after = (_flatten_settings(text) for text in (was, now))
    differences = []
    for name in {**before, **after}:
        if (old := before.get(name)) != (new := after.get(name)):
            was, now = _format_setting(old), _format_setting(new)
            # Files of the same name
            differences.append(
                f"{name} {now} changed" if was == now else f"{name} {now}, was {was}"
            )
    if (left := len(differences) - MAX_DIFFERENCES) > 0:
        differences[MAX_DIFFERENCES:] = [f"{left} more settings"]
    return tuple(differences) or ("other settings",)


def _flatten_settings(text: str) -> dict[str, Any]:
    """Return nested settings by dotted name; files are pairs of name and content, without paths."""

    def flatten(value: Any, name: str) -> dict[str, Any]:
        if isinstance(value, list):
            return {name: [one for item in value for one in flatten(item, name).values()]}
        if not isinstance(value, dict):
            return {name: value}
        if "fingerprint" in value:
            return {name: (value.get("name"), value["fingerprint"])}
        flat: dict[str, Any] = {}
        for key, one in value.items():
            flat |= flatten(one, f"{name}.{key}" if name else str(key))
        return flat

    try:
        return flatten(json.loads(text), "")
    except ValueError:
        return {"settings": text}


def _format_setting(value: Any) -> str:
    """Shorten a setting for a message; a file is given by its name."""
    if isinstance(value, list):
        return ", ".join(map(_format_setting, value)) or "none"
    text = str(value[0] if isinstance(value, tuple) else "none" if value is None else value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def compute_file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal; empty if it cannot be read."""
    try:
        return compute_sha256(path)
    except OSError:
        return ""


def compare_with_store(
    photos: Sequence[Path | Url],
    store: Path,
    *,
    settings: RunSettings,
    retry: Collection[str] = (),
    read_photos: bool = False,
) -> Iterator[tuple[Path | Url, str, tuple[str, ...]]]:
    """Yield photos that have stored results, with verdict and the reasons to process them again.

    A URL is identified by itself; a file by its path, or by its name if it was moved, or with
    ``read_photos`` by its content and name. The store need not exist, and is not opened for
    writing. Raises StoreError if it cannot be read.
    """
    if not is_there(store):
        return
    known: dict[object, Path | Url] = {}
    for photo in photos:
        path = make_printable(str(photo))
        if read_photos and isinstance(photo, Path):
            known[frame_identity(path, compute_file_sha256(photo))] = photo
        else:
            known[path] = photo
            known.setdefault(("moved", os.path.basename(path)), photo)
    columns = ("frames/path", "frames/sha256", "frames/verdict", "frames/reasons")
    made = ("provenance/parameters", "provenance/parameters_sha256")
    for tables in iter_blocks(store, select(*columns, *made)):
        for row in dict_rows(tables["provenance"] | tables["frames"]):
            path, sha256 = row["path"], row["sha256"]
            given = known.get(frame_identity(path, sha256)) or known.get(path)
            if given is None and not read_photos and not os.path.exists(restore_bytes(path)):
                given = known.get(("moved", os.path.basename(path)))
            if given is not None:
                made_with = row["parameters"], row["parameters_sha256"]
                codes = row["reasons"].split(",")
                why = list_reasons_to_redo(row["verdict"], codes, made_with, settings, retry)
                yield given, row["verdict"], why


def describe_failure(path: Path, error: Exception, limit_s: float = 0.0) -> Reason:
    """Translate an exception into the reason why its photo failed."""
    from concurrent.futures.process import BrokenProcessPool

    from pebble import ProcessExpired

    if isinstance(error, RegengineError):
        return make_error_reason(error)
    if is_import_failure(error):
        missing = make_import_error(f"{path}, or the way it is looked at,", error)
        return make_error_reason(missing)
    if is_short_of_memory(error):
        text = (
            f"{path} needs more memory than --max-memory-mb allows: raise the limit, or resize "
            "the photo."
        )
        return Reason(code="out_of_memory", values={"message": text})
    if isinstance(error, OSError) and error.errno is not None:  # e.g. ETIMEDOUT of a network drive
        text = f"{path} cannot be read ({error.strerror}): check the disk, then try again."
        return Reason(code="unreadable", values={"message": text})
    if isinstance(error, TimeoutError):
        text = f"{path} was stopped after {limit_s:.0f} s: try it on its own."
        return Reason(code="timed_out", values={"message": text})
    if isinstance(error, ProcessExpired | BrokenProcessPool):
        # A worker that ends before its photo begins has no exit code
        why = f"exit code {error.exitcode}" if isinstance(error, ProcessExpired) else "at its start"
        text = f"{path} crashed its worker process ({why}): the file may be damaged."
        return Reason(code="worker_died", values={"message": text})
    logging.getLogger("regengine").debug("%s failed", path, exc_info=error)
    what = describe_exception(error)
    text = f"unexpected error with {path} ({what}): please report it with the photo."
    return Reason(code="internal_error", values={"message": text})
