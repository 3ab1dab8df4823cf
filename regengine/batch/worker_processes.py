"""Worker processes, one photo each at a time: their start, limits, deaths and end."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from threading import Thread
from typing import Any, Generic

from regengine.batch.map_photos import Executor, LostError, ResultT, TaskT, ThisProcess
from regengine.batch.plan import describe_failure
from regengine.errors import WorkerError
from regengine.result import Reason

Prepare = Callable[[], None]
# Started afresh, not forked: OpenCV's and HDF5's threads do not survive a fork.
CONTEXT = get_context("spawn")
START_S = 120.0  # a worker that has not begun by then never will; imports take 2 to 20 s

TICK_S = 0.5  # how often the caller may stop while all workers are busy
# A worker may be killed for what others do, by a kernel that runs out of memory; a photo that has
# killed so many is the cause.
MAX_DEATHS = 3
MAX_BREAKS = 2 * MAX_DEATHS  # more than one photo alone can cause
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


@dataclass(frozen=True, kw_only=True)
class TeamOptions:
    """How workers are run."""

    workers: int = 0  # number of processes; 0 works in this one
    limit_s: float = 600.0  # a photo that keeps a worker busy for longer is given up
    memory_mb: int = 0  # see `limit_memory`
    prepare: Prepare | None = None  # called once in each worker; must pickle


class Worker:
    """A process that does one task at a time; another takes its place where it died or hangs."""

    def __init__(self, function: Callable[[Any], Any], options: TeamOptions) -> None:
        self._begin = (function, options.prepare, options.memory_mb)
        self.is_busy = False
        self._start()

    def give(self, task: object) -> None:
        """Let the process begin a task, which must pickle as its result must."""
        try:
            self.future = self._schedule(task)
        except RuntimeError:  # the process has died with nothing under way
            self.replace()
            self.future = self._schedule(task)
        self.is_busy, self._given_s, self._begun_s = True, time.monotonic(), math.nan

    def is_overdue(self, limit_s: float) -> bool:
        """Whether the task under way has taken longer than it may, or never begins."""
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

    def _schedule(self, task: object) -> Future[Any]:
        # The first call starts the process, which inherits what is blocked here: it must not die
        # of a signal that is for the whole run before `_begin` has it ignored.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            future: Future[Any] = self._pool.schedule(_work_on, args=[task])
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


class WorkerProcesses(Generic[TaskT, ResultT]):
    """Worker processes of this machine, see `regengine.batch.map_photos.Executor`.

    Each is a pool of its own, so that one that dies costs its own photo alone. WorkerError, of
    `outcome`, if workers die before they begin.
    """

    n_tries = MAX_DEATHS

    def __init__(self, function: Callable[[TaskT], ResultT | Reason], options: TeamOptions) -> None:
        self._limit_s = options.limit_s
        self._workers = [Worker(function, options) for _ in range(options.workers)]
        self._n_breaks = 0  # one after the other

    @property
    def slots(self) -> int:
        """A photo a worker."""
        return len(self._workers)

    def submit(self, task: TaskT) -> Worker:
        """Let a worker begin a photo."""
        worker = next(worker for worker in self._workers if not worker.is_busy)
        worker.give(task)
        return worker

    def wait(self, running: Sequence[Worker]) -> Sequence[Worker]:
        """Those that are done, or have taken too long."""
        futures = [worker.future for worker in running]
        wait(futures, timeout=TICK_S, return_when=FIRST_COMPLETED)
        return [one for one in running if one.future.done() or one.is_overdue(self._limit_s)]

    def outcome(self, done: Worker, task: TaskT) -> ResultT | Reason:
        """What became of a photo."""
        done.is_busy = False
        if not done.future.done():
            done.replace()
            return describe_failure(task.path, TimeoutError(), self._limit_s)
        error = done.future.exception()
        if error is None:
            self._n_breaks = 0
            result: ResultT | Reason = done.future.result()
            return result
        assert isinstance(error, Exception)  # a death, or a result that does not pickle
        if not _is_death(error):
            return describe_failure(task.path, error)
        done.replace()
        self._n_breaks += isinstance(error, BrokenProcessPool)
        if self._n_breaks >= MAX_BREAKS:
            raise WorkerError(
                "Worker processes die at start: raise --max-memory-mb, or use this process with "
                "--workers 0."
            )
        raise LostError(describe_failure(task.path, error))

    def stop(self) -> None:
        """Nothing waits at the workers."""

    def close(self) -> None:
        """Kill them."""
        for clearing in [worker.stop() for worker in self._workers]:
            clearing.join(timeout=TICK_S)


def start_executor(
    function: Callable[[TaskT], ResultT | Reason], options: TeamOptions
) -> Executor[TaskT, ResultT]:
    """Where photos are worked on: by so many worker processes, or without any in this one.

    ``function`` takes a task and must pickle if there are workers; it raises nothing.
    """
    if options.workers == 0:
        return ThisProcess(function)
    return WorkerProcesses(function, options)


def _is_death(error: BaseException) -> bool:
    from pebble import ProcessExpired

    return isinstance(error, ProcessExpired | BrokenProcessPool)
