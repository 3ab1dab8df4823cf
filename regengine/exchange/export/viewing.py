"""How photos look: at their scenes, at the compass, among the stars.

A scene's centre is what the middle of the picture shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.geometry.camera import Camera, ManyCameras, is_turned
from matchers.geometry.earth import (
    ecef_to_geodetic,
    incidence_deg,
    local_axes,
    surface_to_lonlat,
)
from regengine.orbit.rotation import icrs_to_itrf

LonLat = tuple[float, float]
View = dict[str, float]
VIEW = (
    "camera_lon",
    "camera_lat",
    "camera_altitude_km",
    "off_nadir_deg",  # of the optical axis
    "centre_lon",
    "centre_lat",
    "line_off_nadir_deg",  # of the line to the scene's centre; 90 and more where it looks up
    "look_bearing_deg",  # direction of that line over the ground, east of north, 0 to 360
    "incidence_deg",  # between that line and the vertical of the ground
    "gsd_m",  # side of the square with the area of ground that the middle pixel shows
    "up_bearing_deg",  # of the upward direction of the picture as stored, at the centre
)
# The middle of a pixel, and half a pixel to its left, right, upper and lower side
AROUND_X = np.array([0.0, -0.5, 0.5, 0.0, 0.0])
AROUND_Y = np.array([0.0, 0.0, 0.0, -0.5, 0.5])


def view_geometry(cameras: Sequence[Camera]) -> list[View]:
    """`VIEW` of cameras; NaN for those that are none, and for what the sky leaves open."""
    found: list[View] = [dict.fromkeys(VIEW, float("nan")) for _ in cameras]
    sound = [number for number, camera in enumerate(cameras) if is_turned(camera)]
    with np.errstate(all="ignore"):
        many = ManyCameras.of([cameras[number] for number in sound])
        x, y = (many.width_px - 1.0) / 2.0, (many.height_px - 1.0) / 2.0
        lon, lat, height_m = ecef_to_geodetic(many.position_ecef_m)
        _, _, up = _local(many.matrix[:, :, 2], lon, lat)
        ground = many.pixel_to_ecef(x + AROUND_X, y + AROUND_Y)
        centre, left, right, above, below = np.moveaxis(ground, 1, 0)
        centre_lon, centre_lat = surface_to_lonlat(centre)
        east, north, outward = _local(many.rays(x, y)[:, 0], lon, lat)
        up_east, up_north, _ = _local(above - below, centre_lon, centre_lat)
        values = (
            lon,
            lat,
            height_m / 1e3,
            np.degrees(np.arccos(np.clip(-up, -1.0, 1.0))),
            centre_lon,
            centre_lat,
            # Near the nadir an arc cosine would lose half of the digits
            np.degrees(np.arctan2(np.hypot(east, north), -outward)),
            _bearing(east, north),
            incidence_deg(many.position_ecef_m, centre),
            np.sqrt(np.linalg.norm(np.cross(right - left, below - above), axis=-1)),
            _bearing(up_east, up_north),
        )
    for number, told in zip(sound, zip(*(a.tolist() for a in values), strict=True), strict=True):
        found[number] = dict(zip(VIEW, told, strict=True))
    return found


def _local(vectors: FloatArray, lon: FloatArray, lat: FloatArray) -> FloatArray:
    """Vectors (n, 3) in ECEF as parts to the east, north and up at places, shape (3, n)."""
    x, y, z = vectors.T
    (sin_lon, cos_lon), (sin_lat, cos_lat) = (
        (np.sin(np.radians(angle)), np.cos(np.radians(angle))) for angle in (lon, lat)
    )
    outward = cos_lon * x + sin_lon * y
    return np.array(
        [
            cos_lon * y - sin_lon * x,
            cos_lat * z - sin_lat * outward,
            cos_lat * outward + sin_lat * z,
        ]
    )


def _bearing(east: FloatArray, north: FloatArray) -> FloatArray:
    # Twice: a hair west of north is 360.0 after the first
    return np.asarray(np.degrees(np.arctan2(east, north)) % 360.0 % 360.0)


COMPASS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
LOOKS_DOWN_DEG = 5.0  # off nadir, below which nobody sees a photo as oblique


def describe_orientation(view: View) -> str | None:
    """Such as ``north up, looking southwest``; None for a camera that is none."""
    up, look = (
        COMPASS[round(bearing / 45.0) % 8] if math.isfinite(bearing) else None
        for bearing in (view["up_bearing_deg"], view["look_bearing_deg"])
    )
    if look is None or up is None:
        return look and f"looking {look}"
    return f"{up} up, looking {'down' if view['off_nadir_deg'] < LOOKS_DOWN_DEG else look}"


# Where among the stars a camera looks that was placed by the lights of the ground, and where the
# Earth stands there.

LIMB_DEG = 1.0  # a picture that ends so far within the Earth's disc need not be looked at


def sees_sky(camera: Camera, per_side: int = 33) -> bool:
    """Whether some of the picture's border is above the horizon."""
    along_x = np.linspace(0.0, camera.width_px - 1.0, per_side)
    along_y = np.linspace(0.0, camera.height_px - 1.0, per_side)
    right, bottom = np.full(per_side, along_x[-1]), np.full(per_side, along_y[-1])
    zero = np.zeros(per_side)
    x = np.concatenate([along_x, along_x, zero, right])
    y = np.concatenate([zero, bottom, along_y, along_y])
    with np.errstate(all="ignore"):
        return bool(np.isnan(camera.pixel_to_ecef(x, y)).any())


