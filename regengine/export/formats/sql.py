"""Write a script for a database server, MySQL, MariaDB or PostgreSQL, a batch of frames at a time.

Literals have the same meaning with all server settings. MySQL takes a backslash in a string as an
escape unless ``NO_BACKSLASH_ESCAPES`` is set, and its client converts line ends; PostgreSQL does
the former if ``standard_conforming_strings`` is off. Text with a backslash or a control character
is therefore written unambiguously: as hexadecimal digits for MySQL, as an ``E'...'`` string for
PostgreSQL.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from matchers.geometry.camera import is_turned
from regengine.export.formats import ExportOptions, FileFormat
from regengine.frames.columns import (
    FRAME_COLUMNS,
    OF_POINTS,
    TableColumn,
    archive_page,
    column,
    make_storable_text,
    of_frame,
)
from regengine.frames.frame import ExportFrame
from regengine.frames.geometry import describe_orientation, sky_position
from regengine.io.decoding import open_regular
from regengine.io.times import parse_iso_time
from regengine.photo.exif import Exif, read_exif_of
from regengine.photo.notations import wrap_lon
from regengine.store.result import Kind

FIRST_YEAR = 1000  # the first of MySQL's DATETIME
UNITS = {unit: unit for unit in ("km", "m", "mm", "px", "s")} | {
    **dict.fromkeys(("deg", "lon", "lat"), "degrees"),
    "um": "micrometres",
    "px2": "square px",
    "m2": "square m",
    "h": "hours",
    "utc": "UTC",
}


def comment_of(column: TableColumn) -> str:
    """Description of a column, with its unit if it has one that the description does not name."""
    said = column.description
    unit = UNITS.get(column.units or column.name.rpartition("_")[2], "")
    has_unit = not unit or any(word in said.split() for word in (unit, unit.split()[0]))
    return said if has_unit else f"{said} [{unit}]"


def make_unset_column(name: str, kind: Kind, says: str) -> TableColumn:
    says = f"{says}; yours to fill in, never overwritten by loading"
    return TableColumn(name=name, kind=kind, description=says, value=lambda *_: None, written=False)


LOADED = of_frame("loaded_at", "loaded", "time of the last load", lambda _: True)


def moment(text: str) -> datetime | None:
    """Parse a UTC time within the range of both servers; None if the text is not one."""
    time = parse_iso_time(text)
    return time if time is not None and time.year >= FIRST_YEAR else None


# Columns of a photo on servers in addition to those of ``--table frames``.


def photo_key(frame: ExportFrame) -> str:
    result = frame.result
    parts = [make_storable_text(text) for text in (result.frame, result.sha256 or result.path)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


KEY = of_frame(
    "photo_key", "key", "SHA-256 of the frame's id, a line break and the photo's SHA-256", photo_key
)


def sun_elevation_deg(frame: ExportFrame) -> float | None:
    """Elevation of the Sun at the nadir, as given in the archive."""
    from regengine.orbit.rotation import sun_moon

    prior, time = frame.result.nadir, moment(frame.result.time_utc or "")
    place = frame.nadir or (None if prior is None else (prior.lon, prior.lat))
    if place is None or time is None or not np.isfinite(place).all():
        return None
    return sun_moon(time, *place).sun_elevation_deg


@lru_cache(maxsize=4)  # for one frame after the other, one column at a time
def read_photo_exif(photo: Path | None) -> Exif:
    """EXIF of a frame's photo; empty if the photo is not found, or its EXIF damaged or missing."""
    try:
        if photo is not None:
            with open_regular(photo) as stream:
                return read_exif_of(stream)
    except OSError:
        pass
    return Exif()


def _make_exif_column(name: str, kind: Kind, says: str) -> TableColumn:
    return of_frame(name, kind, says, lambda frame: getattr(read_photo_exif(frame.photo), name))


