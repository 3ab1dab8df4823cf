"""A batch on an existing Dask cluster: this process plans, stores and reports; workers search."""

from __future__ import annotations

import logging
import os
import platform
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from threading import Lock, Thread, Timer
from typing import TYPE_CHECKING, Any

from regengine.batch.plan import Task, failure_of
from regengine.batch.pool import TICK_S, limit_threads
from regengine.batch.run import (
    BatchOptions,
    BatchSummary,
    Outcome,
    Photos,
    Planned,
    Process,
    attempt,
    failed,
    run_batch,
)
from regengine.errors import ClusterError, ConfigError, RegengineError
from regengine.io.extras import missing
from regengine.io.urls import without_secrets
from regengine.result import FrameResult, Reason
from regengine.store.writer import StoreWriter

if TYPE_CHECKING:
    from distributed import Future

CONNECT_S = 10.0
SCHEMES = ("tcp://", "tls://", "ucx://", "ws://", "wss://")
SAFE = "what was reported is safe, and the same command goes on from there"
END = "end"
ANSWER_S = 60.0  # for an answer of the scheduler, or of all workers
STOP_S = 5.0  # for workers to hear that they are to stop
GATHER_S = 30.0  # for a result to come over the network
# Photos that wait beside those under way: by them a cluster that adapts sees that there is more
WAITING = 2


