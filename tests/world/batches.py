"""Batches in which a photo's content says what becomes of it, and disks that go away in them."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from regengine.runs.plan import RunSettings
from regengine.runs.run import BatchOptions, BatchSummary, run_batch
from regengine.store.result import FrameResult
from regengine.store.writer import StoreWriter
from tests.world.results import nothing_found, proposal


def options_of(settings: str = "{}", **more: object) -> BatchOptions:
    """A run in this process, with settings as a JSON object."""
    sha256 = hashlib.sha256(settings.encode()).hexdigest()
    given = {"settings": RunSettings(parameters=settings, sha256=sha256), "workers": 0}
    return BatchOptions(**(given | more))  # type: ignore[arg-type]


def run_stand_in(
    photos: Sequence[Path],
    store: Path,
    options: BatchOptions,
    process: Callable[[Path], FrameResult],
    reported: list[FrameResult],
) -> BatchSummary:
    """Run photos into a store; what is reported is appended as it comes, whatever ends the run."""
    with StoreWriter(store) as writer:
        return run_batch(photos, process, writer, options, reported.append)


def register_as_written(path: Path, run: int = 0) -> FrameResult:
    """``VERDICT NUMBER`` in the file; the number is the x of the first control point.

    ``seconds`` is the number of the run, by which one tells what was done again.
    """
    content = path.read_bytes()
    verdict, number = content.decode().split()
    made = nothing_found(path.stem) if verdict == "no_match" else proposal(path.stem, verdict)
    if made.control_points:
        first = replace(made.control_points[0], x=float(number))
        made = replace(made, control_points=(first, *made.control_points[1:]))
    sha256 = hashlib.sha256(content).hexdigest()
    return replace(made, path=str(path), sha256=sha256, seconds=float(run))


class CrashError(BaseException):
    """The program is gone."""


@contextmanager
def crashing(moment: int | None) -> Iterator[None]:
    """The process dies at the n-th call that brings something to the disk: nothing comes after."""
    calls = 0

    def die_at_moment(real: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            nonlocal calls
            calls += 1
            # The system lets go of locks
            if moment is not None and calls >= moment and ".lock" not in str(arguments[0]):
                raise CrashError
            return real(*arguments, **named)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "replace", "unlink"):
            patch.setattr(os, name, die_at_moment(getattr(os, name)))
        yield


def count_attempts(path: Path) -> int:
    """How often a photo has been tried, this time included."""
    counter = path.with_suffix(".tries")
    number = 1 + (int(counter.read_text()) if counter.exists() else 0)
    counter.write_text(str(number))
    return number


def hurt_worker(path: Path) -> FrameResult:
    """``dies_N``: its first N attempts kill the worker."""
    number = count_attempts(path)
    content = path.read_bytes()
    made = replace(proposal(path.stem), path=str(path), sha256=hashlib.sha256(content).hexdigest())
    if path.stem.startswith("dies_") and number <= int(path.stem.split("_")[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    if path.stem == "unheard_of":  # a number that the store has no room for
        return replace(made, width_px=1 << 70)
    if path.stem == "slow":
        time.sleep(600.0)
    return made
