"""A camera that looks at the sky: its attitude in ICRS; stars are infinitely far."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import BoolArray, FloatArray
from matchers.camera import Lens, quaternion_matrix, widest_tangent

Polynomial = dict[tuple[int, int], float]
NEWTON_STEPS = 12
# Beyond the picture by so many of its long sides the polynomials mean nothing
BEYOND_SIDES = 1.0
CONVERGED_PX = 1e-3


@dataclass(frozen=True, kw_only=True)
class SkyCamera(Lens):
    """A lens and where it points among the stars.

    Attributes
    ----------
    quaternion_icrs : tuple of float
        [x, y, z, w]; rotates camera vectors (x right, y down, z forward) into ICRS.
    """

    quaternion_icrs: tuple[float, float, float, float]

    @cached_property
    def matrix(self) -> FloatArray:
        """Rotation matrix, camera to ICRS, shape (3, 3)."""
        return quaternion_matrix(self.quaternion_icrs)

    def rays(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors in the camera frame, shape (..., 3), of pixels of the image as stored."""
        rays = super().rays(x, y)
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors in ICRS, shape (..., 3), of pixels of the image as stored."""
        return np.asarray(self.rays(x, y) @ self.matrix.T)

    def project(self, vectors_icrs: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixels of directions (..., 3) in ICRS, also outside the image.

        NaN behind the camera and beyond what the lens model can tell.
        """
        local = np.asarray(vectors_icrs, float) @ self.matrix
        widest = widest_tangent(self.distortion) if any(self.distortion) else np.inf
        if np.isfinite(widest):
            # Farther out, the polynomial of the distortion turns back into the image
            folded = np.hypot(local[..., 0], local[..., 1]) > widest * local[..., 2]
            local = np.where(folded[..., None], np.nan, local)
        return self.image_of(local)

    def sees(self, x: ArrayLike, y: ArrayLike, margin_px: float = 0.0) -> BoolArray:
        """Whether pixels lie in the image, or within a margin around it; NaN do not."""
        px, py = np.asarray(x, float), np.asarray(y, float)
        low = -0.5 - margin_px
        inside = (px >= low) & (px <= self.width_px - 1 - low)
        return np.asarray(inside & (py >= low) & (py <= self.height_px - 1 - low))

    @property
    def centre_icrs(self) -> FloatArray:
        """Unit vector to the image's centre, shape (3,)."""
        return self.to_sky((self.width_px - 1) / 2.0, (self.height_px - 1) / 2.0)

    @property
    def ra_dec_deg(self) -> tuple[float, float]:
        """Right ascension [0, 360) and declination of the image's centre."""
        x, y, z = self.centre_icrs
        return (
            float(np.degrees(np.arctan2(y, x)) % 360.0),
            float(np.degrees(np.arctan2(z, np.hypot(x, y)))),
        )

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
        """Angle between the middles of the left and the right edge, both halves added."""
        mx, my = (self.width_px - 1) / 2.0, (self.height_px - 1) / 2.0
        first, middle, last = self.rays([-0.5, mx, self.width_px - 0.5], [my, my, my])
        halves = [
            np.arctan2(np.linalg.norm(np.cross(end, middle)), end @ middle) for end in (first, last)
        ]
        return float(np.degrees(sum(halves)))


