"""The loop over a batch: plan, execute, store, and only then report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from regengine.batch.attempt import Process
from regengine.batch.execute import (
    TICK_S,
    Outcome,
    Planned,
    execute_here,
    execute_in_workers,
)
from regengine.batch.plan import Task, plan
from regengine.batch.sharing import FactsOf, SharingPlan
from regengine.result import FrameResult
from regengine.store.origin import utc_now
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How a batch is run.

    Attributes
    ----------
    parameters, parameters_sha256 : str
        JSON text of the settings that results depend on, and its hash.
    resume : bool
        Take results that the store has already.
    workers : int
        Worker processes; 0 to work in this process.
    limit_s : float
        A photo that keeps a worker busy for longer is given up.
    prepare : callable or None
        Called once in each worker; must pickle.
    facts_of : callable or None
        Time and body of a photo, so that photos can help each other; None to do each by itself.
    """

    parameters: str
    parameters_sha256: str
    resume: bool = True
    workers: int = 1
    limit_s: float = 600.0
    prepare: Callable[[], None] | None = None
    facts_of: FactsOf | None = None


@dataclass(kw_only=True)
class BatchSummary:
    """What became of a batch."""

    verdicts: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    interrupted: bool = False


def run_batch(
    photos: Sequence[Path],
    process: Process,
    writer: StoreWriter,
    options: BatchOptions,
    report: Callable[[FrameResult], None],
) -> BatchSummary:
    """Process photos; each is reported once it is safely on disk.

    Parameters
    ----------
    photos : sequence of Path
        The photos.
    process : callable
        Gives the result of one photo, of its path and where there are some of ``hints``; must
        pickle if there are workers.
    writer : StoreWriter
        The open store.
    options : BatchOptions
        How to run.
    report : callable
        Called with each result after it was stored.

    Returns
    -------
    BatchSummary
        ``interrupted`` is set after Ctrl-C: what was finished is stored and reported; a photo
        that waits for others of its stretch is not.

    Raises
    ------
    StoreError
        If the store cannot be written any more.
    """
    summary = BatchSummary()

    def tell(frames: Sequence[StoredFrame]) -> None:
        for frame in frames:
            summary.verdicts[frame.result.verdict] += 1
            report(frame.result)

    tasks = plan(photos, writer, parameters_sha256=options.parameters_sha256, resume=options.resume)
    sharing = None if options.facts_of is None else SharingPlan(tasks, options.facts_of)
    here = options.workers == 0 or len(photos) == 1
    longest_s = 0.0
    try:
        with closing(
            _execute(tasks if sharing is None else sharing, process, options, here)
        ) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, StoredFrame):
                    summary.resumed += 1
                    tell([outcome])
                elif outcome is not None:
                    longest_s = max(longest_s, outcome[1].seconds)
                    final = [outcome] if sharing is None else sharing.finished(*outcome)
                    for finished in final:
                        writer.add(_finished(*finished, options))
                # Here, the next turn comes only after the next photo.
                if writer.due(longest_s if here else TICK_S):
                    tell(writer.flush())
    except KeyboardInterrupt:
        summary.interrupted = True
    tell(writer.flush())
    return summary


def _execute(
    planned: Planned, process: Process, options: BatchOptions, here: bool
) -> Generator[Outcome]:
    if here:
        return execute_here(planned, process)
    return execute_in_workers(
        planned,
        process,
        workers=options.workers,
        limit_s=options.limit_s,
        prepare=options.prepare,
    )


def _finished(task: Task, result: FrameResult, options: BatchOptions) -> StoredFrame:
    return StoredFrame(
        frame_index=task.frame_index,
        result=result,
        parameters=options.parameters,
        parameters_sha256=options.parameters_sha256,
        processed_utc=utc_now(),
    )
