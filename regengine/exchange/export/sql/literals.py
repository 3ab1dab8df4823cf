"""Values as literals that a server reads alike whatever its settings are.

MySQL takes a backslash in a string for an escape unless ``NO_BACKSLASH_ESCAPES`` is set, and its
client turns line ends; PostgreSQL does the former where ``standard_conforming_strings`` is off.
So text with a backslash or a control character is written in a way that has one meaning only:
as hexadecimal digits for MySQL, as an ``E'...'`` string for PostgreSQL.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, intersect_ellipsoid, local_axes, surface_to_lonlat
from regengine.exchange.export.footprint import Ring
from regengine.exchange.export.viewing import sees_sky
from regengine.orbit.rotation import icrs_to_itrf
from regengine.photo.frame_records import parse_iso_time, wrap_lon
from regengine.records import printable

NULL = "NULL"
FIRST_YEAR = 1000  # of MySQL's DATETIME
_TRICKY = re.compile("[\\\\\x00-\x1f\x7f]")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def held_text(text: str) -> str:
    r"""Text as both servers can hold it: valid UTF-8, with ``\u0000`` for a zero byte."""
    return printable(text).replace("\0", "\\u0000")


def mysql_text(text: str) -> str:
    """Text as a literal of MySQL and MariaDB under any ``sql_mode``."""
    held = held_text(text)
    if _TRICKY.search(held):
        return f"_utf8mb4 X'{held.encode().hex()}'"
    return "'" + held.replace("'", "''") + "'"


def postgresql_text(text: str) -> str:
    """Text as a literal of PostgreSQL whatever ``standard_conforming_strings`` is."""
    held = held_text(text).replace("'", "''")
    if not _TRICKY.search(held):
        return f"'{held}'"
    return "E'" + _TRICKY.sub(lambda found: _escaped(found[0]), held) + "'"


def number(value: float) -> str:
    """A number with all its digits; ``NULL`` where it is not finite."""
    return repr(float(value)) if math.isfinite(value) else NULL


def moment(text: str) -> datetime | None:
    """A time in UTC that both servers can hold; None where the text is none."""
    time = parse_iso_time(text)
    return time if time is not None and time.year >= FIRST_YEAR else None


def mysql_moment(time: datetime) -> str:
    """A time as MySQL's ``DATETIME(6)``, UTC, which knows no time zones."""
    return f"'{time.astimezone(UTC).replace(tzinfo=None).isoformat(' ')}'"


def postgresql_moment(time: datetime) -> str:
    """A time as PostgreSQL's ``timestamptz``."""
    return f"'{time.isoformat(' ')}'"


def point_wkt(place: tuple[float, float]) -> str | None:
    """A place as well-known text, longitude first; None where there is none."""
    lon, lat = place
    if not (math.isfinite(lon) and -90.0 <= lat <= 90.0):
        return None
    return f"POINT({wrap_lon(lon)!r} {lat!r})"


def polygons_wkt(rings: list[Ring]) -> str | None:
    """Polygons as well-known text, longitude first; None where there are none."""
    if not rings:
        return None
    parts = (",".join(f"{lon!r} {lat!r}" for lon, lat in ring) for ring in rings)
    return "MULTIPOLYGON(" + ",".join(f"(({part}))" for part in parts) + ")"


def _escaped(letter: Any) -> str:
    return _ESCAPES.get(letter) or f"\\x{ord(letter):02x}"


# Directions of a few pixels that tell how a photo lies, worked out once for a camera.

FloatArray = NDArray[np.float64]


@lru_cache(maxsize=4)  # of one frame after the other, a column at a time
def key_rays(camera: Camera) -> FloatArray:
    """Directions that pixels see."""
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    x, y = right / 2.0, bottom / 2.0
    rays = camera.rays(
        [x, x, x, 0.0, right, right, 0.0], [y, y + 0.5, y - 0.5, 0.0, 0.0, bottom, bottom]
    )
    return np.asarray(rays @ camera.matrix.T / np.linalg.norm(rays, axis=-1, keepdims=True))


# Where in the sky a photo's camera looked, and where the Earth stood in it.

EARTH_RADIUS_M = 6371008.8  # mean radius: the limb lies within 0.3 degrees of its circle
LIMB_DEG = 1.0  # a picture that ends so far within the Earth's disc need not be looked at


@dataclass(frozen=True, kw_only=True)
class SkyPosition:
    """Directions in ICRS, degrees.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Of the image centre.
    position_angle_deg : float
        Of the picture's upward direction there, from north to east.
    radius_deg : float
        From the image centre to its farthest corner.
    sees_sky : bool
        Whether some of the picture is above the horizon.
    earth_ra_deg, earth_dec_deg, earth_radius_deg : float
        The Earth's disc as seen from the camera.
    """

    ra_deg: float
    dec_deg: float
    position_angle_deg: float
    radius_deg: float
    sees_sky: bool
    earth_ra_deg: float
    earth_dec_deg: float
    earth_radius_deg: float


