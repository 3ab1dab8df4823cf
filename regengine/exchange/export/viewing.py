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
from matchers.camera import Camera, ManyCameras, is_turned
from matchers.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    incidence_deg,
    intersect_ellipsoid,
    local_axes,
    surface_to_lonlat,
)
from regengine.orbit.rotation import icrs_to_itrf

# The middle of a pixel, and half a pixel to its left, right, upper and lower side
AROUND_X = np.array([0.0, -0.5, 0.5, 0.0, 0.0])
AROUND_Y = np.array([0.0, 0.0, 0.0, -0.5, 0.5])


@dataclass(frozen=True, kw_only=True)
class SceneView:
    """The line from the camera to the scene's centre."""

    off_nadir_deg: float  # between it and the nadir, at the camera; 90 and more where it looks up
    # Its direction over the ground from below the camera, east of north, 0 to 360.
    azimuth_deg: float
    # Between it and the vertical of the ground; NaN, as what follows, where the middle of the
    # picture shows the sky.
    incidence_deg: float
    # lon, lat: the scene's centre, degrees.
    lon: float
    lat: float
    gsd_m: float  # side of the square with the area of ground that a pixel shows there, metres


def scene_views(cameras: Sequence[Camera]) -> list[SceneView | None]:
    """How cameras look at what the middle of their pictures shows."""
    found: list[SceneView | None] = [None] * len(cameras)
    sound = [number for number, camera in enumerate(cameras) if is_turned(camera)]
    if not sound:
        return found
    with np.errstate(all="ignore"):
        many = ManyCameras.of([cameras[number] for number in sound])
        x, y = (many.width_px - 1.0) / 2.0, (many.height_px - 1.0) / 2.0
        ground = many.pixel_to_ecef(x + AROUND_X, y + AROUND_Y)
        area = np.linalg.norm(
            np.cross(ground[:, 2] - ground[:, 1], ground[:, 4] - ground[:, 3]), axis=-1
        )
        # Half a pixel beside a middle that is seen there may be sky
        centre = np.where(np.isfinite(area)[:, None], ground[:, 0], np.nan)
        incidence = incidence_deg(many.position_ecef_m, centre)
        lon, lat = surface_to_lonlat(centre)
        off_nadir, azimuth = _directions(many.position_ecef_m, many.rays(x, y)[:, 0])
    told = zip(
        *(a.tolist() for a in (off_nadir, azimuth, incidence, lon, lat, np.sqrt(area))),
        strict=True,
    )
    for number, (off, towards, angle, east, north, gsd) in zip(sound, told, strict=True):
        if np.isfinite(off):
            found[number] = SceneView(
                off_nadir_deg=off,
                azimuth_deg=towards,
                incidence_deg=angle,
                lon=east,
                lat=north,
                gsd_m=gsd,
            )
    return found


def _directions(position_ecef_m: FloatArray, rays: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Angles from the nadir and directions east of north of rays, degrees, shape (n,)."""
    lon, lat, _ = ecef_to_geodetic(position_ecef_m)
    (sin_lon, cos_lon), (sin_lat, cos_lat) = (
        (np.sin(np.radians(angle)), np.cos(np.radians(angle))) for angle in (lon, lat)
    )
    x, y, z = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).T
    outward = cos_lon * x + sin_lon * y
    east = cos_lon * y - sin_lon * x
    north = cos_lat * z - sin_lat * outward
    up = cos_lat * outward + sin_lat * z
    # Near the nadir an arc cosine would lose half of the digits
    off_nadir = np.degrees(np.arctan2(np.hypot(east, north), -up))
    return off_nadir, np.degrees(np.arctan2(east, north)) % 360.0


LonLat = tuple[float, float]
Stance = dict[str, float]
STANCE = (
    "camera_lon",
    "camera_lat",
    "camera_altitude_km",
    "off_nadir_deg",
    "centre_lon",
    "centre_lat",
)


def stances(cameras: Sequence[Camera]) -> list[Stance]:
    """Where cameras are, and where they look."""
    found: list[Stance] = [dict.fromkeys(STANCE, float("nan")) for _ in cameras]
    sound = [number for number, camera in enumerate(cameras) if is_turned(camera)]
    with np.errstate(all="ignore"):
        many = ManyCameras.of([cameras[number] for number in sound])
        lon, lat, height_m = ecef_to_geodetic(many.position_ecef_m)
        up = geodetic_to_ecef(lon, lat, 1.0) - geodetic_to_ecef(lon, lat, 0.0)
        downward = -np.sum(up * many.matrix[:, :, 2], axis=1)
        off_nadir = np.degrees(np.arccos(np.clip(downward, -1.0, 1.0)))
        ground = many.pixel_to_ecef((many.width_px - 1.0) / 2.0, (many.height_px - 1.0) / 2.0)
        centre_lon, centre_lat = surface_to_lonlat(ground[:, 0])
    told = zip(
        *(a.tolist() for a in (lon, lat, height_m / 1e3, off_nadir, centre_lon, centre_lat)),
        strict=True,
    )
    for number, values in zip(sound, told, strict=True):
        found[number] = dict(zip(STANCE, values, strict=True))
    return found


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


@lru_cache(maxsize=4)  # of one frame after the other, a column at a time
def key_rays(camera: Camera) -> FloatArray:
    """What the middle of the picture, half a pixel below and above it, and the corners see.

    Unit vectors in ECEF, shape (7, 3), for the directions of a photo.
    """
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    x, y = right / 2.0, bottom / 2.0
    rays = camera.rays(
        [x, x, x, 0.0, right, right, 0.0], [y, y + 0.5, y - 0.5, 0.0, 0.0, bottom, bottom]
    )
    return np.asarray(rays @ camera.matrix.T / np.linalg.norm(rays, axis=-1, keepdims=True))


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
    middle, _, above, *corners = key_rays(camera) @ to_icrs.T
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
    """Directions of a photo, degrees clockwise from north."""

    # Of the upward direction of the picture as stored, on the ground at its centre; None where the
    # centre shows the sky.
    up_deg: float | None
    look_deg: float  # from the place below the camera to the one that the centre shows
    off_nadir_deg: float  # between the optical axis and the nadir

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


def _bearing(vector_ecef: FloatArray, lon: float, lat: float) -> float:
    east, north, _ = local_axes(lon, lat) @ vector_ecef
    # Twice: a hair west of north is 360.0 after the first
    return float(np.degrees(np.arctan2(east, north)) % 360.0 % 360.0)
