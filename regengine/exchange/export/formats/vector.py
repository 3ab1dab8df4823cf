"""The three layers of a map: what photos show, where they were taken, their control points."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regengine.errors import ConfigError
from regengine.exchange.export.columns import TABLES, Row, TableColumn
from regengine.exchange.export.footprint import Ring
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.viewing import LonLat
from regengine.records import printable


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
    """A layer: what its features are, and whose rows they have.

    Attributes
    ----------
    name, says : str
        Its name, and what it shows.
    geometry : str
        ``Point`` or ``MultiPolygon``.
    table : str
        Which of `regengine.exchange.export.columns.TABLES`.
    features : callable
        Takes a frame and its rows of that table; gives its features.
    """

    name: str
    says: str
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
            says="ground that photos show, up to 80 degrees of incidence",
            geometry="MultiPolygon",
            table="frames",
            features=_footprints,
        ),
        Layer(
            name="nadirs",
            says="places below the camera",
            geometry="Point",
            table="frames",
            features=_nadirs,
        ),
        Layer(
            name="points",
            says="control points",
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


# Geometries as well-known binary, little endian (OGC 06-103r4).

LITTLE_ENDIAN, POINT, POLYGON, MULTIPOLYGON = 1, 1, 3, 6


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


# The spatial index of a GeoPackage: the extension ``gpkg_rtree_index``.

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
DEFINITION = "http://www.geopackage.org/spec120/#extension_rtree"
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


class SpatialIndex:
    """The index of one table's geometries.

    Parameters
    ----------
    base : sqlite3.Connection
        A GeoPackage with ``gpkg_extensions``.
    table, column, key : str
        The table, its column of geometries, and its primary key: names that need no quoting.
    """

    def __init__(self, base: sqlite3.Connection, table: str, column: str, key: str) -> None:
        self._base = base
        self._names = {
            "index": f"rtree_{table}_{column}",
            "table": table,
            "column": column,
            "key": key,
        }
        index = self._names["index"]
        base.execute(
            "INSERT INTO gpkg_extensions VALUES (?, ?, 'gpkg_rtree_index', ?, 'write-only')",
            (table, column, DEFINITION),
        )
        base.execute(f'CREATE VIRTUAL TABLE "{index}" USING rtree(id, minx, maxx, miny, maxy)')
        self._insert = f'INSERT INTO "{index}" VALUES (?, ?, ?, ?, ?)'  # nosec B608

    def add(self, number: int, bounds: tuple[float, float, float, float]) -> None:
        """Add a geometry by its key and its west, south, east and north."""
        west, south, east, north = bounds
        self._base.execute(self._insert, (number, west, east, south, north))

    def finish(self) -> None:
        """Have it kept up to date from now on: SQLite alone has not the triggers' functions."""
        for name, (event, when, then) in TRIGGERS.items():
            words = f'CREATE TRIGGER "{{index}}_{name}" AFTER {event} WHEN {when} BEGIN {then} END'
            self._base.execute(words.format(**self._names))


# GeoPackage, the parts that are needed here: tables of features in WGS84, in an SQLite file.

SRS_ID = 4326
APPLICATION_ID = 0x47504B47  # "GPKG"
USER_VERSION = 10300
TYPES = {"text": "TEXT", "real": "DOUBLE", "whole": "INTEGER", "flag": "BOOLEAN"}
GEOMETRY, KEY = "geom", "fid"
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
    """A new GeoPackage.

    Parameters
    ----------
    path : Path
        A file that does not exist.
    """

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
        self._indexes: dict[str, SpatialIndex] = {}

    def add_layer(self, layer: Layer) -> None:
        """Make a layer's table."""
        columns = ", ".join(f'"{column.name}" {TYPES[column.kind]}' for column in layer.columns)
        self._base.execute(
            f'CREATE TABLE "{layer.name}" ({KEY} INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, '
            f'"{GEOMETRY}" {layer.geometry.upper()}, {columns})'
        )
        self._base.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id) "
            "VALUES (?, 'features', ?, ?, ?)",
            (layer.name, layer.name, layer.says, SRS_ID),
        )
        self._base.execute(
            "INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, 0, 0)",
            (layer.name, GEOMETRY, layer.geometry.upper(), SRS_ID),
        )
        self._indexes[layer.name] = SpatialIndex(self._base, layer.name, GEOMETRY, KEY)

    def add(self, layer: Layer, feature: Feature) -> None:
        """Add a feature to a layer that was added."""
        values = [feature.row[column.name] for column in layer.columns]
        cells = [printable(value) if isinstance(value, str) else value for value in values]
        marks = ", ".join("?" * (len(cells) + 2))
        cursor = self._base.execute(
            f'INSERT INTO "{layer.name}" VALUES ({marks})',  # nosec B608
            [None, geometry_blob(feature), *cells],
        )
        assert cursor.lastrowid is not None
        bounds = _bounds_of(feature)
        self._indexes[layer.name].add(cursor.lastrowid, bounds)
        west, south, east, north = bounds
        held = self._bounds.setdefault(layer.name, [west, south, east, north])
        held[:2] = [min(held[0], west), min(held[1], south)]
        held[2:] = [max(held[2], east), max(held[3], north)]

    def finish(self) -> None:
        """Write what is left, and close the file."""
        for index in self._indexes.values():
            index.finish()
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
