"""The export tables, one row per control point or per frame, and the map layers of their rows.

Their columns are fields of results (`regengine.store.rows`), named and ordered in
`export_columns.csv`.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from regengine.errors import check_known
from regengine.frames.frame import ExportFrame
from regengine.frames.geometry import LonLat, as_shape
from regengine.io.plain import make_printable, plain
from regengine.io.times import parse_iso_time
from regengine.photo.notations import archive_frame_id
from regengine.store.result import Column, Kind
from regengine.store.rows import OF_FRAME, OF_POINT

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TableColumn(Column):
    """A column of an export table."""

    # Takes the frame and the index of the row among the frame's rows.
    value: Callable[[ExportFrame, int], Any]
    written: bool = True  # False if the column is left empty, to be filled in by people


# Fields of results by name; of points before those of frames
STORED = {one.name: one for one in (*OF_FRAME, *OF_POINT)}


def column(
    name: str, path: str, description: str = "", kind: Kind | Literal[""] = "", units: str = ""
) -> TableColumn:
    """A column that reads an attribute path, None where a part of the path is missing.

    Parameters
    ----------
    path : str
        From an `ExportFrame`: ``"camera.distortion[0]"``, ``"review.place[country]"``; ``#`` is the
        index of the row, and ``[,]`` joins texts.
    description, kind, units : optional
        By default those of the result's field of that name.
    """
    stored = STORED.get(name)
    if not kind:
        assert stored is not None, name
        kind = "moment" if name.endswith("_utc") else stored.kind
    if stored is not None:
        said = stored.description.replace("; NaN for", "; none for")
        description = description or re.sub("^1 if", "whether", said)
        units = units or stored.units
    steps = re.findall(r"(\w+)|\[(#|,|\w+)\]", path)

    def follow(frame: ExportFrame, row: int) -> Any:
        if path == "#":
            return row
        found: Any = frame
        for attribute, key in steps:
            if found is None:
                return None
            if attribute:
                found = getattr(found, attribute)
            elif key == ",":
                found = ",".join(found)
            else:
                found = found[row if key == "#" else int(key) if key.isdigit() else key]
        return found

    return TableColumn(name=name, kind=kind, description=description, units=units, value=follow)


def of_frame(
    name: str, kind: Kind, description: str, value: Callable[[ExportFrame], Any]
) -> TableColumn:
    """A column whose value is computed by a function of a frame."""
    return TableColumn(
        name=name, kind=kind, description=description, value=lambda frame, _: value(frame)
    )


# Columns of the tables, in their order; those of frames go on with other fields of results
with Path(__file__).with_name("export_columns.csv").open(encoding="utf-8", newline="") as stream:
    LISTED: dict[str, list[TableColumn]] = defaultdict(list)
    for listed in csv.DictReader(stream):
        LISTED[listed.pop("table")].append(column(**listed))  # type: ignore[arg-type]
KEYS = tuple(LISTED["all"])
OF_POINTS = tuple(LISTED["points"])
POINT_COLUMNS = (*KEYS, *OF_POINTS)
MATCH_COLUMNS = (*KEYS, *LISTED["matches"])
FRAME_COLUMNS = (*KEYS, *LISTED["frames"])
FRAME_COLUMNS += tuple(
    column(one.name, f"result.{one.path}")
    for one in OF_FRAME
    if "table" in one.where and one.name not in {known.name for known in FRAME_COLUMNS}
)


def frame_row(frame: ExportFrame) -> Row:
    """A value for each of `FRAME_COLUMNS`, by name; None for missing or non-finite values."""
    return {one.name: none_if_unknown(one.value(frame, 0)) for one in FRAME_COLUMNS}


def point_rows(frame: ExportFrame) -> list[Row]:
    """For each control point, a value for each of `POINT_COLUMNS`, as in `frame_row`."""
    return _rows(frame, OF_POINTS, len(frame.points))


def match_rows(frame: ExportFrame) -> list[Row]:
    """For each match of photo and map, a value for each of `MATCH_COLUMNS`, as in `frame_row`."""
    count = 0 if frame.matches is None else len(frame.matches)
    return _rows(frame, MATCH_COLUMNS[len(KEYS) :], count)


def _rows(frame: ExportFrame, columns: tuple[TableColumn, ...], count: int) -> list[Row]:
    keys = {one.name: none_if_unknown(one.value(frame, 0)) for one in KEYS if count}
    return [
        keys | {one.name: none_if_unknown(one.value(frame, number)) for one in columns}
        for number in range(count)
    ]


def frame_record(frame: ExportFrame, **more: Any) -> str:
    """The complete record of a frame, with additional fields, as JSON text."""
    told = {
        "frame": frame_row(frame),
        "camera": None if frame.camera is None else {"model": "pinhole", **asdict(frame.camera)},
        "control_points": point_rows(frame),
        **more,
    }
    return json.dumps(plain(told, make_printable), indent=2, allow_nan=False) + "\n"


def make_storable_text(text: str) -> str:
    r"""Text that files and servers can store: valid UTF-8, with ``\u0000`` for a zero byte."""
    return make_printable(text).replace("\0", "\\u0000")


def none_if_unknown(value: Any) -> Any:
    """A value, or None if it is empty or not finite."""
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return None if value == "" else value


# Columns of the tables, and the rows of a frame
TABLES: dict[str, tuple[tuple[TableColumn, ...], Callable[[ExportFrame], list[Row]]]] = {
    "points": (POINT_COLUMNS, point_rows),
    "frames": (FRAME_COLUMNS, lambda frame: [frame_row(frame)]),
    "matches": (MATCH_COLUMNS, match_rows),
}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A map layer, whose features are rows of one of `TABLES`."""

    name: str
    description: str
    geometry: Literal["Point", "MultiPolygon"]
    table: str
    # Takes a frame; returns the geometry of each of its rows in the table, or None
    shapes: Callable[[ExportFrame], list[Any]]


