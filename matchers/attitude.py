"""Attitudes of a camera over the Earth: from angles, and turned by small rotations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, local_axes

FloatArray = NDArray[np.float64]


def looking_at_nadir(position_ecef_m: ArrayLike) -> FloatArray:
    """Rotation matrix (camera to ECEF) that looks straight down with north at the top.

    Parameters
    ----------
    position_ecef_m : array_like, shape (3,)
        Camera position, metres.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        Columns: camera x (east), y (south), z (down) in ECEF.
    """
    lon, lat, _ = ecef_to_geodetic(position_ecef_m)
    east, north, up = local_axes(float(lon), float(lat))
    return np.stack([east, -north, -up], axis=1)


def off_nadir_attitude(
    position_ecef_m: ArrayLike, off_nadir_deg: float, azimuth_deg: float, roll_deg: float
) -> FloatArray:
    """Rotation matrix (camera to ECEF) from look angles.

    Parameters
    ----------
    position_ecef_m : array_like, shape (3,)
        Camera position, metres.
    off_nadir_deg : float
        Angle between boresight and nadir.
    azimuth_deg : float
        Direction in which the boresight leaves the nadir, clockwise from north.
    roll_deg : float
        Turn of the camera about its boresight, positive from x to y (clockwise as seen from
        behind the camera); at 0 the image top points along the azimuth.

    Returns
    -------
    ndarray of float64, shape (3, 3)
    """
    from scipy.spatial.transform import Rotation

    down = looking_at_nadir(position_ecef_m)
    turns = Rotation.from_euler(
        "ZXZ", [azimuth_deg, off_nadir_deg, roll_deg], degrees=True
    ).as_matrix()
    return np.asarray(down @ turns)


Quaternion = tuple[float, float, float, float]


def quaternion_product(a: Quaternion, b: Quaternion) -> Quaternion:
    """Rotation b followed by a, as unit quaternions [x, y, z, w]."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    x = aw * bx + ax * bw + ay * bz - az * by
    y = aw * by - ax * bz + ay * bw + az * bx
    z = aw * bz + ax * by - ay * bx + az * bw
    w = aw * bw - ax * bx - ay * by - az * bz
    length = math.sqrt(x * x + y * y + z * z + w * w)
    return x / length, y / length, z / length, w / length


def rotation_quaternion(rotation_vector_rad: ArrayLike) -> Quaternion:
    """Unit quaternion [x, y, z, w] of a rotation vector (radians)."""
    rx, ry, rz = (float(r) for r in np.asarray(rotation_vector_rad, float))
    angle = math.sqrt(rx * rx + ry * ry + rz * rz)
    # sin(a / 2) / a, also where a vanishes
    share = math.sin(angle / 2.0) / angle if angle > 1e-9 else 0.5
    return rx * share, ry * share, rz * share, math.cos(angle / 2.0)


def rotation_between(a: Quaternion, b: Quaternion) -> FloatArray:
    """Rotation vector (radians) by which an attitude a is turned about its own axes to be b."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = a
    turn = Rotation.from_quat(quaternion_product((-x, -y, -z, w), b))
    return np.asarray(turn.as_rotvec(), float)


def turned(camera: Camera, rotation_vector_rad: ArrayLike) -> Camera:
    """The same camera turned about its own axes by a rotation vector (radians)."""
    turn = rotation_quaternion(rotation_vector_rad)
    return replace(camera, quaternion=quaternion_product(camera.quaternion, turn))


def with_attitude(camera: Camera, matrix: ArrayLike) -> Camera:
    """The same camera with another rotation matrix (camera to ECEF), shape (3, 3)."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(np.asarray(matrix, float)).as_quat().tolist()
    return replace(camera, quaternion=(x, y, z, w))
