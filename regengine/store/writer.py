"""Write the results of a run to a journal; merge the journal into its store, and stores into one.

A merge reads neither store nor journal completely into memory.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError, Option, StoreError
from regengine.io.atomic import FileLock, Journal, make_refusal, raise_as_store_error, sync_folder
from regengine.io.plain import format_count, make_printable
from regengine.io.times import utc_now
from regengine.io.urls import hide_secrets
from regengine.store.file import (
    StoreFile,
    decode_folders,
    open_growing,
    open_store,
    raise_as_damage,
)
from regengine.store.journal import encode_frame, encode_head, journal_path
from regengine.store.read import BLOCK_FRAMES, Snapshot, StoredFrames, is_there
from regengine.store.rows import (
    TEXT_COLUMNS,
    StoredFrame,
    Tables,
    join,
    select,
    select_frames,
)
from regengine.store.verify import FAR_APART, Problem, check_frames

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

    ``created`` (ISO 8601, UTC) is kept from a store that is extended; ``command_line``,
    ``package_versions`` (a JSON object) and ``folders`` (a JSON list) are those of this run.
    """
    created = utc_now()
    return {
        "folders": json.dumps([make_printable(str(Path.cwd()))]),
        "created": created if grown is None else grown.attributes.get("created", created),
        "command_line": shlex.join(map(hide_secrets, sys.argv)),
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


class StoreWriter(AbstractContextManager["StoreWriter"]):
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
        self.problems: list[Problem] = []
        self._pending: dict[int, tuple[StoredFrame, int]] = {}  # with the offset of its line
        self._n_safe = 0
        self._merged = np.empty(0, dtype=np.int64)
        self._journal: Journal | None = None
        try:
            self._lock = self._open()
            try:
                self._merge()
                self._journal = Journal(journal_path(path), 0)
                self._journal.append(encode_head(root_attributes()))
                self.frames = StoredFrames(path)
            except BaseException:
                self._lock.close()
                raise
        except StoreError:
            raise
        except OSError as error:
            raise self._make_refusal(error) from error

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
            self._lock.close()

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
            raise StoreError(f"{self.path} is a folder: name a file with ", Option("store"), ".")
        if self.path.exists():
            open_store(self.path).close()
        for target in (self.path.parent, self.path):
            if target.exists() and not os.access(target, os.W_OK):
                raise PermissionError(errno.EACCES, "permission denied", str(target))
        return lock_store(self.path)

    def _make_refusal(self, error: OSError) -> StoreError:
        safe = format_count(self._n_safe, "frame") if self._n_safe else ""
        return make_refusal(self.path, error, safe=safe)

    def _merge(self) -> None:
        """Merge the journal into the store, and delete it."""
        journal = journal_path(self.path)
        if not journal.exists():
            return
        with Snapshot(self.path) as snapshot:
            if len(snapshot.journal.frame_index):
                numbers = snapshot.frame_index
                source = np.zeros(len(numbers), np.int32)
                write_frames(self.path, [snapshot], source, numbers, numbers, grow=True)
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


# Merge stores, such as the shards of a batch that ran on many machines

MAX_FOLDERS = 100  # in which runs began: an attribute takes 64 kB
LOOKED_AT = select("frames/verdict", "provenance/processed_utc")
READ_FRAMES = 65536


def merge_stores(
    stores: Sequence[Path], into: Path, *, grow: bool = False
) -> tuple[dict[Path, int], int]:
    """Merge the frames of several stores and their journals into one; sources are only read.

    A photo that is in several stores is kept once. A result that did not fail has priority, then
    the one that was made later, then that of the later store in the list. Frames are renumbered in
    the order of the stores and of their frames. With ``grow``, an existing store comes first and
    keeps its numbers. The new store is written completely or not at all. Memory: some tens of bytes
    per frame.

    Returns the number of frames from each store, in their order, a store that is extended first;
    and how many frames were left out because several stores have them.

    Raises ConfigError if ``into`` exists and ``grow`` is false. Raises StoreError if a store cannot
    be read, or the new one cannot be written or is in use.
    """
    exists = is_there(into)
    if exists and not grow:
        raise ConfigError(f"{into} exists: name another file with --out, or add to it with --grow.")
    distinct = {into.resolve(): into}  # the target comes first
    for store in stores:
        distinct.setdefault(store.resolve(), store)
    named = list(distinct.values())[0 if exists else 1 :]
    with raise_as_store_error(into), ExitStack() as open_files:
        into.parent.mkdir(parents=True, exist_ok=True)
        open_files.callback(lock_store(into).close)
        sources = [open_files.enter_context(Snapshot(path)) for path in named]
        source, old_index, new_index, seen = _choose(sources, named, keep_first=exists)
        write_frames(into, sources, source, old_index, new_index, grow=exists)
        journal_path(into).unlink(missing_ok=True)
        sync_folder(into.absolute().parent)
    counts = np.bincount(source, minlength=len(sources)).tolist()
    return dict(zip(named, counts, strict=True)), seen - len(source)


def _choose(
    sources: Sequence[Snapshot], paths: Sequence[Path], *, keep_first: bool
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], int]:
    """Choose a frame of each photo: its store, its number there and here; and count all frames."""
    keys, made, sound = [np.empty(0, np.int64)], [np.empty(0, "S32")], [np.empty(0, bool)]
    for snapshot, path in zip(sources, paths, strict=True):
        with raise_as_damage(path):
            keys.append(snapshot.identity_keys())
            for tables in snapshot.blocks(groups=LOOKED_AT, frames=READ_FRAMES):
                made.append(tables["provenance"]["processed_utc"])
                sound.append(tables["frames"]["verdict"] != b"failed")
    old = np.concatenate([snapshot.frame_index for snapshot in sources])
    lengths = [len(snapshot.frame_index) for snapshot in sources]
    source = np.repeat(np.arange(len(sources), dtype=np.int32), lengths)
    identity = np.concatenate(keys)
    # Within each identity the best is last: not failed, then made later, then named later
    whole = np.arange(len(old)), np.concatenate(made), np.concatenate(sound), identity
    order = np.lexsort(whole)
    ends = np.ones(len(order), dtype=bool)
    ends[:-1] = identity[order][1:] != identity[order][:-1]
    best = order[ends]
    starts = np.concatenate([[0], np.flatnonzero(ends)[:-1] + 1])[: len(best)]
    first = np.minimum.reduceat(order, starts) if len(order) else order
    by_appearance = np.argsort(first)
    best, first = best[by_appearance], first[by_appearance]
    number = np.arange(len(best), dtype=np.int64)
    if keep_first:
        own = source[first] == 0
        next_index = int(sources[0].frame_index.max(initial=-1)) + 1
        number = np.where(own, old[first], next_index + np.cumsum(~own) - 1)
    return source[best], old[best], number, len(old)


