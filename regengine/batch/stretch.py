"""A stretch of a batch: photos of which some wait for others, and which do."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from regengine.batch.plan import Task
from regengine.shared_knowledge import FrameFacts, Lesson

# Within a minute the station flies 460 km: neighbours see much of the same ground
MINUTE_S = 60.0


@dataclass(kw_only=True)
class Stretch:
    """The photos of one stretch, and how far they are.

    Attributes
    ----------
    facts : dict of int to FrameFacts
        By the number of the frame; frames without time or body are absent.
    ready : deque of Task
        To be done now.
    waiting : list of Task
        Tasks of those that follow others, until those are done.
    running : int
        Tasks that were given out and are not finished.
    lessons : dict of int to Lesson
        What the accepted ones of those that go first teach.
    """

    facts: dict[int, FrameFacts]
    ready: deque[Task]
    waiting: list[Task]
    running: int = 0
    lessons: dict[int, Lesson] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        return not (self.ready or self.waiting or self.running)

    def lessons_in_order(self) -> list[Lesson]:
        """The lessons in the order of their frames."""
        return [lesson for _, lesson in sorted(self.lessons.items())]


def followers_of(facts: dict[int, FrameFacts]) -> set[int]:
    """Frames that come within a minute after another one of the same body, which goes first."""
    followers = set()
    leaders: dict[str, FrameFacts] = {}
    for index, known in sorted(facts.items(), key=lambda item: (item[1].time_utc, item[0])):
        leader = leaders.get(known.camera_body)
        if leader is not None and known.seconds_after(leader) <= MINUTE_S:
            followers.add(index)
        else:
            leaders[known.camera_body] = known
    return followers
