"""The loop of a batch: order, what is known already, and the end that is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from regengine.batch.map_photos import ThisProcess, map_photos
from regengine.batch.plan import Task


def tasks(taken: list[int], count: int = 9) -> Iterator[tuple[Task, str | None]]:
    """Every third needs work; ``taken`` tells how far it went."""
    for number in range(count):
        taken.append(number)
        task = Task(path=Path(str(number)), frame_index=number)
        yield task, None if number % 3 == 0 else f"known {number}"


def work(task: Task) -> str:
    return f"done {task.frame_index}"


def test_what_is_known_needs_no_work_and_comes_in_its_turn() -> None:
    done = [one for some in map_photos(tasks([]), ThisProcess(work)) for one in some]
    assert sorted(task.frame_index for task, _ in done) == list(range(9))
    assert all(
        outcome == f"{'known' if task.frame_index % 3 else 'done'} {task.frame_index}"
        for task, outcome in done
    )


@pytest.mark.parametrize("last", [0, 1, 4])
def test_a_stop_is_heard_between_photos_that_are_known(last: int) -> None:
    """A run that goes on may have thousands of them."""
    taken: list[int] = []
    seen: list[int] = []
    for some in map_photos(tasks(taken), ThisProcess(work), lambda: len(seen) > last):
        seen.extend(task.frame_index for task, _ in some)
    assert len(seen) == last + 1
    assert len(taken) <= last + 2


def test_no_photo_is_begun_far_beyond_one_that_is_not_done() -> None:
    begun: list[int] = []

    class LastFirst(ThisProcess[Task, str]):
        """Finishes what was begun last, and the first photo only when nothing else is left."""

        slots = 3

        def submit(self, task: Task) -> Future[Any]:
            begun.append(task.frame_index)
            return super().submit(task)

        def wait(self, running: Sequence[Any]) -> Sequence[Any]:
            return running[-1:]

    some = ((Task(path=Path(str(number)), frame_index=number), None) for number in range(20))
    turns = map_photos(some, LastFirst(work), window=5)
    order = [task.frame_index for finished in turns for task, _ in finished]
    assert sorted(order) == list(range(20))
    for place, number in enumerate(order):
        late = [early for early in range(number) if early not in order[:place]]
        assert not late or number - late[0] < 5
    assert begun == sorted(begun)
