"""What a person matched: pixels and places; what so many can bear, and what is believed beforehand.

Unlike the fit to hundreds of patches, a handful of points cannot bear all unknowns. What is freed
depends on how many there are; beliefs about position and focal length, as wide as what a person
starts from, hold what the points leave open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef, local_axes
from matchers.pose import ACROSS, ALONG, FOCAL, K1, UP, PosePrior

FloatArray = NDArray[np.float64]
Freed = Literal["aim", "attitude", "focal length", "position", "distortion"]
Free = Literal["auto", "attitude", "focal", "position", "all"]

COLUMNS: dict[Freed, tuple[int, ...]] = {
    "aim": (0, 1),
    "attitude": (0, 1, 2),
    "focal length": (FOCAL,),
    "position": (ALONG, ACROSS, UP),
    "distortion": (K1,),
}
# Points from which on each may be free; with one the picture is shifted, not turned
LEAST_POINTS: dict[Freed, int] = {
    "aim": 1,
    "attitude": 2,
    "focal length": 3,
    "position": 4,
    "distortion": 10,
}
ASKED: dict[Free, tuple[Freed, ...]] = {
    "auto": ("attitude", "focal length", "position", "distortion"),
    "attitude": ("attitude",),
    "focal": ("attitude", "focal length"),
    "position": ("attitude", "focal length", "position"),
    "all": ("attitude", "focal length", "position", "distortion"),
}
# Asked for by name, each may be free as soon as the beliefs and the points together determine it
LEAST_POINTS_ASKED: dict[Freed, int] = {
    "attitude": 2,
    "focal length": 2,
    "position": 3,
    "distortion": 4,
}
# Clocks are off by seconds, 7 km each, along the track; an orbit is known to a few kilometres
SIGMA_ALONG_M = 100e3
SIGMA_ACROSS_M = 10e3
SIGMA_UP_M = 5e3
# Where nobody knows in which direction it flew
SIGMA_LEVEL_M = 60e3
SIGMA_LOG_FOCAL = 0.1
SIGMA_K1 = 0.03
UNSEEN = 1e6  # sigmas that a place behind the camera is off by


@dataclass(frozen=True, kw_only=True, eq=False)
class PointPairs:
    """Pixels and the places that they show.

    Attributes
    ----------
    pixels : ndarray of float64, shape (n, 2)
        Of the image as stored.
    ground_ecef_m : ndarray of float64, shape (n, 3)
        Places.
    sigma_px : ndarray of float64, shape (n,)
        Precision of each pair along each axis of the image.
    """

    pixels: FloatArray
    ground_ecef_m: FloatArray
    sigma_px: FloatArray

    def __len__(self) -> int:
        return len(self.pixels)

    def chosen(self, kept: NDArray[np.bool_]) -> PointPairs:
        """Those that are marked, shape (n,)."""
        return PointPairs(
            pixels=self.pixels[kept],
            ground_ecef_m=self.ground_ecef_m[kept],
            sigma_px=self.sigma_px[kept],
        )


def point_pairs(pixels: ArrayLike, lonlat: ArrayLike, sigma_px: ArrayLike) -> PointPairs:
    """Pairs of pixels, shape (n, 2), and geodetic places in degrees, shape (n, 2)."""
    places = np.asarray(lonlat, float)
    return PointPairs(
        pixels=np.asarray(pixels, float),
        ground_ecef_m=geodetic_to_ecef(places[:, 0], places[:, 1]),
        sigma_px=np.asarray(sigma_px, float),
    )


def bearable(points: int, free: Free) -> tuple[Freed, ...]:
    """What so many points can bear of what is asked for.

    Parameters
    ----------
    points : int
        How many, at least one.
    free : str
        "auto" frees what the points alone determine well; a name frees it as soon as points and
        beliefs together do.

    Returns
    -------
    tuple of str
    """
    least = LEAST_POINTS if free == "auto" else LEAST_POINTS_ASKED
    freed = tuple(name for name in ASKED[free] if points >= least[name])
    return freed or ("aim",)


def belief_of(start: Camera, flight_ecef: FloatArray | None = None) -> PosePrior:
    """What is believed of the camera of points where a person started from a rough one.

    Parameters
    ----------
    start : Camera
        Gives position, focal length and distortion.
    flight_ecef : ndarray of float64, shape (3,), optional
        Direction of flight over the ground, of any length; without it the position is as
        uncertain in all level directions.

    Returns
    -------
    PosePrior
    """
    along_m, across_m = SIGMA_ALONG_M, SIGMA_ACROSS_M
    if flight_ecef is None:
        along_m = across_m = SIGMA_LEVEL_M
        lon, lat, _ = ecef_to_geodetic(start.position_ecef_m)
        flight_ecef = local_axes(float(lon), float(lat))[0]
    x, y, z = flight_ecef.tolist()
    return PosePrior(
        position_ecef_m=start.position_ecef_m,
        velocity_ecef=(x, y, z),
        focal_px=start.focal_px,
        sigma_along_m=along_m,
        sigma_across_m=across_m,
        sigma_up_m=SIGMA_UP_M,
        sigma_log_focal=SIGMA_LOG_FOCAL,
        sigma_k1=SIGMA_K1,
        principal_point=start.principal_point,
        k1=start.distortion[0],
    )


def residuals_px(camera: Camera, pairs: PointPairs) -> FloatArray:
    """Points minus camera, shape (n, 2), pixels; NaN where a place is behind the camera."""
    return pairs.pixels - np.stack(camera.ecef_to_pixel(pairs.ground_ecef_m), axis=-1)


def whitened(camera: Camera, pairs: PointPairs) -> FloatArray:
    """Residuals in their own sigmas, shape (n, 2); places behind the camera are far off."""
    residual = residuals_px(camera, pairs) / pairs.sigma_px[:, None]
    return np.where(np.isfinite(residual), residual, UNSEEN)
