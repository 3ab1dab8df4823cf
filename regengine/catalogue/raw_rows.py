"""Rows as the stores tell them, on disk until all of them are known."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from regengine.catalogue.cells import cell_of
from regengine.catalogue.table import arrow_schema
from regengine.places import place_index

Row = dict[str, Any]
BLOCK = 8192  # rows in memory
METRES = 3  # decimals of kilometres: a city's middle is not known better
# Beside the columns of the catalogue: the order in which rows came, and the cell of the centre
HELPERS = ("number", "cell", "reviewed_utc")


def write_raw(path: Path, rows: Iterable[Row]) -> int:
    """Write rows of `regengine.catalogue.facts.catalogue_row`.

    Parameters
    ----------
    path : Path
        A new file.
    rows : iterable of dict
        In the order of the stores; few are in memory at a time.

    Returns
    -------
    int
        How many there are.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = arrow_schema()
    for name, kind in zip(HELPERS, (pa.int64(), pa.int64(), pa.string()), strict=True):
        schema = schema.append(pa.field(name, kind))
    schema = schema.remove_metadata()
    count, left = 0, iter(rows)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while block := list(islice(left, BLOCK)):
            columns = {name: [row.get(name) for row in block] for name in schema.names}
            columns["number"] = list(range(count, count + len(block)))
            columns |= _around(block)
            writer.write_table(pa.Table.from_pydict(columns, schema=schema))
            count += len(block)
    return count


def _around(block: list[Row]) -> dict[str, list[Any]]:
    """The cells of the image centres, and the cities near them."""
    lon, lat = (
        np.array([row.get(name) for row in block], float) for name in ("centre_lon", "centre_lat")
    )
    index = place_index()
    numbers, distance_km = index.near(lon, lat)
    towns = {number: index.place(number) for number in set(numbers.tolist())}
    near = [towns[number] for number in numbers.tolist()]
    return {
        "cell": cell_of(lon, lat).tolist(),
        "city": [None if town is None else town.name for town in near],
        "country": [None if town is None else town.country for town in near],
        "city_km": [None if np.isnan(km) else round(km, METRES) for km in distance_km.tolist()],
    }
