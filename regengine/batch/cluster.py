"""A batch on an existing Dask cluster: this process plans, stores and reports; workers search."""

from __future__ import annotations

import logging
import os
import platform
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
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
from regengine.result import Failure, FrameResult
from regengine.store.writer import StoreWriter

if TYPE_CHECKING:
    from distributed import Future

CONNECT_S = 10.0
SCHEMES = ("tcp://", "tls://", "ucx://", "ws://", "wss://")
SAFE = "what was reported is safe, and the same command goes on from there"
SHARD_FRAMES = 128
SHARDS_PER_WORKER = 4  # of a small batch, so that all have something to do until its end
END = "end"
ANSWER_S = 60.0  # for an answer of the scheduler, or of all workers
STOP_S = 5.0  # for workers to hear that they are to stop
LOOK_S = 60.0  # without a shard that is done: then workers are asked what they are at
GATHER_S = 30.0  # for the results of a shard to come over the network
MOST_LATE = 5  # shards in a row; then it is the connection
# Shards that wait beside those under way: by them a cluster that adapts sees that there is more
WAITING = 2


def run_on_cluster(
    photos: Photos,
    process: Process,
    writer: StoreWriter,
    options: BatchOptions,
    report: Callable[[FrameResult], None],
    *,
    scheduler: str,
    shard_frames: int = SHARD_FRAMES,
    check: Callable[[], object] | None = None,
) -> BatchSummary:
    """Process photos on a cluster; each is reported once it is safely on disk here.

    The first five are as in `regengine.batch.run.run_batch`; ``process`` must pickle, all paths
    within it be absolute, and ``workers`` counts for nothing. ``scheduler`` is an address such as
    ``tcp://node1:8786``; a worker is given at most ``shard_frames`` photos at once, on which
    results do not depend. ``check`` is called on each worker and raises where it does not see what
    the run needs; it must pickle, too. ConfigError if Dask is not installed, or the address is
    none; ClusterError if the cluster cannot be used (what was reported is safe); StoreError if the
    store cannot be written any more.
    """
    with connected(scheduler) as client:
        workers = check_workers(client, check)
        fair = -(-len(photos) // (SHARDS_PER_WORKER * max(workers, 1)))
        run = ClusterRun(
            client=client,
            scheduler=scheduler,
            shard_frames=max(1, min(shard_frames, fair)),
            limit_s=options.limit_s,
            check=check,
        )
        return run_batch(photos, process, writer, replace(options, execute=run.execute), report)


@dataclass(kw_only=True)
class ClusterRun:
    """A batch on a cluster, in shards of so many photos at most; see `run_on_cluster`."""

    client: Any
    scheduler: str  # its address
    shard_frames: int
    limit_s: float
    check: Callable[[], object] | None = None
    _name: str = field(default_factory=lambda: uuid.uuid4().hex)
    _running: dict[Future, list[Task]] = field(default_factory=dict)
    _suspects: deque[Task] = field(default_factory=deque)
    _late: int = 0  # shards in a row whose results did not come
    _waits: bool = False  # for workers, and has said so
    _heard_s: float = field(default_factory=time.monotonic)  # when something was heard of shards
    _missing: set[Future] = field(default_factory=set)  # that no worker was at when last asked

    def execute(
        self, planned: Planned, process: Process, stop: Callable[[], bool]
    ) -> Generator[Outcome]:
        """Run tasks in shards; a shard whose worker is lost is run again by the scheduler.

        Which photos are in which shard changes no result: what a photo is told by others is in
        its task. Photos of a shard that lost its workers again and again are tried one by one.
        """
        exhausted = False
        try:
            while self._running or self._suspects or not exhausted:
                if stop():
                    exhausted = True
                    self._suspects.clear()
                    self._stop_shards()
                self._try_suspect(process)
                room = self._workers() + WAITING
                while not exhausted and len(self._running) < room:
                    tasks: list[Task] = []
                    item = None
                    while len(tasks) < self.shard_frames and not stop():
                        item = next(planned, END)
                        if item is None or isinstance(item, str):
                            break
                        if isinstance(item, Task):
                            tasks.append(item)
                            yield None
                        else:
                            yield item
                    exhausted = isinstance(item, str)
                    if not tasks:
                        break
                    self._submit(tasks, process)
                self._wait()
                self._begin_lost_ones_again(process)
                for future in [future for future in self._running if future.done()]:
                    yield from self._finished(future, self._running.pop(future), stop, process)
                yield None
        finally:
            if self._running:
                with suppress(Exception):  # the cluster may be what went away
                    self._stop_shards()
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

    def _submit(self, tasks: list[Task], process: Process) -> None:
        shard = Shard(
            run=self._name,
            key=f"regengine-{uuid.uuid4().hex}",
            tasks=tuple(_found_anywhere(task) for task in tasks),
            process=process,
            limit_s=self.limit_s,
            versions=versions_here(),
            check=self.check,
        )
        with cluster_errors():
            self._running[self.client.submit(work_shard, shard, key=shard.key)] = tasks

    def _try_suspect(self, process: Process) -> None:
        """One at a time, for they may take down what runs beside them."""
        if self._suspects and not any(len(tasks) == 1 for tasks in self._running.values()):
            self._submit([self._suspects.popleft()], process)

    def _stop_shards(self) -> None:
        # A worker that hangs does not hear it; the others have
        with cluster_errors(), suppress(TimeoutError):
            at = self.client.run(stop_run, self._name, on_error="ignore", callback_timeout=STOP_S)
            for future in self._at_none(at):  # not begun, perhaps for want of workers
                self.client.cancel([future])
                del self._running[future]

    def _wait(self) -> None:
        from distributed import wait

        if self._running:
            with (
                cluster_errors(),
                suppress(TimeoutError, CancelledError),
                self.client.as_current(),
            ):
                wait(list(self._running), timeout=TICK_S, return_when="FIRST_COMPLETED")

    def _begin_lost_ones_again(self, process: Process) -> None:
        """Submit shards anew that the scheduler has lost sight of.

        With workers that die it can hold a task for under way, or for done, that no worker is at
        (dask/distributed issues 3196, 6263). A shard is lost if a worker has nothing to do, and
        none is at the shard, twice in a row.
        """
        if time.monotonic() - self._heard_s < LOOK_S:
            return
        self._heard_s = time.monotonic()
        at: dict[str, set[str]] = {}
        with cluster_errors(), suppress(TimeoutError):  # of a worker that hangs, say
            at = self.client.run(shards_here, on_error="ignore", callback_timeout=ANSWER_S)
        missing = self._at_none(at) if not all(at.values()) else set()
        for future in missing & self._missing:
            tasks = self._running.pop(future)
            self.client.cancel([future])
            self._submit(tasks, process)
        self._missing = missing - self._missing

    def _at_none(self, at: Mapping[str, set[str]]) -> set[Future]:
        """What no worker is at, by what each of them says."""
        under_way = set[str]().union(*at.values())
        return {
            future for future in self._running if future.key not in under_way and not future.done()
        }

    def _finished(
        self, future: Future, tasks: list[Task], stop: Callable[[], bool], process: Process
    ) -> Generator[Outcome]:
        """What a shard gives; what it leaves undone is begun again."""
        from distributed import KilledWorker

        results: list[FrameResult] = []
        try:
            results = future.result(timeout=GATHER_S)
        except KilledWorker as error:
            if len(tasks) == 1:
                yield tasks[0], failed(tasks[0], _killer(tasks[0], error.allowed_failures + 1))
            else:
                self._suspects.extend(tasks)
            return
        except TimeoutError as error:
            # Its worker was lost before the results could leave it: work on it afresh
            self._late += 1
            if self._late > MOST_LATE:
                raise lost(error) from error
            future.cancel()
            self._submit(tasks, process)
            return
        except WorkerError as error:
            raise cannot_work("a worker", error) from error
        except (CancelledError, OSError) as error:
            raise lost(error) from error
        except Exception as error:
            raise cannot_work("a worker", error) from error
        yield from zip(tasks, results, strict=False)
        self._late, self._heard_s = 0, time.monotonic()
        left = tasks[len(results) :]
        if left and not stop():
            self._submit(left, process)


def _found_anywhere(task: Task) -> Task:
    """A task for a process in another folder, which tells of the photo as it was given."""
    named = str(task.path) if task.given_as is None else task.given_as
    return replace(task, path=task.path.absolute(), given_as=named)


def _killer(task: Task, deaths: int) -> Failure:
    text = (
        f"{task.path} was lost with its worker {'once' if deaths == 1 else f'{deaths} times'}: "
        "its file may be damaged; try it by itself."
    )
    return Failure(code="worker_died", text=text)


@contextmanager
def connected(scheduler: str) -> Iterator[Any]:
    """A client of a scheduler, closed at the end of the block."""
    if not scheduler.startswith(SCHEMES):
        raise ConfigError(
            f"--scheduler {without_secrets(scheduler)!r} is no address: write one like "
            "tcp://node1:8786, which dask scheduler prints when it starts."
        )
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


def check_workers(client: Any, check: Callable[[], object] | None) -> int:
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
        except TimeoutError:  # one hangs; each that does not looks for itself with its first shard
            return len(client.nthreads(callback_timeout=ANSWER_S))
    for address, answer in answers.items():
        if isinstance(answer, OSError) and not isinstance(answer, RegengineError):
            continue  # it went away meanwhile
        if isinstance(answer, Exception):
            raise cannot_work(address, answer)
    return len(answers)


def cannot_work(worker: str, error: BaseException) -> ClusterError:
    """The error that tells of a worker that cannot do the work."""
    if isinstance(error, WorkerError):
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


# What one worker does: a shard of photos, one after the other

# For the result of a shard to leave a worker that is given up: one that is not fetched by then is
# worked out again
LAST_WORDS_S = GATHER_S

# A worker with several threads does one photo at a time all the same: the engine's libraries are
# not made for threads.
_one_at_a_time = Lock()
_stopped: set[str] = set()
_here: set[str] = set()
_limit_threads_once = cache(limit_threads)


class WorkerError(ClusterError):
    """A worker of a cluster cannot do what the run needs."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A task of the cluster: photos of a run, and all that is needed to work on them."""

    run: str
    key: str  # under which the scheduler knows it
    tasks: tuple[Task, ...]  # with absolute paths
    process: Process
    limit_s: float  # a photo that takes longer is given up, and the worker with it
    versions: tuple[str, str]  # of the engine and of Python, which must be those of the worker
    # Raises where the worker cannot see what the run needs, such as the map.
    check: Callable[[], object] | None = None


def versions_here() -> tuple[str, str]:
    """Version of the engine, and of Python without its last number."""
    return version("regengine"), ".".join(platform.python_version_tuple()[:2])


def work_shard(shard: Shard) -> list[FrameResult]:
    """Work on the photos of a shard; nothing but overlays is written."""
    _here.add(shard.key)
    try:
        check_worker(shard.versions, shard.check)
        return _work(shard)
    finally:
        _here.discard(shard.key)


def _work(shard: Shard) -> list[FrameResult]:
    results: list[FrameResult] = []
    with _one_at_a_time:
        _limit_threads_once()
        for task in shard.tasks:
            if shard.run in _stopped:
                break
            result = _attempt_within(shard.limit_s, shard.process, task)
            if result is None:
                failure = failure_of(task.path, TimeoutError(), shard.limit_s)
                results.append(failed(task, failure, seconds=shard.limit_s))
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


def shards_here() -> set[str]:
    """Keys of the shards that this worker is at, or has waiting for a thread."""
    return set(_here)


def stop_run(run: str) -> set[str]:
    """Let this worker end its shards of a run after the photo under way; those it is at."""
    _stopped.add(run)
    return shards_here()


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