def _make_points(places: Iterable[LonLat | None]) -> list[Any]:
    from shapely import Point

    return [None if place is None else Point(place) for place in places]


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
    shapes=lambda frame: _make_points([frame.nadir]),
)
POINTS = Layer(
    name="points",
    description="control points",
    geometry="Point",
    table="points",
    shapes=lambda frame: _make_points((one.lon, one.lat) for one in frame.points),
)
LAYERS = (FOOTPRINTS, NADIRS, POINTS)
MATCHES = Layer(
    name="matches",
    description="what photos and map both show",
    geometry="Point",
    table="matches",
    shapes=lambda frame: _make_points(
        [] if (them := frame.matches) is None else zip(them.lon, them.lat, strict=True)
    ),
)


def list_features(frame: ExportFrame, layers: Iterable[Layer]) -> Iterator[tuple[Layer, Row, Any]]:
    """Rows of a frame that have a geometry, layer by layer; each table is computed once."""
    rows: dict[str, list[Row]] = {}
    for layer in layers:
        if layer.table not in rows:
            rows[layer.table] = TABLES[layer.table][1](frame)
        for row, shape in zip(rows[layer.table], layer.shapes(frame), strict=True):
            if shape is not None:
                yield layer, row, shape


def choose_layers(names: tuple[str, ...]) -> list[Layer]:
    """Layers by name, all if no name is given; ConfigError if there is none of that name."""
    check_known("layers", names, (layer.name for layer in LAYERS))
    return [layer for layer in LAYERS if not names or layer.name in names]


def geojson_geometry(shape: Any) -> dict[str, Any] | None:
    """A geometry as GeoJSON; a multipolygon with one part becomes a polygon."""
    from shapely.geometry import mapping

    if shape is None:
        return None
    parts = getattr(shape, "geoms", (shape,))
    return dict(mapping(parts[0] if len(parts) == 1 else shape))


def list_geojson(frame: ExportFrame, layers: Iterable[Layer]) -> Iterator[str]:
    """Features of a frame as GeoJSON, each on a line."""
    # Rows have only plain and finite values; file names may contain characters that text cannot
    for layer, row, shape in list_features(frame, layers):
        properties = plain({"layer": layer.name, **row}, make_printable)
        feature = {"type": "Feature", "geometry": geojson_geometry(shape), "properties": properties}
        yield json.dumps(feature, allow_nan=False)


GEOMETRY = "geometry"  # name of the geometry column of Parquet files


def arrow_schema(layer: Layer) -> Any:
    """Columns of a layer and `GEOMETRY`, as in GeoParquet; without a CRS it is OGC:CRS84."""
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "real": pa.float64(),
        "whole": pa.int64(),
        "flag": pa.bool_(),
        "moment": pa.timestamp("us", tz="UTC"),
    }
    fields = [pa.field(column.name, types[column.kind]) for column in TABLES[layer.table][0]]
    told: dict[str, Any] = {"encoding": "WKB", "geometry_types": [layer.geometry]}
    if layer.geometry != "Point":
        told["orientation"] = "counterclockwise"
    geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: told}}
    return pa.schema([*fields, pa.field(GEOMETRY, pa.binary())], metadata={"geo": json.dumps(geo)})


def arrow_table(
    layer: Layer, rows: list[tuple[Row, Any]], text: Callable[[str], str] = make_printable
) -> Any:
    """Rows of a layer's table with geometries; ``text`` converts texts to what a file can store."""
    import numpy as np
    import pyarrow as pa
    import shapely

    columns = {}
    for column in TABLES[layer.table][0]:
        convert = parse_iso_time if column.kind == "moment" else text
        values = (row[column.name] for row, _ in rows)
        columns[column.name] = [convert(x) if isinstance(x, str) else x for x in values]
    shapes = np.array([shape for _, shape in rows], dtype=object)
    columns[GEOMETRY] = shapely.to_wkb(shapes, byte_order=1).tolist()
    return pa.Table.from_pydict(columns, schema=arrow_schema(layer))


# Links and credits for photos of NASA's archive of astronaut photography
UNIT = "Earth Science and Remote Sensing Unit, NASA Johnson Space Center"
HOME = "https://eol.jsc.nasa.gov/"
GUIDELINES = "https://www.nasa.gov/nasa-brand-center/images-and-media/"
# As required by NASA's Gateway to Astronaut Photography of Earth
COURTESY = f"Image courtesy of the {UNIT}"
FIRST_MADE_UP = 900  # expedition number: such ids are of simulated photos, as in our samples


def archive_page(frame: str) -> str | None:
    """URL of a photo's page; None if its id is not one of the archive's."""
    if archive_frame_id(frame) != frame:
        return None
    mission, roll, number = frame.split("-")
    return f"{HOME}SearchPhotos/photo.pl?mission={mission}&roll={roll}&frame={number}"
