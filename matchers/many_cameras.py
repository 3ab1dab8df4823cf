"""Many cameras as arrays, to look through all of them at once.

What one camera does in fifty steps of small arrays costs microseconds a step; a thousand cameras
take hardly more steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import incidence_deg, intersect_ellipsoid
from matchers.lens import undistort

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ManyCameras:
    """Cameras, one a row.

    Attributes
    ----------
    width_px, height_px, focal_px : ndarray of float64, shape (n, 1)
        See `matchers.lens.Lens`.
    mirrored : ndarray of bool, shape (n, 1)
        Likewise.
    principal_point : ndarray of float64, shape (n, 2)
        Likewise.
    distortion : ndarray of float64, shape (n, 5)
        Likewise.
    matrix : ndarray of float64, shape (n, 3, 3)
        Rotations, camera to ECEF.
    position_ecef_m : ndarray of float64, shape (n, 3)
        Metres.
    """

    width_px: FloatArray
    height_px: FloatArray
    focal_px: FloatArray
    mirrored: NDArray[np.bool_]
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
        """Directions that pixels look in.

        Parameters
        ----------
        x, y : ndarray, shape (n, m)
            Pixels of each camera's image as stored.

        Returns
        -------
        ndarray of float64, shape (n, m, 3)
            ECEF, of any length.
        """
        px = np.where(self.mirrored, self.width_px - 1.0 - x, x)
        u = (px - self.principal_point[:, :1]) / self.focal_px
        v = (y - self.principal_point[:, 1:]) / self.focal_px
        if self.distortion.any():
            u, v = undistort(u, v, tuple(self.distortion.T[..., None]))
        right, down, forward = (self.matrix[:, None, :, axis] for axis in range(3))
        rays: FloatArray = u[..., None] * right + v[..., None] * down + forward
        return rays

    def pixel_to_ecef(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Ground points that pixels see.

        Parameters
        ----------
        x, y : ndarray, shape (n, m)
            Pixels of each camera's image as stored.

        Returns
        -------
        ndarray of float64, shape (n, m, 3)
            ECEF, metres; NaN where pixels see the sky.
        """
        return intersect_ellipsoid(self.position_ecef_m[:, None, :], self.rays(x, y))

    def incidence_deg(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Incidence at the ground that pixels see, degrees, shape (n, m); NaN for the sky."""
        return incidence_deg(self.position_ecef_m[:, None, :], self.pixel_to_ecef(x, y))


def is_turned(camera: Camera) -> bool:
    """Whether a camera's quaternion is a rotation: a damaged one may be zero."""
    return sum(part * part for part in camera.quaternion) != 0.0
