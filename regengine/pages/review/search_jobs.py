"""Run searches from a rough camera, one at a time, in a separate process."""

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
    from regengine.maps.lights import KindName
    from regengine.runs.run_inputs import RunInputs
    from regengine.store.result import FrameResult

State = Literal["waiting", "running", "done", "failed", "cancelled"]

MAX_WAITING = 8
KEPT_JOBS = 64
# The search ends by its own limit of processor time. Wall-clock time is longer on a busy machine,
# and unlimited if the process hangs
LIMIT_SHARE, LIMIT_S = 4.0, 60.0


def search(path: Path, rough: Camera, inputs: RunInputs, kind: KindName) -> FrameResult:
    """Run the engine's search; only its process imports the engine."""
    from regengine.runs.pipeline import register_from

    return register_from(path, rough, inputs, kind)


@dataclass(kw_only=True)
class SearchJob:
    """One search: its unguessable name, its state and its result."""

    job: str = field(default_factory=lambda: secrets.token_hex(8))
    future: Future[FrameResult]
    asked_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds from the request to the end, or until now."""
        return (time.monotonic() if self.ended_s is None else self.ended_s) - self.asked_s

    @property
    def state(self) -> State:
        """State of the search."""
        if self.future.cancelled():
            return "cancelled"
        if self.future.done():
            return "done" if self.future.exception() is None else "failed"
        return "running" if self.future.running() else "waiting"

    @property
    def result(self) -> FrameResult | None:
        """Result of the search; None until it is done."""
        return self.future.result() if self.state == "done" else None

    @property
    def message(self) -> str | None:
        """Error message if it failed."""
        error = self.future.exception() if self.state == "failed" else None
        if error is None:
            return None
        if isinstance(error, RegengineError):
            return shorten_to_line(str(error))
        if isinstance(error, TimeoutError):
            return "the search timed out: try again."
        if isinstance(error, ProcessExpired):
            return "the search process ended unexpectedly, perhaps out of memory."
        return f"the search failed ({shorten_to_line(repr(error))})."


class SearchJobs:
    """Runs searches one after another; thread-safe."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, SearchJob] = OrderedDict()
        self._pool: Any = None
        self._lock = Lock()

    def start(self, path: Path, rough: Camera, inputs: RunInputs, kind: KindName) -> SearchJob:
        """Queue a search on the map of a kind."""
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
            future = self._pool.schedule(search, args=(path, rough, inputs, kind), timeout=limit_s)
            job = SearchJob(future=future)
            future.add_done_callback(lambda _: setattr(job, "ended_s", time.monotonic()))
            self._jobs[job.job] = job
            while len(self._jobs) > KEPT_JOBS:
                self._jobs.popitem(last=False)
            return job

    def look(self, job: str) -> SearchJob | None:
        """A search by name; None if there is none."""
        return self._jobs.get(job)

    def cancel(self, job: str) -> SearchJob | None:
        """Cancel a search that has not ended: its process is killed."""
        found = self._jobs.get(job)
        if found is not None:
            found.future.cancel()
        return found

    def close(self) -> None:
        """Cancel all searches and end their process."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
