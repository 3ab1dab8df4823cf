"""Worker processes that share jobs: the one loop that gives jobs out and takes results in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from regengine.batch.mishaps import Mishap, mishap_of
from regengine.batch.worker import Worker
from regengine.errors import WorkerError

GivenT = TypeVar("GivenT")
ResultT = TypeVar("ResultT")
PassedT = TypeVar("PassedT")

TICK_S = 0.5  # how often the caller gets a turn while all workers are busy
AHEAD = 2  # jobs a worker has: the next one waits in its own process
# A worker may be killed for what others do, by a kernel that runs out of memory; a photo that has
# killed so many is the cause.
MOST_DEATHS = 3
MOST_BREAKS = 2 * MOST_DEATHS  # more than one photo alone can cause
END = object()


@dataclass(eq=False)
class Job(Generic[GivenT, ResultT]):
    """What a worker is given about a photo, and what became of it."""

    given: GivenT
    path: Path
    deaths: int = 0
    lost_s: float = 0.0  # time that was given to it in vain
    done: bool = False
    outcome: ResultT | Mishap = field(init=False, repr=False)  # of one that is done

    def end(self, outcome: ResultT | Mishap) -> Job[GivenT, ResultT]:
        """Note what became of it."""
        self.done, self.outcome = True, outcome
        return self


@dataclass(frozen=True, kw_only=True)
class TeamOptions:
    """How workers are run.

    Attributes
    ----------
    workers : int
        Number of processes.
    limit_s : float
        A job that takes longer than this is given up.
    memory_mb : int
        See `regengine.batch.worker_limits.limit_memory`.
    prepare : callable or None
        Called once in each worker; must pickle.
    """

    workers: int
    limit_s: float
    memory_mb: int = 0
    prepare: Callable[[], None] | None = None


def by_workers(
    coming: Iterator[Job[GivenT, ResultT] | PassedT | None],
    function: Callable[[GivenT], ResultT],
    stop: Callable[[], bool],
    options: TeamOptions,
) -> Generator[Job[GivenT, ResultT] | PassedT | None]:
    """Have worker processes do jobs; the death of one costs its own job at most.

    A job whose worker died is tried again by itself, while no other is worked on: the kernel may
    have killed its worker for another one's memory. After `MOST_DEATHS` it is given up.

    Parameters
    ----------
    coming : iterator
        The jobs, read only a few ahead. None: no more for now. Anything else is passed on.
    function : callable
        Of what a job gives; must pickle, as must its results, and must not raise.
    stop : callable
        True when no more jobs are to be begun; those that a worker is at are finished.
    options : TeamOptions
        How to run.

    Yields
    ------
    Job, what was passed on, or None
        Jobs with their ``outcome``, in the order in which they finish; None at least every half
        second.

    Raises
    ------
    WorkerError
        If workers die again and again before they take a job.
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
                self._breaks = 0
                yield job.end(given.future.result())
                continue
            if _is_death(error):
                self._wait_again(worker.replace())
                if self._tried_again(job, error):
                    continue
            assert isinstance(error, Exception)  # a death, or a result that does not pickle
            yield job.end(mishap_of(job.path, error))
        if worker.overdue(self._limit_s):
            late, *others = worker.replace()
            self._wait_again(others)
            late.lost_s = self._limit_s
            yield late.end(mishap_of(late.path, TimeoutError(), self._limit_s))

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


def _begin_with(function: Callable[[Any], Any], prepare: Callable[[], None] | None) -> None:
    """Give a worker its function: once, and not with each job, since catalogues may be in it."""
    global _function
    _function = function
    if prepare is not None:
        prepare()


def _work_on(given: Any) -> Any:
    """The worker's function of a job."""
    return _function(given)
