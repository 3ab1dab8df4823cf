"""Runs tasks, here or in worker processes, and gives results as they come."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Any, TypeAlias

from regengine.batch.attempt import attempt, failed
from regengine.batch.mishaps import mishap_of
from regengine.batch.plan import Task

if TYPE_CHECKING:
    from regengine.batch.attempt import Process
    from regengine.batch.worker import Given, Worker
    from regengine.result import FrameResult
    from regengine.store.rows import StoredFrame

Planned: TypeAlias = "Iterator[Task | StoredFrame | None]"
Outcome: TypeAlias = "StoredFrame | tuple[Task, FrameResult] | None"
Stop: TypeAlias = Callable[[], bool]

TICK_S = 0.5  # how often the caller gets a turn while all workers are busy
AHEAD = 2  # tasks a worker has: the next one waits in its own process
# A worker may be killed for what others do, by a kernel that runs out of memory; a photo that has
# killed so many is the cause.
MOST_DEATHS = 3


def execute_here(planned: Planned, process: Process, stop: Stop) -> Generator[Outcome]:
    """Run tasks one after the other in this process.

    Parameters
    ----------
    planned : iterator of Task, StoredFrame or None
        Stored frames are passed on; None: what is under way must be finished first.
    process : callable
        Gives the result of one photo.
    stop : callable
        True when no more tasks are to be begun.

    Yields
    ------
    StoredFrame, (Task, FrameResult) or None
        None before each task: a turn for the caller.
    """
    while not stop():
        try:
            item = next(planned)
        except StopIteration:
            return
        if isinstance(item, Task):
            yield None
            yield item, attempt(process, item)
        else:
            yield item


def execute_in_workers(
    planned: Planned,
    process: Process,
    stop: Stop,
    *,
    workers: int,
    limit_s: float,
    memory_mb: int = 0,
    prepare: Callable[[], None] | None = None,
) -> Generator[Outcome]:
    """Run tasks in worker processes; the death of one costs its own photo at most.

    Parameters
    ----------
    planned : iterator of Task, StoredFrame or None
        Stored frames are passed on; None: what is under way must be finished first. Read only a
        few tasks ahead.
    process : callable
        Gives the result of one photo; must pickle.
    stop : callable
        True when no more tasks are to be begun; those that were given to a worker are finished.
    workers : int
        Number of processes.
    limit_s : float
        A photo that takes longer than this is given up.
    memory_mb : int, optional
        See `regengine.batch.worker_limits.limit_memory`.
    prepare : callable, optional
        Called once in each worker; must pickle.

    Yields
    ------
    StoredFrame, (Task, FrameResult) or None
        In the order in which they finish; None at least every half second.
    """
    from regengine.batch.worker import Worker

    team: list[Worker[Task]] = [Worker(prepare, memory_mb) for _ in range(workers)]
    again: deque[Task] = deque()  # tasks whose worker was lost
    deaths: Counter[int] = Counter()
    exhausted = False
    try:
        while not exhausted or again or any(worker.given for worker in team):
            if stop():
                exhausted = True
                again.clear()
                for worker in team:
                    worker.forget_waiting()
            while (free := _freest(team)) is not None and not (exhausted and not again):
                try:
                    item = again.popleft() if again else next(planned)
                except StopIteration:
                    exhausted = True
                    break
                if item is None:
                    break
                if isinstance(item, Task):
                    free.give(item, attempt, process, item)
                else:
                    yield item
            futures = [given.future for worker in team for given in worker.given]
            wait(futures, timeout=TICK_S, return_when=FIRST_COMPLETED)
            for worker in team:
                yield from _finished(worker, again, deaths, limit_s)
            yield None
    finally:
        for clearing in [worker.stop() for worker in team]:
            clearing.join(timeout=TICK_S)


def _freest(team: list[Worker[Task]]) -> Worker[Task] | None:
    """The worker with the least to do; None where all have enough."""
    worker = min(team, key=lambda worker: len(worker.given))
    return worker if len(worker.given) < AHEAD else None


def _finished(
    worker: Worker[Task], again: deque[Task], deaths: Counter[int], limit_s: float
) -> Iterator[tuple[Task, FrameResult]]:
    """What a worker has finished; where it was lost, its other tasks go to ``again``."""
    while worker.given and worker.given[0].future.done():
        given = worker.given.popleft()
        error = given.future.exception()
        if error is None:
            yield given.job, given.future.result()
        elif _lost(given.future):
            again.extend(worker.replace())
            deaths[given.job.frame_index] += 1
            if deaths[given.job.frame_index] < MOST_DEATHS:
                again.append(given.job)
            else:
                yield given.job, failed(given.job, mishap_of(given.job.path, _exception(given)))
        else:  # a result that does not pickle
            yield given.job, failed(given.job, mishap_of(given.job.path, _exception(given)))
    if worker.overdue(limit_s):
        late, *others = worker.replace()
        again.extend(others)
        mishap = mishap_of(late.path, TimeoutError(), limit_s)
        yield late, failed(late, mishap, seconds=limit_s)


def _lost(future: Future[Any]) -> bool:
    from concurrent.futures.process import BrokenProcessPool

    from pebble import ProcessExpired

    return isinstance(future.exception(), ProcessExpired | BrokenProcessPool)


def _exception(given: Given[Task]) -> Exception:
    error = given.future.exception()
    assert isinstance(error, Exception)
    return error
