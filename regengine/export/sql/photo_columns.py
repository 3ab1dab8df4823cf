"""What servers are told of a photo beside the columns of ``--table frames``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from matchers.many_cameras import is_turned
from regengine.exif import Exif, read_exif
from regengine.export.frame import ExportFrame
from regengine.export.sql.bearings import Bearings, bearings
from regengine.export.sql.columns import Kind, SqlColumn, of_frame
from regengine.export.sql.literals import held_text, moment
from regengine.export.sql.sky_position import SkyPosition, sky_position
from regengine.frame_id import archive_frame_id
from regengine.report.photos import photo_file

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
    """What a photo is known by, however often it is loaded.

    Parameters
    ----------
    frame : ExportFrame
        Any.

    Returns
    -------
    str
        SHA-256 of the frame's id and the photo's SHA-256, or its path where it had no hash.
    """
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
    from regengine.sun_moon import sun_moon

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
