"""A store and its parts as one new file, without holding either in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regengine.store.atomic import replacing
from regengine.store.growing import GrowingStore
from regengine.store.snapshot import BLOCK_FRAMES, Snapshot


def write_merged(path: Path, snapshot: Snapshot, attributes: Mapping[str, str]) -> None:
    """Write all frames of a snapshot to a file, which appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file; may be the snapshot's own store.
    snapshot : Snapshot
        The frames.
    attributes : mapping of str to str
        Root attributes beside ``format`` and ``format_version``.

    Raises
    ------
    StoreError
        If a file of the snapshot cannot be read.
    OSError
        If the disk is full, or the folder cannot be written.
    """
    numbers, lengths = snapshot.frame_index, snapshot.text_lengths()
    changed = np.isin(numbers, snapshot.parts_index)
    with replacing(path) as stream, GrowingStore(stream, attributes, lengths) as output:
        for start, stop, untouched in stretches(changed):
            first, beyond = int(numbers[start]), int(numbers[stop - 1]) + 1
            if untouched and snapshot.store is not None:
                output.copy(snapshot.store, first, beyond)
            else:
                output.append(snapshot.tables(first, beyond))


def stretches(changed: NDArray[np.bool_]) -> Iterator[tuple[int, int, bool]]:
    """Frames in stretches: blocks in which frames have changed, and all that lies between them.

    Parameters
    ----------
    changed : ndarray of bool
        By frame.

    Yields
    ------
    (int, int, bool)
        First frame, the one behind the last, and whether none of them has changed.
    """
    borders = range(0, len(changed), BLOCK_FRAMES)
    untouched = [not changed[start : start + BLOCK_FRAMES].any() for start in borders]
    begun = 0
    for block, start in enumerate(borders):
        if untouched[block] and block + 1 < len(borders) and untouched[block + 1]:
            continue
        yield begun, min(start + BLOCK_FRAMES, len(changed)), untouched[block]
        begun = start + BLOCK_FRAMES
