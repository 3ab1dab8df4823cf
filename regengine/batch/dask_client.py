"""The connection to a Dask cluster, and what may be wrong with it in one sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from regengine.batch.dask_shard import WorkerError, check_worker, versions_here
from regengine.errors import ClusterError, ConfigError, RegengineError

CONNECT_S = 10.0
SCHEMES = ("tcp://", "tls://", "ucx://", "ws://", "wss://")
SAFE = "what was reported is safe, and the same command goes on from there"


@contextmanager
def connected(scheduler: str) -> Iterator[Any]:
    """A client of a scheduler, closed at the end of the block.

    Parameters
    ----------
    scheduler : str
        Address such as ``tcp://node1:8786``.

    Yields
    ------
    distributed.Client

    Raises
    ------
    ConfigError
        If the extra is not installed, or the address is none.
    ClusterError
        If nothing answers there.
    """
    if not scheduler.startswith(SCHEMES):
        raise ConfigError(
            f"--scheduler {scheduler!r} is no address: write one like tcp://node1:8786, "
            "which dask scheduler prints when it starts."
        )
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError(
            "--scheduler needs Dask, which is not installed: pip install 'regengine[dask]'."
        ) from None
    # What they have to say is said here, in a sentence
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(scheduler, timeout=CONNECT_S, set_as_default=False, name="regengine")
    except (OSError, TimeoutError, ValueError, ImportError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {scheduler} ({told(error)}): check that it runs and "
            "that its port can be reached from here."
        ) from error
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError, RuntimeError):
            client.close(timeout=CONNECT_S)


def check_workers(client: Any, check: Callable[[], object] | None) -> int:
    """Refuse a cluster of which a worker cannot do the work.

    Parameters
    ----------
    client : distributed.Client
        The connection.
    check : callable or None
        Raises where a worker does not see what the run needs.

    Returns
    -------
    int
        Workers that are there now; more may come later.

    Raises
    ------
    ClusterError
    """
    with cluster_errors():
        answers = client.run(check_worker, versions_here(), check, on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, OSError) and not isinstance(answer, RegengineError):
            continue  # it went away meanwhile
        if isinstance(answer, Exception):
            raise cannot_work(address, answer)
    return len(answers)


def cannot_work(worker: str, error: BaseException) -> ClusterError:
    """The error that tells of a worker that cannot do the work.

    Parameters
    ----------
    worker : str
        Its address, or words for it.
    error : BaseException
        What it answered.

    Returns
    -------
    ClusterError
    """
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
