"""Tables and columns for database servers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from matchers.geometry.camera import is_turned
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
from regengine.frames.geometry import SkyPosition, describe_orientation, sky_position
from regengine.io.times import parse_iso_time
from regengine.photo.exif import Exif, read_exif
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
    unit, said = unit_of(column.name), column.description
    told = not unit or any(word in said.split() for word in (unit, unit.split()[0]))
    return said if told else f"{said} [{unit}]"


def make_unset_column(name: str, kind: Kind, says: str) -> TableColumn:
    """A column that no script writes."""
    says = f"{says}; yours to fill in, never overwritten by loading"
    return TableColumn(name=name, kind=kind, description=says, value=lambda *_: None, written=False)


LOADED = of_frame("loaded_at", "loaded", "time of the last load", lambda _: True)


def unit_of(name: str) -> str:
    """Unit of a column's values by its name; empty if it has none."""
    for start, unit in COVARIANCES.items():
        if name.startswith(start):
            return unit
    known = COLUMNS.get(("frames", name)) or COLUMNS.get(("control_points", name))
    if known is not None and known.units:
        return UNITS[known.units]
    ending = name.rpartition("_")[2]
    return WITHOUT_ENDING.get(name) or UNITS.get(ending, "")


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
    from regengine.orbit.sun_moon import sun_moon

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


def find_sky(frame: ExportFrame) -> SkyPosition | None:
    """Direction of a frame's camera among the stars; None without a camera or a time."""
    time = moment(frame.result.time_utc or "")
    if time is None or frame.camera is None or not is_turned(frame.camera):
        return None
    with np.errstate(all="ignore"):
        return sky_position(frame.camera, time)


def _make_sky_column(name: str, kind: Kind, says: str) -> TableColumn:
    return of_frame(name, kind, says, lambda frame: getattr(find_sky(frame), name, None))


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
