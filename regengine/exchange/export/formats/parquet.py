"""Tables as GeoParquet 1.1: control points as points, frames with their footprints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError
from regengine.exchange.export.columns import TableColumn, table_of
from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.formats.vector import LAYERS, Feature, Layer, wkb
from regengine.exchange.export.frame import ExportFrame
from regengine.photo.frame_records import parse_iso_time
from regengine.records import printable

GEOMETRY = "geometry"
LAYER_OF_TABLE = {"points": "points", "frames": "footprints"}
BATCH, BATCHES = 256, 32  # rows that wait as Python's values, and how often so many are a group
TIMES = "_utc"  # ending of columns that are moments


def geo_metadata(layer: Layer) -> bytes:
    """What GeoParquet wants to know of the geometries; without a CRS they are OGC:CRS84."""
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": [layer.geometry]}
    if layer.geometry != "Point":
        column["orientation"] = "counterclockwise"
    told = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    return json.dumps(told).encode()


def _value(column: TableColumn, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return parse_iso_time(value) if column.name.endswith(TIMES) else printable(value)


def _features(frames: Iterator[ExportFrame], name: str) -> Iterator[Feature]:
    """Rows of a table; frames without a footprint have none."""
    layer, table = LAYERS[LAYER_OF_TABLE[name]], table_of(name)
    for frame in frames:
        rows = table.rows(frame)
        found = list(layer.features(frame, rows))
        yield from found or (Feature(row=row) for row in rows)


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    table = table_of(options.table)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(
            "--format parquet needs pyarrow: install regengine[parquet], or take csv or gpkg."
        ) from error
    kinds = {"text": pa.string(), "real": pa.float64(), "whole": pa.int64(), "flag": pa.bool_()}
    moment = pa.timestamp("us", tz="UTC")
    fields = [
        pa.field(column.name, moment if column.name.endswith(TIMES) else kinds[column.kind])
        for column in table.columns
    ]
    layer = LAYERS[LAYER_OF_TABLE[options.table]]
    schema = pa.schema(
        [*fields, pa.field(GEOMETRY, pa.binary())], metadata={b"geo": geo_metadata(layer)}
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


FORMAT = FileFormat(
    summary="a table of control points or of frames as GeoParquet",
    endings=(".parquet", ".geoparquet"),
    write=_write,
)
