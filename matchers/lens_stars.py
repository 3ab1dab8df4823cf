"""Identified stars of a frame, how far a camera puts them off, and what their sigmas are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.sky_camera import SkyCamera

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

OUTLIER_SIGMA = 4.0  # 3 of 10,000 good stars are beyond (two-dimensional normal)
MEDIAN_CHI2_2 = 1.3863  # of a chi-square with two degrees of freedom


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFrame:
    """Identified stars of one frame.

    Attributes
    ----------
    camera : SkyCamera
        Where it is believed to look, and the lens to start from.
    x, y : ndarray of float64, shape (N,)
        Where the stars are, pixels of the image as stored.
    sigma_px : ndarray of float64, shape (N,)
        Of these places, per axis.
    directions_icrs : ndarray of float64, shape (N, 3)
        Unit vectors of the stars as they appear.
    """

    camera: SkyCamera
    x: FloatArray
    y: FloatArray
    sigma_px: FloatArray
    directions_icrs: FloatArray


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """Variance of a star's place per axis: (scale sigma)^2 + floor^2.

    Attributes
    ----------
    floor_px : float
        What the stars' sigmas do not know of.
    scale : float
        At most 1: where the sigmas are larger than the residuals allow.
    """

    floor_px: float = 0.0
    scale: float = 1.0

    def variance(self, sigma_px: FloatArray) -> FloatArray:
        """Variance per axis of stars with such sigmas."""
        return np.asarray((self.scale * sigma_px) ** 2 + self.floor_px**2)


AT_THEIR_WORD = ErrorModel()


def residuals(frame: LensFrame, camera: SkyCamera) -> FloatArray:
    """Seen less predicted places of a frame's stars, pixels, shape (N, 2)."""
    x, y = camera.image_of(frame.directions_icrs @ camera.matrix)
    return np.stack([frame.x - x, frame.y - y], axis=1)


def error_model(frames: Sequence[LensFrame], away: list[FloatArray]) -> ErrorModel:
    """Scale or floor that puts the median star as far away as it should be."""
    square = np.concatenate([(r**2).sum(axis=1) for r in away])
    variance = np.concatenate([f.sigma_px**2 for f in frames])
    ratio = float(np.median(square / variance)) / MEDIAN_CHI2_2
    if ratio <= 1.0:
        return ErrorModel(scale=float(np.sqrt(max(ratio, 1e-12))))
    low, high = 0.0, float(np.sqrt(np.median(square) / MEDIAN_CHI2_2)) * 2.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        if np.median(square / (variance + middle**2)) > MEDIAN_CHI2_2:
            low = middle
        else:
            high = middle
    return ErrorModel(floor_px=high)


def inliers(
    frames: Sequence[LensFrame], cameras: list[SkyCamera], model: ErrorModel
) -> list[BoolArray]:
    """Stars of each frame within `OUTLIER_SIGMA` of where its camera puts them."""
    return [
        (residuals(f, c) ** 2).sum(axis=1) < OUTLIER_SIGMA**2 * model.variance(f.sigma_px)
        for f, c in zip(frames, cameras, strict=True)
    ]
