"""The three layers of a map: what photos show, where they were taken, their control points.

Geometries are well-known binary, little endian (OGC 06-103r4), of points and of polygons.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from detectors.types import FloatArray
from regengine.errors import ConfigError
from regengine.exchange.export.columns import TABLES, Row, TableColumn
from regengine.exchange.export.footprint import Ring
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.viewing import LonLat
from regengine.store.schema import Kind


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A place or polygons on the map, and what is told of them.

    ``place`` is a point, ``polygons`` are closed rings; a feature has one of them.
    """

    row: Row
    place: LonLat | None = None
    polygons: tuple[Ring, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer: what its features are, and which of `TABLES` has their rows.

    ``features`` takes a frame and its rows of that table.
    """

    name: str
    description: str
    geometry: Literal["Point", "MultiPolygon"]
    table: str
    features: Callable[[ExportFrame, list[Row]], Iterator[Feature]]

    @property
    def columns(self) -> tuple[TableColumn, ...]:
        """The columns of its table."""
        return TABLES[self.table].columns


def _footprints(frame: ExportFrame, rows: list[Row]) -> Iterator[Feature]:
    if frame.footprint:
        yield Feature(row=rows[0], polygons=tuple(frame.footprint))


def _nadirs(frame: ExportFrame, rows: list[Row]) -> Iterator[Feature]:
    if frame.nadir is not None:
        yield Feature(row=rows[0], place=frame.nadir)


def _points(frame: ExportFrame, rows: list[Row]) -> Iterator[Feature]:
    for row, point in zip(rows, frame.points, strict=True):
        yield Feature(row=row, place=(point.lon, point.lat))


LAYERS = {
    layer.name: layer
    for layer in (
        Layer(
            name="footprints",
            description="ground that photos show, up to 80 degrees of incidence",
            geometry="MultiPolygon",
            table="frames",
            features=_footprints,
        ),
        Layer(
            name="nadirs",
            description="places below the camera",
            geometry="Point",
            table="frames",
            features=_nadirs,
        ),
        Layer(
            name="points",
            description="control points",
            geometry="Point",
            table="points",
            features=_points,
        ),
    )
}


def features(frame: ExportFrame, layers: list[Layer]) -> Iterator[tuple[Layer, Feature]]:
    """Features of a frame, layer by layer; those of one table share their rows."""
    rows: dict[str, list[Row]] = {}
    for layer in layers:
        if layer.table not in rows:
            rows[layer.table] = TABLES[layer.table].rows(frame)
        for feature in layer.features(frame, rows[layer.table]):
            yield layer, feature


def chosen_layers(names: tuple[str, ...]) -> list[Layer]:
    """Layers by their names, all without any; ConfigError if there is none of that name."""
    if unknown := [name for name in names if name not in LAYERS]:
        raise ConfigError(f"--layers {unknown[0]}: it is none of {', '.join(LAYERS)}.")
    return [layer for layer in LAYERS.values() if not names or layer.name in names]


LITTLE_ENDIAN, POINT, POLYGON, MULTIPOLYGON = 1, 1, 3, 6
GEOMETRY = "geometry"  # the column of Parquet files


def wkb(feature: Feature) -> bytes:
    """A feature's geometry: a point, or several polygons."""
    if feature.place is not None:
        return struct.pack("<BI2d", LITTLE_ENDIAN, POINT, *feature.place)
    parts = [struct.pack("<BII", LITTLE_ENDIAN, MULTIPOLYGON, len(feature.polygons))]
    for ring in feature.polygons:
        numbers = [number for place in ring for number in place]
        head = (LITTLE_ENDIAN, POLYGON, 1, len(ring))
        parts.append(struct.pack(f"<BIII{len(numbers)}d", *head, *numbers))
    return b"".join(parts)


def wkb_rings(multipolygon: bytes) -> Iterator[FloatArray]:
    """All rings of several polygons as `wkb` writes them, shape (n, 2) each: lon, lat."""
    _, _, polygons = struct.unpack_from("<BII", multipolygon)
    at = 9
    for _ in range(polygons):  # each with a header of its own
        _, _, rings = struct.unpack_from("<BII", multipolygon, at)
        at += 9
        for _ in range(rings):
            (places,) = struct.unpack_from("<I", multipolygon, at)
            yield np.frombuffer(multipolygon, "<f8", 2 * places, at + 4).reshape(places, 2)
            at += 4 + 16 * places


def geoparquet_metadata(geometry: str) -> str:
    """What GeoParquet wants to know of `GEOMETRY`; without a CRS it is OGC:CRS84."""
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": [geometry]}
    if geometry != "Point":
        column["orientation"] = "counterclockwise"
    return json.dumps(
        {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    )


def arrow_types() -> dict[Kind, Any]:
    """How Arrow spells the kinds of fields."""
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
