"""A stretch of a batch: photos that learn from each other, and which of them may."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from regengine.batch.plan import Task
from regengine.hints import AGAIN, SOURCE, replaces
from regengine.result import FrameResult
from regengine.shared_knowledge import DAY_S, FrameFacts, Lesson, lesson_of

# Within a minute the station flies 460 km: neighbours see much of the same ground
MINUTE_S = 60.0
# Where nothing was searched, or nothing can be found, a neighbour does not help
BEYOND_HELP = {"not_a_night_city_frame", "no_ephemeris", "outside_map"}


@dataclass(kw_only=True)
class Stretch:
    """The photos of one stretch, and how far they are.

    Attributes
    ----------
    facts : dict of int to FrameFacts
        By the number of the frame; frames without time or body are absent.
    followers : set of int
        Frames that wait for pass 2.
    ready : deque of Task
        To be done now.
    waiting : list of Task
        The followers' tasks until then.
    running : int
        Tasks that were given out and are not finished.
    results : dict of int to (int, FrameResult)
        Of each frame that is done: its pass and its result.
    held : dict of int to Task
        Frames that pass 3 may still help.
    passes : int
        The pass under way.
    """

    facts: dict[int, FrameFacts]
    followers: set[int]
    ready: deque[Task]
    waiting: list[Task]
    running: int = 0
    results: dict[int, tuple[int, FrameResult]] = field(default_factory=dict)
    held: dict[int, Task] = field(default_factory=dict)
    passes: int = 1

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        return not (self.ready or self.waiting or self.running or self.held)

    def lessons(self, before: int) -> list[Lesson]:
        """What frames that were accepted before a pass teach, in their order."""
        known = sorted(self.results.items())
        lessons = [lesson_of(result) for _, (done_in, result) in known if done_in < before]
        return [lesson for lesson in lessons if lesson is not None]

    def has_company(self, index: int) -> bool:
        """Whether another frame of the same body may teach this one something."""
        mine = self.facts[index]
        return any(
            other.camera_body == mine.camera_body and abs(mine.seconds_after(other)) <= DAY_S
            for number, other in self.facts.items()
            if number != index
        )


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


def pass_of(result: FrameResult, follower: bool) -> int:
    """The pass in which a stored result was made."""
    if dict(result.sources).get(SOURCE, "").startswith(AGAIN):
        return 3
    return 2 if follower else 1


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
