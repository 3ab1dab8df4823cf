"""The lens: how directions in the camera's frame become pixels, pinhole with OpenCV distortion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

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
        """Directions in the camera frame (z = 1) of image positions.

        Parameters
        ----------
        x, y : array_like, shape (...)
            Pixels of the image as stored.

        Returns
        -------
        ndarray of float64, shape (..., 3)
        """
        px, py = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        if self.mirrored:
            px = self.width_px - 1 - px
        u = (px - self.principal_point[0]) / self.focal_px
        v = (py - self.principal_point[1]) / self.focal_px
        if any(self.distortion):
            u, v = undistort(u, v, self.distortion)
        return np.stack([u, v, np.ones_like(u)], axis=-1)

    def image_of(self, local: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Project vectors of the camera frame; NaN behind the camera.

        Parameters
        ----------
        local : array_like, shape (..., 3)
            Of any length; x right, y down, z forward.

        Returns
        -------
        x, y : ndarray of float64, shape (...)
            Pixels of the image as stored.
        """
        vectors = np.asarray(local, float)
        depth = np.where(vectors[..., 2] > 0.0, vectors[..., 2], np.nan)
        u, v = vectors[..., 0] / depth, vectors[..., 1] / depth
        if any(self.distortion):
            u, v = distort(u, v, self.distortion)
        x = self.principal_point[0] + self.focal_px * u
        y = self.principal_point[1] + self.focal_px * v
        return (self.width_px - 1 - x if self.mirrored else x), y


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
    u, v : ndarray
        Distorted coordinates.
    distortion : tuple of float
        Like that of `distort`.
    iterations : int
        At most; fewer once nothing moves. Far outside of what the polynomial can reach there is
        no ideal place, and some place within a few times the radius is given.

    Returns
    -------
    u, v : ndarray
        Ideal coordinates (tangents of angles).
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

    Parameters
    ----------
    distortion : tuple of float
        k1, k2, p1, p2, k3.

    Returns
    -------
    float
        Infinity where the distorted radius always grows.
    """
    k1, k2, _, _, k3 = distortion
    # d(r (1 + k1 r^2 + ...)) / dr = 0, written in 1 / r^2: its leading factor is never zero
    inverse = np.roots([1.0, 3.0 * k1, 5.0 * k2, 7.0 * k3])
    real = inverse[np.abs(inverse.imag) < 1e-9 * (1.0 + np.abs(inverse.real))].real
    return float(1.0 / np.sqrt(real.max())) if real.size and real.max() > 0.0 else float("inf")
