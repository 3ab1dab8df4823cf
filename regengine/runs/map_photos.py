"""Process photos in this process or in worker processes, and collect their results.

Each worker has one photo at a time: here are its start, limits, crashes and shutdown.
"""

from __future__ import annotations

import math
import os
import signal
import time
from abc import abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from threading import Thread
from typing import Any, Generic, TypeVar

from regengine.errors import Option, WorkerError
from regengine.runs.plan import Task, describe_failure
from regengine.store.reasons import Reason

Prepare = Callable[[], None]
# Spawned, not forked: the threads of OpenCV and HDF5 do not survive a fork.
CONTEXT = get_context("spawn")

TICK_S = 0.5  # how often the caller can stop while all workers are busy
# A kernel that runs out of memory may kill a worker because of other processes. A photo that loses
# this many workers is the cause itself.
MAX_DEATHS = 3
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


TaskT = TypeVar("TaskT", bound=Task)
ResultT = TypeVar("ResultT")
KnownT = TypeVar("KnownT")


class LostError(Exception):
    """The worker of a photo was lost without a result; the work can be repeated.

    ``reason`` becomes the failure of the photo if the work is not repeated. It is None if the photo
    cannot be the cause.
    """

    def __init__(self, reason: Reason | None) -> None:
        self.reason = reason
        super().__init__(reason)


Outcomes = Generator[list[tuple[TaskT, KnownT | ResultT | Reason]]]


class Executor(Generic[TaskT, ResultT]):
    """Processes photos in this process, one after the other; or elsewhere, in subclasses."""

    def __init__(self, function: Callable[[TaskT], ResultT | Reason]) -> None:
        self._function = function

    def map_photos(
        self,
        tasks: Iterable[tuple[TaskT, KnownT | None]],
        stop: Callable[[], bool] = bool,
        *,
        window: int | None = None,
    ) -> Outcomes[TaskT, KnownT, ResultT]:
        """Process photos; yield lists of those that finished, each with a result or a failure.

        Each of the ``tasks`` comes with its known result, which is passed through, or None. Tasks
        are taken one at a time, a few ahead of the work. With a ``window``, a photo only starts if
        it is fewer than that many photos after the oldest unfinished one. As soon as ``stop``
        returns True, photos in progress are finished, and no more are started.
        """
        coming = iter(tasks)
        while not stop() and (item := next(coming, None)) is not None:
            task, known = item
            if known is None and stop():
                return
            yield [(task, self._function(task) if known is None else known)]

    def close(self) -> None:
        """End all work."""


