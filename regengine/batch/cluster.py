"""A batch on an existing Dask cluster: this process plans, stores and reports; workers search."""

from __future__ import annotations

import logging
import os
import platform
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import TYPE_CHECKING, Any

from regengine.batch.map_photos import LostError
from regengine.batch.plan import Task, describe_failure
from regengine.batch.run import BatchOptions, BatchSummary, Process, make_failed_result, run_batch
from regengine.batch.worker_processes import TICK_S, limit_threads
from regengine.errors import ClusterError, ConfigError, RegengineError
from regengine.io.extras import make_missing_error
from regengine.io.urls import hide_secrets
from regengine.result import FrameResult, Reason
from regengine.store.writer import StoreWriter

if TYPE_CHECKING:
    from distributed import Future

CONNECT_S = 10.0
SCHEMES = ("tcp://", "tls://", "ucx://", "ws://", "wss://")
SAFE = "results reported so far are saved; run the same command again to continue"
ANSWER_S = 60.0  # for an answer of the scheduler, or of all workers
STOP_S = 5.0  # for workers to hear that they are to stop
GATHER_S = 30.0  # for a result to come over the network
# Photos that wait beside those under way: by them a cluster that adapts sees that there is more
WAITING = 2


def run_on_cluster(
    photos: Iterable[Path | Task],
    process: Process,
    writer: StoreWriter,
    options: BatchOptions,
    report: Callable[[FrameResult], None],
    *,
    scheduler: str,
    check: Callable[[], object] | None = None,
) -> BatchSummary:
    """Process photos on a cluster; each is reported once it is safely on disk here.

    The first five are as in `regengine.batch.run.run_batch`; ``process`` must pickle, all paths
    within it be absolute, and ``workers`` counts for nothing. ``scheduler`` is an address such as
    ``tcp://node1:8786``. ``check`` is called on each worker and raises where it does not see what
    the run needs; it must pickle, too. ConfigError if Dask is not installed, or the address is
    none; ClusterError if the cluster cannot be used (what was reported is safe); StoreError if the
    store cannot be written any more.
    """
    with connect_client(scheduler) as client:
        check_workers(client, check)
        start = partial(
            ClusterWorkers, client, scheduler=scheduler, limit_s=options.limit_s, check=check
        )
        return run_batch(photos, process, writer, replace(options, executor=start), report)


class ClusterWorkers:
    """Workers of a Dask cluster, a photo a task; see `regengine.batch.map_photos.Executor`.

    The scheduler runs a task whose worker is lost again by itself, and gives it up after some
    times; then it is tried once more while nothing else runs: it may only have been beside the one
    that took its workers down.
    """

    n_tries = 2

    def __init__(
        self,
        client: Any,
        function: Callable[[Task], FrameResult],
        *,
        scheduler: str,
        limit_s: float,
        check: Callable[[], object] | None,
    ) -> None:
        self._client = client
        self._scheduler = scheduler  # its address
        self._run = uuid.uuid4().hex
        self._work = partial(
            work_photo,
            run=self._run,
            function=function,
            limit_s=limit_s,
            versions=versions_here(),
            check=check,
        )
        self._running: set[Future] = set()
        self._waits = False  # for workers, and has said so
        self._is_stopped = False

    @property
    def slots(self) -> int:
        """Two photos a worker, and some beside them."""
        return 2 * self._count_workers() + WAITING

    def submit(self, task: Task) -> Future:
        """Give a photo to the scheduler."""
        # Found from another folder, and told of as it was given
        absolute = replace(task, path=task.path.absolute(), given_as=task.name)
        with cluster_errors():
            future = self._client.submit(self._work, absolute, pure=False)
        self._running.add(future)
        return future

    def wait(self, running: Sequence[Future]) -> Sequence[Future]:
        """Those that are done."""
        from distributed import wait

        with cluster_errors(), suppress(TimeoutError, CancelledError), self._client.as_current():
            wait(running, timeout=TICK_S, return_when="FIRST_COMPLETED")
        return [future for future in running if future.done()]

    def outcome(self, done: Future, task: Task) -> FrameResult | Reason:
        """What became of a photo; ClusterError if a worker cannot do the work."""
        from distributed import KilledWorker

        self._running.discard(done)
        try:
            result: FrameResult | None = done.result(timeout=GATHER_S)
        except KilledWorker as error:
            deaths = error.allowed_failures + 1
            text = (
                f"{task.path} was lost when its worker died "
                f"({'once' if deaths == 1 else f'{deaths} times'}): the file may be damaged; try "
                "it on its own."
            )
            raise LostError(Reason(code="worker_died", text=text)) from error
        except TimeoutError:  # its worker was lost before the result could leave it
            done.cancel()
            raise LostError(None) from None
        except (CancelledError, OSError) as error:
            if self._is_stopped:
                raise LostError(None) from error
            raise make_connection_error(error) from error
        except Exception as error:
            raise make_unusable_error("a worker", error) from error
        if result is None:  # its worker had heard that the run is stopped
            raise LostError(None)
        return result

    def stop(self) -> None:
        """Let workers leave photos alone whose turn comes later."""
        self._is_stopped = True
        # A worker that hangs does not hear it
        with cluster_errors(), suppress(TimeoutError):
            self._client.run(stop_run, self._run, on_error="ignore", callback_timeout=STOP_S)
            if not self._count_workers():  # that would ever begin what waits
                self._client.cancel(list(self._running))

    def close(self) -> None:
        """Take back what is under way."""
        if self._running:
            with suppress(Exception):  # the cluster may be what went away
                self.stop()
                self._client.cancel(list(self._running))

    def _count_workers(self) -> int:
        """How many there are now; that one waits for some is said once."""
        with cluster_errors():
            workers = len(self._client.nthreads(callback_timeout=ANSWER_S))
        if not workers and not self._waits:
            logging.getLogger("regengine").warning(
                "%s has no workers: waiting; start some with dask worker %s",
                self._scheduler,
                self._scheduler,
            )
        self._waits = not workers
        return workers


