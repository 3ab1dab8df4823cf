"""The main loop of commands that write one line per photo: reuse, process, save, report."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from regengine.runs.map_photos import map_photos
from regengine.runs.ndjson import LineFile, State
from regengine.runs.plan import Task, describe_failure, list_reasons_to_redo, look_up
from regengine.runs.worker_processes import TeamOptions, start_executor
from regengine.store.result import Answer, Reason

WINDOW = 4  # photos per worker that may start ahead of the oldest unfinished one
# Outcome of a photo; if its line is already in the file, the state in that line
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
    """Process photos; yield each outcome once its line is safe, in the order of the photos.

    As soon as ``stop`` returns True, photos in progress are finished, and no more are started.

    Parameters
    ----------
    photos : sequence of Path
        The photos.
    function : callable
        Takes the path of a photo; must be picklable if there are workers. An exception fails the
        photo, not the run.
    options : TeamOptions
        Options of the workers.
    stop : callable
        Whether to end.
    file : LineFile, optional
        File for the lines. Lines that it has already are reused.
    retry_failed : bool
        Process photos again whose line in the file is a failure.

    Raises
    ------
    StoreError
        If the file can no longer be written.
    WorkerError
        If no worker can be started.
    """
    tasks = take_up(photos, file, retry_failed)
    window = WINDOW * options.workers or None
    # Finished out of order, until all earlier photos are done
    waiting: dict[int, tuple[Task, Outcome]] = {}
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
    """Return the answer for a photo, or its failure: some exceptions cannot be pickled."""
    try:
        return function(task.path)
    except Exception as error:
        return describe_failure(task.path, error)


def take_up(
    photos: Iterable[Path], file: LineFile | None, retry_failed: bool
) -> Iterator[tuple[Task, State | None]]:
    """Yield photos in order, each with its state if its line in the file is reused."""
    if file is None:
        for number, path in enumerate(photos):
            yield Task(path=path, frame_index=number), None
        return
    retry = ("failed",) if retry_failed else ()
    for number, (task, found) in enumerate(look_up(photos, file.find)):
        state, differences = found or (None, ())
        again = state is None or list_reasons_to_redo(state, differences, retry)
        yield replace(task, frame_index=number), None if again else state
