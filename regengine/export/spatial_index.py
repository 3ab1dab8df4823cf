"""The spatial index of a GeoPackage: the extension ``gpkg_rtree_index``.

References
----------
OGC 12-128r17, GeoPackage Encoding Standard 1.3: annex F.3 (RTree Spatial Indexes), 2.3 (the table
of extensions).
"""

from __future__ import annotations

import sqlite3

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
