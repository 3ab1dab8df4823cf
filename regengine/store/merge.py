"""A store and its parts as one new file, without holding either in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

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
    lengths = snapshot.text_lengths()
    with replacing(path) as stream, GrowingStore(stream, attributes, lengths) as output:
        for first, beyond, changed in _stretches(snapshot):
            if changed or snapshot.store is None:
                output.append(snapshot.tables(first, beyond))
            else:
                output.copy(snapshot.store, first, beyond)


def _stretches(snapshot: Snapshot) -> Iterator[tuple[int, int, bool]]:
    """Numbers of frames in stretches: blocks that parts have frames of, and all between them."""
    numbers = snapshot.frame_index
    starts = np.arange(0, len(numbers), BLOCK_FRAMES)
    changed = np.zeros(len(starts), dtype=bool)
    changed[np.searchsorted(numbers, snapshot.parts_index) // BLOCK_FRAMES] = True
    begun = 0
    for block in range(len(starts)):
        if not changed[block] and block + 1 < len(starts) and not changed[block + 1]:
            continue
        last = min((block + 1) * BLOCK_FRAMES, len(numbers)) - 1
        yield int(numbers[begun]), int(numbers[last]) + 1, bool(changed[block])
        begun = last + 1
