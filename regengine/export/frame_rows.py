"""Single columns of a store's frames, some frames at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from regengine.store.hdf5 import damage_told
from regengine.store.schema import select
from regengine.store.snapshot import PartGoneError, Snapshot
from regengine.store.tables import Table

BLOCK_FRAMES = 1024  # 5 MB of all columns that hold one value


def frame_rows(store: Path, names: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Columns of all frames, in the order of their numbers.

    Parameters
    ----------
    store : Path
        The store; a run may be writing it.
    names : sequence of str
        Columns of ``frames``, ``frame_index`` among them.

    Yields
    ------
    list of dict
        A row a frame.

    Raises
    ------
    StoreError
        If the store cannot be read.
    """
    columns = select(*(f"frames/{name}" for name in names))
    last: int | None = None
    while True:
        try:
            with Snapshot.of(store) as snapshot:
                for tables in snapshot.blocks(after=last, groups=columns, frames=BLOCK_FRAMES):
                    with damage_told(store):
                        rows = _rows(tables["frames"])
                    yield rows
                    last = rows[-1]["frame_index"]
            return
        except PartGoneError:  # merged meanwhile: go on with the store that has it now
            continue


def _rows(table: Table) -> list[dict[str, Any]]:
    columns = [
        [text.decode("utf-8") for text in array.tolist()]
        if array.dtype.kind == "S"
        else array.tolist()
        for array in table.values()
    ]
    return [dict(zip(table, values, strict=True)) for values in zip(*columns, strict=True)]
