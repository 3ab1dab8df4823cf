"""A batch of photos: planned, worked on, stored, and only then reported."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

from regengine.batch.console import Advance
from regengine.batch.map_photos import Executor, map_photos
from regengine.batch.neighbours import SecondSearch
from regengine.batch.plan import AGAIN, Task, describe_failure, discard, plan
from regengine.batch.same_settings import RunSettings
from regengine.batch.worker_processes import TeamOptions, start_executor
from regengine.io.plain import make_printable
from regengine.io.times import utc_now
from regengine.photo.frame_ids import frame_id_of
from regengine.records import record_line
from regengine.result import FrameResult, Reason
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter

# Of a path; with `hints` beside it where other photos of the batch have told something
Process = Callable[..., FrameResult]
Report = Callable[[FrameResult], None]
# A photo, and its result where that is stored and stands
Item = tuple[Task, StoredFrame | None]
# Where tasks are worked on, by a function that raises nothing
StartExecutor = Callable[[Callable[[Task], FrameResult]], Executor[Task, FrameResult]]


@dataclass(frozen=True, kw_only=True)
class BatchOptions(TeamOptions):
    """How a batch is run."""

    settings: RunSettings
    resume: bool = True  # take results that the store has already
    retry: frozenset[str] = frozenset()  # verdicts that are worked out again all the same
    workers: int = 1
    neighbours: bool = False  # whether photos help each other, see `SecondSearch`
    stop: Callable[[], bool] = bool  # true when what is under way is to be finished, and no more
    advance: Advance | None = None  # called when a photo is done for the first time
    # Brings back the copies of photos that the tasks of the second search need; None where photos
    # are no copies
    again: Callable[[Iterator[Item]], Iterator[Item]] | None = None
    executor: StartExecutor | None = None  # where tasks are worked on, if not in workers here


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
    photos: Iterable[Path | Task],
    process: Process,
    writer: StoreWriter,
    options: BatchOptions,
    report: Report,
) -> BatchSummary:
    """Process photos; each is reported once, when its final result is safely on disk.

    ``process`` gives the result of one photo, of its path and where there are some of ``hints``; it
    must pickle if there are workers. ``interrupted`` of the summary is set where ``stop`` or Ctrl-C
    ended the run: what was finished is stored and, but for what a second search might have changed,
    reported. StoreError if the store cannot be written any more.
    """
    summary = BatchSummary()
    second = SecondSearch(writer) if options.neighbours else None
    held: dict[int, str] = {}  # verdicts of stored frames that may still change
    n_begun = n_done = n_planned = 0

    def report_safe(frames: Iterable[StoredFrame]) -> None:
        """Report frames that are on the disk, unless they may still change."""
        for frame in frames:
            if second is not None and second.may_change(frame.frame_index):
                held[frame.frame_index] = frame.result.verdict
            else:
                held.pop(frame.frame_index, None)
                summary.verdicts[frame.result.verdict] += 1
                report(frame.result)

    def count_begun(items: Iterator[Item]) -> Iterator[Item]:
        """The items of a round as they are; how many were taken, and whether all."""
        nonlocal n_begun, n_planned
        for item in items:
            n_begun += 1
            yield item
        n_planned += 1

    def store(task: Task, result: FrameResult) -> None:
        """Give the writer what is to be stored of a photo that was worked on."""
        is_again = second is not None and task.search_pass == AGAIN
        if second is not None and is_again:
            result = second.settle(task, result)
        frame = StoredFrame(
            frame_index=task.frame_index,
            result=result,
            parameters=options.settings.parameters,
            parameters_sha256=options.settings.sha256,
            processed_utc=utc_now(),
            search_pass=task.search_pass,
            hints_sha256="" if task.hints is None else task.hints.sha256,
        )
        try:
            writer.add(frame)
        except Exception as error:  # what cannot be written fails its own photo, not the run
            if result.verdict == "failed":
                raise
            store(
                task,
                make_failed_result(
                    task, describe_failure(task.path, error), seconds=result.seconds
                ),
            )
            return
        if not is_again and options.advance is not None:
            options.advance(result.verdict)
        if not is_again and second is not None:
            second.note(frame)

    def take_over(frame: StoredFrame) -> None:
        """Take in a frame that the store had."""
        summary.taken.append(frame.frame_index)
        if options.advance is not None:
            options.advance(frame.result.verdict, resumed=True)
        if second is not None:
            second.note(frame)

    function = partial(try_photo, process)
    start = options.executor or partial(start_executor, options=options)
    settings, resume, retry = options.settings, options.resume, options.retry
    rounds = [plan(photos, writer, settings=settings, resume=resume, retry=retry)]
    if second is not None:
        again = second.plan()
        rounds.append(again if options.again is None else options.again(again))
    try:
        with closing(start(function)) as executor:
            for is_second, items in enumerate(rounds):
                with closing(map_photos(count_begun(items), executor, options.stop)) as turns:
                    for finished in turns:
                        for task, outcome in finished:
                            n_done += 1
                            if isinstance(outcome, StoredFrame):
                                if not is_second:
                                    take_over(outcome)
                                report_safe([outcome])
                                continue
                            if isinstance(outcome, Reason):
                                lost_s = options.limit_s if outcome.code == "timed_out" else 0.0
                                outcome = make_failed_result(task, outcome, seconds=lost_s)
                            store(task, outcome)
                            if task.given_as is not None:
                                discard(task.path)
                        report_safe(writer.flush())
                if options.stop():
                    break
    except KeyboardInterrupt:
        summary.interrupted = True
    report_safe(writer.flush())
    summary.unsettled.update(held.values())
    summary.interrupted |= n_planned < len(rounds) or n_done < n_begun
    return summary


def try_photo(process: Process, task: Task) -> FrameResult:
    """Process a photo; what goes wrong becomes a ``failed`` result."""
    if task.failure is not None:
        return make_failed_result(task, task.failure)
    start_s = time.perf_counter()
    try:
        result = process(task.path, **({} if task.hints is None else {"hints": task.hints}))
        if task.given_as is not None:
            result = rename_result(result, task.path, task.given_as)
        record_line(result)  # what cannot be told fails its own photo, not the run
        return result
    except Exception as error:
        return make_failed_result(
            task, describe_failure(task.path, error), seconds=time.perf_counter() - start_s
        )


def make_failed_result(task: Task, failure: Reason, *, seconds: float = 0.0) -> FrameResult:
    """The result of a photo that could not be processed."""
    result = FrameResult(
        frame=make_printable(frame_id_of(task.path)),
        path=make_printable(str(task.path)),
        sha256=task.sha256 or "",
        verdict="failed",
        probability=None,
        reasons=(Reason(code=failure.code, text=make_printable(failure.text)),),
        engine_version=version("regengine"),
        seconds=seconds,
    )
    return result if task.given_as is None else rename_result(result, task.path, task.given_as)


def rename_result(result: FrameResult, path: Path, shown: str) -> FrameResult:
    """A result that tells of a photo by the name that it was given under."""
    worked_on, given = " ".join(make_printable(str(path)).split()), make_printable(shown)
    reasons = tuple(
        replace(reason, text=reason.text.replace(worked_on, given)) for reason in result.reasons
    )
    return replace(result, path=given, reasons=reasons)
