"""Photos of a batch that learn from each other, without their number of workers showing.

The photos are taken in stretches of so many as they were given. In a stretch there are two
passes, and what a photo is told depends on the results of the first pass of its stretch alone,
not on which of them were finished first:

1. the first photo of every time-lapse minute, and all that have no such neighbour: each by itself;
2. the others of those minutes, with hints from what pass 1 accepted.

When all stretches are through, `regengine.batch.second_pass` searches once more for what is not
accepted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from regengine.batch.plan import ALONE, FOLLOWING, Task
from regengine.batch.stretch import Stretch, followers_of
from regengine.hints import AGAIN, SOURCE
from regengine.result import FrameResult
from regengine.shared_knowledge import FrameFacts, facts_of_result, hints_for, lesson_of
from regengine.store.rows import StoredFrame

FactsOf = Callable[[Path], FrameFacts | None]

STRETCH = 64  # photos; shards are multiples of it, so that they give what one run gives


class SharingPlan:
    """The planned photos in an order in which they can help each other.

    An iterator that is told what became of its tasks. It yields None where all that could be done
    now is under way.

    Parameters
    ----------
    planned : iterator of Task or StoredFrame
        Of `regengine.batch.plan.plan`.
    facts_of : callable
        Time and body of a photo; None where they are not known.
    """

    def __init__(self, planned: Iterator[Task | StoredFrame], facts_of: FactsOf) -> None:
        self._planned = planned
        self._facts_of = facts_of
        self._open: list[Stretch] = []
        self._where: dict[int, Stretch] = {}
        self._stored: deque[StoredFrame] = deque()

    def __iter__(self) -> SharingPlan:
        return self

    def __next__(self) -> Task | StoredFrame | None:
        """The next thing to do; None to wait.

        Raises
        ------
        StopIteration
            When everything is done.
        """
        while True:
            if self._stored:
                return self._stored.popleft()
            for stretch in self._open:
                if stretch.ready:
                    stretch.running += 1
                    return stretch.ready.popleft()
            items = list(islice(self._planned, STRETCH))
            if items:
                self._begin(items)
            elif self._open:
                return None
            else:
                raise StopIteration

    def finished(self, task: Task, result: FrameResult) -> None:
        """Take in what became of a task that was given out."""
        stretch = self._where.pop(task.frame_index)
        stretch.running -= 1
        lesson = lesson_of(result) if task.search_pass == ALONE else None
        if lesson is not None:
            stretch.lessons[task.frame_index] = lesson
        self._go_on(stretch)

    def _begin(self, items: list[Task | StoredFrame]) -> None:
        """Open a stretch: find its time-lapse minutes, and what is stored of it."""
        facts = {}
        for item in items:
            known = facts_of_result(item.result) if isinstance(item, StoredFrame) else None
            if known is None:  # a photo that failed has no facts in its result
                known = self._facts_of(
                    item.path if isinstance(item, Task) else Path(item.result.path)
                )
            if known is not None:
                facts[item.frame_index] = known
        followers = followers_of(facts)
        tasks = [item for item in items if isinstance(item, Task)]
        stretch = Stretch(
            facts=facts,
            ready=deque(task for task in tasks if task.frame_index not in followers),
            waiting=[task for task in tasks if task.frame_index in followers],
        )
        for item in items:
            if isinstance(item, StoredFrame):
                self._stored.append(item)
                lesson = lesson_of(item.result)
                first = item.frame_index not in followers and not searched_again(item)
                if first and lesson is not None:
                    stretch.lessons[item.frame_index] = lesson
        self._where |= {task.frame_index: stretch for task in tasks}
        self._open.append(stretch)
        # With everything of pass 1 stored, pass 2 begins at once
        self._go_on(stretch)

    def _go_on(self, stretch: Stretch) -> None:
        """Begin pass 2 where pass 1 has ended; close the stretch after it."""
        if stretch.ready or stretch.running:
            return
        lessons = stretch.lessons_in_order()
        for task in stretch.waiting:
            hints = hints_for(stretch.facts[task.frame_index], lessons)
            stretch.ready.append(replace(task, hints=hints, search_pass=FOLLOWING))
        stretch.waiting = []
        if stretch.over:
            self._open.remove(stretch)


def searched_again(stored: StoredFrame) -> bool:
    """Whether a stored result comes of the second pass over a batch."""
    if stored.search_pass:
        return stored.search_pass > FOLLOWING
    return dict(stored.result.sources).get(SOURCE, "").startswith(AGAIN)  # format version 1
