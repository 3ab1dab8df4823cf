"""A fitted streak: its path, width, signal-to-noise ratio and the light along it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detectors.streak_strip import Path

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A fitted streak.

    Attributes
    ----------
    path : Path
    sigma_px : float
        Width across, one sigma of a Gaussian.
    snr : float
        Over the scatter of parallel lines beside it, at least that of white noise.
    scatter : float
        That scatter, in units of white noise.
    bow_sigma_px, line_sigma_px, sigma_width : float
        Standard deviations of the bow, of the place across at the ends, and of ln `sigma_px`.
    end_sigma_px : tuple of float
        Of both ends, along.
    u, signal, weight : ndarray of float64, shape (n,)
        Distance along, filter sum and its variance at steps of a pixel, beyond the ends, too.
    bin_px : int
        Side of the squares of pixels that the steps were measured in.
    """

    path: Path
    sigma_px: float
    snr: float
    scatter: float
    bow_sigma_px: float
    line_sigma_px: float
    sigma_width: float
    end_sigma_px: tuple[float, float]
    u: FloatArray
    signal: FloatArray
    weight: FloatArray
    bin_px: int = 1

    def scaled(self, factor: int) -> Line:
        """The same in a frame of which squares of so many pixels were one."""
        path, shift = self.path, 0.5 * (factor - 1)
        return replace(
            self,
            path=Path(
                x1=factor * path.x1 + shift,
                y1=factor * path.y1 + shift,
                x2=factor * path.x2 + shift,
                y2=factor * path.y2 + shift,
                bow_px=factor * path.bow_px,
            ),
            sigma_px=factor * self.sigma_px,
            bow_sigma_px=factor * self.bow_sigma_px,
            line_sigma_px=factor * self.line_sigma_px,
            end_sigma_px=(factor * self.end_sigma_px[0], factor * self.end_sigma_px[1]),
            u=factor * self.u,
            bin_px=factor * self.bin_px,
        )

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Steps between the ends."""
        return (self.u >= 0.0) & (self.u <= self.path.length_px)
