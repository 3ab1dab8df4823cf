"""Searches from where a person placed a photo, one at a time, in a process of their own."""

from __future__ import annotations

import atexit
import secrets
import signal
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from pebble import ProcessExpired, ProcessPool

from matchers.geometry.camera import Camera
from regengine.errors import ConfigError, RegengineError, shorten_to_line

if TYPE_CHECKING:
    from regengine.result import FrameResult
    from regengine.run_inputs import RunInputs

State = Literal["waiting", "running", "done", "failed", "cancelled"]

MAX_WAITING = 8
KEPT_JOBS = 64
# The search ends by its own clock of processor time; on a busy machine that takes longer, and a
# process that hangs takes for ever
LIMIT_SHARE, LIMIT_S = 4.0, 60.0


def search(path: Path, rough: Camera, inputs: RunInputs) -> FrameResult:
    """The engine's search; only its process imports what it needs."""
    from regengine.pipeline import register_from

    return register_from(path, rough, inputs)


@dataclass(kw_only=True)
class SearchJob:
    """One search: its name, which nobody guesses, and what becomes of it."""

    job: str = field(default_factory=lambda: secrets.token_hex(8))
    future: Future[FrameResult]
    asked_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None

    @property
    def seconds(self) -> float:
        """Since it was asked for, until it ended."""
        return (time.monotonic() if self.ended_s is None else self.ended_s) - self.asked_s

    @property
    def state(self) -> State:
        """How it goes."""
        if self.future.cancelled():
            return "cancelled"
        if self.future.done():
            return "done" if self.future.exception() is None else "failed"
        return "running" if self.future.running() else "waiting"

    @property
    def result(self) -> FrameResult | None:
        """What it found; None until it is done."""
        return self.future.result() if self.state == "done" else None

    @property
    def message(self) -> str | None:
        """Why it failed."""
        error = self.future.exception() if self.state == "failed" else None
        if error is None:
            return None
        if isinstance(error, RegengineError):
            return shorten_to_line(str(error))
        if isinstance(error, TimeoutError):
            return "the search took too long and was ended: try again."
        if isinstance(error, ProcessExpired):
            return "the search's process ended, perhaps for want of memory."
        return f"the search failed ({shorten_to_line(repr(error))})."


class SearchJobs:
    """Runs searches one after another; may be asked by many threads."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, SearchJob] = OrderedDict()
        self._pool: Any = None
        self._lock = Lock()

    def start(self, path: Path, rough: Camera, inputs: RunInputs) -> SearchJob:
        """Ask for a search."""
        with self._lock:
            if sum(not job.future.done() for job in self._jobs.values()) >= MAX_WAITING:
                raise ConfigError("too many searches are waiting: cancel one, or wait.")
            if self._pool is None:
                self._pool = ProcessPool(
                    max_workers=1,
                    initializer=signal.signal,
                    initargs=(signal.SIGINT, signal.SIG_IGN),
                    context=get_context("spawn"),
                )
                atexit.register(self.close)
            limit_s = LIMIT_SHARE * inputs.register.max_seconds + LIMIT_S
            future = self._pool.schedule(search, args=(path, rough, inputs), timeout=limit_s)
            job = SearchJob(future=future)
            future.add_done_callback(lambda _: setattr(job, "ended_s", time.monotonic()))
            self._jobs[job.job] = job
            while len(self._jobs) > KEPT_JOBS:
                self._jobs.popitem(last=False)
            return job

    def look(self, job: str) -> SearchJob | None:
        """A search as it is now; None where there is none of that name."""
        return self._jobs.get(job)

    def cancel(self, job: str) -> SearchJob | None:
        """End a search, if it has not ended: its process is killed."""
        found = self._jobs.get(job)
        if found is not None:
            found.future.cancel()
        return found

    def close(self) -> None:
        """End all searches and their process."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
