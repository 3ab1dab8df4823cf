"""Worker processes that share jobs: the one loop that gives jobs out and takes results in."""

from __future__ import annotations

import math
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any, Generic, TypeVar

from regengine.batch.plan import failure_of
from regengine.errors import WorkerError
from regengine.result import Reason

GivenT = TypeVar("GivenT")
ResultT = TypeVar("ResultT")
PassedT = TypeVar("PassedT")
Prepare = Callable[[], None]
# Started afresh, not forked: OpenCV's and HDF5's threads do not survive a fork.
CONTEXT = get_context("spawn")
START_S = 120.0  # a worker that has not begun by then never will; imports take 2 to 20 s

TICK_S = 0.5  # how often the caller gets a turn while all workers are busy
# A worker may be killed for what others do, by a kernel that runs out of memory; a photo that has
# killed so many is the cause.
MOST_DEATHS = 3
MOST_BREAKS = 2 * MOST_DEATHS  # more than one photo alone can cause
END = object()
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MEGABYTE = 1 << 20


def limit_threads() -> None:
    """Keep the libraries of this process to one thread: the workers share the cores.

    Last digits of what linear algebra gives depend on how many there are.
    """
    for name in ONE_THREAD:
        os.environ[name] = "1"
    import cv2
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)  # of what is loaded already
    cv2.setNumThreads(1)


def limit_memory(megabytes: int) -> None:
    """Let allocations fail that would take this process's memory above a limit.

    A photo that needs more then fails by itself, before the kernel kills processes that may have
    nothing to do with it. Counted is what the process can write to (``RLIMIT_DATA``, Linux 4.7
    and later): heap and private mappings, but no code and no mapped files. Where the system has
    no such limit, nothing happens.
    """
    if megabytes <= 0:
        return
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = megabytes * MEGABYTE
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    except (ImportError, ValueError, OSError):
        return


@dataclass(eq=False)
class Job(Generic[GivenT, ResultT]):
    """What a worker is given about a photo, and what became of it."""

    given: GivenT
    path: Path
    deaths: int = 0
    lost_s: float = 0.0  # time that was given to it in vain
    done: bool = False
    outcome: ResultT | Reason = field(init=False, repr=False)  # of one that is done

    def end(self, outcome: ResultT | Reason) -> Job[GivenT, ResultT]:
        """Note what became of it."""
        self.done, self.outcome = True, outcome
        return self


@dataclass(frozen=True, kw_only=True)
class TeamOptions:
    """How workers are run."""

    workers: int = 0  # number of processes; 0 works in this one
    limit_s: float = 600.0  # a photo that keeps a worker busy for longer is given up
    memory_mb: int = 0  # see `limit_memory`
    prepare: Prepare | None = None  # called once in each worker; must pickle


class Worker(Generic[GivenT, ResultT]):
    """A process that does one job at a time; another takes its place where it died or hangs."""

    def __init__(self, function: Callable[[GivenT], ResultT], options: TeamOptions) -> None:
        self._begin = (function, options.prepare, options.memory_mb)
        self.job: Job[GivenT, ResultT] | None = None  # that is under way
        self._start()

    def give(self, job: Job[GivenT, ResultT]) -> None:
        """Let the process begin a job; what it is given and its result must pickle."""
        try:
            self.future = self._schedule(job)
        except RuntimeError:  # the process has died with nothing under way
            self.replace()
            self.future = self._schedule(job)
        self.job, self._given_s, self._begun_s = job, time.monotonic(), math.nan

    def overdue(self, limit_s: float) -> bool:
        """Whether the job under way has taken longer than it may, or never begins."""
        now_s = time.monotonic()
        if math.isnan(self._begun_s):
            if not self.future.running():
                return now_s - self._given_s > limit_s + START_S
            self._begun_s = now_s
        return now_s - self._begun_s > limit_s

    def replace(self) -> None:
        """Put a new process in the place of this one."""
        self.stop()
        self._start()

    def stop(self) -> Thread:
        """Kill the process; the thread that it gives clears up after it."""
        self._pool.stop()
        # At once: one that is still beginning would look for what the end of this process takes
        # away, and print a traceback; one that has begun ignores the signal that the end sends.
        for process in list(self._pool._pool_manager.worker_manager.workers.values()):
            with suppress(ProcessLookupError, ValueError):
                process.kill()
        # A process that died within a message leaves a thread of its pool waiting for the rest
        clearing = Thread(target=self._pool.join, daemon=True)
        clearing.start()
        return clearing

    def _schedule(self, job: Job[GivenT, ResultT]) -> Future[ResultT]:
        # The first call starts the process, which inherits what is blocked here: it must not die
        # of a signal that is for the whole run before `_begin` has it ignored.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            future: Future[ResultT] = self._pool.schedule(_work_on, args=[job.given])
            return future
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self) -> None:
        from multiprocessing import resource_tracker

        from pebble import ProcessPool

        # Begun now: it would let signals through that `_schedule` blocks
        resource_tracker.ensure_running()
        self._pool = ProcessPool(
            max_workers=1, context=CONTEXT, initializer=_begin, initargs=self._begin
        )


