"""Runs tasks, here or in worker processes, and gives results as they come."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from regengine.batch.attempt import Process
    from regengine.batch.plan import Task
    from regengine.result import FrameResult
    from regengine.store.rows import StoredFrame

Planned: TypeAlias = "Iterator[Task | StoredFrame | None]"
Outcome: TypeAlias = "StoredFrame | tuple[Task, FrameResult] | None"

TICK_S = 0.5  # how often the caller gets a turn while all workers are busy


def execute_here(planned: Planned, process: Process) -> Generator[Outcome]:
    """Run tasks one after the other in this process.

    Parameters
    ----------
    planned : iterator of Task, StoredFrame or None
        Stored frames are passed on; None: what is under way must be finished first.
    process : callable
        Gives the result of one photo.

    Yields
    ------
    StoredFrame, (Task, FrameResult) or None
        None before each task: a turn for the caller.
    """
    from regengine.batch.attempt import attempt
    from regengine.batch.plan import Task

    for item in planned:
        if isinstance(item, Task):
            yield None
            yield item, attempt(process, item)
        else:
            yield item


def execute_in_workers(
    planned: Planned,
    process: Process,
    *,
    workers: int,
    limit_s: float,
    prepare: Callable[[], None] | None = None,
) -> Generator[Outcome]:
    """Run tasks in worker processes; the death of one costs its own photo only.

    Parameters
    ----------
    planned : iterator of Task, StoredFrame or None
        Stored frames are passed on; None: what is under way must be finished first. Read only a
        few tasks ahead.
    process : callable
        Gives the result of one photo; must pickle.
    workers : int
        Number of processes.
    limit_s : float
        A photo that takes longer than this is given up.
    prepare : callable, optional
        Called once in each worker; must pickle.

    Yields
    ------
    StoredFrame, (Task, FrameResult) or None
        In the order in which they finish; None at least every half second.
    """
    from pebble import ProcessPool

    from regengine.batch.attempt import attempt
    from regengine.batch.plan import Task

    # Started afresh, not forked: OpenCV's and HDF5's threads do not survive a fork.
    pool = ProcessPool(
        max_workers=workers,
        context=get_context("spawn"),
        initializer=start_worker,
        initargs=[prepare],
    )
    running: dict[Future[FrameResult], Task] = {}
    exhausted = False
    try:
        while running or not exhausted:
            while not exhausted and len(running) < 2 * workers:
                try:
                    item = next(planned)
                except StopIteration:
                    exhausted = True
                    break
                if item is None:
                    break
                if isinstance(item, Task):
                    future = pool.schedule(attempt, args=[process, item], timeout=limit_s)
                    running[future] = item
                else:
                    yield item
            done, _ = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
            for finished in done:
                task = running.pop(finished)
                yield task, _outcome(finished, task, limit_s)
            yield None
    finally:
        pool.stop()
        pool.join()


def start_worker(prepare: Callable[[], None] | None) -> None:
    """Make a new process a worker; ``prepare`` is called in it."""
    # The workers share the cores among themselves; threads inside each would only compete.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    if prepare is not None:
        prepare()


def _outcome(future: Future[FrameResult], task: Task, limit_s: float) -> FrameResult:
    from regengine.batch.attempt import failed
    from regengine.batch.mishaps import mishap_of

    try:
        return future.result()
    except Exception as error:
        mishap = mishap_of(task.path, error, limit_s)
        return failed(task, mishap, seconds=limit_s if mishap.code == "timed_out" else 0.0)
