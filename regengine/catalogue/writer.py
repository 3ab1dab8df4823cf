"""Writes rows into a catalogue's file, a group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from regengine.catalogue.table import NAMES, ROWS, arrow_schema


def write_rows(
    path: Path, rows: Iterable[Mapping[str, Any]], metadata: dict[str, str] | None = None
) -> int:
    """Write a catalogue.

    Parameters
    ----------
    path : Path
        A new file.
    rows : iterable of mapping
        Values by the names of `regengine.catalogue.table.COLUMNS`; what a row has not is missing.
        Times are aware datetimes, days dates.
    metadata : dict of str to str, optional
        What else the file tells of itself, by key.

    Returns
    -------
    int
        How many rows there are.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = arrow_schema(metadata)
    count, left = 0, iter(rows)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(left, ROWS)):
            columns = {name: [row.get(name) for row in group] for name in NAMES}
            writer.write_table(pa.Table.from_pydict(columns, schema=schema))
            count += len(group)
    return count
