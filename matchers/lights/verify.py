"""Light peaks, and the odds that those of a photo match those of the map for a given camera.

Each light peak of the photo matches a peak of the map or not. The chance of a random match is
measured for each peak: the fraction of many shifts, applied to the photo's peaks, at which it
matches. Bayes' rule then gives the odds of the camera hypothesis against chance.

References
----------
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial import cKDTree

from detectors.background import fit_quadratic_peak
from detectors.types import Columns, FloatArray, FloatImage, IndexArray


@dataclass(frozen=True, kw_only=True)
class LightParams:
    """Parameters for detection and matching of light peaks, and for image odds."""

    # Sigma of the inner Gaussian; positions in photo and map agree to about half of it
    scale_px: float = 2.5
    min_contrast: float = 0.02  # in log light: 5 % brighter than the surroundings
    # Number of strongest peaks to compare, of photo and map (by eye)
    n_photo: int = 150
    n_map: int = 300
    # Share of the photo's lights that match the map for the correct camera. It is about one half in
    # clear frames (quartiles 0.44, 0.55 and 0.64 of 92 simulated frames), and far lower if clouds,
    # reflections or boats are detected as lights. Each share is tried with each number of strongest
    # lights
    matched_shares: tuple[float, ...] = (0.15, 0.25, 0.4, 0.55, 0.7)
    strongest: tuple[int, ...] = (40, 10_000)
    # Lower bound of the chance of a random match, since lights of both map and photo are
    # concentrated along roads and coasts (by eye)
    min_chance: float = 0.02
    # Lower bound of the view's local variance, as a share of its mean (by eye): an empty view would
    # correlate with anything
    min_variance: float = 0.1

    @property
    def match_px(self) -> float:
        return 1.5 * self.scale_px  # three sigmas of their positions


LIGHTS = LightParams()


@dataclass(frozen=True, kw_only=True)
class LightPeaks(Columns):
    """Positions (pixels) and contrast of light peaks, strongest first; each of shape (n,)."""

    x: FloatArray
    y: FloatArray
    contrast: FloatArray

    @property
    def positions(self) -> FloatArray:
        return np.stack([self.x, self.y], axis=-1)


NO_LIGHTS = LightPeaks(x=np.zeros(0), y=np.zeros(0), contrast=np.zeros(0))


def find_light_peaks(
    log_light: FloatImage,
    weight: FloatImage | None,
    count: int,
    scale_px: float = LIGHTS.scale_px,
) -> LightPeaks:
    """Find subpixel local maxima of the difference of Gaussians of a log-light image.

    `weight` is 0 for pixels to ignore, `scale_px` the sigma of the inner Gaussian.
    """
    outer_px = 2.5 * scale_px  # ratio by eye
    inner = cv2.GaussianBlur(log_light, (0, 0), scale_px)
    if weight is None:
        band = inner - cv2.GaussianBlur(log_light, (0, 0), outer_px)
    else:
        lit = cv2.GaussianBlur(log_light * weight, (0, 0), outer_px)
        counted = cv2.GaussianBlur(weight, (0, 0), outer_px)
        band = inner - lit / np.maximum(counted, 1e-3)
    side = 2 * int(np.ceil(1.5 * scale_px)) + 1
    peak = band >= cv2.dilate(band, np.ones((side, side)))
    peak &= band > LIGHTS.min_contrast
    if weight is not None:
        peak &= weight > 0.5
    border = 2
    peak[:border] = peak[-border:] = False
    peak[:, :border] = peak[:, -border:] = False
    i, j = np.nonzero(peak)
    order = np.argsort(-band[i, j], kind="stable")[:count]
    i, j = i[order], j[order]
    # With the mixed derivative: a peak between two pixels lies at the same place from both of them
    dx, dy = fit_quadratic_peak(band, i, j)
    return LightPeaks(x=j + dx, y=i + dy, contrast=band[i, j].astype(float))


def spread_shifts() -> FloatArray:
    """Make shifts (pixels) distributed over a ring by the golden angle; shape (n, 2)."""
    # Beyond the reach of matches, and near enough for the same density of lights (by eye)
    count, inner_px, outer_px = 160, 10.0, 60.0
    k = np.arange(count)
    angle = k * np.pi * (3.0 - np.sqrt(5.0))
    radius = np.sqrt(inner_px**2 + (k + 0.5) / count * (outer_px**2 - inner_px**2))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def score_lights(photo: LightPeaks, view: LightPeaks) -> tuple[float, IndexArray]:
    """Score matches of light peaks of photo and map, in the same pixel frame, against chance.

    Returns the log10 odds of this camera against chance, not corrected for the number of cameras
    tried, and the indices of the photo's peaks that match.
    """
    if len(photo) == 0 or len(view) == 0:
        return 0.0, np.zeros(0, np.intp)
    tree = cKDTree(view.positions)
    matched = tree.query(photo.positions)[0] < LIGHTS.match_px
    shifted = photo.positions[None, :, :] + spread_shifts()[:, None, :]
    by_chance = tree.query(shifted)[0] < LIGHTS.match_px  # shifts x lights
    chance = (by_chance.sum(axis=0) + 1.0) / (len(shifted) + 2.0)
    chance = np.maximum(0.5 * (chance + chance.mean()), LIGHTS.min_chance)
    odds, luckiest = -np.inf, 0.0
    for count, share in product(LIGHTS.strongest, LIGHTS.matched_shares):
        part = slice(None, count)
        expected = np.maximum(share, chance[part])
        if_matched = np.log10(expected / chance[part])
        if_not = np.log10((1 - expected) / (1 - chance[part]))
        odds = max(odds, float(np.where(matched[part], if_matched, if_not).sum()))
        # Lights along one road or coast are not independent: they match together or not at all. The
        # highest odds at any shift are therefore subtracted
        shifted_odds = np.where(by_chance[:, part], if_matched, if_not).sum(axis=1)
        luckiest = max(luckiest, float(shifted_odds.max()))
    odds -= float(np.log10(len(LIGHTS.strongest) * len(LIGHTS.matched_shares)))
    return odds - luckiest, np.flatnonzero(matched)


def image_log10_odds(
    photo: FloatImage, view: FloatImage, weight: FloatImage, nearest_px: float
) -> float:
    """Compute log10 odds of the correlation of photo and view against wrong alignments.

    The reference is the extreme-value distribution (Gumbel) of the correlation at all shifts but
    those of up to `nearest_px`: 1 / (chance that one shift correlates as well); 0 if either image
    is empty. Both images are without broad structure, with normalised contrast.
    """
    surfaces = correlate_displaced(photo, view, weight)
    height, width = photo.shape
    n_blocks = 4  # per side of each of the four surfaces, which gives 64 extreme values
    down = np.minimum(np.arange(height), height - np.arange(height))
    across = np.minimum(np.arange(width), width - np.arange(width))
    here = float(surfaces[0, 0, 0])
    surfaces[0][np.hypot(down[:, None], across) <= nearest_px] = -np.inf
    highest = np.array(
        [
            block.max()
            for surface in surfaces
            for rows in np.array_split(surface, n_blocks)
            for block in np.array_split(rows, n_blocks, axis=1)
            if block.size
        ]
    )
    highest = highest[np.isfinite(highest)]
    if not highest.any():
        return 0.0
    scale = max(float(highest.std()) * np.sqrt(6.0) / np.pi, 1e-3)
    mode = float(highest.mean()) - np.euler_gamma * scale
    shifts_per_block = height * width / n_blocks**2
    return float((here - mode) / scale / np.log(10.0) + np.log10(shifts_per_block))


def correlate_displaced(photo: FloatImage, view: FloatImage, weight: FloatImage) -> FloatArray:
    """Correlate a photo with a view and its reflections at every cyclic shift."""
    total = max(float(weight.sum()), 1e-9)
    centred = photo - float((weight * photo).sum()) / total
    spread = float((weight * centred**2).sum())
    if spread < 1e-9:
        return np.zeros((4, *photo.shape))
    of_photo, of_weight = np.conj(fft.rfft2(weight * centred)), np.conj(fft.rfft2(weight))

    def sweep(image: FloatImage, kernel: NDArray[np.complex128]) -> FloatArray:
        return np.asarray(fft.irfft2(fft.rfft2(image) * kernel, image.shape), float)

    found = np.empty((4, *photo.shape))
    for k, turned in enumerate((view, view[::-1], view[:, ::-1], view[::-1, ::-1])):
        variance = sweep(turned**2, of_weight) - sweep(turned, of_weight) ** 2 / total
        least = max(LIGHTS.min_variance * float(variance.mean()), 1e-9)
        found[k] = sweep(turned, of_photo) / np.sqrt(np.maximum(variance, least) * spread)
    return found
