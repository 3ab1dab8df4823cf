"""Writes the results of a run: parts while it runs, merged into the store at its end.

A merge holds neither store nor parts in memory.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from regengine.errors import StoreError
from regengine.io.atomic import refusal, sync_folder, write_whole
from regengine.io.times import utc_now
from regengine.io.urls import command_line
from regengine.store.file import StoreFile, check, encode, growing
from regengine.store.index import StoredFrames
from regengine.store.rows import StoredFrame, to_tables
from regengine.store.snapshot import BLOCK_FRAMES, PartsFolder, Snapshot, list_parts
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
    """Attributes of a store written by this process now.

    ``created`` (ISO 8601, UTC) is that of a store that is grown; ``command_line`` and
    ``package_versions`` (a JSON object) are this run's.
    """
    created = utc_now()
    return {
        "created": created if grown is None else grown.attributes.get("created", created),
        "command_line": command_line(),
        "package_versions": json.dumps(package_versions()),
    }


@cache
def package_versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that results depend on."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # OpenCV comes under one of two names
            continue
    return versions


PART_FRAMES = 64
PART_SECONDS = 10.0


class StoreWriter:
    """The one writer of a store, from opening to the merge at the end of a ``with`` block.

    The file is made at the end of the first run, its folder now if need be; ``clock`` tells seconds
    that never run backwards. Parts that an earlier, killed run left are merged first, but for
    damaged ones, which are set aside; ``frames`` finds what the store held then, and what was
    flushed since. A frame is safe once `flush` has returned it. The merge happens however the block
    is left; if it fails, the parts stay and the next start merges them. What was merged is read
    back and checked then; ``problems`` tells what is wrong with it.
    StoreError if the store is a foreign or damaged file, cannot be written, or is in use.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._pending: list[StoredFrame] = []
        self._oldest = 0.0
        self._written = 0
        self._merged = np.empty(0, dtype=np.int64)
        self.problems: tuple[Problem, ...] = ()
        try:
            self._parts = self._open()
            try:
                self._merge(set_aside=True)
                self.frames = StoredFrames(self.path)
            except BaseException:
                self._parts.release()
                raise
        except StoreError:
            raise
        except OSError as error:
            raise self._refused(error) from error

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        """Merge the parts and let go of the store; frames never flushed are dropped."""
        self.frames.close()
        try:
            self._merge()
            if self.path.exists():
                self.problems = check_frames(self.path, self._merged)
        except StoreError:
            raise
        except OSError as failure:
            if not isinstance(error, StoreError):  # the first failure is the one to tell
                raise self._refused(failure) from failure
        finally:
            self._parts.release()

    def add(self, frame: StoredFrame) -> None:
        """Take a finished frame; it is not safe before the next `flush`."""
        if not self._pending:
            self._oldest = self._clock()
        self._pending.append(frame)

    def due(self, wait_s: float = 0.0) -> bool:
        """Whether to flush now, if the next chance comes only after ``wait_s`` seconds."""
        if not self._pending:
            return False
        age_s = self._clock() - self._oldest
        return len(self._pending) >= PART_FRAMES or age_s + wait_s >= PART_SECONDS

    def flush(self) -> list[StoredFrame]:
        """Write what is pending as one part: the frames that are safely on disk now.

        StoreError if the part cannot be written; nothing of it remains.
        """
        if not self._pending:
            return []
        latest = {frame.frame_index: frame for frame in self._pending}
        frames = [latest[index] for index in sorted(latest)]
        part = self._parts.next_part()
        try:
            write_whole(part, encode(to_tables(frames), root_attributes()))
        except OSError as error:
            raise self._refused(error) from error
        self.frames.add_part(part, frames[0].frame_index, frames[-1].frame_index)
        self._written += len(frames)
        self._pending = []
        return frames

    def _open(self) -> PartsFolder:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder: name a file with --store.")
        if self.path.exists():
            check(self.path)
        for target in (self.path.parent, self.path):
            if target.exists() and not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, "permission denied", str(target))
        return PartsFolder(self.path)

    def _refused(self, error: OSError) -> StoreError:
        return refusal(self.path, error, safe=f"{self._written} frames" if self._written else "")

    def _merge(self, *, set_aside: bool = False) -> None:
        """Merge the parts; those that are damaged are set aside, or raise StoreError."""
        parts = list_parts(self._parts.path)
        if not parts:
            return
        try:
            self._merge_parts(parts)
        except StoreError:
            if not set_aside or self._parts.without_damaged(parts) == parts:
                raise
            self._merge()
            return
        self._parts.remove(parts)
        sync_folder(self._parts.path)

    def _merge_parts(self, parts: list[Path]) -> None:
        with Snapshot(self.path if self.path.exists() else None, parts) as snapshot:
            numbers = snapshot.frame_index
            changed = np.isin(numbers, snapshot.parts_index)
            attributes, lengths = root_attributes(snapshot.store), snapshot.text_lengths()
            with growing(self.path, snapshot.store, numbers, changed, attributes, lengths) as (
                output,
                first,
            ):
                for start in range(first, len(numbers), BLOCK_FRAMES):
                    block = numbers[start : start + BLOCK_FRAMES]
                    output.append(snapshot.tables(int(block[0]), int(block[-1]) + 1))
            self._merged = np.union1d(self._merged, snapshot.parts_index)