def sky_vectors(ra_deg: ArrayLike, dec_deg: ArrayLike) -> FloatArray:
    """Unit vectors of right ascensions and declinations (degrees), shape (..., 3)."""
    ra, dec = np.radians(np.asarray(ra_deg, float)), np.radians(np.asarray(dec_deg, float))
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def matrix_quaternion(matrix: FloatArray) -> tuple[float, float, float, float]:
    """Unit quaternion [x, y, z, w], w >= 0, of a rotation matrix of shape (3, 3)."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(matrix).as_quat(canonical=True).tolist()
    return (x, y, z, w)


def solid_angle(lens: Lens) -> float:
    """Steradians of the picture, distortion left out."""
    w, h = lens.width_px / 2.0 / lens.focal_px, lens.height_px / 2.0 / lens.focal_px
    return float(4.0 * np.arcsin(w * h / np.sqrt((1.0 + w * w) * (1.0 + h * h))))


@dataclass(frozen=True, kw_only=True, eq=False)
class HeaderField:
    """TAN or TAN-SIP. Pixels count from zero: a place (x, y) is FITS pixel (x + 1, y + 1).

    Attributes
    ----------
    width_px, height_px : int
        Of the picture.
    reference_px : tuple of float
        CRPIX, counted from zero.
    reference_deg : tuple of float
        CRVAL: right ascension and declination.
    matrix_deg : ndarray of float64, shape (2, 2)
        CD: degrees of (east, north) for pixels of (x, y).
    pole_deg : float
        LONPOLE.
    bends : tuple of dict
        SIP's A and B: what to add to pixels from the reference, by powers of (x, y).
    """

    width_px: int
    height_px: int
    reference_px: tuple[float, float]
    reference_deg: tuple[float, float]
    matrix_deg: FloatArray
    pole_deg: float = 180.0
    bends: tuple[Polynomial, Polynomial] = field(default_factory=lambda: ({}, {}))

    @cached_property
    def axes(self) -> FloatArray:
        """Rows: east and north on the tangent plane, and its direction, in ICRS."""
        axis = sky_vectors(*self.reference_deg)
        ra = np.radians(self.reference_deg[0])
        east = np.array([-np.sin(ra), np.cos(ra), 0.0])
        north = np.cross(axis, east)
        turn = np.radians(180.0 - self.pole_deg)
        return np.stack(
            [
                np.cos(turn) * east + np.sin(turn) * north,
                np.cos(turn) * north - np.sin(turn) * east,
                axis,
            ]
        )

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors in ICRS of pixels, shape (..., 3)."""
        u = np.asarray(x, float) - self.reference_px[0]
        v = np.asarray(y, float) - self.reference_px[1]
        straight = np.stack([u + _value(self.bends[0], u, v), v + _value(self.bends[1], u, v)], -1)
        plane = np.radians(straight @ self.matrix_deg.T)
        local = np.concatenate([plane, np.ones((*plane.shape[:-1], 1))], axis=-1)
        local /= np.linalg.norm(local, axis=-1, keepdims=True)
        return np.asarray(local @ self.axes)

    def project(self, vectors_icrs: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixels of directions; NaN behind the picture and where its polynomials end."""
        local = np.asarray(vectors_icrs, float) @ self.axes.T
        depth = np.where(local[..., 2] > 0.0, local[..., 2], np.nan)
        plane = np.degrees(local[..., :2] / depth[..., None])
        straight = plane @ np.linalg.inv(self.matrix_deg).T
        u, v = straight[..., 0].copy(), straight[..., 1].copy()
        if any(self.bends):
            reach = (0.5 + BEYOND_SIDES) * max(self.width_px, self.height_px)
            far = np.hypot(u, v) > reach
            u, v = np.where(far, np.nan, u), np.where(far, np.nan, v)
            for _ in range(NEWTON_STEPS):
                du = straight[..., 0] - u - _value(self.bends[0], u, v)
                dv = straight[..., 1] - v - _value(self.bends[1], u, v)
                u, v = u + du, v + dv
                if not np.any(np.abs(du) + np.abs(dv) > 0.01 * CONVERGED_PX):
                    break
            lost = ~(np.abs(du) + np.abs(dv) < CONVERGED_PX)
            u, v = np.where(lost, np.nan, u), np.where(lost, np.nan, v)
        return u + self.reference_px[0], v + self.reference_px[1]


def _value(polynomial: Polynomial, u: FloatArray, v: FloatArray) -> FloatArray:
    total = np.zeros_like(u)
    for (p, q), factor in polynomial.items():
        total = total + factor * u**p * v**q
    return total
