"""A folder of the system's for what is fetched, which goes away with the run."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "regengine-fetched-"
LOCK = "lock"


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A new folder that is deleted at the end of the block.

    Folders of runs that were killed are deleted first: the kernel has dropped their locks.

    Yields
    ------
    Path
        In the folder that ``TMPDIR`` names, or the system's usual one.
    """
    _delete_leftovers(Path(tempfile.gettempdir()))
    begun = Path(tempfile.mkdtemp(prefix=".regengine-"))
    lock = os.open(begun / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # Only now that it is locked it gets the name that others look for
    folder = begun.rename(begun.with_name(PREFIX + begun.name.removeprefix(".regengine-")))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _delete_leftovers(parent: Path) -> None:
    with os.scandir(parent) as entries:
        ours = [
            Path(entry.path)
            for entry in entries
            if entry.name.startswith(PREFIX)
            and entry.is_dir(follow_symlinks=False)
            and entry.stat(follow_symlinks=False).st_uid == os.getuid()
        ]
    for folder in ours:
        try:
            lock = os.open(folder / LOCK, os.O_RDWR)
        except OSError:  # another run deletes it just now
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
