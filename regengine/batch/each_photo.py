"""The loop of commands that say a line of each photo: take up, work, make safe, tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from regengine.batch.ndjson import LineFile, failed_line, stamped
from regengine.batch.plan import failure_of, file_sha256
from regengine.batch.pool import Job, TeamOptions, by_workers
from regengine.result import Answer, Failure

T = TypeVar("T")
WINDOW = 4  # photos a worker may be ahead of the oldest that is not done


def each_photo(
    photos: Iterable[Path | None],
    function: Callable[[Path], T],
    team: TeamOptions = TeamOptions(),
    stop: Callable[[], bool] = bool,
) -> Generator[tuple[Path, T | Failure] | None]:
    """Apply a function to photos in order; one that fails costs a sentence, not the run.

    None among the photos and what is given is a turn of the caller's: nothing to do, nothing done.
    """
    guarded = Guarded(function)
    if team.workers > 0:
        yield from _in_order(photos, guarded, stop, team)
        return
    for path in photos:
        if stop():
            return
        yield None if path is None else (path, guarded(path))


def _in_order(
    photos: Iterable[Path | None],
    function: Guarded[T],
    stop: Callable[[], bool],
    team: TeamOptions,
) -> Generator[tuple[Path, T | Failure] | None]:
    """Results of worker processes in the order of the photos."""
    order: deque[Job[Path, T | Failure]] = deque()

    def coming() -> Iterator[Job[Path, T | Failure] | None]:
        for path in photos:
            while len(order) >= WINDOW * team.workers:
                yield None
            if path is None:
                yield None
            else:
                order.append(Job(path, path))
                yield order[-1]

    with closing(by_workers(coming(), function, stop, team)) as outcomes:
        for _ in outcomes:
            while order and order[0].done:
                job = order.popleft()
                yield job.given, job.outcome
            yield None


@dataclass(frozen=True)
class Guarded(Generic[T]):
    """A function with its exceptions as values: some of them do not pickle."""

    function: Callable[[Path], T]

    def __call__(self, path: Path) -> T | Failure:
        """The function's result, or what went wrong."""
        try:
            return self.function(path)
        except Exception as error:
            return failure_of(path, error)


@dataclass(frozen=True)
class Taken:
    """The photo's line is in the file already."""

    failed: bool


Told: TypeAlias = "tuple[Path, Answer | Failure | Taken]"


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
    function: Callable[[Path], Any],
    options: AnswerOptions,
    stop: Callable[[], bool] = bool,
) -> Generator[Told]:
    """Work through photos; each is told once its line is safe, in the order of the photos.

    ``function`` takes a photo's path and must pickle if there are workers; it gives an `Answer`. As
    soon as ``stop`` gives True, what is under way is
    finished, and nothing else. StoreError if the file cannot be used, or not be written any more;
    WorkerError if no worker can be started.
    """
    if options.out is None:
        with closing(_worked(photos, function, options, stop, None)) as work:
            yield from (one[0] for one in work if one is not None)
        return
    file = LineFile(
        options.out,
        command=options.command,
        parameters_sha256=options.parameters_sha256,
        anew=not options.resume,
    )
    waiting: list[Told] = []
    with closing(file), closing(_worked(photos, function, options, stop, file)) as work:
        for one in work:
            if one is not None:
                (path, outcome), sha256 = one
                waiting.append((path, _added(file, path, outcome, sha256, options)))
            # In this process, the next turn comes only after the next photo
            if options.workers == 0 or file.due() or not file.pending:
                file.flush()
                yield from waiting
                waiting = []
        file.flush()
        yield from waiting
        if not stop():
            file.finish()


def _added(
    file: LineFile,
    path: Path,
    outcome: Answer | Failure | Taken,
    sha256: str,
    options: AnswerOptions,
) -> Answer | Failure | Taken:
    """What is told of a photo once its line, which is added here, is safe."""
    if isinstance(outcome, Taken):
        return outcome
    own = outcome.line if isinstance(outcome, Answer) else failed_line(path, outcome)
    line = stamped(
        own,
        command=options.command,
        sha256=sha256,
        parameters_sha256=options.parameters_sha256,
    )
    file.add(line)
    return replace(outcome, line=line) if isinstance(outcome, Answer) else outcome


def _worked(
    photos: Sequence[Path],
    function: Callable[[Path], Any],
    options: AnswerOptions,
    stop: Callable[[], bool],
    file: LineFile | None,
) -> Generator[tuple[Told, str] | None]:
    """What became of each photo, and its hash; None at a turn."""
    hashes: deque[str] = deque()  # of the photos that are under way
    taken: list[tuple[Told, str]] = []

    def to_do() -> Iterator[Path | None]:
        for path in photos:
            sha256 = "" if file is None else file_sha256(path)
            there = _taken(file, path, sha256, options)
            if there is None:
                hashes.append(sha256)
                yield path
            else:
                taken.append(((path, there), sha256))
                yield None

    with closing(each_photo(to_do(), function, options, stop)) as results:
        for result in results:
            if result is None:
                yield taken.pop() if taken else None
            else:
                yield result, hashes.popleft()


def _taken(file: LineFile | None, path: Path, sha256: str, options: AnswerOptions) -> Taken | None:
    state = None if file is None else file.has(path, sha256)
    if state is None or (state == "failed" and options.retry_failed):
        return None
    return Taken(failed=state == "failed")
