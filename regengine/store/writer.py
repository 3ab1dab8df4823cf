"""Write the results of a run to a journal, and merge the journal into the store at the end.

A merge reads neither store nor journal completely into memory.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from regengine.errors import StoreError
from regengine.io.atomic import FileLock, make_refusal, sync_folder
from regengine.io.journal import Journal
from regengine.io.times import utc_now
from regengine.io.urls import command_line
from regengine.store.file import StoreFile, check, open_growing
from regengine.store.journal import encode_frame, encode_head, journal_path
from regengine.store.read import BLOCK_FRAMES, Snapshot, StoredFrames
from regengine.store.rows import StoredFrame
from regengine.store.verify import Problem, check_frames

# Packages whose version may change a result or a file.
PACKAGES = (
    "regengine",
    "astropy",
    "h5py",
    "numpy",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "pillow",
    "pyproj",
    "rasterio",
    "scipy",
    "sgp4",
)


def root_attributes(grown: StoreFile | None = None) -> dict[str, str]:
    """Return the attributes of a store that this process writes now.

    ``created`` (ISO 8601, UTC) is kept from a store that is extended; ``command_line`` and
    ``package_versions`` (a JSON object) are those of this run.
    """
    created = utc_now()
    return {
        "created": created if grown is None else grown.attributes.get("created", created),
        "command_line": command_line(),
        "package_versions": json.dumps(package_versions()),
    }


@cache
def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # OpenCV is installed under one of two names
            continue
    return versions


class StoreWriter:
    """Writes a store, from opening to the merge at the end of a ``with`` block; one at a time.

    While it is open, results go to the journal next to the store. At the end, the store is extended
    or rewritten, and the journal is deleted. The folder is created now if necessary, the file at
    the end of the first run. A journal of an earlier, killed run is merged first.
    ``frames`` finds frames in the store as of then, and those flushed since.

    A frame is safe once `flush` has returned it. The merge is done however the block ends. If it
    fails, the journal stays and the next start merges it. Merged frames are read back and checked;
    ``problems`` lists the errors. Raises StoreError if the file is damaged or not a store, cannot
    be written, or is in use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: tuple[Problem, ...] = ()
        self._pending: dict[int, tuple[StoredFrame, int]] = {}  # with the offset of its line
        self._n_safe = 0
        self._merged = np.empty(0, dtype=np.int64)
        self._journal: Journal | None = None
        try:
            self._lock = self._open()
            try:
                self._merge()
                self.frames = StoredFrames(path, journal_path(path))
                self._journal = Journal(journal_path(path), 0)
                self._journal.append(encode_head(root_attributes()))
            except BaseException:
                self._lock.release()
                raise
        except StoreError:
            raise
        except OSError as error:
            raise self._make_refusal(error) from error

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        """Merge the journal and close the store; frames that were not flushed are dropped."""
        assert self._journal is not None
        self.frames.close()
        self._journal.close()
        try:
            self._merge()
            if self.path.exists():
                self.problems = check_frames(self.path, self._merged)
        except StoreError:
            raise
        except OSError as failure:
            if not isinstance(error, StoreError):  # the first failure is the one to report
                raise self._make_refusal(failure) from failure
        finally:
            self._lock.release()

    def add(self, frame: StoredFrame) -> None:
        """Add a finished frame; it is not safe before the next `flush`."""
        assert self._journal is not None
        place = self._journal.append(encode_frame(frame))
        self._pending.pop(frame.frame_index, None)
        self._pending[frame.frame_index] = frame, place

    def flush(self) -> list[StoredFrame]:
        """Write pending frames to the disk; return the frames that are safe now, by number.

        Raises StoreError if the journal cannot be written; frames flushed earlier stay safe.
        """
        assert self._journal is not None
        if not self._pending:
            return []
        try:
            self._journal.flush()
        except OSError as error:
            raise self._make_refusal(error) from error
        flushed = [self._pending[number] for number in sorted(self._pending)]
        for frame, place in flushed:
            self.frames.note(frame.frame_index, place)
        self._n_safe += len(flushed)
        self._pending = {}
        return [frame for frame, _ in flushed]

    def _open(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder: name a file with --store.")
        if self.path.exists():
            check(self.path)
        for target in (self.path.parent, self.path):
            if target.exists() and not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, "permission denied", str(target))
        return lock_store(self.path)

    def _make_refusal(self, error: OSError) -> StoreError:
        return make_refusal(self.path, error, safe=f"{self._n_safe} frames" if self._n_safe else "")

    def _merge(self) -> None:
        """Merge the journal into the store, and delete it."""
        journal = journal_path(self.path)
        if not journal.exists():
            return
        with Snapshot(self.path) as snapshot:
            if len(snapshot.journal.frame_index):
                grow_store(self.path, snapshot)
                self._merged = np.union1d(self._merged, snapshot.journal.frame_index)
        journal.unlink()
        sync_folder(journal.parent)


def lock_store(store: Path) -> FileLock:
    """Lock a store for writing until the lock is released.

    Raises StoreError (``code="store_busy"``) if another process writes to it, and OSError if its
    folder cannot be written. Temporary files of killed writers are deleted.
    """
    lock = FileLock(
        store.with_name(f".{store.name}.lock"),
        StoreError(
            f"{store} is being written by another regengine: wait until it has finished, "
            "or name another store.",
            code="store_busy",
        ),
    )
    for leftover in store.parent.glob(f".{glob.escape(store.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)
    return lock


def grow_store(path: Path, snapshot: Snapshot) -> None:
    """Extend a store by the content of its journal, or rewrite it; the journal stays."""
    numbers, newer = snapshot.frame_index, snapshot.journal.frame_index
    changed, lengths = np.isin(numbers, newer), snapshot.text_lengths()
    attributes = root_attributes(snapshot.store)
    with open_growing(path, snapshot.store, numbers, changed, attributes, lengths) as (
        output,
        first,
    ):
        for start in range(first, len(numbers), BLOCK_FRAMES):
            block = numbers[start : start + BLOCK_FRAMES]
            output.append(snapshot.tables(int(block[0]), int(block[-1]) + 1))
