"""Camera model for stars at infinity, with an attitude in ICRS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.geometry.camera import Lens, quaternion_matrix
from matchers.geometry.earth import measure_lonlat

LENS_PARAMETERS = ("focal_px", "x_px", "y_px", "k1", "k2", "p1", "p2", "k3")


@dataclass(frozen=True, kw_only=True)
class SkyCamera(Lens):
    """A lens with an attitude in ICRS.

    quaternion_icrs: [x, y, z, w]; rotates camera vectors (x right, y down, z forward) into ICRS.
    """

    quaternion_icrs: tuple[float, float, float, float]

    @cached_property
    def matrix(self) -> FloatArray:
        """Rotation matrix, camera to ICRS, shape (3, 3)."""
        return quaternion_matrix(self.quaternion_icrs)

    def rays(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Compute unit vectors in the camera frame, (..., 3), of pixels of the stored image."""
        rays = super().rays(x, y)
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Compute unit vectors in ICRS, shape (..., 3), of pixels of the image as stored."""
        return np.asarray(self.rays(x, y) @ self.matrix.T)

    def project(self, vectors_icrs: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Project directions (..., 3) in ICRS to pixels, which may be outside the image.

        NaN behind the camera and outside the valid range of the lens model.
        """
        local = np.asarray(vectors_icrs, float) @ self.matrix
        return self.image_of(np.where(self.holds(local)[..., None], local, np.nan))

    def sees(self, x: ArrayLike, y: ArrayLike, margin_px: float = 0.0) -> BoolArray:
        """Whether pixels are inside the image or within a margin around it; False for NaN."""
        px, py = np.asarray(x, float), np.asarray(y, float)
        low = -0.5 - margin_px
        inside = (px >= low) & (px <= self.width_px - 1 - low)
        return np.asarray(inside & (py >= low) & (py <= self.height_px - 1 - low))

    def find_in_view(
        self, vectors_icrs: FloatArray, margin_px: float = 0.0
    ) -> tuple[IndexArray, FloatArray, FloatArray]:
        """Find directions (n, 3) inside the image or within a margin: indices and pixels x, y."""
        right, bottom = self.width_px - 1.0, self.height_px - 1.0
        corners = self.to_sky([0.0, right, 0.0, right], [0.0, 0.0, bottom, bottom])
        reach = np.arccos(np.clip((corners @ self.centre_icrs).min(), -1.0, 1.0))
        # Half a degree allows for borders that lens distortion curves outwards
        reach = min(reach + 0.01 + margin_px / self.focal_px, np.pi)
        near = np.flatnonzero(vectors_icrs @ self.centre_icrs > np.cos(reach))
        x, y = self.project(vectors_icrs[near])
        inside = self.sees(x, y, margin_px)
        return near[inside], x[inside], y[inside]

    @property
    def lens_values(self) -> FloatArray:
        return np.array([self.focal_px, *self.principal_point, *self.distortion])

    @property
    def centre_icrs(self) -> FloatArray:
        return self.to_sky((self.width_px - 1) / 2.0, (self.height_px - 1) / 2.0)

    @property
    def ra_dec_deg(self) -> tuple[float, float]:
        """Right ascension [0, 360) and declination of the image's centre."""
        ra_deg, dec_deg = measure_lonlat(self.centre_icrs).tolist()
        return ra_deg % 360.0, dec_deg

    @property
    def roll_deg(self) -> float:
        """Position angle of the image's up direction at its centre, east of north, [0, 360)."""
        centre = self.centre_icrs
        above = self.to_sky((self.width_px - 1) / 2.0, (self.height_px - 1) / 2.0 - 1.0)
        east = np.array([-centre[1], centre[0], 0.0])
        north = np.cross(centre, east)
        step = above - centre
        return float(np.degrees(np.arctan2(step @ east, step @ north)) % 360.0)

    @property
    def fov_x_deg(self) -> float:
        """Horizontal field of view: sum of the angles from the centre to left and right edge."""
        mx, my = (self.width_px - 1) / 2.0, (self.height_px - 1) / 2.0
        first, middle, last = self.rays([-0.5, mx, self.width_px - 0.5], [my, my, my])
        halves = [
            np.arctan2(np.linalg.norm(np.cross(end, middle)), end @ middle) for end in (first, last)
        ]
        return float(np.degrees(sum(halves)))


def matrix_quaternion(matrix: FloatArray) -> tuple[float, float, float, float]:
    """Convert a rotation matrix, shape (3, 3), to a unit quaternion [x, y, z, w], w >= 0."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(matrix).as_quat(canonical=True).tolist()
    return (x, y, z, w)


def solid_angle(lens: Lens) -> float:
    """Compute the solid angle of the image, steradians, without distortion."""
    w, h = lens.width_px / 2.0 / lens.focal_px, lens.height_px / 2.0 / lens.focal_px
    return float(4.0 * np.arcsin(w * h / np.sqrt((1.0 + w * w) * (1.0 + h * h))))