@dataclass(frozen=True, kw_only=True)
class SkyPosition:
    """Directions in ICRS: of the image centre, and of the Earth's disc as the camera sees it."""

    ra_deg: float
    dec_deg: float
    position_angle_deg: float  # of the picture's upward direction there, from north to east
    radius_deg: float  # from the image centre to its farthest corner
    sees_sky: bool  # whether some of the picture is above the horizon
    earth_ra_deg: float
    earth_dec_deg: float
    earth_radius_deg: float


@lru_cache(maxsize=4)  # of one frame after the other, a column at a time
def sky_position(camera: Camera, time_utc: datetime) -> SkyPosition:
    """Where a camera looks among the stars."""
    to_icrs = icrs_to_itrf(time_utc).T
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    x, y = right / 2.0, bottom / 2.0
    # The middle of the picture, half a pixel above it, and the corners
    rays = camera.rays([x, x, 0.0, right, right, 0.0], [y, y - 0.5, 0.0, 0.0, bottom, bottom])
    rays = rays @ camera.matrix.T / np.linalg.norm(rays, axis=-1, keepdims=True)
    middle, above, *corners = rays @ to_icrs.T
    ra, dec = _ra_dec(middle)
    position = np.asarray(camera.position_ecef_m)
    to_earth = to_icrs @ -position
    earth_ra, earth_dec = _ra_dec(to_earth)
    distance = np.linalg.norm(position)
    radius_deg = float(np.degrees(np.arccos(np.clip(np.min(corners @ middle), -1.0, 1.0))))
    earth_radius_deg = float(
        np.degrees(np.arcsin(np.minimum(1.0, 1e3 * EARTH_RADIUS_KM / distance)))
    )
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


def _ra_dec(vector: FloatArray) -> tuple[float, float]:
    x, y, z = vector
    # Twice: a hair below zero is 360.0 after the first
    ra = float(np.degrees(np.arctan2(y, x)) % 360.0 % 360.0)
    return ra, float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def _position_angle(up: FloatArray, ra_deg: float, dec_deg: float) -> float:
    east, north, _ = local_axes(ra_deg, dec_deg)
    return float(np.degrees(np.arctan2(up @ east, up @ north)) % 360.0 % 360.0)
