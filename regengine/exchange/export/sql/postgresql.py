"""PostgreSQL: PostGIS for the ground, Q3C for the sky, in the schema ``regengine``."""

from __future__ import annotations

from typing import Any

from regengine.exchange.export.columns import FRAME_COLUMNS, KEYS, POINT_COLUMNS
from regengine.exchange.export.sql import literals
from regengine.exchange.export.sql.columns import (
    APERTURE,
    CENTRE,
    EXTRA,
    FOOTPRINT,
    ISO,
    KEY,
    LENS,
    LINK,
    LOADED,
    NADIR,
    SKY,
    SUN,
    Kind,
    SqlTable,
    from_table,
    of_point,
    sky_of,
)

TYPES: dict[Kind, str] = {
    "key": "text NOT NULL",
    "text": "text",
    "real": "double precision",
    "whole": "bigint",
    "flag": "boolean",
    "moment": "timestamptz",
    "point": "geography(Point, 4326)",
    "polygons": "geometry(MultiPolygon, 4326)",
    "loaded": "timestamptz",
}
FRAMES = SqlTable(
    name="regengine.frames",
    says="photos, placed on the map",
    columns=(
        KEY,
        *from_table(FRAME_COLUMNS),
        LENS,
        APERTURE,
        ISO,
        *EXTRA,
        SUN,
        LINK,
        NADIR,
        CENTRE,
        FOOTPRINT,
        LOADED,
    ),
    rows=lambda _: 1,
)
POINTS = SqlTable(
    name="regengine.control_points",
    says="control points of photos: pixel and ground",
    columns=(
        KEY,
        *from_table(POINT_COLUMNS, without=[column.name for column in KEYS]),
        of_point("ground", "place that the pixel shows"),
    ),
    rows=lambda frame: len(frame.points),
)
SKY_TABLE = SqlTable(
    name="regengine.sky",
    says="where photos with a camera and a time look among the stars",
    columns=(KEY, *SKY),
    rows=lambda frame: sky_of(frame) is not None,
)
# One box on each side of the antimeridian: an index cannot use both as one
IN_BOX = """\
CREATE OR REPLACE FUNCTION regengine.in_box(west double precision, south double precision,
    east double precision, north double precision)
  RETURNS SETOF regengine.frames LANGUAGE sql STABLE AS $$
  SELECT * FROM regengine.frames WHERE photo_key IN (
    SELECT photo_key FROM regengine.frames WHERE ST_Intersects(footprint, ST_MakeEnvelope(
        west, south, CASE WHEN west <= east THEN east ELSE 180 END, north, 4326))
    UNION SELECT photo_key FROM regengine.frames WHERE west > east
      AND ST_Intersects(footprint, ST_MakeEnvelope(-180, south, east, north, 4326)))
$$;
COMMENT ON FUNCTION regengine.in_box IS
  'photos that show some of a box in degrees; west > east crosses the antimeridian';
"""
INDICES = (
    ("frames_frame", "regengine.frames (frame)"),
    ("frames_time_utc", "regengine.frames (time_utc)"),
    ("frames_footprint", "regengine.frames USING gist (footprint)"),
    ("frames_footprint_geography", "regengine.frames USING gist ((footprint::geography))"),
    ("frames_nadir", "regengine.frames USING gist (nadir)"),
    ("frames_centre", "regengine.frames USING gist (centre)"),
    ("control_points_ground", "regengine.control_points USING gist (ground)"),
    ("sky_q3c", "regengine.sky (q3c_ang2ipix(ra_deg, dec_deg))"),
)
# Each setting ends with the transaction
SETTINGS = """\
BEGIN;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE EXTENSION IF NOT EXISTS q3c;
CREATE SCHEMA IF NOT EXISTS regengine;
"""


class PostgreSql:
    """See `regengine.exchange.export.sql.columns.Dialect`."""

    photos = FRAMES
    parts = (POINTS, SKY_TABLE)
    tail = "COMMIT;\n"

    @property
    def head(self) -> str:
        """The transaction, settings, extensions, tables with their comments, indices."""
        parent = f"REFERENCES {FRAMES.name} ON DELETE CASCADE"
        parts = [
            "-- Photos, control points and sky positions by regengine\n",
            SETTINGS,
            _table(FRAMES, "PRIMARY KEY (photo_key)"),
            _table(POINTS, "PRIMARY KEY (photo_key, point)", f"FOREIGN KEY (photo_key) {parent}"),
            _table(SKY_TABLE, "PRIMARY KEY (photo_key)", f"FOREIGN KEY (photo_key) {parent}"),
            *(f"CREATE INDEX IF NOT EXISTS {name} ON {on};\n" for name, on in INDICES),
            IN_BOX,
        ]
        return "".join(parts)

    def literal(self, kind: Kind, value: Any) -> str:
        """A value as a literal whatever ``standard_conforming_strings`` is."""
        match kind:
            case "text" | "key":
                return literals.postgresql_text(str(value))
            case "real":
                return literals.number(value)
            case "moment":
                return literals.postgresql_moment(value)
            case "point" | "polygons":
                wkt = (literals.point_wkt if kind == "point" else literals.polygons_wkt)(value)
                return f"'SRID=4326;{wkt}'" if wkt else literals.NULL
            case "loaded":
                return "now()"
            case "flag":
                return "true" if value else "false"
            case _:
                return str(int(value))

    def on_known_photo(self) -> str:
        """The row is replaced."""
        names = [column.name for column in FRAMES.written if column.kind != "key"]
        values = ", ".join(f"{name} = EXCLUDED.{name}" for name in names)
        # Names of our own columns alone
        return f"\nON CONFLICT (photo_key) DO UPDATE SET {values}"  # nosec B608


def _table(table: SqlTable, *last: str) -> str:
    lines = [*(f"{column.name} {TYPES[column.kind]}" for column in table.columns), *last]
    inside = ",\n  ".join(lines)
    comments = [("TABLE", table.name, table.says)] + [
        ("COLUMN", f"{table.name}.{column.name}", column.comment) for column in table.columns
    ]
    return f"CREATE TABLE IF NOT EXISTS {table.name} (\n  {inside}\n);\n" + "".join(
        f"COMMENT ON {kind} {name} IS {literals.postgresql_text(says)};\n"
        for kind, name, says in comments
    )


DIALECT = PostgreSql()
