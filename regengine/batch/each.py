"""One function over many photos, in order; a photo that fails costs a sentence, not the run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, TypeVar

from regengine.batch.mishaps import Mishap, mishap_of
from regengine.batch.worker import start_worker

T = TypeVar("T")
AHEAD = 4  # photos a worker is given before the oldest of them must be done


def each_photo(
    photos: Sequence[Path],
    function: Callable[[Path], T],
    *,
    workers: int = 0,
    limit_s: float = 120.0,
    prepare: Callable[[], None] | None = None,
) -> Generator[tuple[Path, T | Mishap]]:
    """Apply a function to photos, here or in worker processes.

    Parameters
    ----------
    photos : sequence of Path
        The photos.
    function : callable
        Of a photo's path; must pickle if there are workers, and so must its results.
    workers : int
        Worker processes; 0 works in this process.
    limit_s : float
        A photo that keeps a worker busy for longer is given up.
    prepare : callable, optional
        Called once in each worker; must pickle.

    Yields
    ------
    (Path, result or Mishap)
        In the order of the photos.
    """
    if workers == 0 or len(photos) < 2:
        for path in photos:
            yield path, _Guarded(function)(path)
        return
    from pebble import ProcessPool

    # Started afresh, not forked: OpenCV's and HDF5's threads do not survive a fork.
    pool = ProcessPool(
        max_workers=workers,
        context=get_context("spawn"),
        initializer=start_worker,
        initargs=[prepare],
    )
    running: deque[tuple[Path, Future[T | Mishap]]] = deque()
    guarded = _Guarded(function)
    try:
        for path in photos:
            running.append((path, pool.schedule(guarded, args=[path], timeout=limit_s)))
            if len(running) >= AHEAD * workers:
                oldest, future = running.popleft()
                yield oldest, _outcome(oldest, future, limit_s)
        while running:
            oldest, future = running.popleft()
            yield oldest, _outcome(oldest, future, limit_s)
    finally:
        pool.stop()
        pool.join()


@dataclass(frozen=True)
class _Guarded(Generic[T]):
    """The function with its exceptions as values: some of them do not pickle."""

    function: Callable[[Path], T]

    def __call__(self, path: Path) -> T | Mishap:
        try:
            return self.function(path)
        except Exception as error:
            return mishap_of(path, error)


def _outcome(path: Path, future: Future[T | Mishap], limit_s: float) -> T | Mishap:
    try:
        return future.result()
    except Exception as error:
        return mishap_of(path, error, limit_s)
