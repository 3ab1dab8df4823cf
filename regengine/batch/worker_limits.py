"""What a worker process may use: one thread, and so much memory."""

from __future__ import annotations

import os

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MEGABYTE = 1 << 20


def limit_threads() -> None:
    """Keep the libraries of this process to one thread: the workers share the cores."""
    for name in ONE_THREAD:
        os.environ[name] = "1"
    import cv2

    cv2.setNumThreads(1)


def limit_memory(megabytes: int) -> None:
    """Let allocations fail that would take this process's memory above a limit.

    A photo that needs more then fails by itself, before the kernel kills processes that may have
    nothing to do with it. Counted is what the process can write to (``RLIMIT_DATA``, Linux 4.7
    and later): heap and private mappings, but no code and no mapped files. Where the system has
    no such limit, nothing happens.

    Parameters
    ----------
    megabytes : int
        The limit, MiB; 0 for none.
    """
    if megabytes <= 0:
        return
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = megabytes * MEGABYTE
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    except (ImportError, ValueError, OSError):
        return
