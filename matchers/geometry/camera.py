"""Pinhole cameras with OpenCV distortion and a pose in ECEF, single or many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.types import BoolArray, FloatArray
from matchers.geometry import projection
from matchers.geometry.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    incidence_deg,
    surface_to_lonlat,
)


@dataclass(frozen=True, kw_only=True)
class Lens:
    """Intrinsic parameters of a camera and its image size.

    width_px, height_px: Size of the image as stored.
    focal_px: Focal length in pixels of that image.
    principal_point: (x, y) of the optical axis, zero-based, integers at pixel centres.
    distortion: OpenCV's k1, k2, p1, p2, k3.
    mirrored: x is replaced by ``width_px - 1 - x`` before projection.
    pixel_aspect: Vertical over horizontal focal length, for an image that was stretched; None for
        square pixels.
    """

    width_px: int
    height_px: int
    focal_px: float
    principal_point: tuple[float, float]
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    mirrored: bool = False
    pixel_aspect: float | None = None

    @property
    def long_side_px(self) -> int:
        return max(self.width_px, self.height_px)

    @cached_property
    def numbers(self) -> FloatArray:
        """The lens as an array, in the layout of `matchers.geometry.projection`."""
        lens = self.width_px, self.focal_px, *self.principal_point, *self.distortion, self.mirrored
        return np.array([*lens, self.pixel_aspect or 1.0], float)

    def rays(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Directions in the camera frame (z = 1), (..., 3), of pixels of the image as stored."""
        px, py = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        u, v = projection.to_tangents(self.numbers.tolist(), px, py)
        return np.stack([u, v, np.ones_like(u)], axis=-1)

    def image_of(self, local: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Project vectors (..., 3) of the camera frame to stored pixels; NaN behind the camera.

        Vectors may have any length; x right, y down, z forward.
        """
        vectors = np.asarray(local, float)
        parts = (vectors[..., axis] for axis in range(3))
        x, y = projection.to_image(self.numbers.tolist(), *parts)
        return x, y

    def holds(self, local: ArrayLike) -> BoolArray:
        """Whether the lens model is valid for vectors (..., 3) of the camera frame.

        Valid vectors are in front of the camera, within the angle up to which the distorted radius
        increases. Beyond that angle the polynomial would project them back into the image.
        """
        x, y, z = np.moveaxis(np.asarray(local, float), -1, 0)
        widest = widest_tangent(self.distortion) if any(self.distortion) else np.inf
        if np.isinf(widest):
            return np.asarray(z > 0.0)
        return np.asarray((z > 0.0) & (np.hypot(x, y) <= widest * z))

    def scaled(self, factor: float, width_px: int, height_px: int) -> Self:
        """Scale to an image resized by a factor (pixel areas scale, not pixel centres)."""
        px, py = self.principal_point
        return replace(
            self,
            width_px=width_px,
            height_px=height_px,
            focal_px=self.focal_px * factor,
            principal_point=((px + 0.5) * factor - 0.5, (py + 0.5) * factor - 0.5),
        )


def widest_tangent(distortion: tuple[float, ...]) -> float:
    """Tangent of the angle from the axis up to which the distorted radius increases.

    Infinite if it always increases. The distortion is k1, k2, p1, p2, k3.
    """
    k1, k2, _, _, k3 = distortion
    # d(r (1 + k1 r^2 + ...)) / dr = 0 as a polynomial in 1 / r^2, whose leading coefficient is 1
    inverse = np.roots([1.0, 3.0 * k1, 5.0 * k2, 7.0 * k3])
    real = inverse[np.abs(inverse.imag) < 1e-9 * (1.0 + np.abs(inverse.real))].real
    return float(1.0 / np.sqrt(real.max())) if real.size and real.max() > 0.0 else float("inf")


@dataclass(frozen=True, kw_only=True)
class Camera(Lens):
    """A camera in space that looks at the Earth: a `Lens` with position and attitude.

    quaternion: [x, y, z, w]; rotates camera vectors (x right, y down, z forward) into ECEF.
    position_ecef_m: Position of the camera, metres.
    """

    quaternion: tuple[float, float, float, float]
    position_ecef_m: tuple[float, float, float]

    @cached_property
    def matrix(self) -> FloatArray:
        """Rotation matrix, camera to ECEF, shape (3, 3)."""
        return quaternion_matrix(self.quaternion)

    @cached_property
    def numbers(self) -> FloatArray:
        """The camera as an array, in the layout of `matchers.geometry.projection`."""
        # Compute the matrix first: if it failed later, the cached `numbers` would be the lens's
        turned = self.matrix.ravel()
        return np.array([*super().numbers, *self.position_ecef_m, *turned])

    @property
    def boresight_ecef(self) -> FloatArray:
        return self.matrix[:, 2]

    @property
    def off_nadir_deg(self) -> float:
        """Angle between the optical axis and the geodetic nadir direction."""
        lon, lat, _ = ecef_to_geodetic(self.position_ecef_m)
        nadir = geodetic_to_ecef(lon, lat, 0.0) - geodetic_to_ecef(lon, lat, 1.0)
        cosine = nadir @ self.boresight_ecef
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))

    def pixel_to_ecef(self, x: ArrayLike, y: ArrayLike, height_m: float = 0.0) -> FloatArray:
        """Intersect pixel rays with the ground (ECEF points, metres); NaN for the sky."""
        at_x, at_y = np.asarray(x, float), np.asarray(y, float)
        return np.stack(projection.to_ground(self.numbers.tolist(), at_x, at_y, height_m), axis=-1)

    def pixel_to_lonlat(
        self, x: ArrayLike, y: ArrayLike, height_m: float = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Compute geodetic longitude and latitude (degrees) of pixels; NaN for the sky."""
        ground = self.pixel_to_ecef(x, y, height_m)
        if height_m == 0.0:
            return surface_to_lonlat(ground)
        lon, lat, _ = ecef_to_geodetic(ground)
        return lon, lat

    def ecef_to_pixel(self, point_ecef_m: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Project ECEF points (..., 3), metres, even if occluded; NaN behind the camera."""
        points = np.asarray(point_ecef_m, float)
        parts = (points[..., axis] for axis in range(3))
        x, y = projection.to_pixel(self.numbers.tolist(), *parts)
        return x, y

    def lonlat_to_pixel(
        self, lon_deg: ArrayLike, lat_deg: ArrayLike, height_m: ArrayLike = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Project geodetic positions; NaN if occluded by the Earth or outside the lens model.

        The lens model excludes points behind the camera and too far off its axis; see `Lens.holds`.
        """
        ground = geodetic_to_ecef(lon_deg, lat_deg, height_m)
        x, y = self.ecef_to_pixel(ground)
        local = (ground - np.asarray(self.position_ecef_m)) @ self.matrix
        hidden = ~(incidence_deg(self.position_ecef_m, ground) < 90.0) | ~self.holds(local)
        return np.where(hidden, np.nan, x), np.where(hidden, np.nan, y)


def quaternion_matrix(quaternion: tuple[float, float, float, float]) -> FloatArray:
    """Convert a quaternion [x, y, z, w] of any length to a rotation matrix, shape (3, 3)."""
    x, y, z, w = quaternion
    s = 2.0 / (x * x + y * y + z * z + w * w)
    return np.array(
        [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
    )


def is_turned(camera: Camera) -> bool:
    """Whether a camera's quaternion is a valid rotation; it may be zero in damaged data."""
    return sum(part * part for part in camera.quaternion) != 0.0


@dataclass(frozen=True, kw_only=True)
class ManyCameras:
    """Many cameras as arrays, one per row; see `Camera`. Scalars have shape (n, 1)."""

    numbers: FloatArray  # (CAMERA, n, 1): in the layout of `matchers.geometry.projection`
    height_px: FloatArray

    @classmethod
    def of(cls, cameras: Sequence[Camera]) -> Self:
        """Convert cameras to arrays; raises ZeroDivisionError if a quaternion is zero."""
        numbers = np.array([one.numbers for one in cameras]).reshape(-1, projection.CAMERA)
        heights = np.array([[one.height_px] for one in cameras], float).reshape(-1, 1)
        return cls(numbers=numbers.T[..., None], height_px=heights)

    def __getitem__(self, rows: NDArray[np.int64]) -> Self:
        """Select cameras by row, in any order and with repetition."""
        return type(self)(numbers=self.numbers[:, rows], height_px=self.height_px[rows])

    @property
    def width_px(self) -> FloatArray:
        """Widths of the images."""
        return np.asarray(self.numbers[projection.WIDTH])

    @property
    def position_ecef_m(self) -> FloatArray:
        """Positions, shape (n, 3)."""
        return np.asarray(self.numbers[projection.POSITION : projection.MATRIX, :, 0].T)

    @property
    def matrix(self) -> FloatArray:
        """Rotation matrices, camera to ECEF, shape (n, 3, 3)."""
        return np.asarray(self.numbers[projection.MATRIX :, :, 0].T.reshape(-1, 3, 3))

    def rays(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Compute ray directions in ECEF, not normalised, (n, m, 3), of pixels (n, m)."""
        return np.stack(projection.to_ray(self.numbers, x, y), axis=-1)

    def pixel_to_ecef(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Intersect pixel rays with the ground (ECEF, metres), (n, m, 3); NaN for the sky."""
        return np.stack(projection.to_ground(self.numbers, x, y, 0.0), axis=-1)

    def incidence_deg(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Compute incidence angles at the ground, degrees, shape (n, m); NaN for the sky."""
        return incidence_deg(self.position_ecef_m[:, None, :], self.pixel_to_ecef(x, y))
