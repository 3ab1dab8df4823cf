"""The loop of commands that say a line of each photo: take up, work, make safe, tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from regengine.batch.ndjson import LineFile, failed_line, stamped
from regengine.batch.plan import failure_of, file_sha256
from regengine.batch.pool import Job, TeamOptions, by_workers
from regengine.result import Answer, Reason

WINDOW = 4  # photos a worker may be ahead of the oldest that is not done


@dataclass(frozen=True)
class Guarded:
    """A function with its exceptions as values: some of them do not pickle."""

    function: Callable[[Path], Answer]

    def __call__(self, path: Path) -> Answer | Reason:
        """The function's result, or what went wrong."""
        try:
            return self.function(path)
        except Exception as error:
            return failure_of(path, error)


@dataclass(frozen=True)
class Taken:
    """The photo's line is in the file already."""

    failed: bool


Told: TypeAlias = "Answer | Reason | Taken"


@dataclass(frozen=True, kw_only=True)
class AnswerOptions(TeamOptions):
    """How photos are worked through."""

    command: str
    parameters_sha256: str = ""  # hash of the settings that answers depend on
    out: Path | None = None  # that the lines go to
    resume: bool = True  # take up what the file has
    retry_failed: bool = False  # of that, do photos again that failed


def answers(
    photos: Sequence[Path],
    function: Callable[[Path], Answer],
    options: AnswerOptions,
    stop: Callable[[], bool] = bool,
) -> Generator[Told]:
    """Work through photos; each is told once its line is safe, in the order of the photos.

    ``function`` takes a photo's path and must pickle if there are workers; where it fails, that
    costs a sentence, not the run. As soon as ``stop`` gives True, what is under way is finished,
    and nothing else. StoreError if the file cannot be used, or not be written any more;
    WorkerError if no worker can be started.
    """
    with ExitStack() as opened:
        file = None
        if options.out is not None:
            file = opened.enter_context(
                closing(
                    LineFile(
                        options.out,
                        command=options.command,
                        parameters_sha256=options.parameters_sha256,
                        anew=not options.resume,
                    )
                )
            )
        waiting: list[Told] = []
        work = _work(photos, Guarded(function), options, stop, file)
        for done in opened.enter_context(closing(work)):
            if done is not None:
                path, sha256, outcome = done
                told = outcome if file is None else _add(file, path, sha256, outcome, options)
                waiting.append(told)
            # In this process, the next turn comes only after the next photo
            if file is None or options.workers == 0 or file.due or file.is_safe:
                if file is not None:
                    file.flush()
                yield from waiting
                waiting = []
        if file is not None:
            file.flush()
            yield from waiting
            if not stop():
                file.finish()


def _work(
    photos: Sequence[Path],
    function: Guarded,
    options: AnswerOptions,
    stop: Callable[[], bool],
    file: LineFile | None,
) -> Generator[tuple[Path, str, Told] | None]:
    """What became of each photo, and its hash, in their order; None at a turn."""
    order: deque[tuple[Job[Path, Any], str]] = deque()  # photos that are under way

    def coming() -> Iterator[Job[Path, Any] | None]:
        for path in photos:
            while options.workers and len(order) >= WINDOW * options.workers:
                yield None
            sha256 = "" if file is None else file_sha256(path)
            state = None if file is None else file.has(path, sha256)
            job: Job[Path, Any] = Job(path, path)
            order.append((job, sha256))
            if state is None or (state == "failed" and options.retry_failed):
                yield job
            else:
                job.end(Taken(failed=state == "failed"))
                yield None

    with closing(by_workers(coming(), function, stop, options)) as turns:
        for _ in turns:
            while order and order[0][0].done:
                job, sha256 = order.popleft()
                yield job.path, sha256, job.outcome
            yield None


def _add(file: LineFile, path: Path, sha256: str, outcome: Told, options: AnswerOptions) -> Told:
    """What is told of a photo once its line, which is added here, is safe."""
    if isinstance(outcome, Taken):
        return outcome
    line = stamped(
        outcome.line if isinstance(outcome, Answer) else failed_line(path, outcome),
        command=options.command,
        sha256=sha256,
        parameters_sha256=options.parameters_sha256,
    )
    file.add(line)
    return replace(outcome, line=line) if isinstance(outcome, Answer) else outcome
