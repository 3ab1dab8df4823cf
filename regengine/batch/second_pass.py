"""The second pass over a batch: what is not accepted is searched with what all others tell.

Of the frames only numbers are kept in memory: a batch may have a million. What a frame is told
depends on results of the first passes alone, so that a run that is killed and goes on gives what
an uninterrupted one gives; and a frame is searched again only where it is told something else
than at its last search.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from regengine.batch.keeper import Keeper
from regengine.batch.plan import AGAIN, Task
from regengine.batch.sharing import searched_again
from regengine.hints import Hints, replaces
from regengine.result import FrameResult
from regengine.shared_knowledge import (
    DAY_S,
    Lesson,
    facts_of_result,
    hints_for,
    lesson_of,
    worth_trying,
)
from regengine.store.rows import StoredFrame

# Where nothing was searched, or nothing can be found, others do not help
BEYOND_HELP = {"not_a_night_city_frame", "no_ephemeris", "outside_map"}
# The nearest in time decide: a time-lapse has thousands in a day, and they agree
MOST_TEACHERS = 64
KEPT_LESSONS = 4096  # in memory, 2 kB each


class SecondPass:
    """Frames that may be searched once more, and those that may tell them something.

    Parameters
    ----------
    store : Keeper
        The open store.
    """

    def __init__(self, store: Keeper) -> None:
        self._read = store.stored_frame
        self._open: set[int] = set()
        self._teachers: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        self._lesson = lru_cache(maxsize=KEPT_LESSONS)(self._read_lesson)

    def note(self, stored: StoredFrame) -> None:
        """Take in a frame of the first passes, or one that was stored before this run."""
        facts = facts_of_result(stored.result)
        if facts is None:
            return
        if may_gain(stored.result):
            self._open.add(stored.frame_index)
        elif not searched_again(stored) and lesson_of(stored.result) is not None:
            moment_s = facts.time_utc.timestamp()
            self._teachers[facts.camera_body].append((moment_s, stored.frame_index))

    def may_change(self, frame_index: int) -> bool:
        """Whether a frame is not final yet."""
        return frame_index in self._open

    def tasks(self) -> Iterator[Task | StoredFrame]:
        """What is to be searched again, in the order of the frames, when all others are stored.

        Yields
        ------
        Task or StoredFrame
            A stored frame where it is final as it is.
        """
        for teachers in self._teachers.values():
            teachers.sort()
        for frame_index in sorted(self._open):
            stored = self._read(frame_index)
            hints = self._hints(stored)
            if hints is None or hints.sha256 == stored.hints_sha256 or not worth_trying(hints):
                self._open.discard(frame_index)
                yield stored
            else:
                result = stored.result
                yield Task(
                    frame_index=frame_index,
                    path=Path(result.path),
                    sha256=result.sha256,
                    hints=replace(hints, beat=result.probability or 0.0),
                    search_pass=AGAIN,
                )

    def finished(self, task: Task, result: FrameResult) -> tuple[str, FrameResult]:
        """Take in the result of a second search.

        Returns
        -------
        before : str
            The verdict of the first.
        result : FrameResult
            What stands.
        """
        self._open.discard(task.frame_index)
        old = self._read(task.frame_index, detections=True).result
        return old.verdict, the_better(old, result)

    def _hints(self, stored: StoredFrame) -> Hints | None:
        facts = facts_of_result(stored.result)
        if facts is None:
            return None
        teachers = _nearest(self._teachers[facts.camera_body], facts.time_utc)
        return hints_for(facts, [self._lesson(frame_index) for frame_index in teachers])

    def _read_lesson(self, frame_index: int) -> Lesson:
        lesson = lesson_of(self._read(frame_index).result)
        assert lesson is not None  # it was one when it was noted
        return lesson


def may_gain(result: FrameResult) -> bool:
    """Whether hints may lead a search farther than it came."""
    if result.verdict not in ("review", "no_match"):
        return False
    if result.nadir is None or result.nadir.source != "tle":
        return False
    return not BEYOND_HELP & {reason.code for reason in result.reasons}


def the_better(old: FrameResult, new: FrameResult) -> FrameResult:
    """The result that stands after a second search; its seconds are those of both."""
    kept = new if replaces(new, old.probability or 0.0) else old
    return replace(kept, seconds=old.seconds + new.seconds)


def _nearest(teachers: list[tuple[float, int]], moment: datetime) -> list[int]:
    """Numbers of the frames within half a day that were taken next to a moment, in their order."""
    moment_s = moment.timestamp()
    first = bisect_left(teachers, (moment_s - DAY_S, -1))
    last = bisect_right(teachers, (moment_s + DAY_S, 1 << 62))
    near = sorted(teachers[first:last], key=lambda one: (abs(one[0] - moment_s), one[1]))
    return sorted(frame_index for _, frame_index in near[:MOST_TEACHERS])
