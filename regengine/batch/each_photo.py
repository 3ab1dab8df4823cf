"""The loop of commands that say a line of each photo: take up, work, make safe, tell."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from regengine.batch.map_photos import Known, map_photos
from regengine.batch.ndjson import LineFile, failed_line, stamped
from regengine.batch.plan import Task, failure_of, file_sha256
from regengine.batch.worker_processes import TeamOptions, start_executor
from regengine.result import Answer, Reason

WINDOW = 4  # photos a worker may be ahead of the oldest that is not done


@dataclass(frozen=True)
class AnswerTask:
    """Calls a function for a photo, with its exceptions as values: some of them do not pickle."""

    function: Callable[[Path], Answer]

    def __call__(self, task: Task) -> Answer | Reason:
        """The function's result, or what went wrong."""
        try:
            return self.function(task.path)
        except Exception as error:
            return failure_of(task.path, error)


@dataclass(frozen=True)
class AlreadyDone:
    """The photo's line is in the file already."""

    failed: bool


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
) -> Generator[Answer | Reason | AlreadyDone]:
    """Work through photos; each is told once its line is safe, in the order of the photos.

    ``function`` takes a photo's path and must pickle if there are workers; where it fails, that
    costs a sentence, not the run. As soon as ``stop`` gives True, what is under way is finished,
    and nothing else. StoreError if the file cannot be used, or not be written any more;
    WorkerError if no worker can be started.
    """
    with ExitStack() as opened:
        file: LineFile | None = None
        if options.out is not None:
            command, parameters = options.command, options.parameters_sha256
            file = LineFile(
                options.out,
                command=command,
                parameters_sha256=parameters,
                anew=not options.resume,
            )
            opened.enter_context(closing(file))

        def take_up() -> Iterator[Task | Known[Task, AlreadyDone]]:
            for number, path in enumerate(photos):
                sha256 = "" if file is None else file_sha256(path)
                state = None if file is None else file.has(path, sha256)
                task = Task(path=path, sha256=sha256, frame_index=number)
                if state is None or (state == "failed" and options.retry_failed):
                    yield task
                else:
                    yield Known(task, AlreadyDone(failed=state == "failed"))

        executor = opened.enter_context(closing(start_executor(AnswerTask(function), options)))
        window = WINDOW * options.workers or None
        waiting: dict[int, tuple[Task, Answer | Reason | AlreadyDone]] = {}  # for those before
        n_told = 0
        for finished in opened.enter_context(
            closing(map_photos(take_up(), executor, stop, window=window))
        ):
            waiting |= {task.frame_index: (task, outcome) for task, outcome in finished}
            ready: list[Answer | Reason | AlreadyDone] = []
            while n_told in waiting:
                task, outcome = waiting.pop(n_told)
                ready.append(outcome if file is None else _add(file, task, outcome, options))
                n_told += 1
            if file is not None:
                file.flush()
            yield from ready
        if file is not None and not stop():
            file.finish()


def _add(
    file: LineFile, task: Task, outcome: Answer | Reason | AlreadyDone, options: AnswerOptions
) -> Answer | Reason | AlreadyDone:
    """What is told of a photo once its line, which is added here, is safe."""
    if isinstance(outcome, AlreadyDone):
        return outcome
    line = stamped(
        outcome.line if isinstance(outcome, Answer) else failed_line(task.path, outcome),
        command=options.command,
        sha256=task.sha256 or "",
        parameters_sha256=options.parameters_sha256,
    )
    file.add(line)
    return replace(outcome, line=line) if isinstance(outcome, Answer) else outcome
