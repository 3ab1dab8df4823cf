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
GROWTHS = (0.0, 0.3, 0.6, 1.0, 1.5, 2.5)  # that are tried
ENOUGH_STARS = 1500  # three numbers ask for no more
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

    @property
    def radius_squared(self) -> FloatArray:
        """Square of the stars' distances from the picture's middle, in half diagonals."""
        width, height = self.camera.width_px, self.camera.height_px
        x, y = self.x - (width - 1) / 2.0, self.y - (height - 1) / 2.0
        return np.asarray((x * x + y * y) / (0.25 * (width**2 + height**2)))


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """Variance of a star's place per axis: (scale (1 + growth r^2) sigma)^2 + floor^2.

    Attributes
    ----------
    floor_px : float
        What the stars' sigmas do not know of.
    scale : float
        What the stars' sigmas are multiplied by.
    growth : float
        By how much more in the corners (r in half diagonals), where stars are less sharp than
        detectors take them to be.
    """

    floor_px: float = 0.0
    scale: float = 1.0
    growth: float = 0.0

    def variance(self, frame: LensFrame) -> FloatArray:
        """Variance per axis of a frame's stars, shape (N,)."""
        scale = self.scale * (1.0 + self.growth * frame.radius_squared)
        return np.asarray((scale * frame.sigma_px) ** 2 + self.floor_px**2)


AT_THEIR_WORD = ErrorModel()


def residuals(frame: LensFrame, camera: SkyCamera) -> FloatArray:
    """Seen less predicted places of a frame's stars, pixels, shape (N, 2)."""
    x, y = camera.image_of(frame.directions_icrs @ camera.matrix)
    return np.stack([frame.x - x, frame.y - y], axis=1)


def error_model(frames: Sequence[LensFrame], away: list[FloatArray]) -> ErrorModel:
    """Scale, growth and floor that residuals make likeliest.

    Parameters
    ----------
    frames : sequence of LensFrame
    away : list of ndarray, each of shape (N, 2)
        Residuals of the frames' stars.

    Returns
    -------
    ErrorModel
        The likeliest under Student's distribution with four degrees of freedom, whose tails are
        as long as those of residuals among neighbours that nobody knows.
    """
    step = max(1, sum(len(r) for r in away) // ENOUGH_STARS)
    square = np.concatenate([(r**2).sum(axis=1) for r in away])[::step]
    usual = float(np.sqrt(np.median(square) / MEDIAN_CHI2_2))
    best, least = AT_THEIR_WORD, np.inf
    for growth in GROWTHS:
        grown = ErrorModel(growth=growth)
        own = np.concatenate([grown.variance(f) for f in frames])[::step]
        for floor in (0.0, *(usual * np.geomspace(0.03, 1.0, 9)).tolist()):
            scale = _scale(square, own, floor)
            total = np.maximum(scale**2 * own + floor**2, 1e-300)
            unlikely = float((np.log(total) + 3.0 * np.log1p(square / total / 4.0)).sum())
            if unlikely < least:
                least = unlikely
                best = ErrorModel(floor_px=floor, scale=scale, growth=growth)
    return best


def _scale(square: FloatArray, variance: FloatArray, floor_px: float) -> float:
    """What sigmas are multiplied by, beside a floor, for the median star."""
    low, high = 0.0, 2.0 * float(np.sqrt((square / variance).max())) + 1e-12
    for _ in range(18):
        middle = 0.5 * (low + high)
        if np.median(square / (middle**2 * variance + floor_px**2 + 1e-300)) > MEDIAN_CHI2_2:
            low = middle
        else:
            high = middle
    return high


def inliers(
    frames: Sequence[LensFrame], cameras: list[SkyCamera], model: ErrorModel
) -> list[BoolArray]:
    """Stars of each frame within `OUTLIER_SIGMA` of where its camera puts them."""
    return [
        (residuals(f, c) ** 2).sum(axis=1) < OUTLIER_SIGMA**2 * model.variance(f)
        for f, c in zip(frames, cameras, strict=True)
    ]
