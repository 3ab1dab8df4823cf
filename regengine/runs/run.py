"""Plan a batch of photos, process it, store the results, and report each stored result."""

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

from regengine.io.console import Advance
from regengine.io.plain import make_printable
from regengine.io.times import utc_now
from regengine.photo.frame_ids import frame_id_of
from regengine.runs.map_photos import Executor, map_photos
from regengine.runs.neighbours import SecondSearch
from regengine.runs.plan import AGAIN, Task, describe_failure, discard, plan
from regengine.runs.same_settings import RunSettings
from regengine.runs.worker_processes import TeamOptions, start_executor
from regengine.store.records import record_line
from regengine.store.result import FrameResult, Reason
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter

# Called with a path, and with `hints` if other photos of the batch provide a prior
Process = Callable[..., FrameResult]
Report = Callable[[FrameResult], None]
# A photo, and its stored result if that result is reused
Item = tuple[Task, StoredFrame | None]
# Starts an executor for tasks; the function must not raise
StartExecutor = Callable[[Callable[[Task], FrameResult]], Executor[Task, FrameResult]]


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
    again: Callable[[Iterator[Item]], Iterator[Item]] | None = None
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

    @property
    def resumed(self) -> int:
        """Number of photos whose results were reused from the store."""
        return len(self.taken)


def run_batch(
    photos: Iterable[Path | Task],
    process: Process,
    writer: StoreWriter,
    options: BatchOptions,
    report: Report,
) -> BatchSummary:
    """Process photos; report each once, when its final result is safely on disk.

    ``process`` takes the path of a photo, and ``hints`` if there are any, and returns its result.
    It must be picklable if there are workers. ``interrupted`` of the summary is set if ``stop`` or
    Ctrl-C ended the run. Photos finished by then are stored; they are also reported, except those
    that a second search could still change. Raises StoreError if the store can no longer be
    written.
    """
    summary = BatchSummary()
    second = SecondSearch(writer) if options.neighbours else None
    held: dict[int, str] = {}  # verdicts of stored frames that may still change
    n_begun = n_done = n_planned = 0

    def report_safe(frames: Iterable[StoredFrame]) -> None:
        """Report frames that are on disk, except those that may still change."""
        for frame in frames:
            if second is not None and second.may_change(frame.frame_index):
                held[frame.frame_index] = frame.result.verdict
            else:
                held.pop(frame.frame_index, None)
                summary.verdicts[frame.result.verdict] += 1
                report(frame.result)

    def count_begun(items: Iterator[Item]) -> Iterator[Item]:
        """Pass on the items of a round; count them, and record when the round is exhausted."""
        nonlocal n_begun, n_planned
        for item in items:
            n_begun += 1
            yield item
        n_planned += 1

    def store(task: Task, result: FrameResult) -> None:
        """Pass the result of a processed photo to the writer."""
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
        except Exception as error:  # a result that cannot be written fails its photo, not the run
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
        """Count a frame whose stored result is reused."""
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
    """Process a photo; turn any exception into a ``failed`` result."""
    if task.failure is not None:
        return make_failed_result(task, task.failure)
    start_s = time.perf_counter()
    try:
        result = process(task.path, **({} if task.hints is None else {"hints": task.hints}))
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
        reasons=(Reason(code=failure.code, text=make_printable(failure.text)),),
        engine_version=version("regengine"),
        seconds=seconds,
    )
    return result if task.given_as is None else rename_result(result, task.path, task.given_as)


def rename_result(result: FrameResult, path: Path, shown: str) -> FrameResult:
    """Return a result in which the photo has the name that the user gave."""
    worked_on, given = " ".join(make_printable(str(path)).split()), make_printable(shown)
    reasons = tuple(
        replace(reason, text=reason.text.replace(worked_on, given)) for reason in result.reasons
    )
    return replace(result, path=given, reasons=reasons)
