"""The record that the project NightISS keeps of a registered photo, in its table `imagenesISS`.

What only that project knows has a column that is never written: what people fill in there stays.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from regengine.exchange.export.columns import FRAME_COLUMNS, POINT_COLUMNS
from regengine.exchange.export.columns import KEYS as FRAME_KEYS
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.sql.columns import (
    APERTURE,
    EXTRA,
    FOOTPRINT,
    ISO,
    KEY,
    LENS,
    LINK,
    LOADED,
    ORIENTATION,
    SKY,
    SUN,
    SqlColumn,
    SqlTable,
    from_table,
    left_to_people,
    of_frame,
)

# By archives: the position came with the photo's record; by time: from an element set
BY_ARCHIVE, BY_TIME = "record", "tle"


def _nadir(source: str, axis: str, says: str) -> SqlColumn:
    def value(frame: ExportFrame) -> float | None:
        known = frame.result.nadir
        return getattr(known, axis) if known is not None and known.source == source else None

    by = "jsc" if source == BY_ARCHIVE else "time"
    return of_frame(f"nadir_{by}_{axis}", "real", says, value)


def place_of(frame: ExportFrame) -> tuple[str | None, str | None]:
    """Name and country of what a photo shows: a person's, else the city near its centre."""
    if frame.review is not None and frame.review.place is not None:
        return frame.review.place["name"], frame.review.place["country"]
    return frame.towns.centre.city, frame.towns.centre.country


def _place(number: int, frame: ExportFrame) -> Any:
    return place_of(frame)[number]


def _author(frame: ExportFrame) -> str | None:
    if frame.review is not None:
        return frame.review.reviewer
    proposed = frame.camera is not None
    return f"regengine {frame.result.engine_version}".strip() if proposed else None


def _renamed(name: str, of: str, says: str = "") -> SqlColumn:
    """A column of ``--table frames`` under the name that it has in this record."""
    (column,) = from_table(column for column in FRAME_COLUMNS if column.name == of)
    return replace(column, name=name, says=says or column.says)


RECORD = (
    left_to_people("issnight_id", "text", "number of the photo in ISSNight"),
    _renamed("image_id", "frame"),
    _nadir(BY_ARCHIVE, "lon", "longitude of the nadir by the archive's record"),
    _nadir(BY_ARCHIVE, "lat", "geodetic latitude of the nadir by the archive's record"),
    _nadir(BY_TIME, "lon", "longitude of the nadir by the photo's time and an element set"),
    _nadir(BY_TIME, "lat", "geodetic latitude of the nadir by the photo's time"),
    of_frame("country", "text", "country of the place", partial(_place, 1)),
    of_frame(
        "place",
        "text",
        "place that a person named, else the city near the centre",
        partial(_place, 0),
    ),
    ORIENTATION,
    _renamed("comments", "comment", "of the person"),
    LINK,
    of_frame("author", "text", "who decided last, else the program that proposed", _author),
    _renamed("quality", "quality", "by the person, 0 (useless) to 5 (excellent)"),
    LENS,
    _renamed("focal_mm", "focal_mm"),
    _renamed("camera", "camera_body"),
    APERTURE,
    ISO,
    left_to_people("classified_by_jsc", "flag", "whether the archive had placed it already"),
    left_to_people("other_references", "text", "other pages that show it"),
    _renamed("tilt_deg", "off_nadir_deg", "angle of the optical axis from the nadir"),
    _renamed("tags", "tags"),
    SUN,
    _renamed("gmt", "time_utc", "date and time of the photo, GMT"),
)
# What the record has under names of its own
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
KEY_NAMES = {column.name for column in FRAME_KEYS}
IMAGES = SqlTable(
    name="imagenesISS",
    says="photos of the Earth at night that were placed on the map by regengine",
    columns=(
        KEY,
        *RECORD,
        *from_table(FRAME_COLUMNS, without=TOLD),
        _renamed("exif_orientation", "orientation"),
        *EXTRA,
        *SKY,
        replace(FOOTPRINT, name="footprint_wkt"),
        LOADED,
    ),
    rows=lambda _: 1,
)
POINTS = SqlTable(
    name="imagenesISS_points",
    says="control points of photos: pixel and ground",
    columns=(KEY, *from_table(POINT_COLUMNS, without=KEY_NAMES)),
    rows=lambda frame: len(frame.points),
)
