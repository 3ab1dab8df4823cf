"""Photos of a batch that learn from each other, without their number of workers showing.

The photos are taken in blocks of so many as they were given. In a block there are two
passes, and what a photo is told depends on the results of the first pass of its block alone,
not on which of them were finished first:

1. the first photo of every time-lapse minute, and all that have no such neighbour: each by itself;
2. the others of those minutes, with hints from what pass 1 accepted.

When all blocks are through, `regengine.batch.sharing` searches once more for what is not
accepted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path

from regengine.batch.plan import AGAIN, ALONE, FOLLOWING, Task
from regengine.registration.parameters import NeighbourParams
from regengine.registration.priors.neighbours import (
    SEARCHED_AGAIN,
    SOURCE,
    FrameFacts,
    NeighbourPrior,
    SolvedReference,
    make_neighbour_prior,
)
from regengine.result import FrameResult
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter

# Within a minute the station flies 460 km: neighbours see much of the same ground
MINUTE_S = 60.0


@dataclass(kw_only=True)
class Block:
    """The photos of one block, and how far they are."""

    # By the number of the frame; frames without time or body are absent.
    facts: dict[int, FrameFacts]
    ready: deque[Task]
    waiting: list[Task]  # tasks of those that follow others, until those are done
    running: int = 0  # tasks that were given out and are not finished
    # The accepted ones of those that go first
    references: dict[int, SolvedReference] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        return not (self.ready or self.waiting or self.running)


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


FactsOf = Callable[[Path], FrameFacts | None]

BLOCK_PHOTOS = 64  # photos; shards are multiples of it, so that they give what one run gives


class SharingPlan:
    """The planned photos in an order in which they can help each other.

    An iterator that is told what became of its tasks. It yields None where all that could be done
    now is under way.
    """

    def __init__(self, planned: Iterator[Task | StoredFrame], facts_of: FactsOf) -> None:
        self._planned = planned
        self._facts_of = facts_of
        self._open: list[Block] = []
        self._where: dict[int, Block] = {}
        self._stored: deque[StoredFrame] = deque()

    def __iter__(self) -> SharingPlan:
        return self

    def __next__(self) -> Task | StoredFrame | None:
        """The next thing to do; None to wait."""
        while True:
            if self._stored:
                return self._stored.popleft()
            for block in self._open:
                if block.ready:
                    block.running += 1
                    return block.ready.popleft()
            items = list(islice(self._planned, BLOCK_PHOTOS))
            if items:
                self._begin(items)
            elif self._open:
                return None
            else:
                raise StopIteration

    def finished(self, task: Task, result: FrameResult) -> None:
        """Take in what became of a task that was given out."""
        block = self._where.pop(task.frame_index)
        block.running -= 1
        reference = SolvedReference.from_result(result) if task.search_pass == ALONE else None
        if reference is not None:
            block.references[task.frame_index] = reference
        self._go_on(block)

    def _begin(self, items: list[Task | StoredFrame]) -> None:
        """Open a block: find its time-lapse minutes, and what is stored of it."""
        facts = {}
        for item in items:
            known = FrameFacts.from_record(item.result) if isinstance(item, StoredFrame) else None
            if known is None:  # a photo that failed has no facts in its result
                known = self._facts_of(
                    item.path if isinstance(item, Task) else Path(item.result.path)
                )
            if known is not None:
                facts[item.frame_index] = known
        followers = followers_of(facts)
        tasks = [item for item in items if isinstance(item, Task)]
        block = Block(
            facts=facts,
            ready=deque(task for task in tasks if task.frame_index not in followers),
            waiting=[task for task in tasks if task.frame_index in followers],
        )
        for item in items:
            if isinstance(item, StoredFrame):
                self._stored.append(item)
                reference = SolvedReference.from_result(item.result)
                first = item.frame_index not in followers and not searched_again(item)
                if first and reference is not None:
                    block.references[item.frame_index] = reference
        self._where |= {task.frame_index: block for task in tasks}
        self._open.append(block)
        # With everything of pass 1 stored, pass 2 begins at once
        self._go_on(block)

    def _go_on(self, block: Block) -> None:
        """Begin pass 2 where pass 1 has ended; close the block after it."""
        if block.ready or block.running:
            return
        references = [reference for _, reference in sorted(block.references.items())]  # by frame
        for task in block.waiting:
            hints = make_neighbour_prior(block.facts[task.frame_index], references)
            block.ready.append(replace(task, hints=hints, search_pass=FOLLOWING))
        block.waiting = []
        if block.over:
            self._open.remove(block)


def searched_again(stored: StoredFrame) -> bool:
    """Whether a stored result comes of the second pass over a batch."""
    if stored.search_pass:
        return stored.search_pass > FOLLOWING
    return (
        dict(stored.result.sources).get(SOURCE, "").startswith(SEARCHED_AGAIN)
    )  # format version 1


# Where nothing was searched, or nothing can be found, others do not help
BEYOND_HELP = {"not_a_night_city_frame", "no_ephemeris", "outside_map"}
# The nearest in time decide: a time-lapse has thousands in a day, and they agree
MAX_REFERENCES = 64
MAX_KEPT_REFERENCES = 4096  # in memory, 2 kB each


class SecondPass:
    """What is not accepted is searched once more, with what all others tell."""

    def __init__(self, store: StoreWriter) -> None:
        self._read = store.frames.frame
        self._open: set[int] = set()
        self._references: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        self._reference = lru_cache(maxsize=MAX_KEPT_REFERENCES)(self._read_reference)

    def note(self, stored: StoredFrame) -> None:
        """Take in a frame of the first passes, or one that was stored before this run."""
        facts = FrameFacts.from_record(stored.result)
        if facts is None:
            return
        if may_gain(stored.result):
            self._open.add(stored.frame_index)
        elif not searched_again(stored) and SolvedReference.from_result(stored.result) is not None:
            moment_s = facts.time_utc.timestamp()
            self._references[facts.camera_body].append((moment_s, stored.frame_index))

    def may_change(self, frame_index: int) -> bool:
        """Whether a frame is not final yet."""
        return frame_index in self._open

    def tasks(self) -> Iterator[Task | StoredFrame]:
        """What is to be searched again, in the order of the frames, when all others are stored."""
        for references in self._references.values():
            references.sort()
        for frame_index in sorted(self._open):
            stored = self._read(frame_index)
            hints = self._hints(stored)
            if hints is None or hints.sha256 == stored.hints_sha256 or not hints.is_worth_trying():
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

    def finished(self, task: Task, result: FrameResult) -> FrameResult:
        """Take in the result of a second search: the one that stands."""
        self._open.discard(task.frame_index)
        old = self._read(task.frame_index, detections=True).result
        return the_better(old, result)

    def _hints(self, stored: StoredFrame) -> NeighbourPrior | None:
        facts = FrameFacts.from_record(stored.result)
        if facts is None:
            return None
        references = _nearest(self._references[facts.camera_body], facts.time_utc)
        return make_neighbour_prior(
            facts, [self._reference(frame_index) for frame_index in references]
        )

    def _read_reference(self, frame_index: int) -> SolvedReference:
        reference = SolvedReference.from_result(self._read(frame_index).result)
        assert reference is not None  # it was one when it was noted
        return reference


def may_gain(result: FrameResult) -> bool:
    """Whether hints may lead a search farther than it came."""
    if result.verdict not in ("review", "no_match"):
        return False
    if result.nadir is None or result.nadir.source != "tle":
        return False
    return not BEYOND_HELP & {reason.code for reason in result.reasons}


def the_better(old: FrameResult, new: FrameResult) -> FrameResult:
    """The result that stands after a second search; its seconds are those of both."""
    kept = new if new.replaces(old.probability or 0.0) else old
    return replace(kept, seconds=old.seconds + new.seconds)


def _nearest(references: list[tuple[float, int]], moment: datetime) -> list[int]:
    """Numbers of the frames within half a day that were taken next to a moment, in their order."""
    moment_s = moment.timestamp()
    apart_s = NeighbourParams().max_apart_s
    first = bisect_left(references, (moment_s - apart_s, -1))
    last = bisect_right(references, (moment_s + apart_s, 1 << 62))
    near = sorted(references[first:last], key=lambda one: (abs(one[0] - moment_s), one[1]))
    return sorted(frame_index for _, frame_index in near[:MAX_REFERENCES])