ORIENTATION = of_frame(
    "orientation",
    "text",
    "orientation of the picture as stored",
    lambda frame: None if frame.stance is None else describe_orientation(frame.stance),
)
LENS = _make_exif_column("lens", "text", "lens by the photo's EXIF")
APERTURE = _make_exif_column("aperture_f", "real", "f-number by the photo's EXIF")
ISO = _make_exif_column("iso", "real", "sensitivity by the photo's EXIF")
SUN = of_frame("sun_elevation_deg", "real", "elevation of the Sun at the nadir", sun_elevation_deg)
LINK = of_frame(
    "link",
    "text",
    "page of the photo in NASA's archive",
    lambda frame: archive_page(frame.result.frame),
)
EXTRA = (
    _make_exif_column("exposure_s", "real", "exposure time by the photo's EXIF"),
    column(
        "up_bearing_deg",
        "stance[up_bearing_deg]",
        "bearing of the upward direction of the picture as stored, at its centre, from north to "
        "east; none where the centre is sky",
        "real",
    ),
    column(
        "look_bearing_deg",
        "stance[look_bearing_deg]",
        "bearing from the place below the camera to the image centre, from north to east",
        "real",
    ),
)
NADIR = column("nadir", "nadir", "place below the solved camera", "point")
CENTRE = column("centre", "centre", "place that the image centre shows", "point")
FOOTPRINT = column(
    "footprint",
    "footprint",
    "ground in sight up to 80 degrees of incidence, cut at the antimeridian",
    "polygons",
)


def find_sky(frame: ExportFrame) -> dict[str, float] | None:
    """Direction of a frame's camera among the stars; None without a camera or a time."""
    time = moment(frame.result.time_utc or "")
    if time is None or frame.camera is None or not is_turned(frame.camera):
        return None
    with np.errstate(all="ignore"):
        return sky_position(frame.camera, time)


def _make_sky_column(name: str, says: str) -> TableColumn:
    kind: Kind = "flag" if name == "sees_sky" else "real"
    return of_frame(name, kind, says, lambda frame: (find_sky(frame) or {}).get(name))


SKY = tuple(
    _make_sky_column(name, says)
    for name, says in {
        "ra_deg": "right ascension of the image centre, ICRS",
        "dec_deg": "declination of the image centre, ICRS",
        "position_angle_deg": "position angle of the picture's upward direction, from north to "
        "east",
        "radius_deg": "angle from the image centre to the farthest corner",
        "sees_sky": "whether part of the picture is above the horizon",
        "earth_ra_deg": "right ascension of the middle of the Earth's disc, ICRS",
        "earth_dec_deg": "declination of the middle of the Earth's disc, ICRS",
        "earth_radius_deg": "radius of the Earth's disc, accurate to 0.3 degrees",
    }.items()
)


# One table contains photos; rows of the others refer to a photo.


@dataclass(frozen=True, kw_only=True)
class SqlTable:
    """A table on a server; its first column is the photo's key.

    ``rows`` takes a frame and returns its number of rows in the table.
    """

    name: str
    description: str
    columns: tuple[TableColumn, ...]
    rows: Callable[[ExportFrame], int]

    @property
    def written(self) -> tuple[TableColumn, ...]:
        return tuple(one for one in self.columns if one.written)


POSTGRESQL_FRAMES = SqlTable(
    name="regengine.frames",
    description="photos placed on the map",
    columns=(
        *(KEY, *FRAME_COLUMNS, LENS, APERTURE, ISO, *EXTRA, SUN, LINK),
        *(NADIR, CENTRE, FOOTPRINT, LOADED),
    ),
    rows=lambda _: 1,
)
POSTGRESQL_POINTS = SqlTable(
    name="regengine.control_points",
    description="control points of photos: pixel and ground",
    columns=(
        KEY,
        *OF_POINTS,
        TableColumn(
            name="ground",
            kind="point",
            description="place that the pixel shows",
            value=lambda frame, number: (frame.points[number].lon, frame.points[number].lat),
        ),
    ),
    rows=lambda frame: len(frame.points),
)
POSTGRESQL_SKY = SqlTable(
    name="regengine.sky",
    description="pointing among the stars of photos with a camera and a time",
    columns=(KEY, *SKY),
    rows=lambda frame: find_sky(frame) is not None,
)

# The record of a registered photo in the NightISS project, in its table `imagenesISS`. Columns that
# only that project can fill in are never written: values that people enter there are kept.


def _nadir(by: str, source: str, axis: str, says: str) -> TableColumn:
    """A coordinate of the prior nadir, if it has this source."""

    def value(frame: ExportFrame) -> float | None:
        known = frame.result.nadir
        return getattr(known, axis) if known is not None and known.source == source else None

    return of_frame(f"nadir_{by}_{axis}", "real", says, value)


def _author(frame: ExportFrame) -> str | None:
    if frame.review is not None:
        return frame.review.reviewer
    proposed = frame.camera is not None
    return f"regengine {frame.result.engine_version}".strip() if proposed else None


