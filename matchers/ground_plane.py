"""A photo drawn on the plane that touches the ground in the middle of what it shows of it."""

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
OUTLINE = 17  # points along each side, to find out how far the ground reaches
FEWEST_POINTS = 10  # of these, on ground
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
        None where the picture shows hardly any ground, or all of it too flat.
    """
    height, width = image.values.shape
    across, down = np.linspace(0, width - 1, OUTLINE), np.linspace(0, height - 1, OUTLINE)
    x, y = (sides.ravel() for sides in np.meshgrid(across, down))
    outline = ground_points(camera, axes, altitude_km, x, y)
    outline = outline[np.isfinite(outline[:, 0])]
    shown = outline[incidence_cosine(outline, altitude_km) > FARTHEST_COSINE]
    if len(shown) < FEWEST_POINTS:
        return None
    middle = shown.mean(axis=0)
    middle /= np.linalg.norm(middle)
    right = np.cross([0.0, 1.0, 0.0], middle)
    right /= np.linalg.norm(right)
    plane = np.stack([right, np.cross(middle, right), middle])
    seen = shown @ plane.T
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


def incidence_cosine(points: FloatArray, altitude_km: float) -> FloatArray:
    """Cosines of the angles at which a camera sees points of its level frame, shape (n,)."""
    sight = [0.0, 0.0, (EARTH_RADIUS_KM + altitude_km) / EARTH_RADIUS_KM] - points
    return np.asarray(np.einsum("ni,ni->n", sight, points) / np.linalg.norm(sight, axis=1))
