"""Plan a batch of photos, process it, store the results, and report each stored result.

After the first search of all photos, those that were not accepted are searched once more. The prior
of the second search comes from accepted photos of the same camera body, so that the results do not
depend on the number of workers.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path

from regengine.io.console import Advance
from regengine.io.plain import make_printable, plain, restore_bytes
from regengine.io.times import utc_now
from regengine.photo.notations import frame_id_of
from regengine.registration.priors import (
    MAX_APART_S,
    FrameFacts,
    make_neighbour_prior,
)
from regengine.runs.map_photos import Executor, TeamOptions, start_executor
from regengine.runs.plan import AGAIN, RunSettings, Task, describe_failure, discard, plan
from regengine.store.reasons import Reason
from regengine.store.records import record_line
from regengine.store.result import FrameResult
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter

# Called with a path, and with `neighbours` if other photos of the batch provide a prior
Process = Callable[..., FrameResult]
Report = Callable[[FrameResult], None]
# A photo, and its stored result if that result is reused
Planned = tuple[Task, StoredFrame | None]
# Starts an executor for tasks; the function must not raise
StartExecutor = Callable[[Callable[[Task], FrameResult]], Executor[Task, FrameResult]]
# If nothing was searched, other photos do not help; a wrong clock may lead outside the map
BEYOND_HELP = {"not_a_night_city_frame", "no_ephemeris"}


@dataclass(frozen=True, kw_only=True)
class BatchOptions(TeamOptions):
    """Options of a batch run."""

    settings: RunSettings
    resume: bool = True  # reuse results that are already in the store
    retry: frozenset[str] = frozenset()  # verdicts that are processed again even if stored
    workers: int = 1
    neighbours: bool = False  # whether photos provide priors for each other, see `SecondSearch`
    stop: Callable[[], bool] = bool  # if true, finish running photos and start no more
    advance: Advance | None = None  # called when a photo is finished for the first time
    # Provides the copies of photos again for the tasks of the second search; None if photos are not
    # copies
    again: Callable[[Iterator[Planned]], Iterator[Planned]] | None = None
    executor: StartExecutor | None = None  # where tasks run; default: worker processes


@dataclass(kw_only=True)
class BatchSummary:
    """Counts and state of a batch at its end."""

    verdicts: Counter[str] = field(default_factory=Counter)  # of reported photos
    # Of photos that are stored but not reported: the run ended before it was known whether they
    # need a second search
    unsettled: Counter[str] = field(default_factory=Counter)
    # Frame numbers of results that were reused from the store
    taken: array[int] = field(default_factory=lambda: array("q"))
    interrupted: bool = False
    undrawn: int = 0  # overlays that were asked for and are not there
    unfetched: str = ""  # why maps that photos need could not be fetched


def run_batch(
    photos: Iterable[Path | Task],
    process: Process,
    writer: StoreWriter,
    options: BatchOptions,
    report: Report,
) -> BatchSummary:
    """Process photos; report each once, when its final result is safely on disk.

    ``process`` takes the path of a photo, and ``neighbours`` if there are any, and returns its
    result. It must be picklable if there are workers. ``interrupted`` of the summary is set if
    ``stop`` or Ctrl-C ended the run. Photos finished by then are stored; they are also reported,
    except those that a second search could still change. Raises StoreError if the store can no
    longer be written.
    """
    batch = _Batch(writer, options, report)
    n_begun = n_done = n_planned = 0

    def count_begun(items: Iterator[Planned]) -> Iterator[Planned]:
        """Pass on the items of a round; count them, and record when the round is exhausted."""
        nonlocal n_begun, n_planned
        for item in items:
            n_begun += 1
            yield item
        n_planned += 1

    start = options.executor or partial(start_executor, options=options)
    settings, resume, retry = options.settings, options.resume, options.retry
    rounds = [plan(photos, writer, settings=settings, resume=resume, retry=retry)]
    again = batch.second.plan()
    rounds.append(again if options.again is None else options.again(again))
    try:
        with closing(start(partial(try_photo, process))) as executor:
            for items in rounds:
                with closing(executor.map_photos(count_begun(items), options.stop)) as turns:
                    for finished in turns:
                        for task, outcome in finished:
                            n_done += 1
                            if isinstance(outcome, StoredFrame):
                                batch.take_over(outcome, is_again=items is not rounds[0])
                                continue
                            if isinstance(outcome, Reason):
                                lost_s = options.limit_s if outcome.code == "timed_out" else 0.0
                                outcome = make_failed_result(task, outcome, seconds=lost_s)
                            batch.store(task, outcome)
                            if task.given_as is not None:
                                discard(task.path)
                        batch.report_safe(writer.flush())
                if options.stop():
                    break
    except KeyboardInterrupt:
        batch.summary.interrupted = True
    batch.report_safe(writer.flush())
    batch.summary.unsettled.update(batch.held.values())
    batch.summary.interrupted |= n_planned < len(rounds) or n_done < n_begun
    return batch.summary


class _Batch:
    """Stores the results of a batch, and reports those on disk that do not change any more."""

    def __init__(self, writer: StoreWriter, options: BatchOptions, report: Report) -> None:
        self.summary = BatchSummary()
        self.second = SecondSearch(writer, may_help=options.neighbours)
        self.held: dict[int, str] = {}  # verdicts of stored frames that may still change
        self._writer, self._options, self._report = writer, options, report

    def report_safe(self, frames: Iterable[StoredFrame]) -> None:
        """Report frames that are on disk, except those that may still change."""
        for frame in frames:
            if frame.frame_index in self.second.unsettled:
                self.held[frame.frame_index] = frame.result.verdict
            else:
                self.held.pop(frame.frame_index, None)
                self.summary.verdicts[frame.result.verdict] += 1
                self._report(frame.result)

    def take_over(self, frame: StoredFrame, *, is_again: bool) -> None:
        """Report a frame whose stored result is reused, and count it the first time."""
        if not is_again:
            self.summary.taken.append(frame.frame_index)
            if self._options.advance is not None:
                self._options.advance(frame.result.verdict, resumed=True)
            self.second.note(frame)
        self.report_safe([frame])

    def store(self, task: Task, result: FrameResult) -> None:
        """Pass the result of a processed photo to the writer."""
        is_again = task.search_pass == AGAIN
        if is_again:
            result = self.second.settle(task, result)
        frame = StoredFrame(
            frame_index=task.frame_index,
            result=result,
            parameters=self._options.settings.parameters,
            parameters_sha256=self._options.settings.sha256,
            processed_utc=utc_now(),
            search_pass=task.search_pass,
            hints_sha256="" if task.neighbours is None else task.neighbours.sha256,
        )
        try:
            self._writer.add(frame)
        except Exception as error:  # a result that cannot be written fails its photo, not the run
            if result.verdict == "failed":
                raise
            failure = describe_failure(task.path, error)
            self.store(task, make_failed_result(task, failure, seconds=result.seconds))
            return
        if not is_again:
            if self._options.advance is not None:
                self._options.advance(result.verdict)
            self.second.note(frame)


def try_photo(process: Process, task: Task) -> FrameResult:
    """Process a photo; turn any exception into a ``failed`` result."""
    if task.failure is not None:
        return make_failed_result(task, task.failure)
    start_s = time.perf_counter()
    try:
        result = process(
            task.path, **({} if task.neighbours is None else {"neighbours": task.neighbours})
        )
        if task.given_as is not None:
            result = rename_result(result, task.path, task.given_as)
        record_line(result)  # a result that cannot be serialised fails its photo, not the run
        return result
    except Exception as error:
        return make_failed_result(
            task, describe_failure(task.path, error), seconds=time.perf_counter() - start_s
        )


def make_failed_result(task: Task, failure: Reason, *, seconds: float = 0.0) -> FrameResult:
    """Return the result of a photo that could not be processed."""
    result = FrameResult(
        frame=make_printable(frame_id_of(task.path)),
        path=make_printable(str(task.path)),
        sha256=task.sha256 or "",
        verdict="failed",
        probability=None,
        reasons=(Reason(code=failure.code, values=plain(failure.values, make_printable)),),
        engine_version=version("regengine"),
        seconds=seconds,
    )
    return result if task.given_as is None else rename_result(result, task.path, task.given_as)


def rename_result(result: FrameResult, path: Path, shown: str) -> FrameResult:
    """Return a result in which the photo has the name that the user gave."""
    worked_on, given = " ".join(make_printable(str(path)).split()), make_printable(shown)

    def rename(text: str) -> str:
        return text.replace(worked_on, given)

    reasons = tuple(replace(one, values=plain(one.values, rename)) for one in result.reasons)
    return replace(result, path=given, reasons=reasons)


class SecondSearch:
    """Searches photos that were not accepted once more, with a prior from all accepted photos."""

    def __init__(self, store: StoreWriter, *, may_help: bool) -> None:
        self._read, self._may_help = store.frames.frame, may_help
        self.unsettled: set[int] = set()  # frames whose results are not final yet
        self._references: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
        # 2 kB each
        self._reference = lru_cache(maxsize=4096)(self._read_reference)

    def note(self, stored: StoredFrame) -> None:
        """Register a frame of the first search, or one that was stored before this run."""
        facts, result = FrameFacts.from_result(stored.result), stored.result
        if facts is None or not self._may_help:
            return
        searched = result.verdict in ("review", "no_match") and not BEYOND_HELP & {
            reason.code for reason in result.reasons
        }
        if searched and result.nadir is not None and result.nadir.source == "tle":
            self.unsettled.add(stored.frame_index)
        elif stored.search_pass == AGAIN:  # it was not a reference in the run that searched it
            return
        elif facts.camera is not None:
            moment_s = facts.time_utc.timestamp()
            self._references[facts.camera_body].append((moment_s, stored.frame_index))

    def plan(self) -> Iterator[tuple[Task, StoredFrame | None]]:
        """Yield the frames to search again, in frame order; all others must be stored by then.

        A frame for which other photos provide no new information is not searched again. It is
        yielded with its stored result.
        """
        for references in self._references.values():
            references.sort()
        for frame_index in sorted(self.unsettled):
            stored = self._read(frame_index)
            facts, result, neighbours = FrameFacts.from_result(stored.result), stored.result, None
            if facts is not None:
                references = self._references[facts.camera_body]
                moment_s = facts.time_utc.timestamp()
                first = bisect_left(references, (moment_s - MAX_APART_S, -1))
                last = bisect_right(references, (moment_s + MAX_APART_S, 1 << 62))
                near = sorted(
                    references[first:last], key=lambda one: (abs(one[0] - moment_s), one[1])
                )
                # The nearest in time, at most half a day apart, in ascending frame order
                # of 64: a time-lapse has thousands per day, and they agree
                chosen = sorted(number for _, number in near[:64])
                neighbours = make_neighbour_prior(facts, list(map(self._reference, chosen)))
            task = Task(
                frame_index=frame_index, path=Path(restore_bytes(result.path)), sha256=result.sha256
            )
            if (
                neighbours is None
                or neighbours.sha256 == stored.hints_sha256
                or not neighbours.is_worth_trying()
            ):
                self.unsettled.discard(frame_index)
                yield task, stored
            else:
                neighbours = replace(neighbours, first_probability=result.probability or 0.0)
                yield replace(task, neighbours=neighbours, search_pass=AGAIN), None

    def settle(self, task: Task, result: FrameResult) -> FrameResult:
        """Return the result that is kept after a second search, with the seconds of both.

        The frame is final from now on.
        """
        self.unsettled.discard(task.frame_index)
        old = self._read(task.frame_index, detections=True).result
        kept = result if result.replaces(old.probability or 0.0) else old
        return replace(kept, seconds=old.seconds + result.seconds)

    def _read_reference(self, frame_index: int) -> FrameFacts:
        reference = FrameFacts.from_result(self._read(frame_index).result)
        # It was a reference when it was registered
        assert reference is not None and reference.camera is not None  # noqa: PT018
        return reference
