"""What a disk or a folder that refuses a store means, in one sentence."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from regengine.errors import StoreError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refusal(path: Path, error: OSError, *, written: int = 0) -> StoreError:
    """The error for a store that cannot be written.

    Parameters
    ----------
    path : Path
        The store.
    error : OSError
        What the system said.
    written : int
        Frames of this run that are safe in it.

    Returns
    -------
    StoreError
    """
    why = (error.strerror or str(error)).lower()
    safe = f"; {written} frames of this run are safe in it" if written else ""
    if error.errno in FULL_DISK:
        return StoreError(
            f"{path} cannot be written because its disk is full ({why}){safe}: "
            "free some space, then give the same command again.",
            code="store_full",
        )
    return StoreError(
        f"{path} cannot be written ({why}){safe}: check its folder and permissions, "
        "or name another file with --store.",
        code="store_unwritable",
    )


@contextmanager
def refusals_told(path: Path) -> Iterator[None]:
    """Turn what the system says while a store is written into one sentence.

    Raises
    ------
    StoreError
        For every `OSError` that is none yet.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise refusal(path, error) from error
