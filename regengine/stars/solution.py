"""What is known of a photo whose stars were identified."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.sky_camera import SkyCamera

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class StarSolution:
    """A camera among the stars, and the stars that prove it.

    Attributes
    ----------
    camera : SkyCamera
        Attitude, focal length and distortion, in pixels of the image as stored.
    log10_odds : float
        Of this camera against chance, by detections that did not propose it, less the logarithm
        of the number of cameras tried.
    x, y : ndarray of float64, shape (k,)
        Detections that were identified, pixels of the image as stored.
    detection : ndarray of int, shape (k,)
        Which of the detections given they are.
    star : ndarray of int, shape (k,)
        Which stars of the catalogue they are.
    vectors_icrs : ndarray of float64, shape (k, 3)
        Directions of these stars.
    magnitude_g : ndarray of float64, shape (k,)
        Their magnitudes.
    residual_px : ndarray of float64, shape (k, 2)
        Detection less projected star, (x, y).
    catalogue_epoch : float
        Julian year of the catalogue's positions.
    """

    camera: SkyCamera
    log10_odds: float
    x: FloatArray
    y: FloatArray
    detection: IndexArray
    star: IndexArray
    vectors_icrs: FloatArray
    magnitude_g: FloatArray
    residual_px: FloatArray
    catalogue_epoch: float

    def __len__(self) -> int:
        return int(self.x.size)

    def __bool__(self) -> bool:
        return True

    @property
    def rms_px(self) -> float:
        """Root mean square of the residuals, per axis, pixels."""
        return float(np.sqrt(np.mean(self.residual_px**2)))


@dataclass(frozen=True, kw_only=True)
class NotSolved:
    """Why a photo's stars were not identified; false in a condition.

    Attributes
    ----------
    code : str
        Short and stable, for machines: ``few_stars``, ``no_match`` ...
    text : str
        One sentence for people.
    """

    code: str
    text: str

    def __bool__(self) -> bool:
        return False
