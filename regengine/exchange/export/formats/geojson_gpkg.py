"""The layers of a map as GeoJSON and GeoPackage.

GeoPackage is written with SQLite alone: a library for vector layers (Fiona, pyogrio) brings a
second GDAL beside that of rasterio.
"""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.layers import Feature, Layer, chosen_layers, features, wkb
from regengine.io.plain import printable
from regengine.photo.frame_records import parse_iso_time
from regengine.store.schema import Kind

# GeoJSON as RFC 7946 has it: WGS84, polygons counter-clockwise and cut at the antimeridian. One
# collection; the property ``layer`` tells what a feature is.


def geojson_feature(feature: Feature, layer: Layer) -> dict[str, Any]:
    """A feature as plain JSON values."""
    if feature.place is not None:
        geometry: dict[str, Any] = {"type": "Point", "coordinates": list(feature.place)}
    elif len(feature.polygons) == 1:
        geometry = {"type": "Polygon", "coordinates": [feature.polygons[0]]}
    else:
        geometry = {"type": "MultiPolygon", "coordinates": [[ring] for ring in feature.polygons]}
    # Rows are plain and finite already; names of files may hold what no text can
    properties: dict[str, Any] = {"layer": layer.name}
    for name, value in feature.row.items():
        properties[name] = printable(value) if isinstance(value, str) else value
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _write_geojson(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    layers = chosen_layers(options.layers)
    with path.open("w", encoding="ascii") as stream:
        stream.write('{"type": "FeatureCollection", "features": [')
        before = "\n"
        for frame in frames:
            for layer, feature in features(frame, layers):
                value = geojson_feature(feature, layer)
                stream.write(before + json.dumps(value, allow_nan=False))
                before = ",\n"
        stream.write("\n]}\n")


# GeoPackage 1.3, the parts that are needed here: tables of features in WGS84, in an SQLite file,
# with the extension ``gpkg_rtree_index``.

EXTENSIONS_TABLE = """
CREATE TABLE gpkg_extensions (
    table_name TEXT,
    column_name TEXT,
    extension_name TEXT NOT NULL,
    definition TEXT NOT NULL,
    scope TEXT NOT NULL,
    CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name)
)
"""
RTREE_DEFINITION = "http://www.geopackage.org/spec120/#extension_rtree"
# They keep the index right in programs that have these functions: QGIS, GDAL. As the standard
# words them.
KEEP = (
    'INSERT OR REPLACE INTO "{index}" VALUES (NEW."{key}",'
    'ST_MinX(NEW."{column}"), ST_MaxX(NEW."{column}"),'
    'ST_MinY(NEW."{column}"), ST_MaxY(NEW."{column}"));'
)
DROP = 'DELETE FROM "{index}" WHERE id = OLD."{key}";'
HAS = '(NEW."{column}" NOTNULL AND NOT ST_IsEmpty(NEW."{column}"))'
HAS_NOT = '(NEW."{column}" ISNULL OR ST_IsEmpty(NEW."{column}"))'
SAME, OTHER = 'OLD."{key}" = NEW."{key}" AND ', 'OLD."{key}" != NEW."{key}" AND '
TRIGGERS = {
    "insert": (
        'INSERT ON "{table}"',
        '(new."{column}" NOT NULL AND NOT ST_IsEmpty(NEW."{column}"))',
        KEEP,
    ),
    "update1": ('UPDATE OF "{column}" ON "{table}"', SAME + HAS, KEEP),
    "update2": ('UPDATE OF "{column}" ON "{table}"', SAME + HAS_NOT, DROP),
    "update3": ('UPDATE ON "{table}"', OTHER + HAS, f"{DROP} {KEEP}"),
    "update4": (
        'UPDATE ON "{table}"',
        OTHER + HAS_NOT,
        'DELETE FROM "{index}" WHERE id IN (OLD."{key}", NEW."{key}");',
    ),
    "delete": ('DELETE ON "{table}"', 'old."{column}" NOT NULL', DROP),
}


SRS_ID = 4326
APPLICATION_ID = 0x47504B47  # "GPKG"
USER_VERSION = 10300
GPKG_TYPES: dict[Kind, str] = {
    "text": "TEXT",
    "moment": "TEXT",
    "real": "DOUBLE",
    "whole": "INTEGER",
    "flag": "BOOLEAN",
}
GEOM, KEY = "geom", "fid"
BASE_TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (
    srs_name TEXT NOT NULL,
    srs_id INTEGER NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL,
    definition TEXT NOT NULL,
    description TEXT
);
CREATE TABLE gpkg_contents (
    table_name TEXT NOT NULL PRIMARY KEY,
    data_type TEXT NOT NULL,
    identifier TEXT UNIQUE,
    description TEXT DEFAULT '',
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    min_x DOUBLE,
    min_y DOUBLE,
    max_x DOUBLE,
    max_y DOUBLE,
    srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
);
CREATE TABLE gpkg_geometry_columns (
    table_name TEXT NOT NULL,
    column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL,
    srs_id INTEGER NOT NULL,
    z TINYINT NOT NULL,
    m TINYINT NOT NULL,
    CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
    CONSTRAINT uk_gc_table_name UNIQUE (table_name),
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id)
);
"""


class GeoPackage:
    """A new GeoPackage, in a file that does not exist."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path, isolation_level=None)
        # It takes its place only when it is whole: a journal would guard nothing
        self._base.execute("PRAGMA journal_mode = OFF")
        self._base.execute("PRAGMA synchronous = OFF")
        self._base.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._base.execute(f"PRAGMA user_version = {USER_VERSION}")
        self._base.executescript(BASE_TABLES)
        self._base.execute(EXTENSIONS_TABLE)
        self._base.execute("BEGIN")
        self._base.executemany(
            "INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", _reference_systems()
        )
        self._bounds: dict[str, list[float]] = {}
        self._layers: list[str] = []  # whose names need no quoting

    def add_layer(self, layer: Layer) -> None:
        """Make a layer's table."""
        columns = ", ".join(
            f'"{column.name}" {GPKG_TYPES[column.kind]}' for column in layer.columns
        )
        self._base.execute(
            f'CREATE TABLE "{layer.name}" ({KEY} INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, '
            f'"{GEOM}" {layer.geometry.upper()}, {columns})'
        )
        self._base.execute(
            "INSERT INTO gpkg_contents "
            "(table_name, data_type, identifier, description, last_change, srs_id) "
            "VALUES (?, 'features', ?, ?, '', ?)",
            (layer.name, layer.name, layer.description, SRS_ID),
        )
        self._base.execute(
            "INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, 0, 0)",
            (layer.name, GEOM, layer.geometry.upper(), SRS_ID),
        )
        self._base.execute(
            "INSERT INTO gpkg_extensions VALUES (?, ?, 'gpkg_rtree_index', ?, 'write-only')",
            (layer.name, GEOM, RTREE_DEFINITION),
        )
        self._base.execute(
            f'CREATE VIRTUAL TABLE "{_index_of(layer.name)}" '
            "USING rtree(id, minx, maxx, miny, maxy)"
        )
        self._layers.append(layer.name)

    def add(self, layer: Layer, feature: Feature) -> None:
        """Add a feature to a layer that was added."""
        values = [feature.row[column.name] for column in layer.columns]
        cells = [printable(value) if isinstance(value, str) else value for value in values]
        marks = ", ".join("?" * (len(cells) + 2))
        cursor = self._base.execute(
            f'INSERT INTO "{layer.name}" VALUES ({marks})',  # noqa: S608
            [None, geometry_blob(feature), *cells],
        )
        assert cursor.lastrowid is not None
        west, south, east, north = _bounds_of(feature)
        self._base.execute(
            f'INSERT INTO "{_index_of(layer.name)}" VALUES (?, ?, ?, ?, ?)',  # noqa: S608
            (cursor.lastrowid, west, east, south, north),
        )
        held = self._bounds.setdefault(layer.name, [west, south, east, north])
        held[:2] = [min(held[0], west), min(held[1], south)]
        held[2:] = [max(held[2], east), max(held[3], north)]

    def finish(self, last_change: str) -> None:
        """Write what is left, and close the file."""
        self._base.execute("UPDATE gpkg_contents SET last_change = ?", (last_change,))
        # From now on the indices are kept up to date: SQLite alone has not the triggers' functions
        for table in self._layers:
            names = {"index": _index_of(table), "table": table, "column": GEOM, "key": KEY}
            for name, (event, when, then) in TRIGGERS.items():
                words = (
                    f'CREATE TRIGGER "{{index}}_{name}" AFTER {event} WHEN {when} BEGIN {then} END'
                )
                self._base.execute(words.format(**names))
        for name, bounds in self._bounds.items():
            self._base.execute(
                "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? "
                "WHERE table_name = ?",
                (*bounds, name),
            )
        self._base.execute("COMMIT")
        self.close()

    def close(self) -> None:
        """Close the file, whatever is in it."""
        self._base.close()


