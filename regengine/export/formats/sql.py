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
from collections.abc import Callable, Iterator, Sequence
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
from regengine.frames.geometry import Ring, describe_orientation, sky_position
from regengine.io.times import parse_iso_time
from regengine.photo.exif import Exif, read_exif
from regengine.photo.record_values import wrap_lon
from regengine.store.schema import COLUMNS, Kind

FIRST_YEAR = 1000  # the first of MySQL's DATETIME
UNITS = {
    "deg": "degrees",
    "lon": "degrees",
    "lat": "degrees",
    "km": "km",
    "m": "m",
    "mm": "mm",
    "um": "micrometres",
    "px": "px",
    "px2": "square px",
    "m2": "square m",
    "h": "hours",
    "s": "s",
    "utc": "UTC",
}
WITHOUT_ENDING = {"x": "px", "y": "px", "principal_x": "px", "principal_y": "px"}
COVARIANCES = {"covariance_px": "square px", "covariance_m": "square m"}


def comment_of(column: TableColumn) -> str:
    """Description of a column, with its unit if its name has one and its description does not."""
    name, said = column.name, column.description
    known = COLUMNS.get(("frames", name)) or COLUMNS.get(("control_points", name))
    covariances = [one for start, one in COVARIANCES.items() if name.startswith(start)]
    if covariances:
        unit = covariances[0]
    elif known is not None and known.units:
        unit = UNITS[known.units]
    else:
        unit = WITHOUT_ENDING.get(name) or UNITS.get(name.rpartition("_")[2], "")
    told = not unit or any(word in said.split() for word in (unit, unit.split()[0]))
    return said if told else f"{said} [{unit}]"


def make_unset_column(name: str, kind: Kind, says: str) -> TableColumn:
    """A column that no script writes."""
    says = f"{says}; yours to fill in, never overwritten by loading"
    return TableColumn(name=name, kind=kind, description=says, value=lambda *_: None, written=False)


LOADED = of_frame("loaded_at", "loaded", "time of the last load", lambda _: True)


def moment(text: str) -> datetime | None:
    """Parse a UTC time within the range of both servers; None if the text is not one."""
    time = parse_iso_time(text)
    return time if time is not None and time.year >= FIRST_YEAR else None


# Columns of a photo on servers in addition to those of ``--table frames``.


