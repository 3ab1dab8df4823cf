"""Run a batch on an existing Dask cluster: workers search; this process plans and stores."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any

from regengine.errors import ClusterError, Option, RegengineError, describe_exception
from regengine.io.extras import make_import_error
from regengine.io.http import call_within
from regengine.io.urls import hide_secrets
from regengine.runs.map_photos import TICK_S, LostError, Workers, limit_threads
from regengine.runs.plan import Task, describe_failure
from regengine.runs.run import make_failed_result
from regengine.store.reasons import Reason
from regengine.store.result import FrameResult

if TYPE_CHECKING:
    from distributed import Future

CONNECT_S = 10.0
ANSWERED_S = 5.0  # for the first answer: a port at which anything else listens is refused soon
ANSWER_S = 60.0  # for an answer of the scheduler, or of all workers
GATHER_S = 30.0  # for a result to be transferred over the network


class ClusterWorkers(Workers[Task, FrameResult]):
    """Workers of a Dask cluster, one task per photo.

    The scheduler repeats a task whose worker is lost, and gives the task up after several losses.
    The task is then tried once more while nothing else runs, because another photo may have crashed
    its workers.
    """

    n_tries = 2

    def __init__(
        self,
        client: Any,
        function: Callable[[Task], FrameResult],
        *,
        scheduler: str,
        limit_s: float,
        check: Callable[[], object],
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
        self._waits = False  # whether it waits for workers, and has logged that
        self._is_stopped = False

    @property
    def slots(self) -> int:
        """Two photos per worker, and a few more: an adaptive cluster starts workers for them."""
        return 2 * self._count_workers() + 2

    def submit(self, task: Task) -> Future:
        """Submit a photo to the scheduler."""
        # Workers run in another folder, so the path is absolute; messages use the given name
        absolute = replace(task, path=task.path.absolute(), given_as=task.name)
        with cluster_errors():
            future = self._client.submit(self._work, absolute, pure=False)
        self._running.add(future)
        return future

    def wait(self, running: Sequence[Future]) -> Sequence[Future]:
        """Return the photos that are done."""
        from distributed import wait

        with cluster_errors(), suppress(TimeoutError, CancelledError), self._client.as_current():
            wait(running, timeout=TICK_S, return_when="FIRST_COMPLETED")
        return [future for future in running if future.done()]

    def outcome(self, done: Future, task: Task) -> FrameResult | Reason:
        """Return the result of a photo; raise ClusterError if a worker cannot do the work."""
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
            raise LostError(Reason(code="worker_died", values={"message": text})) from error
        except TimeoutError:  # its worker was lost before the result was transferred
            done.cancel()
            raise LostError(None) from None
        except (CancelledError, OSError) as error:
            if self._is_stopped:
                raise LostError(None) from error
            raise make_connection_error(error) from error
        except Exception as error:
            raise make_unusable_error("a worker", error) from error
        if result is None:  # its worker has received the stop signal
            raise LostError(None)
        return result

    def stop(self) -> None:
        """Make the workers skip photos that they have not begun."""
        self._is_stopped = True
        # A worker that hangs does not receive the signal
        with cluster_errors(), suppress(TimeoutError):
            # 5 s for the stop signal to reach the workers
            self._client.run(stop_run, self._run, on_error="ignore", callback_timeout=5.0)
            if not self._count_workers():  # no worker will ever begin the queued photos
                self._client.cancel(list(self._running))

    def close(self) -> None:
        """Cancel the photos in progress."""
        if self._running:
            with suppress(Exception):  # the connection to the cluster may be lost
                self.stop()
                self._client.cancel(list(self._running))

    def _count_workers(self) -> int:
        """Return the current number of workers; log once if there are none."""
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


@contextmanager
def connect_client(scheduler: str) -> Iterator[Any]:
    """Connect to a scheduler; close the client at the end of the block."""
    try:
        from distributed import Client
    except ImportError as error:
        raise make_import_error(Option("scheduler"), error) from None
    # Their messages are replaced by one sentence of this module
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    check_scheduler(scheduler)
    try:
        client = Client(scheduler, timeout=CONNECT_S, set_as_default=False, name="regengine")
    except (OSError, TimeoutError, ValueError, ImportError) as error:
        raise make_no_scheduler_error(scheduler, describe_exception(error)) from error
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError, RuntimeError):
            client.close(timeout=CONNECT_S)


def check_scheduler(scheduler: str) -> None:
    """Raise ClusterError unless a Dask scheduler answers at this address within `ANSWERED_S`.

    Dask's client waits for ever for what accepts a connection and says nothing, and takes whatever
    another server sends for a message of its own.
    """
    from distributed import Security, rpc

    async def ask() -> Any:
        connection = Security().get_connection_args("client")
        async with rpc(scheduler, timeout=ANSWERED_S, connection_args=connection) as remote:
            return await remote.identity()

    cause: BaseException | None = None
    try:
        kind = call_within(ANSWERED_S + 1.0, lambda: asyncio.run(ask()))["type"]
        if kind == "Scheduler":
            return
        why = f"a {kind} of Dask answers there"
    except TimeoutError as error:
        cause, why = error, f"no answer within {ANSWERED_S:.0f} s"
    except (OSError, ValueError, TypeError, ImportError) as error:
        cause = error
        while isinstance(cause.__cause__, Exception):  # such as a refused connection
            cause = cause.__cause__
        why = describe_exception(cause)
    except Exception as error:  # whatever reading another program's words leads to
        cause, why = error, "another program answers there"
    raise make_no_scheduler_error(scheduler, why) from cause


def make_no_scheduler_error(scheduler: str, why: str) -> ClusterError:
    """Return the error for an address at which no scheduler answers."""
    return ClusterError(
        f"no Dask scheduler answers at {hide_secrets(scheduler)} ({why}): check that it runs and "
        "that its port is reachable from here."
    )


def check_workers(client: Any, check: Callable[[], object]) -> None:
    """Raise ClusterError if a worker of the cluster cannot do the work."""
    options = {"on_error": "return", "callback_timeout": ANSWER_S}
    with cluster_errors():
        try:
            answers = client.run(check_worker, versions_here(), check, **options)
        except TimeoutError:  # a worker hangs; each of the others checks itself before its photo
            return
    for address, answer in answers.items():
        if isinstance(answer, OSError) and not isinstance(answer, RegengineError):
            continue  # the worker has left the cluster
        if isinstance(answer, Exception):
            raise make_unusable_error(address, answer)


def make_unusable_error(worker: str, error: BaseException) -> ClusterError:
    """Return the error for a worker that cannot do the work."""
    why = f": {error}" if isinstance(error, ClusterError) else f" ({describe_exception(error)})"
    if isinstance(error, ModuleNotFoundError | AttributeError):
        why += ": install the same version of regengine there"
    return ClusterError(f"{worker} of the cluster cannot run{why}.")


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Raise errors of a lost connection as ClusterError."""
    try:
        yield
    except RegengineError:
        raise
    except (OSError, TimeoutError, RuntimeError) as error:
        raise make_connection_error(error) from error


