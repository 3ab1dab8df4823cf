"""Tables as CSV, and as GeoParquet with their geometries.

CSV is UTF-8 with a header; cells are empty for what is missing, numbers have all their digits.
GeoParquet 1.1 has control points as points, and frames with their footprints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from regengine.exchange.export.columns import TableColumn, table_of
from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.layers import (
    GEOMETRY,
    LAYERS,
    Feature,
    arrow_types,
    geoparquet_metadata,
    wkb,
)
from regengine.io.extras import missing
from regengine.io.plain import printable
from regengine.io.tables import cell, write_csv
from regengine.photo.frame_records import parse_iso_time
from regengine.store.rows import without_collection

LAYER_OF_TABLE = {"points": "points", "frames": "footprints"}
BATCH, BATCHES = 256, 32  # rows that wait as Python's values, and how often so many are a group


def _write_csv(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    table = table_of(options.table)
    cells = [(column.name, _cells_of(column)) for column in table.columns]
    rows = (
        [cell_of(row[name]) for name, cell_of in cells]
        for frame in frames
        for row in table.rows(frame)
    )
    with without_collection():
        write_csv(path, [column.name for column in table.columns], rows)


def _cells_of(column: TableColumn) -> Callable[[Any], object]:
    """What makes a value of a column a cell that no spreadsheet takes for a formula."""
    if column.kind in ("real", "whole"):  # their own cells, and most of a table
        return lambda value: "" if value is None else value

    @lru_cache(maxsize=16)  # a frame's name, and much else, is that of all its points
    def made(value: Any) -> object:
        if value is not None and column.kind == "flag":
            value = bool(value)
        elif value is not None and column.kind in ("text", "moment"):
            value = printable(str(value))
        return cell(column.name, value)

    return made


def _write_parquet(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    table = table_of(options.table)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise missing("--format parquet", error, instead="take csv or gpkg") from error
    types = arrow_types()
    layer = LAYERS[LAYER_OF_TABLE[options.table]]
    schema = pa.schema(
        [
            *(pa.field(column.name, types[column.kind]) for column in table.columns),
            pa.field(GEOMETRY, pa.binary()),
        ],
        metadata={"geo": geoparquet_metadata(layer.geometry)},
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        features = _features(frames, options.table)
        batches: list[Any] = []
        while some := list(islice(features, BATCH)):
            columns = {
                column.name: [_value(column, feature.row[column.name]) for feature in some]
                for column in table.columns
            }
            columns[GEOMETRY] = [
                wkb(feature) if feature.place or feature.polygons else None for feature in some
            ]
            batches.append(pa.RecordBatch.from_pydict(columns, schema=schema))
            if len(batches) == BATCHES:
                writer.write_table(pa.Table.from_batches(batches))
                batches.clear()
        if batches:
            writer.write_table(pa.Table.from_batches(batches))


def _value(column: TableColumn, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return parse_iso_time(value) if column.kind == "moment" else printable(value)


def _features(frames: Iterator[ExportFrame], name: str) -> Iterator[Feature]:
    """Rows of a table; frames without a footprint have none."""
    layer, table = LAYERS[LAYER_OF_TABLE[name]], table_of(name)
    for frame in frames:
        rows = table.rows(frame)
        found = list(layer.features(frame, rows))
        yield from found or (Feature(row=row) for row in rows)


FORMATS = {
    "csv": FileFormat(
        summary="a table of control points or of frames", endings=(".csv",), write=_write_csv
    ),
    "parquet": FileFormat(
        summary="a table of control points or of frames as GeoParquet",
        endings=(".parquet", ".geoparquet"),
        write=_write_parquet,
    ),
}
