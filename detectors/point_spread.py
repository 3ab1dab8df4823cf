"""What a point of light looks like in a frame: a sum of Gaussians, drawn out along a trail."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

FloatArray = NDArray[np.float64]
FloatImage = NDArray[np.float32]

FWHM_PER_SIGMA = 2.0 * (2.0 * np.log(2.0)) ** 0.5
# A core and wings twice as wide: what SDSS calls the double Gaussian of its frames; core and wings
# together follow Moffat profiles of beta 2.5 to 5 to 2 % of the peak
WING_SIGMAS = 2.0
# Gaussians nearer than this along a trail add up to an even line: ripples of 2 exp(-2 pi^2 / s^2)
TRAIL_STEP_SIGMAS = 1.4
LONGEST_TRAIL_PX = 80.0


@dataclass(frozen=True, kw_only=True)
class PointSpread:
    """A point spread function of unit flux, integrated over square pixels.

    Attributes
    ----------
    sigma_px : float
        Of the core's Gaussian.
    wings : float
        Share of the light that lies in a Gaussian of `WING_SIGMAS` times that width.
    trail_px : tuple of float
        (x, y) from end to end of the trail that a star draws; (0, 0) for a point.
    """

    sigma_px: float
    wings: float = 0.15
    trail_px: tuple[float, float] = (0.0, 0.0)

    @property
    def trail_length_px(self) -> float:
        """Length of the trail."""
        return float(np.hypot(*self.trail_px))

    @property
    def fwhm_px(self) -> float:
        """Full width at half maximum, of a trail across it; from the profile itself."""
        radius = np.linspace(0.0, 3.0 * self.sigma_px, 301)
        profile = np.zeros(radius.size)
        for weight, sigma in self._layers():
            profile += weight / sigma**2 * np.exp(-0.5 * (radius / sigma) ** 2)
        return 2.0 * float(np.interp(-0.5 * profile[0], -profile, radius))

    @property
    def half_stamp_px(self) -> int:
        """Half side of the square that holds what matters of a star."""
        reach = 3.5 * self.sigma_px + 0.5 * max(abs(self.trail_px[0]), abs(self.trail_px[1]))
        return max(4, int(np.ceil(reach)) + 1)

    def without_trail(self) -> PointSpread:
        """The same optics, standing still."""
        return replace(self, trail_px=(0.0, 0.0))

    def kernel(self) -> FloatImage:
        """The profile about the middle of a pixel, shape (n, n)."""
        return self.draw(np.zeros(1), np.zeros(1), self.half_stamp_px)[0]

    def draw(self, x: FloatArray, y: FloatArray, half: int) -> FloatImage:
        """Profiles at places counted from the middle of their stamps.

        Parameters
        ----------
        x, y : ndarray of float64, shape (N,)
            Pixels from the middle pixel's centre.
        half : int
            Half side of the stamps.

        Returns
        -------
        ndarray of float32, shape (N, 2 half + 1, 2 half + 1)
        """
        weights, sigma, offset = self._gaussians()
        in_x = _integrals(x, offset[:, 0], sigma, half)
        in_y = _integrals(y, offset[:, 1], sigma, half)
        return np.asarray(np.swapaxes(weights[:, None] * in_y, 1, 2) @ in_x)

    def draw_with_slopes(
        self, x: FloatArray, y: FloatArray, half: int
    ) -> tuple[FloatImage, FloatImage, FloatImage]:
        """As `draw`, with the derivatives by x and by y of the star's place."""
        weights, sigma, offset = self._gaussians()
        in_x = _integrals(x, offset[:, 0], sigma, half)
        in_y = np.swapaxes(weights[:, None] * _integrals(y, offset[:, 1], sigma, half), 1, 2)
        by_x = _slopes(x, offset[:, 0], sigma, half)
        by_y = np.swapaxes(weights[:, None] * _slopes(y, offset[:, 1], sigma, half), 1, 2)
        return np.asarray(in_y @ in_x), np.asarray(in_y @ by_x), np.asarray(by_y @ in_x)

    def _gaussians(self) -> tuple[NDArray[np.float32], FloatArray, FloatArray]:
        """Share, sigma and offset (x, y) of all Gaussians, shapes (K,), (K,), (K, 2)."""
        weights, sigmas, offsets = [], [], []
        for share, sigma in self._layers():
            along = _along_trail(self.trail_length_px / sigma)
            weights += [share / along.size] * along.size
            sigmas += [sigma] * along.size
            offsets.append(along[:, None] * np.array(self.trail_px))
        return np.array(weights, np.float32), np.array(sigmas), np.concatenate(offsets)

    def _layers(self) -> tuple[tuple[float, float], ...]:
        """Share and sigma of the Gaussians of a point."""
        core = (1.0 - self.wings, self.sigma_px)
        return (core, (self.wings, WING_SIGMAS * self.sigma_px)) if self.wings else (core,)


def _along_trail(length_sigmas: float) -> FloatArray:
    """Where along a trail its Gaussians lie, -0.5 to 0.5; of the variance that an even line has."""
    if length_sigmas == 0.0:
        return np.zeros(1)
    steps = 1 + int(np.ceil(length_sigmas / TRAIL_STEP_SIGMAS))
    middles = (np.arange(steps) + 0.5) / steps - 0.5
    return np.asarray(middles / (1.0 - 1.0 / steps**2) ** 0.5)


def _edges(place: FloatArray, offset: FloatArray, sigma: FloatArray, half: int) -> FloatImage:
    """Sides of the pixels in sigmas of each Gaussian, shape (N, K, 2 half + 2)."""
    sides = np.arange(-half, half + 2) - 0.5
    middle = place[:, None] + offset
    scaled = (sides - middle[:, :, None]) / sigma[:, None]
    return scaled.astype(np.float32)


def _integrals(place: FloatArray, offset: FloatArray, sigma: FloatArray, half: int) -> FloatImage:
    """Share of each Gaussian in each pixel, shape (N, K, 2 half + 1)."""
    below = erf(_edges(place, offset, sigma, half) * np.float32(0.5**0.5))
    return np.asarray(np.float32(0.5) * np.diff(below, axis=2))


def _slopes(place: FloatArray, offset: FloatArray, sigma: FloatArray, half: int) -> FloatImage:
    """Their derivatives by the Gaussian's place."""
    height = np.exp(np.float32(-0.5) * _edges(place, offset, sigma, half) ** 2)
    scale = (-1.0 / ((2.0 * np.pi) ** 0.5 * sigma)).astype(np.float32)
    return np.asarray(scale[:, None] * np.diff(height, axis=2))
