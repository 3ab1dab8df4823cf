"""Ground coordinates of a photo for which only altitude and nadir direction are known.

In the level frame the Earth is a sphere about the origin, and the camera is on the z axis. A
rotation that maps the photo's points from there onto towns on the Earth determines the camera pose:
the third axis gives the nadir point, and the rotation about it gives the azimuth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray, FloatImage
from matchers.geometry import projection
from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import LATTICE_PX, lattice
from matchers.lights.photo_light import EvenedImage
from matchers.points.asterisms import lengths

MIN_COSINE = 0.15  # minimum cosine of incidence of ground that is used: 81 degrees, by eye


def level_axes(nadir: ArrayLike) -> FloatArray:
    """Compute the rotation (3, 3) from the camera frame to the level frame.

    The camera frame has x right, y down, z forward. The z axis of the level frame points away from
    ``nadir``. Its x axis is along the image rows, or along the columns if the rows point down.
    """
    down = np.asarray(nadir, float)
    down = down / np.linalg.norm(down)
    along = np.array([1.0, 0.0, 0.0]) if abs(down[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    east = along - (along @ down) * down
    east /= np.linalg.norm(east)
    return np.stack([east, np.cross(east, down), -down])


def ground_points(
    camera: Camera, axes: FloatArray, altitude_km: float, x: ArrayLike, y: ArrayLike
) -> FloatArray:
    """Intersect pixels (n,) with the ground, unit vectors (n, 3) of the level frame; NaN for sky.

    Only the lens of the camera is used. ``axes`` are those of `level_axes`.
    """
    rays = camera.rays(x, y) @ axes.T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    ahead = -high * rays[..., 2]
    under = ahead**2 - (high**2 - 1.0)
    hit = (under >= 0.0) & (ahead > 0.0)
    reach = ahead - np.sqrt(np.where(hit, under, np.nan))
    return np.asarray(rays * reach[..., None] + [0.0, 0.0, high])


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundPlane:
    """A photo projected onto a plane tangent to the ground.

    values, weight: Light and weight of the pixels, shape (h, w).
    axes: Rows are right, up and tangent point of the plane, in the level frame, shape (3, 3).
    pixel_km: Pixel size.
    """

    values: FloatImage
    weight: FloatImage
    axes: FloatArray
    pixel_km: float

    def points(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Convert pixels to unit vectors of the level frame, shape (n, 3)."""
        height, width = self.values.shape
        step = self.pixel_km / EARTH_RADIUS_KM
        right = (np.asarray(x, float) - (width - 1) / 2.0) * step
        up = ((height - 1) / 2.0 - np.asarray(y, float)) * step
        there = np.stack([right, up, np.ones_like(right)], axis=-1)
        there = there / lengths(there)[..., None]
        return np.asarray(there @ self.axes)


def ground_plane(
    image: EvenedImage, camera: Camera, axes: FloatArray, altitude_km: float, pixel_km: float
) -> GroundPlane | None:
    """Project a photo onto its ground plane; None if too little ground has a small incidence.

    Only the lens of the camera is used. ``axes`` are those of `level_axes`.
    """
    height, width = image.values.shape
    count = 17  # samples per side, to find the extent of the ground
    x, y = np.meshgrid(np.linspace(0, width - 1, count), np.linspace(0, height - 1, count))
    outline = ground_points(camera, axes, altitude_km, x.ravel(), y.ravel())
    shown = outline[incidence_cosine(outline, altitude_km) > MIN_COSINE]
    if len(shown) < 10:  # of these samples on the ground
        return None
    middle = shown.mean(axis=0)
    middle /= np.linalg.norm(middle)
    right = np.cross([0.0, 1.0, 0.0], middle)
    right /= np.linalg.norm(right)
    plane = np.stack([right, np.cross(middle, right), middle])
    seen = shown @ plane.T
    reach = np.abs(seen[:, :2] / np.maximum(seen[:, 2:], 0.1)).max(axis=0)  # 84 degrees at most
    half = np.ceil(reach * EARTH_RADIUS_KM / pixel_km) + 2
    half_x, half_y = np.minimum(half, 260).astype(int)  # pixels; photos have 100 to 420
    empty = np.zeros((2 * half_y + 1, 2 * half_x + 1), np.float32)
    drawn = GroundPlane(values=empty, weight=empty, axes=plane, pixel_km=pixel_km)
    # Rays are traced on a lattice and interpolated between its nodes
    nodes = (lattice(2 * half + 1) for half in (half_x, half_y))
    there = drawn.points(*np.meshgrid(*nodes))
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    level = [*camera.numbers[: projection.LENS], 0.0, 0.0, high, *axes.ravel()]
    x, y = projection.to_pixel(level, there[..., 0], there[..., 1], there[..., 2])
    cosine = incidence_cosine(there, altitude_km)
    between = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]) / LATTICE_PX
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    column, row, steepness = (
        cv2.warpAffine(side.astype(np.float32), between, empty.shape[::-1], flags=flags)
        for side in (x, y, cosine)
    )
    hit = np.asarray(steepness) > MIN_COSINE
    hit &= (column > 1.0) & (column < camera.width_px - 2.0)
    hit &= (row > 1.0) & (row < camera.height_px - 2.0)
    at_x, at_y = (np.where(hit, side, np.float32(-9.0)) for side in (column, row))  # or outside
    values = cv2.remap(image.values * image.weight, at_x, at_y, cv2.INTER_LINEAR)
    weight = cv2.remap(image.weight, at_x, at_y, cv2.INTER_LINEAR)
    return replace(
        drawn, values=np.asarray(values, np.float32), weight=np.asarray(weight, np.float32)
    )


def incidence_cosine(points: FloatArray, altitude_km: float) -> FloatArray:
    """Compute cosines of the incidence at points (..., 3) of the camera's level frame."""
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    up = points[..., 2]
    return np.asarray((high * up - 1.0) / np.sqrt(high * high - 2.0 * high * up + 1.0))
