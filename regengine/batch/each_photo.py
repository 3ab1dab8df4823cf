"""The loop of commands that say a line of each photo: take up, work, make safe, tell."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from regengine.batch.map_photos import map_photos
from regengine.batch.ndjson import LineFile, State
from regengine.batch.plan import Task, describe_failure, list_reasons_to_redo, look_up
from regengine.batch.worker_processes import TeamOptions, start_executor
from regengine.result import Answer, Reason

WINDOW = 4  # photos a worker may be ahead of the oldest that is not done
# Of a photo; of one whose line is there already the state that the line tells
Outcome = Answer | Reason | State


def answer_photos(
    photos: Sequence[Path],
    function: Callable[[Path], Answer],
    options: TeamOptions,
    stop: Callable[[], bool] = bool,
    *,
    file: LineFile | None = None,
    retry_failed: bool = False,
) -> Generator[Outcome]:
    """Work through photos; each is told once its line is safe, in the order of the photos.

    As soon as ``stop`` gives True, what is under way is finished, and nothing else.

    Parameters
    ----------
    photos : sequence of Path
        The photos.
    function : callable
        Takes a photo's path, and must pickle if there are workers; where it fails, that costs a
        sentence, not the run.
    options : TeamOptions
        Who does the work.
    stop : callable
        Whether to end.
    file : LineFile, optional
        Where the lines go. What it has of photos is taken over.
    retry_failed : bool
        Of that, do photos again that failed.

    Raises
    ------
    StoreError
        If the file cannot be written any more.
    WorkerError
        If no worker can be started.
    """
    tasks = take_up(photos, file, retry_failed)
    window = WINDOW * options.workers or None
    waiting: dict[int, tuple[Task, Outcome]] = {}  # for those before
    n_told = 0
    with (
        closing(start_executor(partial(answer_photo, function), options)) as executor,
        closing(map_photos(tasks, executor, stop, window=window)) as turns,
    ):
        for finished in turns:
            waiting |= {task.frame_index: (task, outcome) for task, outcome in finished}
            ready: list[Outcome] = []
            while n_told in waiting:
                task, outcome = waiting.pop(n_told)
                if file is not None and not isinstance(outcome, str):
                    outcome = file.add(task.path, task.sha256 or "", outcome)
                ready.append(outcome)
                n_told += 1
            if file is not None:
                file.flush()
            yield from ready
        if file is not None and not stop():
            file.finish()


def answer_photo(function: Callable[[Path], Answer], task: Task) -> Answer | Reason:
    """What a function says of a photo, or what went wrong: some exceptions do not pickle."""
    try:
        return function(task.path)
    except Exception as error:
        return describe_failure(task.path, error)


def take_up(
    photos: Iterable[Path], file: LineFile | None, retry_failed: bool
) -> Iterator[tuple[Task, State | None]]:
    """Photos in their order, those whose line stands with what it tells."""
    if file is None:
        for number, path in enumerate(photos):
            yield Task(path=path, frame_index=number), None
        return
    retry = ("failed",) if retry_failed else ()
    for number, (task, found) in enumerate(look_up(photos, file.find)):
        state, differences = found or (None, ())
        again = state is None or list_reasons_to_redo(state, differences, retry)
        yield replace(task, frame_index=number), None if again else state
