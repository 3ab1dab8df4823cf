"""Runs tasks, here or in worker processes, and gives results as they come."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from regengine.batch.attempt import attempt, failed
from regengine.batch.mishaps import Mishap
from regengine.batch.plan import Task
from regengine.batch.team import Job, TeamOptions, by_workers

if TYPE_CHECKING:
    from regengine.batch.attempt import Process
    from regengine.result import FrameResult
    from regengine.store.rows import StoredFrame

Planned: TypeAlias = "Iterator[Task | StoredFrame | None]"
Outcome: TypeAlias = "StoredFrame | tuple[Task, FrameResult] | None"
Stop: TypeAlias = Callable[[], bool]


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
    planned: Planned, process: Process, stop: Stop, options: TeamOptions
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
        True when no more tasks are to be begun; those that a worker is at are finished.
    options : TeamOptions
        How to run.

    Yields
    ------
    StoredFrame, (Task, FrameResult) or None
        In the order in which they finish; None at least every half second.

    Raises
    ------
    WorkerError
        If workers die again and again before they take a photo.
    """
    coming: Iterator[Job[Task, FrameResult] | StoredFrame | None] = (
        Job(item, item.path) if isinstance(item, Task) else item for item in planned
    )
    with closing(by_workers(coming, partial(attempt, process), stop, options)) as outcomes:
        for done in outcomes:
            if not isinstance(done, Job):
                yield done
            elif isinstance(done.outcome, Mishap):
                yield done.given, failed(done.given, done.outcome, seconds=done.lost_s)
            else:
                yield done.given, done.outcome