def _rename_column(name: str, of: str, says: str = "") -> TableColumn:
    """A column of ``--table frames`` under its name in this record."""
    (found,) = (one for one in FRAME_COLUMNS if one.name == of)
    return replace(found, name=name, description=says or found.description)


# The record's position is by archive, from the photo's record, or by time, from an element set
RECORD = (
    make_unset_column("issnight_id", "text", "number of the photo in ISSNight"),
    _rename_column("image_id", "frame"),
    _nadir("jsc", "record", "lon", "longitude of the nadir by the archive's record"),
    _nadir("jsc", "record", "lat", "geodetic latitude of the nadir by the archive's record"),
    _nadir("time", "tle", "lon", "longitude of the nadir by the photo's time and an element set"),
    _nadir("time", "tle", "lat", "geodetic latitude of the nadir by the photo's time"),
    _rename_column("country", "country"),
    _rename_column("place", "place"),
    ORIENTATION,
    _rename_column("comments", "comment", "the reviewer's"),
    LINK,
    of_frame("author", "text", "reviewer who decided last, else the program", _author),
    _rename_column("quality", "quality", "the reviewer's, 0 (useless) to 5 (excellent)"),
    LENS,
    _rename_column("focal_mm", "focal_mm"),
    _rename_column("camera", "camera_body"),
    APERTURE,
    ISO,
    make_unset_column("classified_by_jsc", "flag", "whether the archive had placed it before"),
    make_unset_column("other_references", "text", "other pages that show it"),
    _rename_column("tilt_deg", "off_nadir_deg", "off-nadir angle of the optical axis"),
    _rename_column("tags", "tags"),
    SUN,
    _rename_column("gmt", "time_utc", "date and time of the photo, GMT"),
)
RECORDED = {mark for one in RECORD for mark in (one.name, one.value)}
NIGHTISS_IMAGES = SqlTable(
    name="imagenesISS",
    description="night photos of the Earth, placed on the map by regengine",
    columns=(
        KEY,
        *RECORD,
        *(one for one in FRAME_COLUMNS if RECORDED.isdisjoint((one.name, one.value))),
        _rename_column("exif_orientation", "orientation"),
        *EXTRA,
        *SKY,
        replace(FOOTPRINT, name="footprint_wkt"),
        LOADED,
    ),
    rows=lambda _: 1,
)
NIGHTISS_POINTS = SqlTable(
    name="imagenesISS_points",
    description="control points of photos: pixel and ground",
    columns=(KEY, *OF_POINTS),
    rows=lambda frame: len(frame.points),
)


# MySQL servers reject statements longer than max_allowed_packet, 1 MiB in the oldest
BATCH_BYTES = 256 * 1024
BATCH_FRAMES = 200

NULL = "NULL"
_TRICKY = re.compile("[\\\\\x00-\x1f\x7f]")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def mysql_text(text: str) -> str:
    """Text as a literal of MySQL and MariaDB with any ``sql_mode``."""
    held = make_storable_text(text)
    if _TRICKY.search(held):
        return f"_utf8mb4 X'{held.encode().hex()}'"
    return "'" + held.replace("'", "''") + "'"


def postgresql_text(text: str) -> str:
    """Text as a literal of PostgreSQL with any ``standard_conforming_strings``."""
    held = make_storable_text(text).replace("'", "''")
    if not _TRICKY.search(held):
        return f"'{held}'"
    plain = _TRICKY.sub(lambda one: _ESCAPES.get(one[0]) or f"\\x{ord(one[0]):02x}", held)
    return f"E'{plain}'"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """A kind of server: a table of photos, and tables replaced together with their photo."""

    name: str
    photos: SqlTable
    parts: tuple[SqlTable, ...]
    head: str  # statements before the rows: settings, tables, start of the transaction
    tail: str  # statements after the rows
    on_known_photo: str  # begins the end of an INSERT: handling of a photo that already exists
    new_value: str  # a column's value there

    def literal(self, kind: Kind, value: Any) -> str:
        """A value as a literal with any settings; ``NULL`` if it is not one of its kind."""
        is_mysql = self.name == "mysql"
        wkt = ""  # longitude first
        match kind:
            case "text" | "key":
                return (mysql_text if is_mysql else postgresql_text)(str(value))
            case "real":
                return repr(float(value)) if math.isfinite(value) else NULL
            case "moment":
                time = moment(value)
                if time is not None and is_mysql:
                    time = time.replace(tzinfo=None)
                return f"'{time.isoformat(' ')}'" if time else NULL
            case "point":
                lon, lat = value
                if math.isfinite(lon) and -90.0 <= lat <= 90.0:
                    wkt = f"POINT({wrap_lon(lon)!r} {lat!r})"
            case "polygons":
                rings = (",".join(f"{lon!r} {lat!r}" for lon, lat in ring) for ring in value)
                wkt = f"MULTIPOLYGON({','.join(f'(({ring}))' for ring in rings)})" if value else ""
            case "loaded":
                return "@regengine_loaded" if is_mysql else "now()"
            case "flag" if not is_mysql:
                return "true" if value else "false"
            case _:
                return str(int(value))
        return f"'{'' if is_mysql else 'SRID=4326;'}{wkt}'" if wkt else NULL


