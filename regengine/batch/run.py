"""The loop over a batch: plan, execute, store, and only then report."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol, TypeAlias

from regengine.batch.console import Advance
from regengine.batch.plan import AGAIN, Task, discard, failure_of, plan
from regengine.batch.pool import Job, TeamOptions, by_workers
from regengine.batch.same_settings import RunSettings
from regengine.batch.sharing import FactsOf, SecondPass, SharingPlan
from regengine.io.plain import printable
from regengine.io.times import utc_now
from regengine.photo.frame_records import frame_id_of
from regengine.records import record_line
from regengine.result import FrameResult, Reason
from regengine.store.rows import StoredFrame, to_tables
from regengine.store.writer import StoreWriter

# Of a path; with `hints` beside it where other photos of the batch have told something
Process = Callable[..., FrameResult]
Planned: TypeAlias = "Iterator[Task | StoredFrame | None]"
Outcome: TypeAlias = "StoredFrame | tuple[Task, FrameResult] | None"
Stop: TypeAlias = Callable[[], bool]


class Photos(Protocol):
    """Photos whose number is known: a list of paths, or `RemotePhotos`."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Path | Task]: ...


Report = Callable[[FrameResult], None]
Again = Callable[[Iterator[Task | StoredFrame]], Iterator[Task | StoredFrame]]
Execute = Callable[[Planned, Process, Stop], Generator[Outcome]]


@dataclass(frozen=True, kw_only=True)
class BatchOptions(TeamOptions):
    """How a batch is run."""

    settings: RunSettings
    resume: bool = True  # take results that the store has already
    retry: frozenset[str] = frozenset()  # verdicts that are worked out again all the same
    workers: int = 1
    # Time and body of a photo, so that photos can help each other; None to do each by itself.
    facts_of: FactsOf | None = None
    stop: Stop = bool  # true when what is under way is to be finished and no more to be begun
    advance: Advance | None = None  # called when a photo is done for the first time
    # Brings the copies of photos back that the tasks of the second pass need; None where photos are
    # no copies.
    again: Again | None = None
    execute: Execute | None = None  # runs the tasks on other machines; None for this one


@dataclass(kw_only=True)
class BatchSummary:
    """What became of a batch."""

    verdicts: Counter[str] = field(default_factory=Counter)  # of photos that were reported
    # Of photos that are stored and were not reported: the run ended before the others had shown
    # whether these are to be searched once more
    unsettled: Counter[str] = field(default_factory=Counter)
    # Numbers of the frames that were taken from the store
    taken: array[int] = field(default_factory=lambda: array("q"))
    interrupted: bool = False

    @property
    def resumed(self) -> int:
        """How many photos were taken from the store."""
        return len(self.taken)


def run_batch(
    photos: Photos,
    process: Process,
    writer: StoreWriter,
    options: BatchOptions,
    report: Report,
) -> BatchSummary:
    """Process photos; each is reported once, when its final result is safely on disk.

    ``process`` gives the result of one photo, of its path and where there are some of ``hints``; it
    must pickle if there are workers. ``interrupted`` of the summary is set where ``stop`` or Ctrl-C
    ended the run: what was finished is stored and, but for what a second pass might have changed,
    reported. StoreError if the store cannot be written any more.
    """
    loop = _Loop(writer, options, report)
    tasks = plan(
        photos,
        writer,
        settings=options.settings,
        resume=options.resume,
        retry=options.retry,
    )
    here = options.workers == 0 or len(photos) == 1
    try:
        with closing(_execute(loop.begun(tasks), process, options, here)) as outcomes:
            loop.take_in(outcomes, here)
    except KeyboardInterrupt:
        loop.summary.interrupted = True
    loop.tell(writer.flush())
    loop.summary.unsettled.update(loop.held.values())
    loop.summary.interrupted |= loop.unfinished
    return loop.summary


