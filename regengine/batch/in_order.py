"""Worker processes whose results come in the order of the photos."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from pebble import ProcessExpired

from regengine.batch.execute import AHEAD, MOST_DEATHS, TICK_S
from regengine.batch.mishaps import Mishap, mishap_of
from regengine.batch.worker import Worker
from regengine.errors import WorkerError

T = TypeVar("T")
WINDOW = 4  # photos a worker may be ahead of the oldest that is not done
MOST_BREAKS = 2 * MOST_DEATHS  # more than one photo alone can cause
END = object()


@dataclass(eq=False)
class Place(Generic[T]):
    """A photo's place in the order, and what became of it."""

    path: Path
    deaths: int = 0
    outcome: T | Mishap | None = None


def in_order(
    photos: Iterable[Path | None],
    function: Callable[[Path], T | Mishap],
    *,
    workers: int,
    limit_s: float,
    memory_mb: int,
    prepare: Callable[[], None] | None,
    stop: Callable[[], bool],
) -> Generator[tuple[Path, T | Mishap] | None]:
    """Results of a function, which must not raise, as of `regengine.batch.each.each_photo`.

    A photo whose worker died is tried again by itself, while no other is worked on: the kernel may
    have killed its worker for another one's memory. After `MOST_DEATHS` it is given up.
    """
    team: Team[T] = Team(function, workers, limit_s, memory_mb, prepare)
    coming = iter(photos)
    order: deque[Place[T]] = deque()
    more = True
    try:
        while True:
            if stop():
                more = False
                team.forget_waiting()
            while more and len(order) < WINDOW * workers:
                path = next(coming, END)
                if path is END:
                    more = False
                elif isinstance(path, Path):
                    order.append(Place(path))
                    team.queue.append(order[-1])
                    team.assign()
                else:
                    yield None
            team.assign()
            if not team.busy:
                break
            team.wait()
            while order and order[0].outcome is not None:
                done = order.popleft()
                assert done.outcome is not None
                yield done.path, done.outcome
            yield None
        while order and order[0].outcome is not None:
            done = order.popleft()
            assert done.outcome is not None
            yield done.path, done.outcome
    finally:
        team.stop()


class Team(Generic[T]):
    """Workers, and the photos that wait for one."""

    def __init__(
        self,
        function: Callable[[Path], T | Mishap],
        workers: int,
        limit_s: float,
        memory_mb: int,
        prepare: Callable[[], None] | None,
    ) -> None:
        begin = partial(begin_with, function, prepare)
        self._workers: list[Worker[Place[T]]] = [Worker(begin, memory_mb) for _ in range(workers)]
        self._limit_s = limit_s
        self._breaks = 0
        self.queue: deque[Place[T]] = deque()
        self._again: deque[Place[T]] = deque()

    @property
    def busy(self) -> bool:
        """Whether anything is under way."""
        return any(worker.given for worker in self._workers)

    def assign(self) -> None:
        """Give photos to workers that have little to do."""
        while self._again or self.queue:
            worker = min(self._workers, key=lambda one: len(one.given))
            alone = bool(self._again)
            if len(worker.given) >= AHEAD or (alone and self.busy) or self._tries_alone():
                return
            place = (self._again or self.queue).popleft()
            worker.give(place, work_on, place.path)

    def _tries_alone(self) -> bool:
        return any(given.job.deaths for worker in self._workers for given in worker.given)

    def wait(self) -> None:
        """Wait for a result, half a second at most, and note what became of photos."""
        futures = [given.future for worker in self._workers for given in worker.given]
        wait(futures, timeout=TICK_S, return_when=FIRST_COMPLETED)
        for worker in self._workers:
            self._collect(worker)

    def _collect(self, worker: Worker[Place[T]]) -> None:
        while worker.given and worker.given[0].future.done():
            given = worker.given.popleft()
            error = given.future.exception()
            if error is None:
                given.job.outcome = given.future.result()
                self._breaks = 0
            elif isinstance(error, ProcessExpired | BrokenProcessPool):
                self.queue.extendleft(reversed(worker.replace()))
                self._died(given.job, error)
            else:  # a result that does not pickle
                given.job.outcome = mishap_of(given.job.path, _exception(error))
        if worker.overdue(self._limit_s):
            late, *others = worker.replace()
            self.queue.extendleft(reversed(others))
            late.outcome = mishap_of(late.path, TimeoutError(), self._limit_s)

    def _died(self, place: Place[T], error: BaseException) -> None:
        self._breaks += isinstance(error, BrokenProcessPool)
        if self._breaks >= MOST_BREAKS:
            raise WorkerError(
                "Worker processes die before they begin to work: give them more memory with "
                "--max-memory-mb, or work in this process with --workers 0."
            )
        place.deaths += 1
        if place.deaths < MOST_DEATHS:
            self._again.append(place)
        else:
            place.outcome = mishap_of(place.path, _exception(error))

    def forget_waiting(self) -> None:
        """Begin nothing any more."""
        self.queue.clear()
        self._again.clear()
        for worker in self._workers:
            worker.forget_waiting()

    def stop(self) -> None:
        """End the workers, whatever they are at."""
        for clearing in [worker.stop() for worker in self._workers]:
            clearing.join(timeout=TICK_S)


def _exception(error: BaseException) -> Exception:
    assert isinstance(error, Exception)
    return error


_function: Callable[[Path], Any]  # of this process, if it is a worker


def begin_with(function: Callable[[Path], Any], prepare: Callable[[], None] | None) -> None:
    """Give a worker its function: once, and not with each photo, since catalogues may be in it."""
    global _function
    _function = function
    if prepare is not None:
        prepare()


def work_on(path: Path) -> Any:
    """The worker's function of a photo."""
    return _function(path)
