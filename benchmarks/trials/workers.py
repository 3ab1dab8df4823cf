"""Seeds worked through in processes that may crash or hang without ending the run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, TimeoutError, wait
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from benchmarks.registration_process import one_thread

Columns = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A seed whose work was not finished, and why."""

    problem: str


def work_through(
    seeds: Iterable[int],
    work: Callable[[int], Columns],
    *,
    workers: int,
    limit_s: float,
    prepare: Callable[..., None],
    prepare_args: tuple[Any, ...] = (),
) -> Generator[tuple[int, Columns | Lost]]:
    """Do work for each seed in worker processes of one thread each.

    Parameters
    ----------
    seeds : iterable of int
    work : callable
        Seed → columns of its row; must pickle.
    workers : int
        Number of processes.
    limit_s : float
        The work for one seed is killed after this long.
    prepare : callable
        Called once in each process before any work; must pickle.
    prepare_args : tuple
        What it is called with.

    Yields
    ------
    seed : int
    columns : dict or Lost
        In the order in which they finish.

    Raises
    ------
    BrokenExecutor
        If the processes cannot be made ready.
    """
    from pebble import ProcessExpired, ProcessPool

    with one_thread():
        # Started afresh, not forked: OpenCV's threads do not survive a fork.
        pool = ProcessPool(
            max_workers=workers,
            context=get_context("spawn"),
            initializer=prepare,
            initargs=list(prepare_args),
        )
        waiting, running = iter(seeds), dict[Future[Columns], int]()
        try:
            while True:
                while len(running) < 2 * workers and (seed := next(waiting, None)) is not None:
                    running[pool.schedule(work, args=[seed], timeout=limit_s)] = seed
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), _outcome(future, limit_s, ProcessExpired)
        finally:
            pool.stop()
            pool.join()


def _outcome(
    future: Future[Columns], limit_s: float, process_died: type[Exception]
) -> Columns | Lost:
    try:
        return future.result()
    except TimeoutError:
        return Lost(problem=f"killed after {limit_s:.0f} s")
    except process_died as error:
        return Lost(problem=f"the process died (exit code {getattr(error, 'exitcode', None)})")
    except BrokenExecutor:  # no process could be made ready: no seed's fault
        raise
    except Exception as error:
        return Lost(problem=f"{type(error).__name__}: {error}")