def run_on_cluster(
    photos: Photos,
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
    with connected(scheduler) as client:
        check_workers(client, check)
        run = ClusterRun(client=client, scheduler=scheduler, limit_s=options.limit_s, check=check)
        return run_batch(photos, process, writer, replace(options, execute=run.execute), report)


@dataclass(kw_only=True)
class ClusterRun:
    """A batch on a cluster, a photo a task; see `run_on_cluster`."""

    client: Any
    scheduler: str  # its address
    limit_s: float
    check: Callable[[], object] | None = None
    _name: str = field(default_factory=lambda: uuid.uuid4().hex)
    _running: dict[Future, Task] = field(default_factory=dict)
    _suspects: deque[Task] = field(default_factory=deque)  # whose workers were lost
    _alone: Future | None = None  # a suspect that is tried by itself
    _waits: bool = False  # for workers, and has said so

    def execute(
        self, planned: Planned, process: Process, stop: Callable[[], bool]
    ) -> Generator[Outcome]:
        """Run tasks; one whose worker is lost is run again by the scheduler.

        Photos that lost their workers again and again are tried one by one: each may have been
        beside the one that took its worker down.
        """
        exhausted = False
        try:
            while self._running or self._suspects or not exhausted:
                if stop():
                    exhausted = True
                    self._suspects.clear()
                    self._stop()
                if self._suspects and not self._running:
                    self._alone = self._submit(self._suspects.popleft(), process)
                room = 2 * self._workers() + WAITING
                while (
                    not (exhausted or self._suspects or self._alone) and len(self._running) < room
                ):
                    item = next(planned, END)
                    if item is None:
                        break
                    exhausted = isinstance(item, str)
                    if isinstance(item, Task):
                        self._submit(item, process)
                        yield None
                    elif not isinstance(item, str):
                        yield item
                self._wait()
                for future in [future for future in self._running if future.done()]:
                    yield from self._finished(future, self._running.pop(future), stop, process)
                yield None
        finally:
            if self._running:
                with suppress(Exception):  # the cluster may be what went away
                    self._stop()
                    self.client.cancel(list(self._running))

    def _workers(self) -> int:
        """How many there are now; that one waits for some is said once."""
        with cluster_errors():
            workers = len(self.client.nthreads(callback_timeout=ANSWER_S))
        if not workers and not self._waits:
            logging.getLogger("regengine").warning(
                "%s has no workers: waiting for some; start them with dask worker %s",
                self.scheduler,
                self.scheduler,
            )
        self._waits = not workers
        return workers

    def _submit(self, task: Task, process: Process) -> Future:
        # Found from another folder, and told of as it was given
        named = str(task.path) if task.given_as is None else task.given_as
        job = PhotoJob(
            run=self._name,
            task=replace(task, path=task.path.absolute(), given_as=named),
            process=process,
            limit_s=self.limit_s,
            versions=versions_here(),
            check=self.check,
        )
        with cluster_errors():
            future = self.client.submit(work_photo, job, pure=False)
        self._running[future] = task
        return future

    def _stop(self) -> None:
        # A worker that hangs does not hear it; photos whose turn comes later are left alone
        with cluster_errors(), suppress(TimeoutError):
            self.client.run(stop_run, self._name, on_error="ignore", callback_timeout=STOP_S)
            if not self._workers():  # that would ever begin what waits
                self.client.cancel(list(self._running))
                self._running.clear()

    def _wait(self) -> None:
        from distributed import wait

        if self._running:
            with (
                cluster_errors(),
                suppress(TimeoutError, CancelledError),
                self.client.as_current(),
            ):
                wait(list(self._running), timeout=TICK_S, return_when="FIRST_COMPLETED")

    def _finished(
        self, future: Future, task: Task, stop: Callable[[], bool], process: Process
    ) -> Generator[Outcome]:
        """What became of a photo; one that was not done is begun again."""
        from distributed import KilledWorker

        alone, self._alone = future is self._alone, None
        result: FrameResult | None = None
        try:
            result = future.result(timeout=GATHER_S)
        except KilledWorker as error:
            if not alone:
                self._suspects.append(task)
                return
            deaths = error.allowed_failures + 1
            text = (
                f"{task.path} was lost with its worker "
                f"{'once' if deaths == 1 else f'{deaths} times'}: its file may be damaged; "
                "try it by itself."
            )
            result = failed(task, Reason(code="worker_died", text=text))
        except TimeoutError:  # its worker was lost before the result could leave it
            future.cancel()
        except UnfitWorkerError as error:
            raise cannot_work("a worker", error) from error
        except (CancelledError, OSError) as error:
            raise lost(error) from error
        except Exception as error:
            raise cannot_work("a worker", error) from error
        if result is not None:
            yield task, result
        elif not stop():
            self._submit(task, process)


def check_address(scheduler: str) -> None:
    """Raise ConfigError where this is no address of a scheduler."""
    if not scheduler.startswith(SCHEMES):
        raise ConfigError(
            f"--scheduler {without_secrets(scheduler)!r} is no address: write one like "
            "tcp://node1:8786, which dask scheduler prints when it starts."
        )


@contextmanager
def connected(scheduler: str) -> Iterator[Any]:
    """A client of a scheduler, closed at the end of the block."""
    try:
        from distributed import Client
    except ImportError as error:
        raise missing("--scheduler", error) from None
    # What they have to say is said here, in a sentence
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(scheduler, timeout=CONNECT_S, set_as_default=False, name="regengine")
    except (OSError, TimeoutError, ValueError, ImportError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {without_secrets(scheduler)} ({told(error)}): check "
            "that it runs and that its port can be reached from here."
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
            raise cannot_work(address, answer)


def cannot_work(worker: str, error: BaseException) -> ClusterError:
    """The error that tells of a worker that cannot do the work."""
    if isinstance(error, UnfitWorkerError):
        return ClusterError(f"{worker} of the cluster cannot do the work: {error}.")
    if isinstance(error, ModuleNotFoundError | AttributeError):
        return ClusterError(
            f"{worker} of the cluster cannot do the work ({told(error)}): install the same "
            "version of regengine there."
        )
    return ClusterError(f"{worker} of the cluster cannot do the work ({told(error)}).")


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Turn what a lost connection raises into one sentence."""
    try:
        yield
    except RegengineError:
        raise
    except (OSError, TimeoutError, RuntimeError) as error:
        raise lost(error) from error


def lost(error: BaseException) -> ClusterError:
    """The error that tells of a connection that ended."""
    return ClusterError(f"the connection to the Dask scheduler is lost ({told(error)}): {SAFE}.")


def told(error: BaseException) -> str:
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


class UnfitWorkerError(ClusterError):
    """A worker of a cluster cannot do what the run needs."""


@dataclass(frozen=True, kw_only=True)
class PhotoJob:
    """A task of the cluster: a photo of a run, and all that is needed to work on it."""

    run: str
    task: Task  # with an absolute path
    process: Process
    limit_s: float  # a photo that takes longer is given up, and the worker with it
    versions: tuple[str, str]  # of the engine and of Python, which must be those of the worker
    # Raises where the worker cannot see what the run needs, such as the map.
    check: Callable[[], object] | None = None


def versions_here() -> tuple[str, str]:
    """Version of the engine, and of Python without its last number."""
    return version("regengine"), ".".join(platform.python_version_tuple()[:2])


def work_photo(job: PhotoJob) -> FrameResult | None:
    """Work on a photo, None once its run was stopped; nothing but overlays is written."""
    check_worker(job.versions, job.check)
    with _one_at_a_time:
        _limit_threads_once()
        if job.run in _stopped:
            return None
        result = _attempt_within(job.limit_s, job.process, job.task)
        if result is None:
            failure = failure_of(job.task.path, TimeoutError(), job.limit_s)
            result = failed(job.task, failure, seconds=job.limit_s)
            timer = Timer(LAST_WORDS_S, os._exit, args=[1])
            timer.daemon = True
            timer.start()
        return result


def check_worker(versions: tuple[str, str], check: Callable[[], object] | None) -> None:
    """Refuse where this worker has other versions or does not see what the run needs."""
    here = versions_here()
    if here != versions:
        raise UnfitWorkerError(
            f"it has regengine {here[0]} on Python {here[1]}, this run regengine {versions[0]} on "
            f"Python {versions[1]}: install the same versions on both"
        )
    if check is not None:
        try:
            check()
        except RegengineError as error:
            said = str(error).rstrip(".")
            raise UnfitWorkerError(f"{said}; workers must see the same files") from None


def stop_run(run: str) -> None:
    """Let this worker leave the photos of a run alone, but for the one under way."""
    _stopped.add(run)


def _attempt_within(limit_s: float, process: Process, task: Task) -> FrameResult | None:
    """The result of a photo; None where it takes too long."""
    results: list[FrameResult] = []

    def work() -> None:
        results.append(attempt(process, task))

    worker = Thread(target=work, daemon=True)
    worker.start()
    worker.join(limit_s)
    return results[0] if results else None
