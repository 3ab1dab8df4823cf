"""The loop of a batch: photos are given to whoever works on them, and taken in as they are done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Known(Generic[TaskT, ResultT]):
    """A photo that needs no work, and what is known of it."""

    task: TaskT
    outcome: ResultT


@dataclass
class Attempt(Generic[TaskT]):
    """A photo under way."""

    task: TaskT
    number: int  # in the order in which they were given
    n_lost: int = 0  # workers that were lost with it


def map_photos(
    tasks: Iterable[TaskT | Known[TaskT, ResultT]],
    executor: Executor[TaskT, ResultT],
    stop: Callable[[], bool] = bool,
    *,
    window: int | None = None,
) -> Generator[list[tuple[TaskT, ResultT | Reason]]]:
    """Work on photos: each with its result, or why there is none, all that are done at a time.

    A photo whose worker died is tried again by itself, while no other is worked on: the kernel may
    have killed the worker for another one's memory. As soon as ``stop`` gives True, what is under
    way is finished, and nothing else begun.

    Parameters
    ----------
    tasks : iterable
        Taken one by one, a few ahead of the work; what is `Known` is given back as it is.
    executor : Executor
        Does the work; stays open.
    stop : callable
        Whether to end.
    window : int, optional
        No photo is begun that comes so many after one that is not done.
    """
    coming = iter(tasks)
    ready: deque[Attempt[TaskT]] = deque()
    lost: deque[Attempt[TaskT]] = deque()  # tried again one by one
    running: dict[Any, Attempt[TaskT]] = {}
    n_taken, is_exhausted, is_stopped = 0, False, False
    while True:
        if not is_stopped and stop():
            is_exhausted = is_stopped = True
            executor.stop()
            ready.clear()
            lost.clear()
        slots = executor.slots
        while not is_exhausted and len(ready) < slots:
            item = next(coming, None)
            if item is None:
                is_exhausted = True
            elif isinstance(item, Known):
                yield [(item.task, item.outcome)]
                if stop():
                    break
            else:
                ready.append(Attempt(item, n_taken))
                n_taken += 1
        if not is_stopped and stop():
            continue
        while len(running) < slots and not any(one.n_lost for one in running.values()):
            if lost and running:
                break
            queue = lost or ready
            oldest = min((one.number for one in running.values()), default=None)
            if not queue or (window and oldest is not None and queue[0].number - oldest >= window):
                break
            attempt = queue.popleft()
            running[executor.submit(attempt.task)] = attempt
        if not running:
            return
        finished = []
        for handle in executor.wait(list(running)):
            attempt = running.pop(handle)
            try:
                outcome: ResultT | Reason = executor.outcome(handle, attempt.task)
            except LostError as error:
                attempt.n_lost += error.reason is not None
                if error.reason is None or attempt.n_lost < executor.n_tries:
                    if not is_stopped:
                        (lost if attempt.n_lost else ready).appendleft(attempt)
                    continue
                outcome = error.reason
            finished.append((attempt.task, outcome))
        if finished:
            yield finished


@dataclass(eq=False)
class Finished(Generic[ResultT]):
    """A photo that was worked on."""

    outcome: ResultT | Reason


class ThisProcess(Generic[TaskT, ResultT]):
    """Works in this process, on one photo after the other; see `Executor`."""

    n_tries = 1
    slots = 1

    def __init__(self, function: Callable[[TaskT], ResultT | Reason]) -> None:
        self._function = function

    def submit(self, task: TaskT) -> Finished[ResultT]:
        """Work on a photo."""
        return Finished(self._function(task))

    def wait(self, running: Sequence[Finished[ResultT]]) -> Sequence[Finished[ResultT]]:
        """All of them."""
        return running

    def outcome(self, done: Finished[ResultT], task: TaskT) -> ResultT | Reason:
        """What became of it."""
        return done.outcome

    def stop(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""