_function: Callable[[Any], Any]  # of this process, if it is a worker


def _begin(function: Callable[[Any], Any], prepare: Prepare | None, memory_mb: int) -> None:
    """Make a new process a worker; ``prepare`` is called in it.

    It has its function from now on, and not with each job, since catalogues may be in it.
    """
    global _function
    # A terminal and a scheduler signal all processes of a run; the first of them decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    limit_threads()
    limit_memory(memory_mb)
    _function = function
    if prepare is not None:
        prepare()


def _work_on(given: Any) -> Any:
    """The worker's function of a job."""
    return _function(given)


def by_workers(
    coming: Iterator[Job[GivenT, ResultT] | PassedT | None],
    function: Callable[[GivenT], ResultT],
    stop: Callable[[], bool],
    options: TeamOptions,
) -> Generator[Job[GivenT, ResultT] | PassedT | None]:
    """Have worker processes do jobs; the death of one costs its own job at most.

    A job whose worker died is tried again by itself, while no other is worked on: the kernel may
    have killed its worker for another one's memory. After `MOST_DEATHS` it is given up. Without
    workers this process does one job after the other.
    """
    if options.workers == 0:
        yield from _here(coming, function, stop)
        return
    workers: list[Worker[GivenT, ResultT]] = [
        Worker(function, options) for _ in range(options.workers)
    ]
    waiting: deque[Job[GivenT, ResultT]] = deque()  # those that wait to be alone go first
    breaks = 0  # one after the other
    more = True

    def may_begin() -> bool:
        under_way = [worker.job for worker in workers if worker.job is not None]
        alone = [job for job in (*under_way, *list(waiting)[:1]) if job.deaths]
        return bool(waiting) and not (alone and under_way)

    try:
        while more or waiting or any(worker.job for worker in workers):
            if stop():
                more = False
                waiting.clear()
            while more and len(waiting) < len(workers):  # one for each is made ready
                item = next(coming, END)
                if isinstance(item, Job):
                    waiting.append(item)
                elif item is None:
                    break
                elif item is END:
                    more = False
                else:
                    yield item  # type: ignore[misc]
            for worker in workers:
                if worker.job is None and may_begin():
                    worker.give(waiting.popleft())
            futures = [worker.future for worker in workers if worker.job is not None]
            wait(futures, timeout=TICK_S, return_when=FIRST_COMPLETED)
            for worker in workers:
                job = worker.job
                if job is None:
                    continue
                if not worker.future.done():
                    if worker.overdue(options.limit_s):
                        worker.job, job.lost_s = None, options.limit_s
                        worker.replace()
                        yield job.end(failure_of(job.path, TimeoutError(), options.limit_s))
                    continue
                worker.job, error = None, worker.future.exception()
                if error is None:
                    breaks = 0
                    yield job.end(worker.future.result())
                    continue
                if _is_death(error):
                    worker.replace()
                    job.deaths += 1
                    breaks += isinstance(error, BrokenProcessPool)
                    if breaks >= MOST_BREAKS:
                        raise WorkerError(
                            "Worker processes die before they begin to work: give them more memory "
                            "with --max-memory-mb, or work in this process with --workers 0."
                        )
                    if job.deaths < MOST_DEATHS:
                        waiting.appendleft(job)
                        continue
                assert isinstance(error, Exception)  # a death, or a result that does not pickle
                yield job.end(failure_of(job.path, error))
            yield None
    finally:
        for clearing in [worker.stop() for worker in workers]:
            clearing.join(timeout=TICK_S)


def _here(
    coming: Iterator[Job[GivenT, ResultT] | PassedT | None],
    function: Callable[[GivenT], ResultT],
    stop: Callable[[], bool],
) -> Generator[Job[GivenT, ResultT] | PassedT | None]:
    while not stop() and (item := next(coming, END)) is not END:
        if isinstance(item, Job):
            yield None
            yield item.end(function(item.given))
        else:
            yield item  # type: ignore[misc]


def _is_death(error: BaseException) -> bool:
    from pebble import ProcessExpired

    return isinstance(error, ProcessExpired | BrokenProcessPool)