class _Loop:
    """What the passes over a batch share."""

    def __init__(self, writer: StoreWriter, options: BatchOptions, report: Report) -> None:
        self.summary = BatchSummary()
        self.held: dict[int, str] = {}  # verdicts of stored frames that may still change
        self._planned_all = False
        self._under_way = 0
        self._writer = writer
        self._options = options
        self._report = report
        self._sharing: SharingPlan | None = None
        self._second: SecondPass | None = None

    def begun(self, tasks: Iterator[Task | StoredFrame]) -> Planned:
        """The tasks of both passes; None where what is under way must be finished first."""
        for item in self._in_order(tasks):
            self._under_way += isinstance(item, Task)
            yield item
        self._planned_all = True

    def _in_order(self, tasks: Iterator[Task | StoredFrame]) -> Planned:
        if self._options.facts_of is None:
            yield from tasks
        else:
            self._sharing = SharingPlan(tasks, self._options.facts_of)
            self._second = SecondPass(self._writer)
            yield from self._sharing
            self.tell(self._writer.flush())
            again = self._second.tasks()
            for item in again if self._options.again is None else self._options.again(again):
                if isinstance(item, Task):
                    yield item
                else:
                    self.tell([item])

    @property
    def unfinished(self) -> bool:
        """Whether photos are left that were not planned, or begun in vain."""
        return not self._planned_all or self._under_way > 0

    def take_in(self, outcomes: Iterator[Outcome], here: bool) -> None:
        """Store and report what comes out of the execution."""
        for outcome in outcomes:
            if isinstance(outcome, StoredFrame):
                self._stored(outcome)
            elif outcome is not None:
                self._writer.add(self._finished(*outcome))
            # Here, the next turn comes only after the next photo
            if here or self._writer.due:
                self.tell(self._writer.flush())

    def tell(self, frames: Sequence[StoredFrame]) -> None:
        """Report frames that are safe, unless they may still change."""
        for frame in frames:
            if self._second is not None and self._second.may_change(frame.frame_index):
                self.held[frame.frame_index] = frame.result.verdict
                continue
            self.held.pop(frame.frame_index, None)
            self.summary.verdicts[frame.result.verdict] += 1
            self._report(frame.result)

    def _stored(self, frame: StoredFrame) -> None:
        """A frame that the store had."""
        self.summary.taken.append(frame.frame_index)
        if self._options.advance is not None:
            self._options.advance(frame.result.verdict, resumed=True)
        if self._second is not None:
            self._second.note(frame)
        self.tell([frame])

    def _finished(self, task: Task, result: FrameResult) -> StoredFrame:
        self._under_way -= 1
        if task.given_as is not None:
            discard(task.path)
        if self._second is not None and task.search_pass == AGAIN:
            result = self._second.finished(task, result)
        else:
            if self._sharing is not None:
                self._sharing.finished(task, result)
            if self._options.advance is not None:
                self._options.advance(result.verdict)
        frame = StoredFrame(
            frame_index=task.frame_index,
            result=result,
            parameters=self._options.settings.parameters,
            parameters_sha256=self._options.settings.sha256,
            processed_utc=utc_now(),
            search_pass=task.search_pass,
            hints_sha256="" if task.hints is None else task.hints.sha256,
        )
        if self._second is not None and task.search_pass != AGAIN:
            self._second.note(frame)
        return frame


def _execute(
    planned: Planned, process: Process, options: BatchOptions, here: bool
) -> Generator[Outcome]:
    """Run tasks; the death of a worker process costs its own photo at most."""
    if options.execute is not None:
        yield from options.execute(planned, process, options.stop)
        return
    coming: Iterator[Job[Task, FrameResult] | StoredFrame | None] = (
        Job(item, item.path) if isinstance(item, Task) else item for item in planned
    )
    team = replace(options, workers=0) if here else options
    with closing(by_workers(coming, partial(attempt, process), options.stop, team)) as outcomes:
        for done in outcomes:
            if not isinstance(done, Job):
                yield done
            elif isinstance(done.outcome, Reason):
                yield done.given, failed(done.given, done.outcome, seconds=done.lost_s)
            else:
                yield done.given, done.outcome


def attempt(process: Process, task: Task) -> FrameResult:
    """Process a photo; what goes wrong becomes a ``failed`` result."""
    if task.failure is not None:
        return failed(task, task.failure)
    start_s = time.perf_counter()
    try:
        result = process(task.path, **({} if task.hints is None else {"hints": task.hints}))
        if task.given_as is not None:
            result = reported_as(result, task.path, task.given_as)
        # A result that cannot be written must fail its own frame, not the run.
        to_tables([StoredFrame(frame_index=0, result=result)])
        record_line(result)
        return result
    except Exception as error:
        return failed(task, failure_of(task.path, error), seconds=time.perf_counter() - start_s)


def failed(task: Task, failure: Reason, *, seconds: float = 0.0) -> FrameResult:
    """The result of a photo that could not be processed."""
    result = FrameResult(
        frame=printable(frame_id_of(task.path)),
        path=printable(str(task.path)),
        sha256=task.sha256 or "",
        verdict="failed",
        probability=None,
        reasons=(Reason(code=failure.code, text=printable(failure.text)),),
        engine_version=version("regengine"),
        seconds=seconds,
    )
    return result if task.given_as is None else reported_as(result, task.path, task.given_as)


def reported_as(result: FrameResult, path: Path, shown: str) -> FrameResult:
    """A result that tells of a photo by the name that it was given under."""
    worked_on, given = " ".join(printable(str(path)).split()), printable(shown)
    reasons = tuple(
        replace(reason, text=reason.text.replace(worked_on, given)) for reason in result.reasons
    )
    return replace(result, path=given, reasons=reasons)
