"""Columns of SQL tables: those of the other tables, with types that only servers have."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from matchers.camera import is_turned
from regengine.exchange.export.columns import TableColumn
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.sql.literals import (
    Bearings,
    SkyPosition,
    bearings,
    held_text,
    moment,
    sky_position,
)
from regengine.photo.exif import Exif, read_exif
from regengine.photo.frame_records import archive_frame_id
from regengine.report.page import photo_file
from regengine.store.schema import COLUMNS

Kind = Literal["key", "text", "real", "whole", "flag", "moment", "point", "polygons", "loaded"]
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


@dataclass(frozen=True, kw_only=True)
class SqlColumn:
    """A column of a table on a server.

    Attributes
    ----------
    name : str
        Lower case letters, digits and underscores.
    kind : str
        ``key`` (64 hexadecimal digits), ``text``, ``real``, ``whole``, ``flag``, ``moment``,
        ``point``, ``polygons``, ``loaded`` (the server's own time of the load); every value but a
        key may be missing.
    says : str
        What it holds, for the column's comment; see `comment`.
    value : callable
        Takes the frame and the number of the row among its rows in the table.
    written : bool
        False where the column is left to people: no script touches it.
    """

    name: str
    kind: Kind
    says: str
    value: Callable[[ExportFrame, int], Any]
    written: bool = True

    @property
    def comment(self) -> str:
        """What the column holds, with its unit."""
        unit = unit_of(self.name)
        told = not unit or any(word in self.says.split() for word in (unit, unit.split()[0]))
        return self.says if told else f"{self.says} [{unit}]"


def of_frame(name: str, kind: Kind, says: str, value: Callable[[ExportFrame], Any]) -> SqlColumn:
    """A column of which a frame has one value."""
    return SqlColumn(name=name, kind=kind, says=says, value=lambda frame, _: value(frame))


def of_point(name: str, says: str) -> SqlColumn:
    """A column with the place of a control point."""
    return SqlColumn(
        name=name,
        kind="point",
        says=says,
        value=lambda frame, number: (frame.points[number].lon, frame.points[number].lat),
    )


def left_to_people(name: str, kind: Kind, says: str) -> SqlColumn:
    """A column that no script touches."""
    says = f"{says}; yours to fill in: loading leaves it alone"
    return SqlColumn(name=name, kind=kind, says=says, value=lambda *_: None, written=False)


LOADED = of_frame("loaded_at", "loaded", "when the row was last loaded", lambda _: True)


def from_table(columns: Iterable[TableColumn], without: Iterable[str] = ()) -> list[SqlColumn]:
    """Columns of another table; what ends in ``_utc`` is a moment."""
    return [
        SqlColumn(
            name=column.name,
            kind="moment" if column.name.endswith("_utc") else column.kind,
            says=column.says,
            value=partial(_moment, column) if column.name.endswith("_utc") else column.value,
        )
        for column in columns
        if column.name not in set(without)
    ]


def unit_of(name: str) -> str:
    """Unit of a column's values by its name; empty where it has none."""
    for start, unit in COVARIANCES.items():
        if name.startswith(start):
            return unit
    known = COLUMNS.get(("frames", name)) or COLUMNS.get(("control_points", name))
    if known is not None and known.units:
        return UNITS[known.units]
    ending = name.rpartition("_")[2]
    return WITHOUT_ENDING.get(name) or UNITS.get(ending, "")


def _moment(column: TableColumn, frame: ExportFrame, number: int) -> Any:
    text = column.value(frame, number)
    return moment(text) if text else None


# What servers are told of a photo beside the columns of ``--table frames``.

ARCHIVE_PAGE = "https://eol.jsc.nasa.gov/SearchPhotos/photo.pl?mission={}&roll={}&frame={}"


def guarded(value: Callable[[ExportFrame], Any]) -> Callable[[ExportFrame], Any]:
    """A value of a frame's camera; missing where there is none or a damaged one."""

    def of(frame: ExportFrame) -> Any:
        if frame.camera is None or not is_turned(frame.camera):
            return None
        with np.errstate(all="ignore"):
            return value(frame)

    return of


def photo_key(frame: ExportFrame) -> str:
    """What a photo is known by, however often it is loaded."""
    result = frame.result
    told = [held_text(text) for text in (result.frame, result.sha256 or result.path)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()


KEY = of_frame(
    "photo_key", "key", "SHA-256 of the frame's id, a line break and the photo's SHA-256", photo_key
)


def archive_link(frame: ExportFrame) -> str | None:
    """The page of a photo in NASA's archive; None where its name is none of the archive's."""
    name = archive_frame_id(frame.result.frame)
    return ARCHIVE_PAGE.format(*name.split("-")) if name == frame.result.frame else None


def sun_elevation_deg(frame: ExportFrame) -> float | None:
    """Elevation of the Sun at the nadir, as the archive has it."""
    from regengine.orbit.sun_moon import sun_moon

    place, time = frame.nadir, moment(frame.result.time_utc or "")
    if place is None or time is None or not np.isfinite(place).all():
        return None
    return sun_moon(time, *place).sun_elevation_deg


def centre(frame: ExportFrame) -> tuple[float, float] | None:
    """The place that the image centre shows; not finite for the sky."""
    stance = frame.stance
    return None if stance is None else (stance["centre_lon"], stance["centre_lat"])


def exif_of(frame: ExportFrame) -> Exif:
    """What the photo itself tells, where it still lies where it lay."""
    return _exif(frame.result.path, frame.store)


@lru_cache(maxsize=4)  # of one frame after the other, a column at a time
def _exif(path: str, store: Path) -> Exif:
    file = photo_file(path, store)
    return Exif() if file is None else read_exif(file)


def _of_bearings(name: str, kind: Kind, says: str, value: Callable[[Bearings], Any]) -> SqlColumn:
    return of_frame(name, kind, says, guarded(lambda frame: value(bearings(frame.camera))))


def _of_exif(name: str, kind: Kind, says: str, field: str) -> SqlColumn:
    return of_frame(name, kind, says, lambda frame: getattr(exif_of(frame), field))


ORIENTATION = _of_bearings(
    "orientation", "text", "which way is up in the picture as stored", lambda found: found.words
)
LENS = _of_exif("lens", "text", "lens by the photo's EXIF", "lens")
APERTURE = _of_exif("aperture_f", "real", "f-number by the photo's EXIF", "aperture_f")
ISO = _of_exif("iso", "real", "sensitivity by the photo's EXIF", "iso")
SUN = of_frame(
    "sun_elevation_deg",
    "real",
    "elevation of the Sun at the nadir",
    sun_elevation_deg,
)
LINK = of_frame("link", "text", "page of the photo in NASA's archive", archive_link)
EXTRA = (
    _of_exif("exposure_s", "real", "exposure time by the photo's EXIF", "exposure_s"),
    _of_bearings(
        "up_bearing_deg",
        "real",
        "bearing of the upward direction of the picture as stored, at its centre, from north to "
        "east; none where the centre is sky",
        lambda found: found.up_deg,
    ),
    _of_bearings(
        "look_bearing_deg",
        "real",
        "bearing from the place below the camera to the image centre, from north to east",
        lambda found: found.look_deg,
    ),
)
NADIR = of_frame("nadir", "point", "place below the camera", lambda frame: frame.nadir)
CENTRE = of_frame(
    "centre",
    "point",
    "place that the image centre shows",
    centre,
)
FOOTPRINT = of_frame(
    "footprint",
    "polygons",
    "ground in sight up to 80 degrees of incidence, cut at the antimeridian",
    lambda frame: frame.footprint,
)


def sky_of(frame: ExportFrame) -> SkyPosition | None:
    """Where a frame's camera looks among the stars; None without a camera or a time."""
    found: SkyPosition | None = guarded(
        lambda frame: sky_position(frame.camera, frame.result.time_utc or "")
    )(frame)
    return found


def _of_sky(name: str, kind: Kind, says: str) -> SqlColumn:
    return of_frame(name, kind, says, lambda frame: getattr(sky_of(frame), name, None))


SKY = (
    _of_sky("ra_deg", "real", "right ascension of the image centre, ICRS"),
    _of_sky("dec_deg", "real", "declination of the image centre, ICRS"),
    _of_sky(
        "position_angle_deg", "real", "of the picture's upward direction there, from north to east"
    ),
    _of_sky("radius_deg", "real", "from the image centre to its farthest corner"),
    _of_sky("sees_sky", "flag", "whether some of the picture is above the horizon"),
    _of_sky("earth_ra_deg", "real", "right ascension of the middle of the Earth's disc, ICRS"),
    _of_sky("earth_dec_deg", "real", "declination of the middle of the Earth's disc, ICRS"),
    _of_sky("earth_radius_deg", "real", "radius of the Earth's disc, good to 0.3 degrees"),
)


# Tables on a server: one of photos, and others with rows that hang on a photo.


@dataclass(frozen=True, kw_only=True)
class SqlTable:
    """A table.

    Attributes
    ----------
    name : str
        As statements name it.
    says : str
        What it holds.
    columns : tuple of SqlColumn
        The first is the photo's key.
    rows : callable
        How many rows a frame has in it.
    """

    name: str
    says: str
    columns: tuple[SqlColumn, ...]
    rows: Callable[[ExportFrame], int]

    @property
    def written(self) -> tuple[SqlColumn, ...]:
        """Columns that scripts write."""
        return tuple(column for column in self.columns if column.written)


class Dialect(Protocol):
    """A kind of server.

    Attributes
    ----------
    photos : SqlTable
        A row a photo.
    parts : tuple of SqlTable
        Rows that are replaced with their photo's.
    head, tail : str
        Statements before and after the rows: settings, tables, the transaction.
    """

    photos: SqlTable
    parts: tuple[SqlTable, ...]
    head: str
    tail: str

    def literal(self, kind: Kind, value: object) -> str:
        """A value that is not None as a literal."""

    def on_known_photo(self) -> str:
        """End of an INSERT: what becomes of a photo that is there already."""
