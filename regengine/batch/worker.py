"""One worker process with the tasks that were given to it, replaced whole when anything is wrong.

Each worker is a pebble pool of one. The workers of a larger pool share pipes and locks: one that
is killed while it holds a lock, or in the middle of a message, would leave the others waiting.
Time-outs are told by a clock that is never set: pebble's own would end every task, or none, when
somebody sets the clock of the machine.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from threading import Thread
from typing import Any, Generic, TypeVar

from regengine.batch.worker_limits import limit_memory, limit_threads

Prepare = Callable[[], None]
JobT = TypeVar("JobT")

# Started afresh, not forked: OpenCV's and HDF5's threads do not survive a fork.
CONTEXT = get_context("spawn")
START_S = 120.0  # a worker that has not begun by then never will; imports take 2 to 20 s


@dataclass(kw_only=True)
class Given(Generic[JobT]):
    """A job that a worker was given; ``begun_s`` is when it was first seen running."""

    job: JobT
    future: Future[Any]
    given_s: float
    begun_s: float | None = None


class Worker(Generic[JobT]):
    """A worker process and its queue.

    Parameters
    ----------
    prepare : callable, optional
        Called in each new process; must pickle.
    memory_mb : int, optional
        See `regengine.batch.worker_limits.limit_memory`.
    """

    def __init__(self, prepare: Prepare | None = None, memory_mb: int = 0) -> None:
        self._prepare = prepare
        self._memory_mb = memory_mb
        self.given: deque[Given[JobT]] = deque()
        self._start()

    def give(self, job: JobT, function: Callable[..., Any], *arguments: Any) -> None:
        """Queue a call; function, arguments and result must pickle."""
        future: Future[Any]
        try:
            future = self._schedule(function, arguments)
        except RuntimeError:  # its process has died with nothing under way
            if self.given:  # those jobs are lost, and tell so by their futures
                future = Future()
                future.set_exception(BrokenProcessPool("died before it began"))
            else:
                self.stop()
                self._start()
                future = self._schedule(function, arguments)
        self.given.append(Given(job=job, future=future, given_s=time.monotonic()))

    def overdue(self, limit_s: float) -> bool:
        """Whether the job under way has taken longer than it may, or never begins."""
        if not self.given or self.given[0].future.done():
            return False
        first, now_s = self.given[0], time.monotonic()
        if first.begun_s is None and first.future.running():
            first.begun_s = now_s
        if first.begun_s is None:
            return now_s - first.given_s > limit_s + START_S
        return now_s - first.begun_s > limit_s

    def forget_waiting(self) -> None:
        """Take the jobs that have not begun out of the queue."""
        while self.given and not (self.given[-1].future.running() or self.given[-1].future.done()):
            self.given.pop()

    def replace(self) -> list[JobT]:
        """Put a new process in the place of this one.

        Returns
        -------
        list
            The jobs that were given to the old one; they are in its queue no more.
        """
        jobs = [given.job for given in self.given]
        self.given.clear()
        self.stop()
        self._start()
        return jobs

    def stop(self) -> Thread:
        """Kill the process.

        Returns
        -------
        Thread
            Clears up after it.
        """
        self._pool.stop()
        if self._pid.value:
            with suppress(ProcessLookupError):
                os.kill(self._pid.value, signal.SIGKILL)
        # A process that died within a message leaves a thread of its pool waiting for the rest
        clearing = Thread(target=self._pool.join, daemon=True)
        clearing.start()
        return clearing

    def _schedule(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future[Any]:
        # The first call starts the process, which inherits what is blocked here: it must not die
        # of a signal that is for the whole run before `start_worker` has it ignored.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            return self._pool.schedule(function, args=arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self) -> None:
        from pebble import ProcessPool

        self._pid = CONTEXT.Value("i", 0)
        self._pool = ProcessPool(
            max_workers=1,
            context=CONTEXT,
            initializer=_begin,
            initargs=[self._pid, self._prepare, self._memory_mb],
        )


def start_worker(prepare: Prepare | None, memory_mb: int = 0) -> None:
    """Make a new process a worker; ``prepare`` is called in it.

    Parameters
    ----------
    prepare : callable or None
        What else it needs.
    memory_mb : int, optional
        See `regengine.batch.worker_limits.limit_memory`.
    """
    # A terminal and a scheduler signal all processes of a run; the first of them decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    limit_threads()
    limit_memory(memory_mb)
    if prepare is not None:
        prepare()


def _begin(pid: Any, prepare: Prepare | None, memory_mb: int) -> None:
    pid.value = os.getpid()
    start_worker(prepare, memory_mb)