# Types of MySQL and PostgreSQL
TYPES: dict[Kind, tuple[str, str]] = {
    "key": ("CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL", "text NOT NULL"),
    "text": ("MEDIUMTEXT", "text"),
    "real": ("DOUBLE", "double precision"),
    "whole": ("BIGINT", "bigint"),
    "flag": ("BOOLEAN", "boolean"),
    "moment": ("DATETIME(6)", "timestamptz"),
    "point": ("", "geography(Point, 4326)"),
    "polygons": ("MEDIUMTEXT", "geometry(MultiPolygon, 4326)"),
    "loaded": ("TIMESTAMP(6) NULL", "timestamptz"),
}
MYSQL_STORAGE = (
    "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci"
)
# The connection's own settings are restored at the end
MYSQL_SETTINGS = """\
SET @regengine_sql_mode = @@SESSION.sql_mode,
    @regengine_client = @@SESSION.character_set_client,
    @regengine_results = @@SESSION.character_set_results,
    @regengine_collation = @@SESSION.collation_connection;
SET NAMES utf8mb4;
SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION';
SET @regengine_loaded = CURRENT_TIMESTAMP(6);
"""
MYSQL_SETTINGS_BACK = """\
SET SESSION sql_mode = @regengine_sql_mode,
    SESSION character_set_client = @regengine_client,
    SESSION character_set_results = @regengine_results,
    SESSION collation_connection = @regengine_collation;
"""


def _mysql_table(table: SqlTable, *last: str, first: str = "") -> str:
    columns = [
        f"{column.name} {TYPES[column.kind][0]}{' NOT NULL' if column.name == 'point' else ''} "
        f"COMMENT {mysql_text(comment_of(column))}"
        for column in table.columns
    ]
    inside = first + ",\n  ".join([*columns, *last])
    comment = mysql_text(table.description)
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} (\n  {inside}\n) "
        f"{MYSQL_STORAGE} COMMENT={comment};\n"
    )


# NightISS's table of registered photos, and control points. MySQL creates tables outside of
# transactions. A row is replaced except for its number and the columns left to people.
MYSQL = Dialect(
    name="mysql",
    photos=NIGHTISS_IMAGES,
    parts=(NIGHTISS_POINTS,),
    head=f"-- Photos and control points by regengine\n{MYSQL_SETTINGS}"
    + _mysql_table(
        NIGHTISS_IMAGES,
        *("UNIQUE KEY (photo_key)", "KEY (image_id(64))", "KEY (gmt)"),
        "KEY (centre_lat, centre_lon)",
        first="classification_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY "
        "COMMENT 'number of the row in this table',\n  ",
    )
    + _mysql_table(
        NIGHTISS_POINTS,
        *("PRIMARY KEY (photo_key, point)", "KEY (lat, lon)"),
        f"FOREIGN KEY (photo_key) REFERENCES {NIGHTISS_IMAGES.name} (photo_key) ON DELETE CASCADE",
    )
    + "BEGIN;\n",
    tail=f"COMMIT;\n{MYSQL_SETTINGS_BACK}",
    on_known_photo="ON DUPLICATE KEY UPDATE",
    new_value="VALUES({})",
)


# One box on each side of the antimeridian: an index cannot use both in one condition
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
POSTGRESQL_SETTINGS = """\
BEGIN;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE EXTENSION IF NOT EXISTS q3c;
CREATE SCHEMA IF NOT EXISTS regengine;
"""


