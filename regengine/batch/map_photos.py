"""The loop of a batch: photos are given to whoever works on them, and taken in as they are done."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from regengine.result import Reason


class PhotoTask(Protocol):
    """What is to be done about a photo."""

    @property
    def path(self) -> Path:
        """The photo, or the name that it goes by."""
        ...


TaskT = TypeVar("TaskT", bound=PhotoTask)
ResultT = TypeVar("ResultT")
KnownT = TypeVar("KnownT")
GivenT = TypeVar("GivenT", bound=PhotoTask, contravariant=True)
FoundT = TypeVar("FoundT", covariant=True)


class LostError(Exception):
    """Work on a photo ended without a result, and can be begun again.

    ``reason`` is what is said of the photo if it is not; None where the photo has no part in it.
    """

    def __init__(self, reason: Reason | None) -> None:
        self.reason = reason
        super().__init__(reason)


class Executor(Protocol[GivenT, FoundT]):
    """Where photos are worked on: this process, others, or a cluster."""

    n_tries: int  # a photo that was lost with its worker so often is given up

    @property
    def slots(self) -> int:
        """How many photos may be under way."""
        ...

    def submit(self, task: GivenT) -> Hashable:
        """Begin a photo; what is given stands for the work on it."""
        ...

    def wait(self, running: Sequence[Any]) -> Sequence[Any]:
        """Those that are done; waits for half a second at most."""
        ...

    def outcome(self, done: Any, task: GivenT) -> FoundT | Reason:
        """The result of one that is done, or why there is none; LostError if its worker died."""
        ...

    def stop(self) -> None:
        """Begin nothing more that has been submitted; called once or never."""
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
    """Work on photos: each with its result, or why there is none, all that are done at a time.

    A photo whose worker died is tried again by itself, while no other is worked on: the kernel may
    have killed the worker for another one's memory. As soon as ``stop`` gives True, what is under
    way is finished, and nothing else begun.

    Parameters
    ----------
    tasks : iterable
        Each with what is known of it already, which is given back as it is, or None. Taken one by
        one, a few ahead of the work.
    executor : Executor
        Does the work; stays open.
    stop : callable
        Whether to end.
    window : int, optional
        No photo is begun that comes so many after one that is not done.
    """
    coming = iter(tasks)
    # Each with its number, in the order in which they were given
    ready: deque[tuple[int, TaskT]] = deque()
    lost: deque[tuple[int, TaskT]] = deque()  # tried again one by one
    running: dict[Any, tuple[int, TaskT]] = {}
    n_lost: Counter[int] = Counter()  # workers that were lost with a photo, by its number
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
    """Works in this process, on one photo after the other; see `Executor`."""

    n_tries = 1
    slots = 1

    def __init__(self, function: Callable[[TaskT], ResultT | Reason]) -> None:
        self._function = function

    def submit(self, task: TaskT) -> Future[ResultT | Reason]:
        """Work on a photo."""
        done: Future[ResultT | Reason] = Future()
        done.set_result(self._function(task))
        return done

    def wait(
        self, running: Sequence[Future[ResultT | Reason]]
    ) -> Sequence[Future[ResultT | Reason]]:
        """All of them."""
        return running

    def outcome(self, done: Future[ResultT | Reason], task: TaskT) -> ResultT | Reason:
        """What became of it."""
        return done.result()

    def stop(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""
