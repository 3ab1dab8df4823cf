"""A camera from what a person knows of a photo: whence, at what, how turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import FloatArray
from matchers.camera import Camera, Lens
from matchers.earth import geodetic_to_ecef, incidence_deg, local_axes
from matchers.pose import with_attitude


@dataclass(frozen=True, kw_only=True)
class Aim:
    """Where a camera is, and what it looks at."""

    nadir_lon: float  # geodetic place below the camera, degrees
    nadir_lat: float
    altitude_km: float  # above the ellipsoid
    lon: float  # place that the middle of the picture shows, degrees
    lat: float
    turn_deg: float  # azimuth of the picture's top at that place, clockwise from north


def aimed_camera(aim: Aim, lens: Lens) -> Camera | None:
    """The camera of an aim."""
    position = geodetic_to_ecef(aim.nadir_lon, aim.nadir_lat, 1e3 * aim.altitude_km)
    ground = geodetic_to_ecef(aim.lon, aim.lat)
    if not incidence_deg(position, ground) < 90.0:
        return None
    forward = _unit(ground - position)
    north, east = _picture_north(aim.lon, aim.lat, forward)
    turn = np.radians(aim.turn_deg)
    top = np.cos(turn) * north + np.sin(turn) * east
    ahead, upwards = _middle_axes(lens)
    world = np.stack([forward, top, np.cross(forward, top)])
    local = np.stack([ahead, upwards, np.cross(ahead, upwards)])
    x, y, z = position.tolist()
    camera = Camera(
        width_px=lens.width_px,
        height_px=lens.height_px,
        focal_px=lens.focal_px,
        principal_point=lens.principal_point,
        distortion=lens.distortion,
        mirrored=lens.mirrored,
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(x, y, z),
    )
    return with_attitude(camera, world.T @ local)


def _picture_north(lon: float, lat: float, forward: FloatArray) -> tuple[FloatArray, FloatArray]:
    """North of a place as a camera sees it that looks along `forward`, and east beside it."""
    north = local_axes(lon, lat)[1]
    north = _unit(north - (north @ forward) * forward)
    return north, np.cross(forward, north)


def _middle_axes(lens: Lens) -> tuple[FloatArray, FloatArray]:
    """Unit vectors (camera frame) of the picture's middle: ahead, and towards the top."""
    ahead = _unit(lens.rays((lens.width_px - 1) / 2.0, (lens.height_px - 1) / 2.0))
    upwards = np.array([0.0, -1.0, 0.0])
    return ahead, _unit(upwards - (upwards @ ahead) * ahead)


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector), float)
