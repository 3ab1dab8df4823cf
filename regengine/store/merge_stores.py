"""Merge several stores into one, such as the shards of a batch that ran on many machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regengine.errors import ConfigError
from regengine.io.atomic import raise_as_store_error, sync_folder
from regengine.store.file import open_growing, raise_as_damage
from regengine.store.journal import journal_path
from regengine.store.read import BLOCK_FRAMES, Snapshot, identity_keys, is_there
from regengine.store.rows import Tables, join
from regengine.store.schema import TEXT_COLUMNS, select
from regengine.store.verify import FAR_APART
from regengine.store.writer import lock_store, root_attributes

LOOKED_AT = select("frames/path", "frames/sha256", "frames/verdict", "provenance/processed_utc")
READ_FRAMES = 65536


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """Frames of the new store, in its order."""

    source: NDArray[np.int32]
    old_index: NDArray[np.int64]
    new_index: NDArray[np.int64]


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
        open_files.callback(lock_store(into).release)
        sources = [open_files.enter_context(Snapshot(path)) for path in named]
        chosen, seen = _choose(sources, named, keep_first=exists)
        attributes = root_attributes(sources[0].store if exists else None)
        of_sources = [source.text_lengths() for source in sources]
        lengths = {key: max(one[key] for one in of_sources) for key in TEXT_COLUMNS}
        old = sources[0].store if exists else None
        changed = np.ones(len(chosen.source), dtype=bool)
        if old is not None:  # those that the extended store does not have in this position
            moved = np.searchsorted(old.frame_index, chosen.new_index) != np.arange(len(changed))
            other = (chosen.source != 0) | (chosen.old_index != chosen.new_index)
            newer = np.isin(chosen.old_index, sources[0].journal.frame_index)
            changed = moved | other | newer
        with open_growing(into, old, chosen.new_index, changed, attributes, lengths) as (
            output,
            first,
        ):
            for start in range(first, len(changed), BLOCK_FRAMES):
                block = slice(start, start + BLOCK_FRAMES)
                sets: list[Tables] = []
                for number in np.unique(chosen.source[block]):
                    own = chosen.source[block] == number
                    was, now = chosen.old_index[block][own], chosen.new_index[block][own]
                    order = np.argsort(was)
                    sets += _renumber_rows(sources[number], was[order], now[order])
                output.append(join(sets))
        journal_path(into).unlink(missing_ok=True)
        sync_folder(into.absolute().parent)
    counts = np.bincount(chosen.source, minlength=len(sources)).tolist()
    return dict(zip(named, counts, strict=True)), seen - len(chosen.source)


def _choose(
    sources: Sequence[Snapshot], paths: Sequence[Path], *, keep_first: bool
) -> tuple[_Chosen, int]:
    """Return the chosen frame of each photo with its store, and the total number of frames."""
    sets = [_scan_store(source, path) for source, path in zip(sources, paths, strict=True)]
    keys, old, made, sound = (np.concatenate(parts) for parts in zip(*sets, strict=True))
    source = np.repeat(np.arange(len(sets), dtype=np.int32), [len(s[1]) for s in sets])
    # Within each identity the best is last: not failed, then made later, then named later
    order = np.lexsort((np.arange(len(old)), made, sound, keys))
    ends = np.ones(len(order), dtype=bool)
    ends[:-1] = keys[order][1:] != keys[order][:-1]
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
    return _Chosen(source=source[best], old_index=old[best], new_index=number), len(old)


def _scan_store(
    source: Snapshot, path: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bytes_], NDArray[np.bool_]]:
    """Return identity, number, processing time and success of every frame of a store."""
    keys, made, sound = [np.empty(0, np.int64)], [np.empty(0, "S32")], [np.empty(0, bool)]
    with raise_as_damage(path):
        for tables in source.blocks(groups=LOOKED_AT, frames=READ_FRAMES):
            frames = tables["frames"]
            keys.append(identity_keys(frames["path"], frames["sha256"]))
            made.append(tables["provenance"]["processed_utc"])
            sound.append(frames["verdict"] != b"failed")
    return np.concatenate(keys), source.frame_index, np.concatenate(made), np.concatenate(sound)


def _renumber_rows(
    source: Snapshot, old: NDArray[np.int64], new: NDArray[np.int64]
) -> Iterator[Tables]:
    """Return rows of some frames of a store under their new numbers."""
    borders = np.flatnonzero(np.diff(old) > FAR_APART) + 1
    for near, numbers in zip(np.split(old, borders), np.split(new, borders), strict=True):
        tables = source.tables(int(near[0]), int(near[-1]) + 1)
        for group, table in tables.items():
            index = table["frame_index"]
            place = np.minimum(np.searchsorted(near, index), len(near) - 1)
            keep = near[place] == index
            tables[group] = {name: array[keep] for name, array in table.items()}
            tables[group]["frame_index"] = numbers[place[keep]]
        yield tables