def check_address(scheduler: str) -> None:
    """Raise ConfigError where this is no address of a scheduler."""
    if not scheduler.startswith(SCHEMES):
        raise ConfigError(
            f"--scheduler {hide_secrets(scheduler)!r} is not a valid address: write it like "
            "tcp://node1:8786, as dask scheduler prints it."
        )


@contextmanager
def connect_client(scheduler: str) -> Iterator[Any]:
    """A client of a scheduler, closed at the end of the block."""
    try:
        from distributed import Client
    except ImportError as error:
        raise make_missing_error("--scheduler", error) from None
    # What they have to say is said here, in a sentence
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(scheduler, timeout=CONNECT_S, set_as_default=False, name="regengine")
    except (OSError, TimeoutError, ValueError, ImportError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {hide_secrets(scheduler)} "
            f"({describe_exception(error)}): check that it runs and that its port is reachable "
            "from here."
        ) from error
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError, RuntimeError):
            client.close(timeout=CONNECT_S)


def check_workers(client: Any, check: Callable[[], object] | None) -> None:
    """Refuse a cluster of which a worker cannot do the work."""
    with cluster_errors():
        try:
            answers = client.run(
                check_worker,
                versions_here(),
                check,
                on_error="return",
                callback_timeout=ANSWER_S,
            )
        except TimeoutError:  # one hangs; each that does not looks for itself with its first photo
            return
    for address, answer in answers.items():
        if isinstance(answer, OSError) and not isinstance(answer, RegengineError):
            continue  # it went away meanwhile
        if isinstance(answer, Exception):
            raise make_unusable_error(address, answer)


def make_unusable_error(worker: str, error: BaseException) -> ClusterError:
    """The error that tells of a worker that cannot do the work."""
    if isinstance(error, ClusterError):
        return ClusterError(f"{worker} of the cluster cannot run: {error}.")
    if isinstance(error, ModuleNotFoundError | AttributeError):
        return ClusterError(
            f"{worker} of the cluster cannot run ({describe_exception(error)}): install the same "
            "version of regengine there."
        )
    return ClusterError(f"{worker} of the cluster cannot run ({describe_exception(error)}).")


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Turn what a lost connection raises into one sentence."""
    try:
        yield
    except RegengineError:
        raise
    except (OSError, TimeoutError, RuntimeError) as error:
        raise make_connection_error(error) from error


def make_connection_error(error: BaseException) -> ClusterError:
    """The error that tells of a connection that ended."""
    return ClusterError(
        f"connection to the Dask scheduler lost ({describe_exception(error)}): {SAFE}."
    )


def describe_exception(error: BaseException) -> str:
    """What an exception says, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


# What one worker does

# For the result of a photo to leave a worker that is given up: one that is not fetched by then is
# worked out again
LAST_WORDS_S = GATHER_S

# A worker with several threads does one photo at a time all the same: the engine's libraries are
# not made for threads.
_one_at_a_time = Lock()
_stopped: set[str] = set()
_limit_threads_once = cache(limit_threads)


def versions_here() -> tuple[str, str]:
    """Version of the engine, and of Python without its last number."""
    return version("regengine"), ".".join(platform.python_version_tuple()[:2])


def work_photo(
    task: Task,
    *,
    run: str,
    function: Callable[[Task], FrameResult],
    limit_s: float,
    versions: tuple[str, str],
    check: Callable[[], object] | None,
) -> FrameResult | None:
    """Work on a photo of a run, None once that was stopped; nothing but overlays is written.

    The task's path is absolute. A photo that takes longer than ``limit_s`` is given up, and the
    worker with it. ``versions`` and ``check`` are those of `check_worker`.
    """
    check_worker(versions, check)
    with _one_at_a_time:
        _limit_threads_once()
        if run in _stopped:
            return None
        result = _call_within(limit_s, function, task)
        if result is None:
            failure = describe_failure(task.path, TimeoutError(), limit_s)
            result = make_failed_result(task, failure, seconds=limit_s)
            timer = Timer(LAST_WORDS_S, os._exit, args=[1])
            timer.daemon = True
            timer.start()
        return result


def check_worker(versions: tuple[str, str], check: Callable[[], object] | None) -> None:
    """Refuse where this worker has other versions or does not see what the run needs."""
    here = versions_here()
    if here != versions:
        raise ClusterError(
            f"it has regengine {here[0]} on Python {here[1]}, this machine regengine "
            f"{versions[0]} on Python {versions[1]}: install the same versions on both"
        )
    if check is not None:
        try:
            check()
        except RegengineError as error:
            said = str(error).rstrip(".")
            raise ClusterError(f"{said}; workers must see the same files as this machine") from None


def stop_run(run: str) -> None:
    """Let this worker leave the photos of a run alone, but for the one under way."""
    _stopped.add(run)


def _call_within(
    limit_s: float, function: Callable[[Task], FrameResult], task: Task
) -> FrameResult | None:
    """The result of a photo; None where it takes too long."""
    results: list[FrameResult] = []
    worker = Thread(target=lambda: results.append(function(task)), daemon=True)
    worker.start()
    worker.join(limit_s)
    return results[0] if results else None
