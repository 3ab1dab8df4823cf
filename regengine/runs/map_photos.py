"""The main loop of a batch: submit photos to an executor and collect their results."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from regengine.store.result import Reason


class PhotoTask(Protocol):
    """A photo and what is to be done with it."""

    @property
    def path(self) -> Path:
        """The path of the photo, or its name."""
        ...


TaskT = TypeVar("TaskT", bound=PhotoTask)
ResultT = TypeVar("ResultT")
KnownT = TypeVar("KnownT")
GivenT = TypeVar("GivenT", bound=PhotoTask, contravariant=True)
FoundT = TypeVar("FoundT", covariant=True)


class LostError(Exception):
    """The worker of a photo was lost without a result; the work can be repeated.

    ``reason`` becomes the failure of the photo if the work is not repeated. It is None if the photo
    cannot be the cause.
    """

    def __init__(self, reason: Reason | None) -> None:
        self.reason = reason
        super().__init__(reason)


class Executor(Protocol[GivenT, FoundT]):
    """Where photos are processed: this process, worker processes, or a cluster."""

    n_tries: int  # a photo that loses this many workers is given up

    @property
    def slots(self) -> int:
        """Maximum number of photos in progress."""
        ...

    def submit(self, task: GivenT) -> Hashable:
        """Start a photo; return a handle of the work on it."""
        ...

    def wait(self, running: Sequence[Any]) -> Sequence[Any]:
        """Return the handles that are done; wait for half a second at most."""
        ...

    def outcome(self, done: Any, task: GivenT) -> FoundT | Reason:
        """Return the result of a finished photo, or the reason of its failure.

        Raises LostError if its worker died.
        """
        ...

    def stop(self) -> None:
        """Start nothing that has been submitted and not begun; called at most once."""
        ...

    def close(self) -> None:
        """End all work."""
        ...


def map_photos(
    tasks: Iterable[tuple[TaskT, KnownT | None]],
    executor: Executor[TaskT, ResultT],
    stop: Callable[[], bool] = bool,
    *,
    window: int | None = None,
) -> Generator[list[tuple[TaskT, KnownT | ResultT | Reason]]]:
    """Process photos; yield lists of those that finished, each with a result or a failure.

    A photo whose worker died is tried again with no other photo in progress: the kernel may have
    killed the worker because another one used too much memory. As soon as ``stop`` returns True,
    photos in progress are finished, and no more are started.

    Parameters
    ----------
    tasks : iterable
        Each task with its known result, which is passed through, or None. Tasks are taken one at a
        time, a few ahead of the work.
    executor : Executor
        Does the work; is not closed here.
    stop : callable
        Whether to end.
    window : int, optional
        A photo only starts if it is fewer than this many photos after the oldest unfinished one.
    """
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
            executor.stop()
            ready.clear()
            lost.clear()
        slots = executor.slots
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
        while len(running) < slots and not any(n_lost[number] for number, _ in running.values()):
            if lost and running:
                break
            queue = lost or ready
            oldest = min((number for number, _ in running.values()), default=None)
            if not queue or (window and oldest is not None and queue[0][0] - oldest >= window):
                break
            number, task = queue.popleft()
            running[executor.submit(task)] = number, task
        if not running:
            return
        finished: list[tuple[TaskT, KnownT | ResultT | Reason]] = []
        for handle in executor.wait(list(running)):
            number, task = running.pop(handle)
            try:
                outcome: ResultT | Reason = executor.outcome(handle, task)
            except LostError as error:
                n_lost[number] += error.reason is not None
                if error.reason is None or n_lost[number] < executor.n_tries:
                    if not is_stopped:
                        (lost if n_lost[number] else ready).appendleft((number, task))
                    continue
                outcome = error.reason
            finished.append((task, outcome))
        if finished:
            yield finished


class ThisProcess(Generic[TaskT, ResultT]):
    """Process photos in this process, one after the other; see `Executor`."""

    n_tries = 1
    slots = 1

    def __init__(self, function: Callable[[TaskT], ResultT | Reason]) -> None:
        self._function = function

    def submit(self, task: TaskT) -> Future[ResultT | Reason]:
        """Process a photo."""
        done: Future[ResultT | Reason] = Future()
        done.set_result(self._function(task))
        return done

    def wait(
        self, running: Sequence[Future[ResultT | Reason]]
    ) -> Sequence[Future[ResultT | Reason]]:
        """Return all photos: they are already done."""
        return running

    def outcome(self, done: Future[ResultT | Reason], task: TaskT) -> ResultT | Reason:
        """Return the result or the failure of a photo."""
        return done.result()

    def stop(self) -> None:
        """Do nothing: no photo is waiting."""

    def close(self) -> None:
        """Do nothing: no resource is open."""
