"""Worker processes that share jobs: the one loop that gives jobs out and takes results in."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any, Generic, TypeVar

from regengine.batch.plan import failure_of
from regengine.errors import WorkerError
from regengine.result import Failure

JobT = TypeVar("JobT")
GivenT = TypeVar("GivenT")
ResultT = TypeVar("ResultT")
PassedT = TypeVar("PassedT")
Prepare = Callable[[], None]
# Started afresh, not forked: OpenCV's and HDF5's threads do not survive a fork.
CONTEXT = get_context("spawn")
START_S = 120.0  # a worker that has not begun by then never will; imports take 2 to 20 s

TICK_S = 0.5  # how often the caller gets a turn while all workers are busy
AHEAD = 2  # jobs a worker has: the next one waits in its own process
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


@dataclass(kw_only=True)
class Given(Generic[JobT]):
    """A job that a worker was given; ``begun_s`` is when it was first seen running."""

    job: JobT
    future: Future[Any]
    given_s: float
    begun_s: float | None = None


class Worker(Generic[JobT]):
    """A worker process and its queue; ``prepare`` and ``memory_mb`` are those of `TeamOptions`."""

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
        """Take the jobs that have not begun out of the queue.

        A process that has done one begins the next at once; that this one runs is known here only
        after a moment.
        """
        pending = [given for given in self.given if not given.future.done()]
        begun = 1 if self.has_done_one or len(pending) < len(self.given) else 0
        for given in pending[begun:]:
            if not given.future.running():
                self.given.remove(given)

    def replace(self) -> list[JobT]:
        """Put a new process in the place of this one.

        Gives the jobs that were given to the old one; they are in its queue no more.
        """
        jobs = [given.job for given in self.given]
        self.given.clear()
        self.stop()
        self._start()
        return jobs

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

    def _schedule(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future[Any]:
        # The first call starts the process, which inherits what is blocked here: it must not die
        # of a signal that is for the whole run before `_begin` has it ignored.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            return self._pool.schedule(function, args=arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self) -> None:
        from multiprocessing import resource_tracker

        from pebble import ProcessPool

        self.has_done_one = False  # this process, and its result was taken in
        # Begun now: it would let signals through that `_schedule` blocks
        resource_tracker.ensure_running()
        self._pool = ProcessPool(
            max_workers=1,
            context=CONTEXT,
            initializer=_begin,
            initargs=[self._prepare, self._memory_mb],
        )


def _begin(prepare: Prepare | None, memory_mb: int) -> None:
    """Make a new process a worker; ``prepare`` is called in it."""
    # A terminal and a scheduler signal all processes of a run; the first of them decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    limit_threads()
    limit_memory(memory_mb)
    if prepare is not None:
        prepare()


@dataclass(eq=False)
class Job(Generic[GivenT, ResultT]):
    """What a worker is given about a photo, and what became of it."""

    given: GivenT
    path: Path
    deaths: int = 0
    lost_s: float = 0.0  # time that was given to it in vain
    done: bool = False
    outcome: ResultT | Failure = field(init=False, repr=False)  # of one that is done

    def end(self, outcome: ResultT | Failure) -> Job[GivenT, ResultT]:
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


def by_workers(
    coming: Iterator[Job[GivenT, ResultT] | PassedT | None],
    function: Callable[[GivenT], ResultT],
    stop: Callable[[], bool],
    options: TeamOptions,
) -> Generator[Job[GivenT, ResultT] | PassedT | None]:
    """Have worker processes do jobs; the death of one costs its own job at most.

    A job whose worker died is tried again by itself, while no other is worked on: the kernel may
    have killed its worker for another one's memory. After `MOST_DEATHS` it is given up.
    """
    team: _Team[GivenT, ResultT] = _Team(function, options)
    more = True
    try:
        while more or team.waiting or team.busy:
            if stop():
                more = False
                team.forget_waiting()
            while team.assign() and more:
                item = next(coming, END)
                if isinstance(item, Job):
                    team.waiting.append(item)
                elif item is None:
                    break
                elif item is END:
                    more = False
                else:
                    yield item  # type: ignore[misc]
            yield from team.finished()
            yield None
    finally:
        team.stop()


class _Team(Generic[GivenT, ResultT]):
    """Workers, and the jobs that wait for one."""

    def __init__(self, function: Callable[[GivenT], ResultT], options: TeamOptions) -> None:
        begin = partial(_begin_with, function, options.prepare)
        self._workers: list[Worker[Job[GivenT, ResultT]]] = [
            Worker(begin, options.memory_mb) for _ in range(options.workers)
        ]
        self._limit_s = options.limit_s
        self._breaks = 0
        self.waiting: deque[Job[GivenT, ResultT]] = deque()  # those that wait to be alone go first

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return any(worker.given for worker in self._workers)

    def assign(self) -> bool:
        """Give out what waits; True if there is room for more."""
        while (worker := self._free()) is not None and self.waiting:
            job = self.waiting.popleft()
            worker.give(job, _work_on, job.given)
        return worker is not None

    def _free(self) -> Worker[Job[GivenT, ResultT]] | None:
        """The worker with the least to do; None where all have enough, or a job is to be alone."""
        alone = bool(self.waiting and self.waiting[0].deaths)
        under_way = [given.job for worker in self._workers for given in worker.given]
        if (alone and under_way) or any(job.deaths for job in under_way):
            return None
        worker = min(self._workers, key=lambda one: len(one.given))
        return worker if len(worker.given) < AHEAD else None

    def finished(self) -> Iterator[Job[GivenT, ResultT]]:
        """Wait for a result, half a second at most, and give what is done."""
        futures = [given.future for worker in self._workers for given in worker.given]
        wait(futures, timeout=TICK_S, return_when=FIRST_COMPLETED)
        for worker in self._workers:
            yield from self._collect(worker)

    def _collect(self, worker: Worker[Job[GivenT, ResultT]]) -> Iterator[Job[GivenT, ResultT]]:
        """What a worker is done with; jobs that it was lost with wait again."""
        while worker.given and worker.given[0].future.done():
            given = worker.given.popleft()
            job, error = given.job, given.future.exception()
            if error is None:
                self._breaks, worker.has_done_one = 0, True
                yield job.end(given.future.result())
                continue
            if _is_death(error):
                self._wait_again(worker.replace())
                if self._tried_again(job, error):
                    continue
            assert isinstance(error, Exception)  # a death, or a result that does not pickle
            yield job.end(failure_of(job.path, error))
        if worker.overdue(self._limit_s):
            late, *others = worker.replace()
            self._wait_again(others)
            late.lost_s = self._limit_s
            yield late.end(failure_of(late.path, TimeoutError(), self._limit_s))

    def _tried_again(self, job: Job[GivenT, ResultT], error: BaseException) -> bool:
        """Whether a job whose worker died may have another one."""
        self._breaks += isinstance(error, BrokenProcessPool)
        if self._breaks >= MOST_BREAKS:
            raise WorkerError(
                "Worker processes die before they begin to work: give them more memory with "
                "--max-memory-mb, or work in this process with --workers 0."
            )
        job.deaths += 1
        if job.deaths < MOST_DEATHS:
            self.waiting.appendleft(job)
        return job.deaths < MOST_DEATHS

    def _wait_again(self, jobs: list[Job[GivenT, ResultT]]) -> None:
        """Jobs that waited behind one: behind those that wait to be alone, before the others."""
        alone = sum(job.deaths > 0 for job in self.waiting)
        for job in reversed(jobs):
            self.waiting.insert(alone, job)

    def forget_waiting(self) -> None:
        """Begin nothing any more."""
        self.waiting.clear()
        for worker in self._workers:
            worker.forget_waiting()

    def stop(self) -> None:
        """End the workers, whatever they are at."""
        for clearing in [worker.stop() for worker in self._workers]:
            clearing.join(timeout=TICK_S)


def _is_death(error: BaseException) -> bool:
    from pebble import ProcessExpired

    return isinstance(error, ProcessExpired | BrokenProcessPool)


_function: Callable[[Any], Any]  # of this process, if it is a worker


def _begin_with(function: Callable[[Any], Any], prepare: Prepare | None) -> None:
    """Give a worker its function: once, and not with each job, since catalogues may be in it."""
    global _function
    _function = function
    if prepare is not None:
        prepare()


def _work_on(given: Any) -> Any:
    """The worker's function of a job."""
    return _function(given)
