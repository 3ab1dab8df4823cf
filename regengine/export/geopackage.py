"""GeoPackage, the parts that are needed here: tables of features in WGS84, in an SQLite file.

References
----------
OGC 12-128r17, GeoPackage Encoding Standard 1.3: 1.1 (base tables), 2.1 (features), 2.1.3 (the
binary format of geometries).
"""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

from regengine.export.layers import Feature, Layer
from regengine.export.spatial_index import EXTENSIONS_TABLE, SpatialIndex
from regengine.export.wkb import wkb
from regengine.records import printable

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