@lru_cache(maxsize=4)  # of one frame after the other, a column at a time
def sky_position(camera: Camera, time_utc: str) -> SkyPosition | None:
    """Where a camera looks among the stars."""
    time = moment(time_utc)
    if time is None:
        return None
    to_icrs = icrs_to_itrf(time).T
    middle, _, above, *corners = key_rays(camera) @ to_icrs.T
    ra, dec = _ra_dec(middle)
    position = np.asarray(camera.position_ecef_m)
    to_earth = to_icrs @ -position
    earth_ra, earth_dec = _ra_dec(to_earth)
    distance = np.linalg.norm(position)
    radius_deg = float(np.degrees(np.arccos(np.clip(np.min(corners @ middle), -1.0, 1.0))))
    earth_radius_deg = float(np.degrees(np.arcsin(np.minimum(1.0, EARTH_RADIUS_M / distance))))
    aside_deg = float(np.degrees(np.arccos(np.clip(to_earth @ middle / distance, -1.0, 1.0))))
    on_earth = aside_deg + radius_deg < earth_radius_deg - LIMB_DEG
    return SkyPosition(
        ra_deg=ra,
        dec_deg=dec,
        position_angle_deg=_position_angle(above - middle, ra, dec),
        radius_deg=radius_deg,
        sees_sky=not on_earth and sees_sky(camera),
        earth_ra_deg=earth_ra,
        earth_dec_deg=earth_dec,
        earth_radius_deg=earth_radius_deg,
    )


def _ra_dec(vector: NDArray[np.float64]) -> tuple[float, float]:
    x, y, z = vector
    # Twice: a hair below zero is 360.0 after the first
    ra = float(np.degrees(np.arctan2(y, x)) % 360.0 % 360.0)
    return ra, float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def _position_angle(up: NDArray[np.float64], ra_deg: float, dec_deg: float) -> float:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    return float(np.degrees(np.arctan2(up @ east, up @ north)) % 360.0 % 360.0)


# How a photo is oriented on the map: which way is up in it, and which way it looks.

COMPASS = (
    "north",
    "northeast",
    "east",
    "southeast",
    "south",
    "southwest",
    "west",
    "northwest",
)
LOOKS_DOWN_DEG = 5.0  # off nadir, below which nobody sees a photo as oblique


@dataclass(frozen=True, kw_only=True)
class Bearings:
    """Directions of a photo, degrees clockwise from north.

    Attributes
    ----------
    up_deg : float or None
        Of the upward direction of the picture as stored, on the ground at its centre; None
        where the centre shows the sky.
    look_deg : float
        From the place below the camera to the one that the centre shows.
    off_nadir_deg : float
        Between the optical axis and the nadir.
    """

    up_deg: float | None
    look_deg: float
    off_nadir_deg: float

    @property
    def words(self) -> str | None:
        """Such as ``north up, looking southwest``; None for a camera that is none."""
        if not math.isfinite(self.look_deg):
            return None
        if self.up_deg is None:
            return f"looking {compass(self.look_deg)}"
        down = self.off_nadir_deg < LOOKS_DOWN_DEG
        return f"{compass(self.up_deg)} up, looking {'down' if down else compass(self.look_deg)}"


@lru_cache(maxsize=4)  # of one frame after the other, a column at a time
def bearings(camera: Camera) -> Bearings:
    """Directions of a photo by its camera."""
    lon, lat, _ = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    middle, *around = key_rays(camera)[:3]
    below, above = intersect_ellipsoid(camera.position_ecef_m, around)
    down = local_axes(lon, lat)[2] @ camera.boresight_ecef
    up_deg = None
    if np.isfinite(below).all() and np.isfinite(above).all():
        centre_lon, centre_lat = surface_to_lonlat((below + above) / 2.0)
        up_deg = _bearing(above - below, float(centre_lon), float(centre_lat))
    return Bearings(
        up_deg=up_deg,
        look_deg=_bearing(middle, lon, lat),
        off_nadir_deg=float(np.degrees(np.arccos(np.clip(-down, -1.0, 1.0)))),
    )


def compass(bearing_deg: float) -> str:
    """The nearest of eight directions of the compass."""
    return COMPASS[round(bearing_deg / 45.0) % 8]


def _bearing(vector_ecef: NDArray[np.float64], lon: float, lat: float) -> float:
    east, north, _ = local_axes(lon, lat) @ vector_ecef
    # Twice: a hair west of north is 360.0 after the first
    return float(np.degrees(np.arctan2(east, north)) % 360.0 % 360.0)
