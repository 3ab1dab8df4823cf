"""A photo drawn on the plane that touches the ground in the middle of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.camera import Camera
from matchers.level_ground import EARTH_RADIUS_KM, NOWHERE, ground_points, pixels_of
from matchers.photo_light import LightImage

FloatArray = NDArray[np.float64]
Image = NDArray[np.float32]

MOST_HALF_PX = 260
OUTLINE = 9  # points along each side, to find out how far the ground reaches
FARTHEST_COSINE = 0.15  # of incidence: ground that is seen flatter is left out


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundPlane:
    """A photo as a map of its ground.

    Attributes
    ----------
    values, weight : ndarray of float32, shape (h, w)
        Light and what counts of it.
    axes : ndarray of float64, shape (3, 3)
        Rows: the plane's right, its up, and the point where it touches, in the level frame.
    pixel_km : float
        Size of its pixels.
    """

    values: Image
    weight: Image
    axes: FloatArray
    pixel_km: float

    def points(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors of the level frame at pixels, shape (n, 3)."""
        height, width = self.values.shape
        step = self.pixel_km / EARTH_RADIUS_KM
        right = (np.asarray(x, float) - (width - 1) / 2.0) * step
        up = ((height - 1) / 2.0 - np.asarray(y, float)) * step
        there = np.stack([right, up, np.ones_like(right)], axis=-1)
        there = there / np.linalg.norm(there, axis=-1, keepdims=True)
        return np.asarray(there @ self.axes)


def ground_plane(
    image: LightImage, camera: Camera, axes: FloatArray, altitude_km: float, pixel_km: float
) -> GroundPlane | None:
    """Draw a photo on its ground.

    Parameters
    ----------
    image : LightImage
        The photo.
    camera : Camera
        Of that image; only its lens is used.
    axes, altitude_km
        Of the level frame, see `matchers.level_ground.ground_points`.
    pixel_km : float
        Size of the pixels wanted.

    Returns
    -------
    GroundPlane or None
        None where the picture's middle shows the sky.
    """
    height, width = image.values.shape
    across, down = np.linspace(0, width - 1, OUTLINE), np.linspace(0, height - 1, OUTLINE)
    x, y = (sides.ravel() for sides in np.meshgrid(across, down))
    outline = ground_points(camera, axes, altitude_km, x, y)
    middle = outline[len(outline) // 2]
    if not np.isfinite(middle).all():
        return None
    right = np.cross([0.0, 1.0, 0.0], middle)
    right /= np.linalg.norm(right)
    plane = np.stack([right, np.cross(middle, right), middle])
    seen = outline[np.isfinite(outline[:, 0])] @ plane.T
    reach = np.abs(seen[:, :2] / np.maximum(seen[:, 2:], 0.1)).max(axis=0)
    half_x, half_y = np.minimum(
        np.ceil(reach * EARTH_RADIUS_KM / pixel_km) + 2, MOST_HALF_PX
    ).astype(int)
    empty = np.zeros((2 * half_y + 1, 2 * half_x + 1), np.float32)
    drawn = GroundPlane(values=empty, weight=empty, axes=plane, pixel_km=pixel_km)
    columns, rows = np.meshgrid(np.arange(2 * half_x + 1), np.arange(2 * half_y + 1))
    there = drawn.points(columns, rows)
    at_x, at_y = pixels_of(camera, axes, altitude_km, there, FARTHEST_COSINE)
    inside = at_x != NOWHERE
    values = cv2.remap(image.values * image.weight, at_x, at_y, cv2.INTER_LINEAR) * inside
    weight = cv2.remap(image.weight, at_x, at_y, cv2.INTER_LINEAR) * inside
    return GroundPlane(
        values=np.asarray(values, np.float32),
        weight=np.asarray(weight, np.float32),
        axes=plane,
        pixel_km=pixel_km,
    )