def write_frames(
    path: Path,
    sources: Sequence[Snapshot],
    source: NDArray[np.int32],
    old_index: NDArray[np.int64],
    new_index: NDArray[np.int64],
    *,
    grow: bool,
) -> None:
    """Write frames of some stores into one: extend it, or rewrite it; the sources stay.

    Parameters
    ----------
    path : Path
        The store to write.
    sources : sequence of Snapshot
        The stores with their journals.
    source, old_index, new_index : ndarray
        Of each frame, in the order of the new store: the number of its source, its number there,
        and its new number.
    grow : bool
        Whether the first source is the old store at the path.
    """
    old = sources[0].store if grow else None
    of_sources = [one.text_lengths() for one in sources]
    lengths = {key: max(one[key] for one in of_sources) for key in TEXT_COLUMNS}
    changed = np.ones(len(source), dtype=bool)
    if old is not None:  # those that the extended store does not have in this position
        moved = np.searchsorted(old.frame_index, new_index) != np.arange(len(changed))
        other = (source != 0) | (old_index != new_index)
        changed = moved | other | np.isin(old_index, sources[0].journal.frame_index)
    attributes = root_attributes(old)
    began = [
        folder
        for one in sources
        for known in (one.journal.attributes, {} if one.store is None else one.store.attributes)
        for folder in decode_folders(known)
    ]
    attributes["folders"] = json.dumps([*dict.fromkeys(began)][:MAX_FOLDERS])
    first = number = 0
    if old is not None:
        # Leading frames that are unchanged are copied, if they are the most
        first = int(np.argmax(changed)) if changed.any() else len(changed)
        if 2 * first >= len(changed) and old.can_grow(lengths):
            number = int(np.append(new_index, new_index[-1:] + 1)[first])
        else:
            old, first = None, 0
    with open_growing(path, attributes, lengths, store=old, first=number) as append:
        for start in range(first, len(changed), BLOCK_FRAMES):
            block = slice(start, start + BLOCK_FRAMES)
            sets: list[Tables] = []
            for number in np.unique(source[block]):
                own = source[block] == number
                was, now = old_index[block][own], new_index[block][own]
                order = np.argsort(was)
                sets += _renumber_rows(sources[number], was[order], now[order])
            append(join(sets))


def _renumber_rows(
    source: Snapshot, old: NDArray[np.int64], new: NDArray[np.int64]
) -> Iterator[Tables]:
    """Return rows of some frames of a store under their new numbers."""
    borders = np.flatnonzero(np.diff(old) > FAR_APART) + 1
    for near, numbers in zip(np.split(old, borders), np.split(new, borders), strict=True):
        tables = select_frames(source.tables(int(near[0]), int(near[-1]) + 1), near)
        for table in tables.values():
            table["frame_index"] = numbers[np.searchsorted(near, table["frame_index"])]
        yield tables