class Workers(Executor[TaskT, ResultT]):
    """Processes photos elsewhere, several at a time.

    A photo whose worker died is tried again with no other photo in progress: the kernel may have
    killed the worker because another one used too much memory.
    """

    n_tries: int  # a photo that loses this many workers is given up

    @property
    @abstractmethod
    def slots(self) -> int:
        """Maximum number of photos in progress."""

    @abstractmethod
    def submit(self, task: TaskT) -> Hashable:
        """Start a photo; return a handle of the work on it."""

    @abstractmethod
    def wait(self, running: Sequence[Any]) -> Sequence[Any]:
        """Return the handles that are done; wait for half a second at most."""

    @abstractmethod
    def outcome(self, done: Any, task: TaskT) -> ResultT | Reason:
        """Return the result of a finished photo, or the reason of its failure.

        Raises LostError if its worker died.
        """

    def stop(self) -> None:
        """Start nothing that has been submitted and not begun; called at most once."""

    def map_photos(
        self,
        tasks: Iterable[tuple[TaskT, KnownT | None]],
        stop: Callable[[], bool] = bool,
        *,
        window: int | None = None,
    ) -> Outcomes[TaskT, KnownT, ResultT]:
        """See `Executor.map_photos`."""
        coming = iter(tasks)
        # Each with its number in input order
        ready: deque[tuple[int, TaskT]] = deque()
        lost: deque[tuple[int, TaskT]] = deque()  # tried again one at a time
        running: dict[Any, tuple[int, TaskT]] = {}
        n_lost: Counter[int] = Counter()  # number of workers lost, by photo number
        n_taken, is_exhausted, is_stopped = 0, False, False
        while True:
            if not is_stopped and stop():
                is_exhausted = is_stopped = True
                self.stop()
                ready.clear()
                lost.clear()
            slots = self.slots
            while not is_exhausted and len(ready) < slots:
                task, known = next(coming, (None, None))
                if task is None:
                    is_exhausted = True
                elif known is not None:
                    yield [(task, known)]
                    if stop():
                        break
                else:
                    ready.append((n_taken, task))
                    n_taken += 1
            if not is_stopped and stop():
                continue
            while len(running) < slots and not any(
                n_lost[number] for number, _ in running.values()
            ):
                if lost and running:
                    break
                queue = lost or ready
                oldest = min((number for number, _ in running.values()), default=None)
                if not queue or (window and oldest is not None and queue[0][0] - oldest >= window):
                    break
                number, task = queue.popleft()
                running[self.submit(task)] = number, task
            if not running:
                return
            finished: list[tuple[TaskT, KnownT | ResultT | Reason]] = []
            for handle in self.wait(list(running)):
                number, task = running.pop(handle)
                try:
                    outcome: ResultT | Reason = self.outcome(handle, task)
                except LostError as error:
                    n_lost[number] += error.reason is not None
                    if error.reason is None or n_lost[number] < self.n_tries:
                        if not is_stopped:
                            (lost if n_lost[number] else ready).appendleft((number, task))
                        continue
                    outcome = error.reason
                finished.append((task, outcome))
            if finished:
                yield finished


def limit_threads() -> None:
    """Limit the libraries of this process to one thread: the workers share the cores.

    The last digits of linear algebra results depend on the number of threads.
    """
    for name in ONE_THREAD:
        os.environ[name] = "1"
    import cv2
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)  # for libraries that are already loaded
    cv2.setNumThreads(1)


@dataclass(frozen=True, kw_only=True)
class TeamOptions:
    """Options of the worker processes."""

    workers: int = 0  # number of processes; 0 works in this process
    limit_s: float = 600.0  # time limit per photo, s; the photo fails and its worker is replaced
    memory_mb: int = 0  # see `_begin`
    prepare: Prepare | None = None  # called once in each worker; must be picklable


class Worker:
    """A process that runs one task at a time, and is replaced if it dies or hangs."""

    def __init__(self, function: Callable[[Any], Any], options: TeamOptions) -> None:
        self._begin = (function, options.prepare, options.memory_mb)
        self.is_busy = False
        self._start()

    def give(self, task: object) -> None:
        """Start a task in the process; the task and its result must be picklable."""
        try:
            self.future = self._schedule(task)
        except RuntimeError:  # the process died while idle
            self.replace()
            self.future = self._schedule(task)
        self.is_busy, self._given_s, self._begun_s = True, time.monotonic(), math.nan

    def is_overdue(self, limit_s: float) -> bool:
        """Whether the running task has exceeded its time limit, or did not begin in time."""
        now_s = time.monotonic()
        if math.isnan(self._begun_s):
            if not self.future.running():
                # A worker that has not begun after 120 s never will; imports take 2 to 20 s
                return now_s - self._given_s > limit_s + 120.0
            self._begun_s = now_s
        return now_s - self._begun_s > limit_s

    def replace(self) -> None:
        self.stop()
        self._start()

    def stop(self) -> Thread:
        """Kill the process; return the thread that cleans up after it."""
        self._pool.stop()
        # Immediately: a process that is still starting would look for resources that are removed
        # here, and print a traceback; a process that has started ignores the termination signal.
        for process in list(self._pool._pool_manager.worker_manager.workers.values()):
            with suppress(ProcessLookupError, ValueError):
                process.kill()
        # A process that died while sending a message leaves a thread of its pool waiting for the
        # rest
        clearing = Thread(target=self._pool.join, daemon=True)
        clearing.start()
        return clearing

    def _schedule(self, task: object) -> Future[Any]:
        # The first call starts the process, which inherits the blocked signals. A signal to the
        # whole run must not kill it before `_begin` makes it ignore these signals.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            return self._pool.schedule(_work_on, args=[task])
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self) -> None:
        from pebble import ProcessPool

        # Started now: otherwise it would unblock the signals that `_schedule` blocks
        resource_tracker.ensure_running()
        self._pool = ProcessPool(
            max_workers=1, context=CONTEXT, initializer=_begin, initargs=self._begin
        )


