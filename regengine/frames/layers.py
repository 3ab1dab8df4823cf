"""The three map layers: footprints, nadirs and control points."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from regengine.errors import ConfigError
from regengine.frames.columns import TABLES, Row, TableColumn
from regengine.frames.footprint import as_shape
from regengine.frames.frame import ExportFrame
from regengine.io.plain import make_printable
from regengine.io.times import parse_iso_time
from regengine.store.schema import Kind


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A map layer, whose features are rows of one of `TABLES`."""

    name: str
    description: str
    geometry: Literal["Point", "MultiPolygon"]
    table: str
    # Takes a frame; returns the geometry of each of its rows in the table, or None
    shapes: Callable[[ExportFrame], list[Any]]


def _nadir(frame: ExportFrame) -> list[Any]:
    from shapely import Point

    return [None if frame.nadir is None else Point(frame.nadir)]


def _points(frame: ExportFrame) -> list[Any]:
    from shapely import Point

    return [Point(point.lon, point.lat) for point in frame.points]


FOOTPRINTS = Layer(
    name="footprints",
    description="ground that photos show, up to an incidence angle of 80 degrees",
    geometry="MultiPolygon",
    table="frames",
    shapes=lambda frame: [as_shape(frame.footprint)],
)
NADIRS = Layer(
    name="nadirs",
    description="places below the solved cameras",
    geometry="Point",
    table="frames",
    shapes=_nadir,
)
POINTS = Layer(
    name="points",
    description="control points",
    geometry="Point",
    table="points",
    shapes=_points,
)
LAYERS = (FOOTPRINTS, NADIRS, POINTS)


def list_features(frame: ExportFrame, layers: Iterable[Layer]) -> Iterator[tuple[Layer, Row, Any]]:
    """Rows of a frame that have a geometry, layer by layer; each table is computed once."""
    rows: dict[str, list[Row]] = {}
    for layer in layers:
        if layer.table not in rows:
            rows[layer.table] = TABLES[layer.table].rows(frame)
        for row, shape in zip(rows[layer.table], layer.shapes(frame), strict=True):
            if shape is not None:
                yield layer, row, shape


def choose_layers(names: tuple[str, ...]) -> list[Layer]:
    """Layers by name, all if no name is given; ConfigError if there is none of that name."""
    known = [layer.name for layer in LAYERS]
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"--layers {unknown[0]} is unknown: choose from {', '.join(known)}.")
    return [layer for layer in LAYERS if not names or layer.name in names]


def geojson_geometry(shape: Any) -> dict[str, Any] | None:
    """A geometry as GeoJSON; a multipolygon with one part becomes a polygon."""
    from shapely.geometry import mapping

    if shape is None:
        return None
    parts = getattr(shape, "geoms", (shape,))
    return dict(mapping(parts[0] if len(parts) == 1 else shape))


def geojson_feature(layer: Layer, row: Row, shape: Any) -> dict[str, Any]:
    """A GeoJSON feature as JSON-serialisable values."""
    # Rows have only plain and finite values; file names may contain characters that text cannot
    properties: dict[str, Any] = {"layer": layer.name}
    for name, value in row.items():
        properties[name] = make_printable(value) if isinstance(value, str) else value
    return {"type": "Feature", "geometry": geojson_geometry(shape), "properties": properties}


GEOMETRY = "geometry"  # name of the geometry column of Parquet files


def geoparquet_metadata(geometry: str) -> str:
    """GeoParquet metadata of `GEOMETRY`; without a CRS it is OGC:CRS84."""
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": [geometry]}
    if geometry != "Point":
        column["orientation"] = "counterclockwise"
    return json.dumps(
        {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    )


def arrow_types() -> dict[Kind, Any]:
    """Arrow types of the kinds of fields."""
    import pyarrow as pa

    return {
        "text": pa.string(),
        "real": pa.float64(),
        "whole": pa.int64(),
        "flag": pa.bool_(),
        "moment": pa.timestamp("us", tz="UTC"),
        "day": pa.date32(),
        "polygons": pa.binary(),
    }


def arrow_schema(layer: Layer) -> Any:
    """Columns of a layer's table and `GEOMETRY`, as in GeoParquet."""
    import pyarrow as pa

    types = arrow_types()
    fields = [pa.field(column.name, types[column.kind]) for column in TABLES[layer.table].columns]
    metadata = {"geo": geoparquet_metadata(layer.geometry)}
    return pa.schema([*fields, pa.field(GEOMETRY, pa.binary())], metadata=metadata)


def arrow_table(
    layer: Layer, rows: list[tuple[Row, Any]], text: Callable[[str], str] = make_printable
) -> Any:
    """Rows of a layer's table with geometries; ``text`` converts texts to what a file can store."""
    import numpy as np
    import pyarrow as pa
    import shapely

    def value(column: TableColumn, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return parse_iso_time(value) if column.kind == "moment" else text(value)

    columns = {
        column.name: [value(column, row[column.name]) for row, _ in rows]
        for column in TABLES[layer.table].columns
    }
    shapes = np.array([shape for _, shape in rows], dtype=object)
    columns[GEOMETRY] = shapely.to_wkb(shapes, byte_order=1).tolist()
    return pa.Table.from_pydict(columns, schema=arrow_schema(layer))