def _index_of(table: str) -> str:
    return f"rtree_{table}_{GEOM}"


def geometry_blob(feature: Feature) -> bytes:
    """A geometry in GeoPackage's binary format: a header, and well-known binary."""
    if feature.place is not None:
        return struct.pack("<2sBBi", b"GP", 0, 0x01, SRS_ID) + wkb(feature)
    west, south, east, north = _bounds_of(feature)
    # Little endian, with an envelope of min x, max x, min y, max y
    head = struct.pack("<2sBBi4d", b"GP", 0, 0x03, SRS_ID, west, east, south, north)
    return head + wkb(feature)


def _bounds_of(feature: Feature) -> tuple[float, float, float, float]:
    places = [feature.place] if feature.place else [p for ring in feature.polygons for p in ring]
    lons, lats = [lon for lon, _ in places], [lat for _, lat in places]
    return min(lons), min(lats), max(lons), max(lats)


def _reference_systems() -> list[tuple[str, int, str, int, str, str]]:
    from pyproj import CRS

    wgs84 = CRS.from_epsg(SRS_ID).to_wkt("WKT1_GDAL")
    return [
        ("Undefined Cartesian", -1, "NONE", -1, "undefined", ""),
        ("Undefined geographic", 0, "NONE", 0, "undefined", ""),
        ("WGS 84", SRS_ID, "EPSG", SRS_ID, wgs84, "longitude and latitude, degrees"),
    ]


def _write_geopackage(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    layers = chosen_layers(options.layers)
    with closing(GeoPackage(path)) as package:
        for layer in layers:
            package.add_layer(layer)
        changed = datetime(1970, 1, 1, tzinfo=UTC)
        for frame in frames:
            changed = max(changed, parse_iso_time(frame.stored.processed_utc) or changed)
            for layer, feature in features(frame, layers):
                package.add(layer, feature)
        # When the last frame was registered, not now: equal exports have equal bytes
        package.finish(f"{changed:%Y-%m-%dT%H:%M:%S.000Z}")


FORMATS = {
    "geojson": FileFormat(
        summary="footprints, nadirs and control points as GeoJSON",
        endings=(".geojson", ".json"),
        write=_write_geojson,
    ),
    "gpkg": FileFormat(
        summary="footprints, nadirs and control points as a GeoPackage",
        endings=(".gpkg",),
        write=_write_geopackage,
    ),
}
