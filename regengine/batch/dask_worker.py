"""What one worker of a Dask cluster does: a shard of photos, one after the other."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from threading import Lock, Thread, Timer
from typing import Any

from regengine.batch.attempt import Process, attempt, failed
from regengine.batch.plan import Task, mishap_of
from regengine.batch.pool import limit_threads
from regengine.errors import ClusterError, RegengineError
from regengine.result import FrameResult

LAST_WORDS_S = 5.0  # for the result of a shard to leave a worker that is given up

# A worker with several threads does one photo at a time all the same: the engine's libraries are
# not made for threads.
_one_at_a_time = Lock()
_stopped: set[str] = set()


class WorkerError(ClusterError):
    """A worker of a cluster cannot do what the run needs."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A task of the cluster: photos, and all that is needed to work on them.

    Attributes
    ----------
    run : str
        Name of the run that it belongs to.
    tasks : tuple of Task
        The photos, with absolute paths.
    process : callable
        Gives the result of one photo.
    limit_s : float
        A photo that takes longer is given up, and the worker with it.
    versions : tuple of str
        Of the engine and of Python, which must be those of the worker.
    check : callable or None
        Raises where the worker cannot see what the run needs, such as the map.
    """

    run: str
    tasks: tuple[Task, ...]
    process: Process
    limit_s: float
    versions: tuple[str, str]
    check: Callable[[], object] | None = None


def versions_here() -> tuple[str, str]:
    """Version of the engine, and of Python without its last number."""
    return version("regengine"), ".".join(platform.python_version_tuple()[:2])


def work_shard(shard: Shard) -> list[FrameResult]:
    """Work on the photos of a shard; nothing but overlays is written."""
    check_worker(shard.versions, shard.check)
    results: list[FrameResult] = []
    with _one_at_a_time:
        limit_threads_once()
        for task in shard.tasks:
            if shard.run in _stopped:
                break
            result = _attempt_within(shard.limit_s, shard.process, task)
            if result is None:
                mishap = mishap_of(task.path, TimeoutError(), shard.limit_s)
                results.append(failed(task, mishap, seconds=shard.limit_s))
                _end_process()
                break
            results.append(result)
    return results


def check_worker(versions: tuple[str, str], check: Callable[[], object] | None) -> None:
    """Refuse where this worker has other versions or does not see what the run needs."""
    here = versions_here()
    if here != versions:
        raise WorkerError(
            f"it has regengine {here[0]} on Python {here[1]}, this run regengine {versions[0]} on "
            f"Python {versions[1]}: install the same versions on both"
        )
    if check is not None:
        try:
            check()
        except RegengineError as error:
            said = str(error).rstrip(".")
            raise WorkerError(f"{said}; workers must see the same files") from None


def stop_run(run: str) -> None:
    """Let this worker end its shards of a run after the photo that is under way."""
    _stopped.add(run)


@cache
def limit_threads_once() -> None:
    """Keep the libraries of this process to one thread."""
    limit_threads()


def _attempt_within(limit_s: float, process: Process, task: Task) -> FrameResult | None:
    """The result of a photo; None where it takes too long."""
    results: list[FrameResult] = []

    def work() -> None:
        results.append(attempt(process, task))

    worker = Thread(target=work, daemon=True)
    worker.start()
    worker.join(limit_s)
    return results[0] if results else None


def _end_process(*_: Any) -> None:
    timer = Timer(LAST_WORDS_S, os._exit, args=[1])
    timer.daemon = True
    timer.start()
