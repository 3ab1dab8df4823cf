"""The camera: pinhole with OpenCV distortion, placed and turned in ECEF."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    incidence_deg,
    intersect_ellipsoid,
    surface_to_lonlat,
)
from matchers.lens import Lens

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Camera(Lens):
    """A camera in space that looks at the Earth.

    Attributes
    ----------
    quaternion : tuple of float
        [x, y, z, w]; rotates camera vectors (x right, y down, z forward) into ECEF.
    position_ecef_m : tuple of float
        Where the camera is, metres.

    See Also
    --------
    matchers.lens.Lens : the attributes of size, focal length and distortion.
    """

    quaternion: tuple[float, float, float, float]
    position_ecef_m: tuple[float, float, float]

    @cached_property
    def matrix(self) -> FloatArray:
        """Rotation matrix, camera to ECEF, shape (3, 3)."""
        return quaternion_matrix(self.quaternion)

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
        """Project points; NaN behind the camera, no test against the horizon.

        Parameters
        ----------
        point_ecef_m : array_like, shape (..., 3)
            ECEF positions, metres.

        Returns
        -------
        x, y : ndarray of float64, shape (...)
            Pixels of the image as stored.
        """
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

    def scaled(self, factor: float, width_px: int, height_px: int) -> Camera:
        """The same camera for an image resized by a factor (pixel areas, not corners, scale)."""
        px, py = self.principal_point
        return replace(
            self,
            width_px=width_px,
            height_px=height_px,
            focal_px=self.focal_px * factor,
            principal_point=((px + 0.5) * factor - 0.5, (py + 0.5) * factor - 0.5),
        )


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
