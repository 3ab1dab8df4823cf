"""A batch on an existing Dask cluster: this process plans, stores and reports; workers search."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from regengine.batch.attempt import Process
from regengine.batch.dask_client import check_workers, connected
from regengine.batch.dask_run import ClusterRun
from regengine.batch.keeper import Keeper
from regengine.batch.run import BatchOptions, BatchSummary, Photos, run_batch
from regengine.result import FrameResult

SHARD_FRAMES = 128
SHARDS_PER_WORKER = 4  # of a small batch, so that all have something to do until its end


def run_on_cluster(
    photos: Photos,
    process: Process,
    writer: Keeper,
    options: BatchOptions,
    report: Callable[[FrameResult], None],
    *,
    scheduler: str,
    shard_frames: int = SHARD_FRAMES,
    check: Callable[[], object] | None = None,
) -> BatchSummary:
    """Process photos on a cluster; each is reported once it is safely on disk here.

    Parameters
    ----------
    photos, process, writer, options, report
        As in `regengine.batch.run.run_batch`; ``process`` must pickle, and all paths within it be
        absolute. ``workers`` counts for nothing.
    scheduler : str
        Address of the cluster's scheduler, such as ``tcp://node1:8786``.
    shard_frames : int, optional
        Most photos that a worker is given at once. Results do not depend on it.
    check : callable, optional
        Called on each worker: raises where it does not see what the run needs. Must pickle.

    Returns
    -------
    BatchSummary
        The same as that of a run on this machine.

    Raises
    ------
    ConfigError
        If Dask is not installed, or the address is none.
    ClusterError
        If the cluster cannot be used; what was reported is safe.
    StoreError
        If the store cannot be written any more.
    """
    with connected(scheduler) as client:
        workers = check_workers(client, check)
        if not workers:
            logging.getLogger("regengine").warning(
                "%s has no workers yet: waiting for some; start them with dask worker %s",
                scheduler,
                scheduler,
            )
        fair = -(-len(photos) // (SHARDS_PER_WORKER * max(workers, 1)))
        run = ClusterRun(
            client=client,
            shard_frames=max(1, min(shard_frames, fair)),
            limit_s=options.limit_s,
            check=check,
        )
        return run_batch(photos, process, writer, replace(options, execute=run.execute), report)
