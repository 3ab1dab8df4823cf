"""How photos look at their scenes.

A scene's centre is what the middle of the picture shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera, ManyCameras, is_turned
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef, incidence_deg, surface_to_lonlat
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit.rotation import icrs_to_itrf

FloatArray = NDArray[np.float64]

# The middle of a pixel, and half a pixel to its left, right, upper and lower side
AROUND_X = np.array([0.0, -0.5, 0.5, 0.0, 0.0])
AROUND_Y = np.array([0.0, 0.0, 0.0, -0.5, 0.5])


@dataclass(frozen=True, kw_only=True)
class SceneView:
    """The line from the camera to the scene's centre.

    Attributes
    ----------
    off_nadir_deg : float
        Between it and the nadir, at the camera; 90 and more where it looks up.
    azimuth_deg : float
        Its direction over the ground from below the camera, east of north, 0 to 360.
    incidence_deg : float
        Between it and the vertical of the ground; NaN, as what follows, where the middle of the
        picture shows the sky.
    lon, lat : float
        The scene's centre, degrees.
    gsd_m : float
        Side of the square with the area of ground that a pixel shows there, metres.
    """

    off_nadir_deg: float
    azimuth_deg: float
    incidence_deg: float
    lon: float
    lat: float
    gsd_m: float


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


# Where cameras are, and where they look.

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


# Where in the sky a camera looks that was placed by the lights of the ground.


def sky_camera(camera: Camera, time_utc: datetime) -> SkyCamera:
    """The same camera among the stars."""
    return SkyCamera(
        width_px=camera.width_px,
        height_px=camera.height_px,
        focal_px=camera.focal_px,
        principal_point=camera.principal_point,
        distortion=camera.distortion,
        mirrored=camera.mirrored,
        quaternion_icrs=matrix_quaternion(icrs_to_itrf(time_utc).T @ camera.matrix),
    )


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