def _postgresql_table(table: SqlTable, *last: str) -> str:
    lines = [*(f"{column.name} {TYPES[column.kind][1]}" for column in table.columns), *last]
    inside = ",\n  ".join(lines)
    comments = [("TABLE", table.name, table.description)] + [
        ("COLUMN", f"{table.name}.{column.name}", comment_of(column)) for column in table.columns
    ]
    return f"CREATE TABLE IF NOT EXISTS {table.name} (\n  {inside}\n);\n" + "".join(
        f"COMMENT ON {kind} {name} IS {postgresql_text(says)};\n" for kind, name, says in comments
    )


PARENT = f"FOREIGN KEY (photo_key) REFERENCES {POSTGRESQL_FRAMES.name} ON DELETE CASCADE"
# PostGIS for the ground, Q3C for the sky, in the schema ``regengine``
POSTGRESQL = Dialect(
    name="postgresql",
    photos=POSTGRESQL_FRAMES,
    parts=(POSTGRESQL_POINTS, POSTGRESQL_SKY),
    head=f"-- Photos, control points and sky positions by regengine\n{POSTGRESQL_SETTINGS}"
    + _postgresql_table(POSTGRESQL_FRAMES, "PRIMARY KEY (photo_key)")
    + _postgresql_table(POSTGRESQL_POINTS, "PRIMARY KEY (photo_key, point)", PARENT)
    + _postgresql_table(POSTGRESQL_SKY, "PRIMARY KEY (photo_key)", PARENT)
    + "".join(f"CREATE INDEX IF NOT EXISTS {name} ON {on};\n" for name, on in INDICES)
    + IN_BOX,
    tail="COMMIT;\n",
    on_known_photo="ON CONFLICT (photo_key) DO UPDATE SET",
    new_value="EXCLUDED.{}",
)
DIALECTS = {one.name: one for one in (MYSQL, POSTGRESQL)}


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    assert options.dialect is not None  # checked before the store is read
    dialect = DIALECTS[options.dialect]
    tables = (dialect.photos, *dialect.parts)
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(dialect.head)
        keys: set[str] = set()
        batch: dict[str, list[str]] = {table.name: [] for table in tables}
        held = dict.fromkeys(batch, 0)
        for frame in frames:
            key = photo_key(frame)
            rows: dict[str, list[str]] = {}
            for table in tables:
                rows[table.name] = []
                for number in range(table.rows(frame)):
                    values = [(one.kind, one.value(frame, number)) for one in table.written]
                    cells = (
                        NULL if v is None or v == "" else dialect.literal(kind, v)
                        for kind, v in values
                    )
                    rows[table.name].append(f"({', '.join(cells)})")
            sizes = {name: sum(len(row.encode()) + 2 for row in of) for name, of in rows.items()}
            full = any(held[name] + size > BATCH_BYTES for name, size in sizes.items())
            # No statement may contain the same photo twice
            if keys and (full or len(keys) >= BATCH_FRAMES or key in keys):
                _write_batch(stream, dialect, keys, batch)
                keys, batch, held = set(), {name: [] for name in batch}, dict.fromkeys(batch, 0)
            keys.add(key)
            for name, found in rows.items():
                batch[name] += found
                held[name] += sizes[name]
        if keys:
            _write_batch(stream, dialect, keys, batch)
        stream.write(dialect.tail)


def _write_batch(
    stream: TextIO, dialect: Dialect, keys: set[str], batch: dict[str, list[str]]
) -> None:
    """Replace existing photos and the rows that refer to them."""
    literals = ", ".join(dialect.literal("key", key) for key in sorted(keys))
    for table in (dialect.photos, *dialect.parts):
        end = ""
        if table is dialect.photos:  # all written columns are replaced, except the key
            names = [column.name for column in table.written if column.kind != "key"]
            known = ", ".join(f"{name} = {dialect.new_value.format(name)}" for name in names)
            end = f"\n{dialect.on_known_photo} {known}"
        else:
            # Contains only names of our own tables, and keys of hexadecimal digits
            where = f"WHERE {KEY.name} IN ({literals})"
            stream.write(f"DELETE FROM {table.name} {where};\n")  # noqa: S608
        if rows := batch[table.name]:
            columns = ", ".join(column.name for column in table.written)
            # The rows are literals of the dialect
            stream.write(f"INSERT INTO {table.name} ({columns}) VALUES\n")
            stream.write(",\n".join(rows) + f"{end};\n")


FORMATS: dict[str, FileFormat] = {"sql": _write}
