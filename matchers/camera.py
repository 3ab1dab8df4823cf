"""A camera, or many at once: pinhole with OpenCV distortion, placed and turned in ECEF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.types import BoolArray, FloatArray
from matchers.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    incidence_deg,
    intersect_ellipsoid,
    surface_to_lonlat,
)

SINGULAR = 0.05  # a lens that shrinks areas by so much is no lens
CONVERGED = 1e-13  # tangents


@dataclass(frozen=True, kw_only=True)
class Lens:
    """A lens and its image, wherever they look.

    Attributes
    ----------
    width_px, height_px : int
        Size of the image as stored.
    focal_px : float
        Focal length in pixels of that image.
    principal_point : tuple of float
        (x, y) of the optical axis, zero-based, integers at pixel centres.
    distortion : tuple of float
        OpenCV's k1, k2, p1, p2, k3.
    mirrored : bool
        x is replaced by ``width_px - 1 - x`` before projection.
    """

    width_px: int
    height_px: int
    focal_px: float
    principal_point: tuple[float, float]
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    mirrored: bool = False

    def rays(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Directions in the camera frame (z = 1), (..., 3), of pixels of the image as stored."""
        px, py = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        if self.mirrored:
            px = self.width_px - 1 - px
        u = (px - self.principal_point[0]) / self.focal_px
        v = (py - self.principal_point[1]) / self.focal_px
        if any(self.distortion):
            u, v = undistort(u, v, self.distortion)
        return np.stack([u, v, np.ones_like(u)], axis=-1)

    def image_of(self, local: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixels (as stored) of vectors (..., 3) of the camera frame; NaN behind the camera.

        They may have any length; x right, y down, z forward.
        """
        vectors = np.asarray(local, float)
        depth = np.where(vectors[..., 2] > 0.0, vectors[..., 2], np.nan)
        u, v = vectors[..., 0] / depth, vectors[..., 1] / depth
        if any(self.distortion):
            u, v = distort(u, v, self.distortion)
        x = self.principal_point[0] + self.focal_px * u
        y = self.principal_point[1] + self.focal_px * v
        return (self.width_px - 1 - x if self.mirrored else x), y

    def scaled(self, factor: float, width_px: int, height_px: int) -> Self:
        """The same for an image resized by a factor (pixel areas, not corners, scale)."""
        px, py = self.principal_point
        return replace(
            self,
            width_px=width_px,
            height_px=height_px,
            focal_px=self.focal_px * factor,
            principal_point=((px + 0.5) * factor - 0.5, (py + 0.5) * factor - 0.5),
        )


def distort(
    u: FloatArray, v: FloatArray, distortion: tuple[float | FloatArray, ...]
) -> tuple[FloatArray, FloatArray]:
    """OpenCV's five-coefficient lens distortion of normalised coordinates.

    Parameters
    ----------
    u, v : ndarray
        Ideal coordinates (tangents of angles).
    distortion : tuple of float
        k1, k2, p1, p2, k3; arrays that broadcast against the others for many lenses.

    Returns
    -------
    u, v : ndarray
        Distorted coordinates.

    References
    ----------
    Brown, D. C. (1966). Decentering distortion of lenses. Photogrammetric Engineering 32 (3).
    """
    k1, k2, p1, p2, k3 = distortion
    r2 = u * u + v * v
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return (
        u * radial + 2.0 * p1 * u * v + p2 * (r2 + 2.0 * u * u),
        v * radial + p1 * (r2 + 2.0 * v * v) + 2.0 * p2 * u * v,
    )


def undistort(
    u: FloatArray, v: FloatArray, distortion: tuple[float | FloatArray, ...], iterations: int = 10
) -> tuple[FloatArray, FloatArray]:
    """Ideal coordinates of distorted ones, by Newton's method.

    Parameters
    ----------
    u, v, distortion
        As of `distort`.
    iterations : int
        At most; fewer once nothing moves. Far outside of what the polynomial can reach there is
        no ideal place, and some place within a few times the radius is given.
    """
    k1, k2, p1, p2, k3 = distortion
    ideal_u, ideal_v = np.asarray(u, float), np.asarray(v, float)
    longest = 0.3 * np.hypot(ideal_u, ideal_v)
    for _ in range(iterations):
        bent_u, bent_v = distort(ideal_u, ideal_v, distortion)
        miss_u, miss_v = u - bent_u, v - bent_v
        r2 = ideal_u**2 + ideal_v**2
        radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = 2.0 * (k1 + r2 * (2.0 * k2 + 3.0 * r2 * k3))
        uu = radial + slope * ideal_u**2 + 2.0 * p1 * ideal_v + 6.0 * p2 * ideal_u
        vv = radial + slope * ideal_v**2 + 6.0 * p1 * ideal_v + 2.0 * p2 * ideal_u
        uv = slope * ideal_u * ideal_v + 2.0 * p1 * ideal_u + 2.0 * p2 * ideal_v
        area = uu * vv - uv * uv
        area = np.where(np.abs(area) < SINGULAR, SINGULAR, area)
        step_u = np.clip((vv * miss_u - uv * miss_v) / area, -longest, longest)
        step_v = np.clip((uu * miss_v - uv * miss_u) / area, -longest, longest)
        ideal_u, ideal_v = ideal_u + step_u, ideal_v + step_v
        if np.abs(step_u).max(initial=0.0) + np.abs(step_v).max(initial=0.0) < CONVERGED:
            break
    return ideal_u, ideal_v


def widest_tangent(distortion: tuple[float, ...]) -> float:
    """Tangent of the angle from the axis up to which the radial distortion grows outwards.

    Infinite where the distorted radius always grows; the distortion is k1, k2, p1, p2, k3.
    """
    k1, k2, _, _, k3 = distortion
    # d(r (1 + k1 r^2 + ...)) / dr = 0, written in 1 / r^2: its leading factor is never zero
    inverse = np.roots([1.0, 3.0 * k1, 5.0 * k2, 7.0 * k3])
    real = inverse[np.abs(inverse.imag) < 1e-9 * (1.0 + np.abs(inverse.real))].real
    return float(1.0 / np.sqrt(real.max())) if real.size and real.max() > 0.0 else float("inf")


@dataclass(frozen=True, kw_only=True)
class Camera(Lens):
    """A camera in space that looks at the Earth: a `Lens`, where it is and how it is turned.

    Attributes
    ----------
    quaternion : tuple of float
        [x, y, z, w]; rotates camera vectors (x right, y down, z forward) into ECEF.
    position_ecef_m : tuple of float
        Where the camera is, metres.
    """

    quaternion: tuple[float, float, float, float]
    position_ecef_m: tuple[float, float, float]

    @cached_property
    def matrix(self) -> FloatArray:
        """Rotation matrix, camera to ECEF, shape (3, 3)."""
        return quaternion_matrix(self.quaternion)

    @cached_property
    def numbers(self) -> FloatArray:
        """The camera as compiled code takes it, see `matchers.compiled_view`."""
        of_lens = self.width_px, self.focal_px, *self.principal_point, *self.distortion
        pose = *self.position_ecef_m, *self.matrix.ravel().tolist()
        return np.array([*of_lens, *pose, self.mirrored], float)

    @property
    def boresight_ecef(self) -> FloatArray:
        """Unit vector along the optical axis in ECEF."""
        return self.matrix[:, 2]

    @property
    def nadir_ecef(self) -> FloatArray:
        """Unit vector towards the geodetic nadir in ECEF."""
        lon, lat, _ = ecef_to_geodetic(self.position_ecef_m)
        return geodetic_to_ecef(lon, lat, 0.0) - geodetic_to_ecef(lon, lat, 1.0)

    @property
    def off_nadir_deg(self) -> float:
        """Angle between the optical axis and the geodetic nadir direction."""
        cosine = self.nadir_ecef @ self.boresight_ecef
        return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))

    def pixel_to_ecef(self, x: ArrayLike, y: ArrayLike, height_m: float = 0.0) -> FloatArray:
        """Ground points (ECEF, metres) that pixels see; NaN where they see the sky."""
        directions = self.rays(x, y) @ self.matrix.T
        return intersect_ellipsoid(self.position_ecef_m, directions, height_m)

    def pixel_to_lonlat(
        self, x: ArrayLike, y: ArrayLike, height_m: float = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Geodetic longitude and latitude (degrees) that pixels see; NaN for the sky."""
        ground = self.pixel_to_ecef(x, y, height_m)
        if height_m == 0.0:
            return surface_to_lonlat(ground)
        lon, lat, _ = ecef_to_geodetic(ground)
        return lon, lat

    def ecef_to_pixel(self, point_ecef_m: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixels of ECEF points (..., 3), metres; NaN behind the camera, hidden or not."""
        local = (np.asarray(point_ecef_m, float) - np.asarray(self.position_ecef_m)) @ self.matrix
        return self.image_of(local)

    def lonlat_to_pixel(
        self, lon_deg: ArrayLike, lat_deg: ArrayLike, height_m: ArrayLike = 0.0
    ) -> tuple[FloatArray, FloatArray]:
        """Project geodetic places; NaN where the Earth hides them or they lie behind."""
        ground = geodetic_to_ecef(lon_deg, lat_deg, height_m)
        x, y = self.ecef_to_pixel(ground)
        hidden = ~(incidence_deg(self.position_ecef_m, ground) < 90.0)
        return np.where(hidden, np.nan, x), np.where(hidden, np.nan, y)


def quaternion_matrix(quaternion: tuple[float, float, float, float]) -> FloatArray:
    """Rotation matrix of a quaternion [x, y, z, w] of any length, shape (3, 3)."""
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
    """Whether a camera's quaternion is a rotation: a damaged one may be zero."""
    return sum(part * part for part in camera.quaternion) != 0.0


@dataclass(frozen=True, kw_only=True)
class ManyCameras:
    """Cameras, one a row; see `Camera`. Scalars have shape (n, 1), ``matrix`` leads to ECEF."""

    width_px: FloatArray
    height_px: FloatArray
    focal_px: FloatArray
    mirrored: BoolArray
    principal_point: FloatArray
    distortion: FloatArray
    matrix: FloatArray
    position_ecef_m: FloatArray

    @classmethod
    def of(cls, cameras: Sequence[Camera]) -> Self:
        """Cameras as arrays; ZeroDivisionError where a quaternion is zero."""
        count = len(cameras)
        return cls(
            width_px=np.array([[one.width_px] for one in cameras], float).reshape(count, 1),
            height_px=np.array([[one.height_px] for one in cameras], float).reshape(count, 1),
            focal_px=np.array([[one.focal_px] for one in cameras], float).reshape(count, 1),
            mirrored=np.array([[one.mirrored] for one in cameras], bool).reshape(count, 1),
            principal_point=np.array([one.principal_point for one in cameras]).reshape(count, 2),
            distortion=np.array([one.distortion for one in cameras], float).reshape(count, 5),
            matrix=np.array([one.matrix for one in cameras]).reshape(count, 3, 3),
            position_ecef_m=np.array([one.position_ecef_m for one in cameras]).reshape(count, 3),
        )

    def __getitem__(self, rows: NDArray[np.int64]) -> Self:
        """Some of the cameras, in any order, as often as they are named."""
        return type(self)(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})

    def rays(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Directions in ECEF, of any length, shape (n, m, 3), of each camera's pixels (n, m)."""
        px = np.where(self.mirrored, self.width_px - 1.0 - x, x)
        u = (px - self.principal_point[:, :1]) / self.focal_px
        v = (y - self.principal_point[:, 1:]) / self.focal_px
        if self.distortion.any():
            u, v = undistort(u, v, tuple(self.distortion.T[..., None]))
        right, down, forward = (self.matrix[:, None, :, axis] for axis in range(3))
        rays: FloatArray = u[..., None] * right + v[..., None] * down + forward
        return rays

    def pixel_to_ecef(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Ground points (ECEF, metres), (n, m, 3), of each camera's pixels; NaN for the sky."""
        return intersect_ellipsoid(self.position_ecef_m[:, None, :], self.rays(x, y))

    def incidence_deg(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Incidence at the ground that pixels see, degrees, shape (n, m); NaN for the sky."""
        return incidence_deg(self.position_ecef_m[:, None, :], self.pixel_to_ecef(x, y))
