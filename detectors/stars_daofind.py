"""Stars by DAOFIND: a lowered Gaussian, sharpness and roundness (Stetson 1987)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.psf import FWHM_PER_SIGMA
from detectors.scale_space import local_maxima
from detectors.star_frame import StarFrame
from detectors.star_measures import described_stars, window_sums
from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray, StarDetections
from detectors.windowed import cut_stamps

KERNEL_RADIUS_SIGMAS = 1.5  # where DAOFIND cuts its Gaussian off, and at least two pixels
MARGIN_PX = 2.0  # beyond the kernel: the sky of the marginal fits


@dataclass(frozen=True, kw_only=True)
class DaoFind:
    """The detector of DAOPHOT.

    Attributes
    ----------
    threshold_sigma : float
        Height of a star's Gaussian above the sky, in sigma of a pixel.
    fwhm_px : float
        Of the Gaussian that is sought.
    sharpness : tuple of float
        Limits of the brightest pixel over its surroundings, over the Gaussian's height.
    roundness : float
        Limit of the difference of the marginal heights in x and y over their mean.
    background_scale_px : float
        Size of the boxes in which the diffuse light is estimated.
    max_stars : int
        The brightest so many peaks are measured.

    References
    ----------
    Stetson, P. B. (1987). DAOPHOT: a computer program for crowded-field stellar photometry.
    PASP 99, 191-222.
    """

    threshold_sigma: float = 5.0
    fwhm_px: float = 2.5
    sharpness: tuple[float, float] = (0.2, 1.0)
    roundness: float = 1.0
    background_scale_px: float = 64.0
    max_stars: int = 5000
    name: ClassVar[str] = "daofind"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StarDetections:
        """Find the stars of an image; see `detectors.types.StarDetector`."""
        frame = StarFrame.of(light, mask, saturated)
        if frame.is_blank:
            return StarDetections.empty()
        sky = frame.background(self.background_scale_px)
        above = np.where(frame.ignored, np.float32(0.0), frame.light - sky.level)
        sigma = self.fwhm_px / FWHM_PER_SIGMA
        kernel, inside = lowered_gaussian(sigma)
        height = np.asarray(
            cv2.filter2D(above, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), np.float32
        )
        row, col = local_maxima(height / sky.noise, self.threshold_sigma * _error(kernel))
        strongest = np.argsort(-height[row, col], kind="stable")[: self.max_stars]
        row, col = row[strongest], col[strongest]
        keep = ~frame.ignored[row, col] & self._sharp_enough(above, height, inside, row, col)
        row, col = row[keep], col[keep]
        dx, dy, unround = _marginal_fits(above, row, col, sigma)
        keep = (np.abs(unround) < self.roundness) & (np.maximum(np.abs(dx), np.abs(dy)) < 1.5)
        row, col = row[keep], col[keep]
        x, y = col + dx[keep], row + dy[keep]
        noise = sky.noise[row, col].astype(float)
        window = np.full(x.size, sigma)
        sums = window_sums(above, x, y, window, gaussian=True)
        return described_stars(frame, x, y, noise, sums, window_sigma_px=window)

    def _sharp_enough(
        self,
        above: FloatImage,
        height: FloatImage,
        inside: BoolImage,
        row: IndexArray,
        col: IndexArray,
    ) -> BoolImage:
        """Whether a peak is neither a single pixel nor a slope."""
        half = inside.shape[0] // 2
        stamps = cut_stamps(above, row, col, half)
        peak = stamps[:, half, half]
        others = (stamps * inside).sum(axis=(1, 2)) - peak
        sharp = (peak - others / (inside.sum() - 1)) / height[row, col]
        return np.asarray((sharp > self.sharpness[0]) & (sharp < self.sharpness[1]))


def lowered_gaussian(sigma_px: float) -> tuple[FloatImage, BoolImage]:
    """DAOFIND's kernel, whose answer is the height of the Gaussian that fits best; and its disc."""
    radius = max(2.0, KERNEL_RADIUS_SIGMAS * sigma_px)
    half = int(radius)
    squared = np.square(np.arange(-half, half + 1))
    squared = squared[:, None] + squared[None, :]
    inside = squared <= radius**2
    gaussian = np.exp(-0.5 * squared / sigma_px**2) * inside
    count, total = inside.sum(), gaussian.sum()
    power = np.square(gaussian).sum() - total**2 / count
    return (inside * (gaussian - total / count) / power).astype(np.float32), inside


def _error(kernel: FloatImage) -> float:
    """Sigma of the kernel's answer to white noise of one."""
    return float(np.sqrt(np.square(kernel).sum()))


def _marginal_fits(
    above: FloatImage, row: IndexArray, col: IndexArray, sigma_px: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Offsets in x and y, and unroundness, by Gaussians fitted to the marginal sums.

    Height, shift and sky of each marginal are a linear least-squares fit, near pixels weighing
    more, as DAOFIND does it.
    """
    half = int(np.ceil(KERNEL_RADIUS_SIGMAS * sigma_px + MARGIN_PX))
    offsets = np.arange(-half, half + 1).astype(float)
    weight = half + 1.0 - np.abs(offsets)
    stamps = cut_stamps(above, row, col, half)
    gaussian = np.exp(-0.5 * (offsets / sigma_px) ** 2)
    design = np.stack([gaussian, gaussian * offsets / sigma_px**2, np.ones_like(offsets)], axis=1)
    solve = np.linalg.pinv(np.sqrt(weight)[:, None] * design) * np.sqrt(weight)
    across = weight / weight.sum()
    in_x, in_y = (across[:, None] * stamps).sum(axis=1), (across * stamps).sum(axis=2)
    (hx, sx, _), (hy, sy, _) = (in_x @ solve.T).T, (in_y @ solve.T).T
    good = (hx > 0.0) & (hy > 0.0)
    safe_x, safe_y = np.where(good, hx, 1.0), np.where(good, hy, 1.0)
    far = np.inf  # no Gaussian at all in one direction
    unround = np.where(good, 2.0 * (hx - hy) / (safe_x + safe_y), far)
    return np.where(good, sx / safe_x, far), np.where(good, sy / safe_y, far), unround
