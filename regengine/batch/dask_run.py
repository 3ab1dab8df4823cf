"""Runs the tasks of a batch on an existing Dask cluster, in shards."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from regengine.batch.attempt import Process, failed
from regengine.batch.dask_client import cannot_work, cluster_errors, lost
from regengine.batch.dask_shard import Shard, WorkerError, stop_run, versions_here, work_shard
from regengine.batch.execute import Outcome, Planned
from regengine.batch.mishaps import Mishap
from regengine.batch.plan import Task
from regengine.batch.team import TICK_S
from regengine.result import FrameResult

if TYPE_CHECKING:
    from distributed import Future

END = "end"
GATHER_S = 30.0  # for the results of a shard to come over the network
MOST_LATE = 5  # shards in a row; then it is the connection
# Shards that wait beside those under way: by them a cluster that adapts sees that there is more
WAITING = 2


@dataclass(kw_only=True)
class ClusterRun:
    """A batch on a cluster.

    Attributes
    ----------
    client : distributed.Client
        The connection.
    shard_frames : int
        Most photos of a shard.
    limit_s : float
        A photo that takes longer is given up.
    check : callable or None
        Raises where a worker does not see what the run needs.
    """

    client: Any
    shard_frames: int
    limit_s: float
    check: Callable[[], object] | None = None
    _name: str = field(default_factory=lambda: uuid.uuid4().hex)
    _running: dict[Future, list[Task]] = field(default_factory=dict)
    _suspects: deque[Task] = field(default_factory=deque)
    _late: int = 0  # shards in a row whose results did not come

    def execute(
        self, planned: Planned, process: Process, stop: Callable[[], bool]
    ) -> Generator[Outcome]:
        """Run tasks in shards; a shard whose worker is lost is run again by the scheduler.

        Which photos are in which shard changes no result: what a photo is told by others is in
        its task. Photos of a shard that lost its workers again and again are tried one by one.

        Parameters
        ----------
        planned : iterator of Task, StoredFrame or None
            As in `regengine.batch.execute.execute_in_workers`.
        process : callable
            Gives the result of one photo; must pickle.
        stop : callable
            True when no more tasks are to be begun.

        Yields
        ------
        StoredFrame, (Task, FrameResult) or None
            Each task once. None as a turn for the caller.

        Raises
        ------
        ClusterError
            If the connection is lost, or a worker cannot do the work.
        """
        exhausted = False
        try:
            while self._running or self._suspects or not exhausted:
                if stop():
                    exhausted = True
                    self._suspects.clear()
                    self._stop_shards()
                self._try_suspect(process)
                while not exhausted and len(self._running) < self._room():
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
                for future in [future for future in self._running if future.done()]:
                    yield from self._finished(future, self._running.pop(future), stop, process)
                yield None
        finally:
            if self._running:
                with suppress(Exception):  # the cluster may be what went away
                    self._stop_shards()
                    self.client.cancel(list(self._running))

    def _room(self) -> int:
        with cluster_errors():
            return len(self.client.nthreads()) + WAITING

    def _submit(self, tasks: list[Task], process: Process) -> None:
        shard = Shard(
            run=self._name,
            tasks=tuple(_found_anywhere(task) for task in tasks),
            process=process,
            limit_s=self.limit_s,
            versions=versions_here(),
            check=self.check,
        )
        with cluster_errors():
            self._running[self.client.submit(work_shard, shard, pure=False)] = tasks

    def _try_suspect(self, process: Process) -> None:
        """One at a time, for they may take down what runs beside them."""
        if self._suspects and not any(len(tasks) == 1 for tasks in self._running.values()):
            self._submit([self._suspects.popleft()], process)

    def _stop_shards(self) -> None:
        with cluster_errors():
            self.client.run(stop_run, self._name, on_error="ignore")

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
        self._late = 0
        left = tasks[len(results) :]
        if left and not stop():
            self._submit(left, process)


def _found_anywhere(task: Task) -> Task:
    """A task for a process in another folder, which tells of the photo as it was given."""
    named = str(task.path) if task.given_as is None else task.given_as
    return replace(task, path=task.path.absolute(), given_as=named)


def _killer(task: Task, deaths: int) -> Mishap:
    text = (
        f"{task.path} was lost with its worker {'once' if deaths == 1 else f'{deaths} times'}: "
        "its file may be damaged; try it by itself."
    )
    return Mishap(code="worker_died", text=text)
