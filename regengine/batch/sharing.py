"""Photos of a batch that learn from each other, without their number of workers showing.

The photos are taken in stretches of so many as they were given. In a stretch there are three
passes, and what a photo is told depends on the results of earlier passes of its stretch alone, not
on which of them were finished first:

1. the first photo of every time-lapse minute, and all that have no such neighbour: each by itself;
2. the others of those minutes, with hints from what pass 1 accepted;
3. what is not accepted yet, with hints from what passes 1 and 2 accepted. The new result takes the
   place of the old one where it is accepted or the likelier.

A result is final, and stored and told, when nothing can change it any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from regengine.batch.plan import Task
from regengine.batch.stretch import Stretch, followers_of, may_gain, pass_of, the_better
from regengine.result import FrameResult
from regengine.shared_knowledge import FrameFacts, facts_of_result, hints_for, worth_trying
from regengine.store.rows import StoredFrame

FactsOf = Callable[[Path], FrameFacts | None]
Finished = tuple[Task, FrameResult]

STRETCH = 64  # photos; those that are not accepted at once wait for the rest of their stretch


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
        self._final: deque[StoredFrame] = deque()

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
            if self._final:
                return self._final.popleft()
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

    def finished(self, task: Task, result: FrameResult) -> list[Finished]:
        """Take a result in.

        Parameters
        ----------
        task : Task
            One that was given out.
        result : FrameResult
            What became of it.

        Returns
        -------
        list of (Task, FrameResult)
            What is final now, in the order of the frames.
        """
        stretch = self._where[task.frame_index]
        stretch.running -= 1
        final = self._take_in(stretch, task, result)
        final += self._next_pass(stretch)
        if stretch.over:
            self._open.remove(stretch)
            self._where = {k: s for k, s in self._where.items() if s is not stretch}
        return final

    def _begin(self, items: list[Task | StoredFrame]) -> None:
        """Open a stretch: find its time-lapse minutes, and what is stored of it."""
        facts = {}
        for item in items:
            if isinstance(item, Task):
                known = self._facts_of(item.path)
            else:
                known = facts_of_result(item.result)
            if known is not None:
                facts[item.frame_index] = known
        tasks = [item for item in items if isinstance(item, Task)]
        followers = followers_of(facts)
        stretch = Stretch(
            facts=facts,
            followers=followers,
            ready=deque(task for task in tasks if task.frame_index not in followers),
            waiting=[task for task in tasks if task.frame_index in followers],
        )
        for item in items:
            if isinstance(item, StoredFrame):
                done_in = pass_of(item.result, item.frame_index in followers)
                stretch.results[item.frame_index] = (done_in, item.result)
                self._final.append(item)
        self._where |= {task.frame_index: stretch for task in tasks}
        # With everything of pass 1 stored, pass 2 begins at once
        self._next_pass(stretch)
        if not stretch.over:
            self._open.append(stretch)

    def _take_in(self, stretch: Stretch, task: Task, result: FrameResult) -> list[Finished]:
        index = task.frame_index
        if index in stretch.held:
            del stretch.held[index]
            return [(task, the_better(stretch.results[index][1], result))]
        done_in = 2 if index in stretch.followers else 1
        stretch.results[index] = (done_in, result)
        if index in stretch.facts and may_gain(result) and stretch.has_company(index):
            stretch.held[index] = task
            return []
        return [(task, result)]

    def _next_pass(self, stretch: Stretch) -> list[Finished]:
        """Begin the next pass where one has ended; what it leaves alone is final."""
        if stretch.ready or stretch.running:
            return []
        if stretch.passes == 1 and stretch.waiting:
            stretch.passes = 2
            lessons = stretch.lessons(before=2)
            for task in stretch.waiting:
                hints = hints_for(stretch.facts[task.frame_index], lessons)
                stretch.ready.append(replace(task, hints=hints))
            stretch.waiting = []
            return []
        if stretch.passes == 3:
            return []
        stretch.passes = 3
        lessons = stretch.lessons(before=3)
        final = []
        for index, task in sorted(stretch.held.items()):
            result = stretch.results[index][1]
            hints = hints_for(stretch.facts[index], lessons)
            if hints is None or hints == task.hints or not worth_trying(hints):
                final.append((task, result))
            else:
                hints = replace(hints, beat=result.probability or 0.0)
                stretch.ready.append(replace(task, hints=hints))
        for task, _ in final:
            del stretch.held[task.frame_index]
        return final
