"""View geometry of photos relative to ground, compass and stars.

The scene centre is the ground position of the image centre.
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
from matchers.geometry.earth import ecef_to_geodetic, incidence_deg, local_axes, surface_to_lonlat
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
    "line_off_nadir_deg",  # of the line of sight to the scene centre; > 90 upward
    "look_bearing_deg",  # azimuth of that line over the ground, east of north, 0 to 360
    "incidence_deg",  # between that line and the vertical at the ground
    "gsd_m",  # side of the square with the ground area of the central pixel
    "up_bearing_deg",  # azimuth of the upward direction of the image as stored, at the centre
)
# Centre of a pixel, and half a pixel to its left, right, top and bottom
AROUND_X = np.array([0.0, -0.5, 0.5, 0.0, 0.0])
AROUND_Y = np.array([0.0, 0.0, 0.0, -0.5, 0.5])


def view_geometry(cameras: Sequence[Camera]) -> list[View]:
    """`VIEW` of cameras; NaN for missing cameras, and for values undefined in the sky."""
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
    """East, north and up components of ECEF vectors (n, 3) at places, shape (3, n)."""
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
    # Twice: a value slightly below zero becomes 360.0 after the first modulo
    return np.asarray(np.degrees(np.arctan2(east, north)) % 360.0 % 360.0)


COMPASS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
LOOKS_DOWN_DEG = 5.0  # off-nadir angle below which a photo is not perceived as oblique


def describe_orientation(view: View) -> str | None:
    """A text such as ``north up, looking southwest``; None without a camera."""
    up, look = (
        COMPASS[round(bearing / 45.0) % 8] if math.isfinite(bearing) else None
        for bearing in (view["up_bearing_deg"], view["look_bearing_deg"])
    )
    if look is None or up is None:
        return look and f"looking {look}"
    return f"{up} up, looking {'down' if view['off_nadir_deg'] < LOOKS_DOWN_DEG else look}"


# Position among the stars of the image centre of a camera located by ground lights, and of the
# Earth.

LIMB_DEG = 1.0  # an image farther than this within the Earth's disc shows no sky


def sees_sky(camera: Camera, per_side: int = 33) -> bool:
    """Whether a part of the image border is above the horizon."""
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
    """ICRS directions of the image centre and of the centre of the Earth's disc."""

    ra_deg: float
    dec_deg: float
    position_angle_deg: float  # of the image's upward direction there, from north to east
    radius_deg: float  # from the image centre to its farthest corner
    sees_sky: bool  # whether a part of the image is above the horizon
    earth_ra_deg: float
    earth_dec_deg: float
    earth_radius_deg: float


@lru_cache(maxsize=4)  # for one frame after the other, one column at a time
def sky_position(camera: Camera, time_utc: datetime) -> SkyPosition:
    """Direction of a camera among the stars."""
    to_icrs = icrs_to_itrf(time_utc).T
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    x, y = right / 2.0, bottom / 2.0
    # Centre of the image, half a pixel above it, and the corners
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
    up = above - middle
    east, north, _ = local_axes(ra, dec)
    return SkyPosition(
        ra_deg=ra,
        dec_deg=dec,
        position_angle_deg=float(np.degrees(np.arctan2(up @ east, up @ north)) % 360.0 % 360.0),
        radius_deg=radius_deg,
        sees_sky=not on_earth and sees_sky(camera),
        earth_ra_deg=earth_ra,
        earth_dec_deg=earth_dec,
        earth_radius_deg=earth_radius_deg,
    )


def _ra_dec(vector: FloatArray) -> tuple[float, float]:
    x, y, z = vector
    # Twice: a value slightly below zero becomes 360.0 after the first modulo
    ra = float(np.degrees(np.arctan2(y, x)) % 360.0 % 360.0)
    return ra, float(np.degrees(np.arctan2(z, np.hypot(x, y))))