def photo_key(frame: ExportFrame) -> str:
    """Key of a photo, the same however often it is loaded."""
    result = frame.result
    told = [make_storable_text(text) for text in (result.frame, result.sha256 or result.path)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


KEY = of_frame(
    "photo_key", "key", "SHA-256 of the frame's id, a line break and the photo's SHA-256", photo_key
)


def sun_elevation_deg(frame: ExportFrame) -> float | None:
    """Elevation of the Sun at the nadir, as given in the archive."""
    from regengine.orbit.rotation import sun_moon

    prior, time = frame.result.nadir, moment(frame.result.time_utc or "")
    place = frame.nadir
    if place is None and prior is not None:
        place = prior.lon, prior.lat
    if place is None or time is None or not np.isfinite(place).all():
        return None
    return sun_moon(time, *place).sun_elevation_deg


def read_photo_exif(frame: ExportFrame) -> Exif:
    """EXIF of the photo, if it is still at its path."""
    return _exif(frame.photo)


@lru_cache(maxsize=4)  # for one frame after the other, one column at a time
def _exif(photo: Path | None) -> Exif:
    return Exif() if photo is None else read_exif(photo)


def _make_exif_column(name: str, kind: Kind, says: str) -> TableColumn:
    return of_frame(name, kind, says, lambda frame: getattr(read_photo_exif(frame), name))


ORIENTATION = of_frame(
    "orientation",
    "text",
    "orientation of the picture as stored",
    lambda frame: None if frame.stance is None else describe_orientation(frame.stance),
)
LENS = _make_exif_column("lens", "text", "lens by the photo's EXIF")
APERTURE = _make_exif_column("aperture_f", "real", "f-number by the photo's EXIF")
ISO = _make_exif_column("iso", "real", "sensitivity by the photo's EXIF")
SUN = of_frame(
    "sun_elevation_deg",
    "real",
    "elevation of the Sun at the nadir",
    sun_elevation_deg,
)
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


def _make_sky_column(name: str, kind: Kind, says: str) -> TableColumn:
    return of_frame(name, kind, says, lambda frame: (find_sky(frame) or {}).get(name))


SKY = (
    _make_sky_column("ra_deg", "real", "right ascension of the image centre, ICRS"),
    _make_sky_column("dec_deg", "real", "declination of the image centre, ICRS"),
    _make_sky_column(
        "position_angle_deg",
        "real",
        "position angle of the picture's upward direction, from north to east",
    ),
    _make_sky_column("radius_deg", "real", "angle from the image centre to the farthest corner"),
    _make_sky_column("sees_sky", "flag", "whether part of the picture is above the horizon"),
    _make_sky_column(
        "earth_ra_deg", "real", "right ascension of the middle of the Earth's disc, ICRS"
    ),
    _make_sky_column(
        "earth_dec_deg", "real", "declination of the middle of the Earth's disc, ICRS"
    ),
    _make_sky_column(
        "earth_radius_deg", "real", "radius of the Earth's disc, accurate to 0.3 degrees"
    ),
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
        """Columns that scripts write."""
        return tuple(one for one in self.columns if one.written)


POSTGRESQL_FRAMES = SqlTable(
    name="regengine.frames",
    description="photos placed on the map",
    columns=(
        KEY,
        *FRAME_COLUMNS,
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

# Position source: by archive, from the photo's record; by time, from an element set
BY_ARCHIVE, BY_TIME = "record", "tle"


def _nadir(source: str, axis: str, says: str) -> TableColumn:
    def value(frame: ExportFrame) -> float | None:
        known = frame.result.nadir
        return getattr(known, axis) if known is not None and known.source == source else None

    by = "jsc" if source == BY_ARCHIVE else "time"
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


RECORD = (
    make_unset_column("issnight_id", "text", "number of the photo in ISSNight"),
    _rename_column("image_id", "frame"),
    _nadir(BY_ARCHIVE, "lon", "longitude of the nadir by the archive's record"),
    _nadir(BY_ARCHIVE, "lat", "geodetic latitude of the nadir by the archive's record"),
    _nadir(BY_TIME, "lon", "longitude of the nadir by the photo's time and an element set"),
    _nadir(BY_TIME, "lat", "geodetic latitude of the nadir by the photo's time"),
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
# Values that the record contains under its own names
TOLD = {
    "frame",
    "place",
    "country",
    "comment",
    "quality",
    "focal_mm",
    "camera_body",
    "off_nadir_deg",
    "tags",
    "time_utc",
    "orientation",
}
NIGHTISS_IMAGES = SqlTable(
    name="imagenesISS",
    description="night photos of the Earth, placed on the map by regengine",
    columns=(
        KEY,
        *RECORD,
        *(one for one in FRAME_COLUMNS if one.name not in TOLD),
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


def number(value: float) -> str:
    """A number with all its digits; ``NULL`` if it is not finite."""
    return repr(float(value)) if math.isfinite(value) else NULL


def point_wkt(place: tuple[float, float]) -> str | None:
    """A place as well-known text, longitude first; None if there is none."""
    lon, lat = place
    if not (math.isfinite(lon) and -90.0 <= lat <= 90.0):
        return None
    return f"POINT({wrap_lon(lon)!r} {lat!r})"


def polygons_wkt(rings: list[Ring]) -> str | None:
    """Polygons as well-known text, longitude first; None if there are none."""
    if not rings:
        return None
    parts = (",".join(f"{lon!r} {lat!r}" for lon, lat in ring) for ring in rings)
    return "MULTIPOLYGON(" + ",".join(f"(({part}))" for part in parts) + ")"


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """A kind of server: a table of photos, and tables replaced together with their photo."""

    photos: SqlTable
    parts: tuple[SqlTable, ...]
    head: str  # statements before the rows: settings, tables, start of the transaction
    tail: str  # statements after the rows
    literal: Callable[[Kind, Any], str]  # a value that is not None, with any settings
    on_known_photo: str  # end of an INSERT: handling of a photo that already exists


MYSQL_TYPES: dict[Kind, str] = {
    "key": "CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL",
    "text": "MEDIUMTEXT",
    "real": "DOUBLE",
    "whole": "BIGINT",
    "flag": "BOOLEAN",
    "moment": "DATETIME(6)",
    "polygons": "MEDIUMTEXT",
    "loaded": "TIMESTAMP(6) NULL",
}
MYSQL_ID = (
    "classification_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT "
    "'number of the row in this table'"
)
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


def mysql_literal(kind: Kind, value: Any) -> str:
    """A value as a literal with any ``sql_mode``."""
    match kind:
        case "text" | "key":
            return mysql_text(str(value))
        case "real":
            return number(value)
        case "moment":
            time = moment(value)
            return f"'{time.replace(tzinfo=None).isoformat(' ')}'" if time else NULL
        case "polygons":
            return f"'{polygons_wkt(value)}'" if value else NULL
        case "loaded":
            return "@regengine_loaded"
        case _:
            return str(int(value))


def _mysql_table(table: SqlTable, *last: str, first: Sequence[str] = ()) -> str:
    columns = [
        f"{column.name} {MYSQL_TYPES[column.kind]}{' NOT NULL' if column.name == 'point' else ''} "
        f"COMMENT {mysql_text(comment_of(column))}"
        for column in table.columns
    ]
    inside = ",\n  ".join([*first, *columns, *last])
    comment = mysql_text(table.description)
    return (
        f"CREATE TABLE IF NOT EXISTS {table.name} (\n  {inside}\n) "
        f"{MYSQL_STORAGE} COMMENT={comment};\n"
    )


def _format_replacement(table: SqlTable, form: str) -> str:
    """Assignments for a photo that already exists: all written columns except its key."""
    names = [column.name for column in table.written if column.kind != "key"]
    return ", ".join(f"{name} = {form.format(name)}" for name in names)


# NightISS's table of registered photos, and control points. MySQL creates tables outside of
# transactions. A row is replaced except for its number and the columns left to people.
MYSQL = Dialect(
    photos=NIGHTISS_IMAGES,
    parts=(NIGHTISS_POINTS,),
    head="".join(
        [
            f"-- Photos and control points by regengine\n{MYSQL_SETTINGS}",
            _mysql_table(
                NIGHTISS_IMAGES,
                "UNIQUE KEY (photo_key)",
                "KEY (image_id(64))",
                "KEY (gmt)",
                "KEY (centre_lat, centre_lon)",
                first=[MYSQL_ID],
            ),
            _mysql_table(
                NIGHTISS_POINTS,
                "PRIMARY KEY (photo_key, point)",
                "KEY (lat, lon)",
                f"FOREIGN KEY (photo_key) REFERENCES {NIGHTISS_IMAGES.name} (photo_key) "
                "ON DELETE CASCADE",
            ),
            "BEGIN;\n",
        ]
    ),
    tail=f"COMMIT;\n{MYSQL_SETTINGS_BACK}",
    literal=mysql_literal,
    on_known_photo=f"\nON DUPLICATE KEY UPDATE "
    f"{_format_replacement(NIGHTISS_IMAGES, 'VALUES({})')}",
)


POSTGRESQL_TYPES: dict[Kind, str] = {
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


def postgresql_literal(kind: Kind, value: Any) -> str:
    """A value as a literal with any ``standard_conforming_strings``."""
    match kind:
        case "text" | "key":
            return postgresql_text(str(value))
        case "real":
            return number(value)
        case "moment":
            time = moment(value)
            return f"'{time.isoformat(' ')}'" if time else NULL
        case "point" | "polygons":
            wkt = (point_wkt if kind == "point" else polygons_wkt)(value)
            return f"'SRID=4326;{wkt}'" if wkt else NULL
        case "loaded":
            return "now()"
        case "flag":
            return "true" if value else "false"
        case _:
            return str(int(value))


def _postgresql_table(table: SqlTable, *last: str) -> str:
    lines = [*(f"{column.name} {POSTGRESQL_TYPES[column.kind]}" for column in table.columns), *last]
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
    photos=POSTGRESQL_FRAMES,
    parts=(POSTGRESQL_POINTS, POSTGRESQL_SKY),
    head="".join(
        [
            "-- Photos, control points and sky positions by regengine\n",
            POSTGRESQL_SETTINGS,
            _postgresql_table(POSTGRESQL_FRAMES, "PRIMARY KEY (photo_key)"),
            _postgresql_table(POSTGRESQL_POINTS, "PRIMARY KEY (photo_key, point)", PARENT),
            _postgresql_table(POSTGRESQL_SKY, "PRIMARY KEY (photo_key)", PARENT),
            *(f"CREATE INDEX IF NOT EXISTS {name} ON {on};\n" for name, on in INDICES),
            IN_BOX,
        ]
    ),
    tail="COMMIT;\n",
    literal=postgresql_literal,
    on_known_photo=(
        f"\nON CONFLICT (photo_key) DO UPDATE SET "
        f"{_format_replacement(POSTGRESQL_FRAMES, 'EXCLUDED.{}')}"
    ),
)
DIALECTS = {"mysql": MYSQL, "postgresql": POSTGRESQL}


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    assert options.dialect is not None  # checked before the store is read
    dialect = DIALECTS[options.dialect]
    tables = (dialect.photos, *dialect.parts)
    key_of = dialect.photos.columns[0].value
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(dialect.head)
        keys: set[str] = set()
        batch: dict[str, list[str]] = {table.name: [] for table in tables}
        held = dict.fromkeys(batch, 0)
        for frame in frames:
            rows = {table.name: _rows_of(table, frame, dialect) for table in tables}
            sizes = {name: sum(len(row.encode()) + 2 for row in of) for name, of in rows.items()}
            full = any(held[name] + size > BATCH_BYTES for name, size in sizes.items())
            # No statement may contain the same photo twice
            if keys and (full or len(keys) >= BATCH_FRAMES or key_of(frame, 0) in keys):
                _write_batch(stream, dialect, keys, batch)
                keys, batch, held = set(), {name: [] for name in batch}, dict.fromkeys(batch, 0)
            keys.add(key_of(frame, 0))
            for name, found in rows.items():
                batch[name] += found
                held[name] += sizes[name]
        if keys:
            _write_batch(stream, dialect, keys, batch)
        stream.write(dialect.tail)


def _rows_of(table: SqlTable, frame: ExportFrame, dialect: Dialect) -> list[str]:
    rows = []
    for number in range(table.rows(frame)):
        values = [(column.kind, column.value(frame, number)) for column in table.written]
        cells = (NULL if v is None or v == "" else dialect.literal(kind, v) for kind, v in values)
        rows.append(f"({', '.join(cells)})")
    return rows


def _write_batch(
    stream: TextIO, dialect: Dialect, keys: set[str], batch: dict[str, list[str]]
) -> None:
    """Replace existing photos and the rows that refer to them."""
    key_column = dialect.photos.columns[0]
    literals = ", ".join(dialect.literal(key_column.kind, key) for key in sorted(keys))
    for table in (dialect.photos, *dialect.parts):
        if table is not dialect.photos:
            # Contains only names of our own tables, and keys of hexadecimal digits
            where = f"WHERE {key_column.name} IN ({literals})"
            stream.write(f"DELETE FROM {table.name} {where};\n")  # noqa: S608
        if rows := batch[table.name]:
            names = ", ".join(column.name for column in table.written)
            end = dialect.on_known_photo if table is dialect.photos else ""
            # The rows are literals of the dialect
            stream.write(f"INSERT INTO {table.name} ({names}) VALUES\n")
            stream.write(",\n".join(rows) + f"{end};\n")


FORMATS = {
    "sql": FileFormat(
        endings=(".sql",),
        write=_write,
    )
}
