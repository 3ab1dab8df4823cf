"""One function over many photos, in order; a photo that fails costs a sentence, not the run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from regengine.batch.mishaps import Mishap, mishap_of
from regengine.batch.team import Job, TeamOptions, by_workers

T = TypeVar("T")
WINDOW = 4  # photos a worker may be ahead of the oldest that is not done


def never() -> bool:
    """Nobody asks to stop."""
    return False


def each_photo(
    photos: Iterable[Path | None],
    function: Callable[[Path], T],
    *,
    workers: int = 0,
    limit_s: float = 120.0,
    memory_mb: int = 0,
    prepare: Callable[[], None] | None = None,
    stop: Callable[[], bool] = never,
) -> Generator[tuple[Path, T | Mishap] | None]:
    """Apply a function to photos, here or in worker processes.

    Parameters
    ----------
    photos : iterable of Path or None
        The photos, read only a few ahead. None is passed on: a turn for the caller.
    function : callable
        Of a photo's path; must pickle if there are workers, and so must its results.
    workers : int
        Worker processes; 0 works in this process.
    limit_s : float
        A photo that keeps a worker busy for longer is given up.
    memory_mb : int
        See `regengine.batch.worker_limits.limit_memory`.
    prepare : callable, optional
        Called once in each worker; must pickle.
    stop : callable
        As soon as it gives True, no photo is begun any more. What workers are at is finished.

    Yields
    ------
    (Path, result or Mishap), or None
        In the order of the photos; after a stop, what follows one that was not done is dropped.
        None at least every half second while workers are busy.

    Raises
    ------
    WorkerError
        If workers die again and again before they take a photo.
    """
    guarded = Guarded(function)
    if workers > 0:
        team = TeamOptions(workers=workers, limit_s=limit_s, memory_mb=memory_mb, prepare=prepare)
        yield from _in_order(photos, guarded, stop, team)
        return
    for path in photos:
        if stop():
            return
        yield None if path is None else (path, guarded(path))


def _in_order(
    photos: Iterable[Path | None],
    function: Guarded[T],
    stop: Callable[[], bool],
    team: TeamOptions,
) -> Generator[tuple[Path, T | Mishap] | None]:
    """Results of worker processes in the order of the photos."""
    order: deque[Job[Path, T | Mishap]] = deque()

    def coming() -> Iterator[Job[Path, T | Mishap] | None]:
        for path in photos:
            while len(order) >= WINDOW * team.workers:
                yield None
            if path is None:
                yield None
            else:
                order.append(Job(path, path))
                yield order[-1]

    with closing(by_workers(coming(), function, stop, team)) as outcomes:
        for _ in outcomes:
            while order and order[0].done:
                job = order.popleft()
                yield job.given, job.outcome
            yield None


@dataclass(frozen=True)
class Guarded(Generic[T]):
    """A function with its exceptions as values: some of them do not pickle."""

    function: Callable[[Path], T]

    def __call__(self, path: Path) -> T | Mishap:
        """The function's result, or what went wrong."""
        try:
            return self.function(path)
        except Exception as error:
            return mishap_of(path, error)
