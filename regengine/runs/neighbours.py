"""Use solved photos of a batch as priors for the others, independent of the number of workers.

After the first search of all photos, those that were not accepted are searched once more. The prior
of the second search comes from accepted photos of the same camera body.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from regengine.registration.priors import (
    MAX_APART_S,
    FrameFacts,
    NeighbourPrior,
    SolvedReference,
    make_neighbour_prior,
)
from regengine.runs.plan import AGAIN, Task
from regengine.store.result import FrameResult
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter

# If nothing was searched, other photos do not help; a wrong clock may lead outside the map
BEYOND_HELP = {"not_a_night_city_frame", "no_ephemeris"}
# Only the nearest in time are used: a time-lapse has thousands per day, and they agree
MAX_REFERENCES = 64
MAX_KEPT_REFERENCES = 4096  # in memory, 2 kB each


class SecondSearch:
    """Searches photos that were not accepted once more, with a prior from all accepted photos."""

    def __init__(self, store: StoreWriter) -> None:
        self._read = store.frames.frame
        self._open: set[int] = set()
        self._references: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        self._reference = lru_cache(maxsize=MAX_KEPT_REFERENCES)(self._read_reference)

    def note(self, stored: StoredFrame) -> None:
        """Register a frame of the first search, or one that was stored before this run."""
        facts = FrameFacts.from_record(stored.result)
        if facts is None:
            return
        if may_gain(stored.result):
            self._open.add(stored.frame_index)
        elif stored.search_pass == AGAIN:  # it was not a reference in the run that searched it
            return
        elif SolvedReference.from_result(stored.result) is not None:
            moment_s = facts.time_utc.timestamp()
            self._references[facts.camera_body].append((moment_s, stored.frame_index))

    def may_change(self, frame_index: int) -> bool:
        """Whether the result of a frame is not final yet."""
        return frame_index in self._open

    def plan(self) -> Iterator[tuple[Task, StoredFrame | None]]:
        """Yield the frames to search again, in frame order; all others must be stored by then.

        A frame for which other photos provide no new information is not searched again. It is
        yielded with its stored result.
        """
        for references in self._references.values():
            references.sort()
        for frame_index in sorted(self._open):
            stored = self._read(frame_index)
            hints, result = self._hints(stored), stored.result
            task = Task(frame_index=frame_index, path=Path(result.path), sha256=result.sha256)
            if hints is None or hints.sha256 == stored.hints_sha256 or not hints.is_worth_trying():
                self._open.discard(frame_index)
                yield task, stored
            else:
                hints = replace(hints, first_probability=result.probability or 0.0)
                yield replace(task, hints=hints, search_pass=AGAIN), None

    def settle(self, task: Task, result: FrameResult) -> FrameResult:
        """Return the result that is kept after a second search; the frame is final from now on."""
        self._open.discard(task.frame_index)
        old = self._read(task.frame_index, detections=True).result
        return choose_result(old, result)

    def _hints(self, stored: StoredFrame) -> NeighbourPrior | None:
        facts = FrameFacts.from_record(stored.result)
        if facts is None:
            return None
        references = self._references[facts.camera_body]
        moment_s = facts.time_utc.timestamp()
        first = bisect_left(references, (moment_s - MAX_APART_S, -1))
        last = bisect_right(references, (moment_s + MAX_APART_S, 1 << 62))
        near = sorted(references[first:last], key=lambda one: (abs(one[0] - moment_s), one[1]))
        # The nearest in time, at most half a day apart, in ascending frame order
        chosen = sorted(frame_index for _, frame_index in near[:MAX_REFERENCES])
        return make_neighbour_prior(facts, [self._reference(frame_index) for frame_index in chosen])

    def _read_reference(self, frame_index: int) -> SolvedReference:
        reference = SolvedReference.from_result(self._read(frame_index).result)
        assert reference is not None  # it was a reference when it was registered
        return reference


def may_gain(result: FrameResult) -> bool:
    """Whether a prior from other photos can improve the result of a search."""
    if result.verdict not in ("review", "no_match"):
        return False
    if result.nadir is None or result.nadir.source != "tle":
        return False
    return not BEYOND_HELP & {reason.code for reason in result.reasons}


def choose_result(old: FrameResult, new: FrameResult) -> FrameResult:
    """Return the result that is kept after a second search, with the seconds of both."""
    kept = new if new.replaces(old.probability or 0.0) else old
    return replace(kept, seconds=old.seconds + new.seconds)
