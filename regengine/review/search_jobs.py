"""Searches from where a person placed a photo, one at a time, in a process of their own."""

from __future__ import annotations

import atexit
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from threading import RLock, Thread
from typing import TYPE_CHECKING, Literal

from matchers.camera import Camera
from regengine.batch.pool import Given, Worker
from regengine.errors import ConfigError, RegengineError, one_line

if TYPE_CHECKING:
    from regengine.pipeline import RunInputs
    from regengine.result import FrameResult

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Search = Callable[[Path, Camera, "RunInputs"], "FrameResult"]
Found = Callable[["FrameResult", float], None]  # takes what a search found, and its seconds

MOST_WAITING = 8
KEPT_JOBS = 64
# The search ends by its own clock of processor time; on a busy machine that takes longer, and a
# process that hangs takes for ever
LIMIT_SHARE, LIMIT_S = 4.0, 60.0


@dataclass(kw_only=True)
class SearchJob:
    """One search."""

    job: str  # its name: nobody guesses it
    path: Path
    rough: Camera
    inputs: RunInputs
    limit_s: float  # after so long its process is killed
    asked_s: float
    state: State = "waiting"
    message: str | None = None
    result: FrameResult | None = None  # what it found; None until it is done
    ended_s: float | None = None
    found: Found | None = None  # told when it is done

    @property
    def seconds(self) -> float:
        """Since it was asked for, until it ended."""
        return (time.monotonic() if self.ended_s is None else self.ended_s) - self.asked_s


def search(path: Path, rough: Camera, inputs: RunInputs) -> FrameResult:
    """The engine's search; only its process imports what it needs."""
    from regengine.pipeline import register_from

    return register_from(path, rough, inputs)


class SearchJobs:
    """Runs searches one after another; may be asked by many threads.

    ``search`` takes photo, rough camera and inputs, and gives a result; it must pickle.
    """

    def __init__(self, search: Search = search) -> None:
        self._search = search
        self._jobs: OrderedDict[str, SearchJob] = OrderedDict()
        self._worker: Worker[SearchJob] | None = None
        self._lock = RLock()

    def start(
        self, path: Path, rough: Camera, inputs: RunInputs, found: Found | None = None
    ) -> SearchJob:
        """Ask for a search; ``found`` is called once it is done, whether or not anybody looks."""
        with self._lock:
            self._tend()
            if sum(job.ended_s is None for job in self._jobs.values()) >= MOST_WAITING:
                raise ConfigError("too many searches are waiting: cancel one, or wait.")
            limit_s = LIMIT_SHARE * inputs.register.max_seconds + LIMIT_S
            job = SearchJob(
                job=secrets.token_hex(8),
                path=path,
                rough=rough,
                inputs=inputs,
                limit_s=limit_s,
                asked_s=time.monotonic(),
                found=found,
            )
            self._jobs[job.job] = job
            while len(self._jobs) > KEPT_JOBS:
                self._jobs.popitem(last=False)
            if self._worker is None:
                self._worker = Worker()
                atexit.register(self.close)
            self._give(job)
            return job

    def look(self, job: str) -> SearchJob:
        """A search as it is now."""
        with self._lock:
            self._tend()
            return self._jobs[job]

    def cancel(self, job: str) -> SearchJob:
        """End a search, if it has not ended."""
        with self._lock:
            self._tend()
            found = self._jobs[job]
            if found.ended_s is None:
                _end(found, "cancelled")
                self._begin_again()
            return found

    def close(self) -> None:
        """End all searches and their process."""
        with self._lock:
            for job in self._jobs.values():
                if job.ended_s is None:
                    _end(job, "cancelled")
            if self._worker is not None:
                self._worker.stop()
                self._worker = None
                atexit.unregister(self.close)

    def _give(self, job: SearchJob) -> None:
        assert self._worker is not None
        self._worker.give(job, self._search, job.path, job.rough, job.inputs)
        # In a thread: it may end at once, or while this one waits for its process to end
        self._worker.given[-1].future.add_done_callback(
            lambda _: Thread(target=self._tend_once, daemon=True).start()
        )

    def _tend_once(self) -> None:
        with self._lock:
            self._tend()

    def _tend(self) -> None:
        """Take in what has ended; end what takes too long."""
        worker = self._worker
        if worker is None:
            return
        while worker.given and worker.given[0].future.done():
            _take(worker.given.popleft())
        if worker.given:
            first = worker.given[0]
            if first.future.running():
                first.job.state = "running"
            if worker.overdue(first.job.limit_s):
                _end(first.job, "failed", "the search took too long and was ended: try again.")
                self._begin_again()

    def _begin_again(self) -> None:
        """A new process, with the searches that are still wanted."""
        assert self._worker is not None
        for job in self._worker.replace():
            if job.ended_s is None:
                job.state = "waiting"
                self._give(job)


def _take(given: Given[SearchJob]) -> None:
    """What a search that has ended came to."""
    from pebble import ProcessExpired

    try:
        given.job.result = given.future.result()
    except RegengineError as error:
        _end(given.job, "failed", one_line(str(error)))
    except (ProcessExpired, BrokenProcessPool, CancelledError):
        _end(given.job, "failed", "the search's process ended, perhaps for want of memory.")
    except Exception as error:
        _end(given.job, "failed", f"the search failed ({one_line(repr(error))}).")
    else:
        _end(given.job, "done")
        if given.job.found is not None:
            try:
                given.job.found(given.job.result, given.job.seconds)
            except RegengineError as error:
                logging.getLogger("regengine").warning("%s", one_line(str(error)))


def _end(job: SearchJob, state: State, message: str | None = None) -> None:
    job.state, job.message, job.ended_s = state, message, time.monotonic()
