"""The image of a point, and of a line of points: Moffat's profile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Moffat:
    """A Moffat profile of unit flux (Moffat 1969, A&A 3, 455), taken at pixel centres.

    Attributes
    ----------
    fwhm_px : float
        Full width at half maximum of a point.
    beta : float
        Exponent, above 1.5: small ones have wide wings.
    """

    fwhm_px: float
    beta: float

    def point(self, square_px2: ArrayLike, widen: ArrayLike = 1.0) -> FloatArray:
        """Light per square pixel at a squared distance; `widen` multiplies the width."""
        core2 = np.square(self._core(self.beta) * np.asarray(widen, float))
        fall = (1.0 + np.asarray(square_px2, float) / core2) ** -self.beta
        return np.asarray((self.beta - 1.0) / (np.pi * core2) * fall)

    def line_fwhm_px(self, widen: float = 1.0) -> float:
        """Full width at half maximum across a long even line of points.

        The integral of the profile along a line falls with beta - 1/2.
        """
        half = np.sqrt(2.0 ** (1.0 / (self.beta - 0.5)) - 1.0)
        return float(2.0 * self._core(self.beta) * widen * half)

    def across(self, distance_px: ArrayLike, widen: float = 1.0) -> FloatArray:
        """Light per square pixel at a distance from a long line of unit flux per pixel of length.

        Integrated numerically along the line.
        """
        reach = 60.0 * self.fwhm_px * widen
        along = np.linspace(-reach, reach, 6001)
        away = np.square(np.asarray(distance_px, float))[..., None]
        return np.asarray(self.point(away + along**2, widen).sum(axis=-1) * (along[1] - along[0]))

    def _core(self, beta: float) -> float:
        return 0.5 * self.fwhm_px / float(np.sqrt(2.0 ** (1.0 / beta) - 1.0))