def make_connection_error(error: BaseException) -> ClusterError:
    """Return the error for a lost connection."""
    return ClusterError(
        f"connection to the Dask scheduler lost ({describe_exception(error)}): results reported so "
        "far are saved; run the same command again to continue."
    )


# Functions that run on a worker

# Time for the result of a photo to leave a worker that is given up. A result that is not fetched by
# then is computed again.
LAST_WORDS_S = GATHER_S

# A worker with several threads processes one photo at a time nevertheless: the libraries of the
# engine are not thread-safe.
_one_at_a_time = Lock()
_stopped: set[str] = set()
_limit_threads_once = cache(limit_threads)


def versions_here() -> tuple[str, str]:
    return version("regengine"), ".".join(platform.python_version_tuple()[:2])


def work_photo(
    task: Task,
    *,
    run: str,
    function: Callable[[Task], FrameResult],
    limit_s: float,
    versions: tuple[str, str],
    check: Callable[[], object],
) -> FrameResult | None:
    """Process a photo of a run; return None if the run was stopped.

    Only overlays are written. The path of the task is absolute. If a photo takes longer than
    ``limit_s``, the photo and its worker are given up. ``versions`` and ``check`` are those of
    `check_worker`.
    """
    check_worker(versions, check)
    with _one_at_a_time:
        _limit_threads_once()
        if run in _stopped:
            return None
        try:
            result = call_within(limit_s, partial(function, task))
        except TimeoutError as error:
            failure = describe_failure(task.path, error, limit_s)
            result = make_failed_result(task, failure, seconds=limit_s)
            timer = Timer(LAST_WORDS_S, os._exit, args=[1])
            timer.daemon = True
            timer.start()
        return result


def check_worker(versions: tuple[str, str], check: Callable[[], object]) -> None:
    """Raise ClusterError if this worker has other versions or does not see what the run needs."""
    here = versions_here()
    if here != versions:
        raise ClusterError(
            f"it has regengine {here[0]} on Python {here[1]}, this machine regengine "
            f"{versions[0]} on Python {versions[1]}: install the same versions on both"
        )
    try:
        check()
    except RegengineError as error:
        sentence = str(error).rstrip(".")
        raise ClusterError(f"{sentence}; workers must see the same files as this machine") from None


def stop_run(run: str) -> None:
    """Make this worker skip all photos of a run that it has not begun."""
    _stopped.add(run)