_function: Callable[[Any], Any]  # of this process, if it is a worker


def _begin(function: Callable[[Any], Any], prepare: Prepare | None, memory_mb: int) -> None:
    """Initialise a worker process with a function, which may contain catalogues: sent once."""
    global _function
    # A terminal and a scheduler signal all processes of a run; the main process decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    limit_threads()
    if memory_mb > 0:
        # A photo that needs more memory then fails by itself, before the kernel kills unrelated
        # processes. The limit counts memory that the process can write to (``RLIMIT_DATA``, Linux
        # 4.7 and later): heap and private mappings, but not code or mapped files
        with suppress(ImportError, ValueError, OSError):  # not on other systems
            import resource

            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            limit = memory_mb << 20
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    _function = function
    if prepare is not None:
        prepare()


def _work_on(given: Any) -> Any:
    return _function(given)


class WorkerProcesses(Workers[TaskT, ResultT]):
    """Worker processes on this machine.

    Each worker is a pool of its own, so that a crash affects only the photo of that worker.
    `outcome` raises WorkerError if workers die before they begin.
    """

    n_tries = MAX_DEATHS

    def __init__(self, function: Callable[[TaskT], ResultT | Reason], options: TeamOptions) -> None:
        self._limit_s = options.limit_s
        self._workers = [Worker(function, options) for _ in range(options.workers)]
        self._n_breaks = 0  # in a row

    @property
    def slots(self) -> int:
        """One photo per worker."""
        return len(self._workers)

    def submit(self, task: TaskT) -> Worker:
        worker = next(worker for worker in self._workers if not worker.is_busy)
        worker.give(task)
        return worker

    def wait(self, running: Sequence[Worker]) -> Sequence[Worker]:
        """Return the workers that are done or have exceeded the time limit."""
        futures = [worker.future for worker in running]
        wait(futures, timeout=TICK_S, return_when=FIRST_COMPLETED)
        return [one for one in running if one.future.done() or one.is_overdue(self._limit_s)]

    def outcome(self, done: Worker, task: TaskT) -> ResultT | Reason:
        """Return the result or the failure of a photo."""
        from pebble import ProcessExpired

        done.is_busy = False
        if not done.future.done():
            done.replace()
            return describe_failure(task.path, TimeoutError(), self._limit_s)
        error = done.future.exception()
        if error is None:
            self._n_breaks = 0
            result: ResultT | Reason = done.future.result()
            return result
        assert isinstance(error, Exception)  # a crash, or a result that cannot be pickled
        if not isinstance(error, ProcessExpired | BrokenProcessPool):
            return describe_failure(task.path, error)
        done.replace()
        self._n_breaks += isinstance(error, BrokenProcessPool)
        # More than a single photo can cause
        if self._n_breaks >= 2 * MAX_DEATHS:
            raise WorkerError(
                "Worker processes die at start: raise ",
                Option("max_memory_mb"),
                ", or use this process with ",
                Option("workers", "0"),
                ".",
            )
        raise LostError(describe_failure(task.path, error))

    def close(self) -> None:
        for clearing in [worker.stop() for worker in self._workers]:
            clearing.join(timeout=TICK_S)


def start_executor(
    function: Callable[[TaskT], ResultT | Reason], options: TeamOptions
) -> Executor[TaskT, ResultT]:
    """Create the executor: worker processes, or this process if there are no workers.

    ``function`` takes a task and must not raise; it must be picklable if there are workers.
    """
    return WorkerProcesses(function, options) if options.workers else Executor(function)
