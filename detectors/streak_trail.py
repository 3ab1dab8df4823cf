"""The trail that all stars draw while the camera turns, told from the spots of a frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray

FloatImage = NDArray[np.float32]

SPOT_SNR, BRIGHT_SNR = 4.5, 8.0
FEWEST_PIXELS, FEWEST_TRAILS = 6, 6
LONGEST_PX = 80.0
# Long axis over short axis of a spot, second moments: of points a quarter have more than 1.27
LEAST_ELONGATION, LEAST_SHARE, LEAST_AGREEMENT = 1.35, 0.5, 0.7
PARALLEL_DEG = 15.0
LEAST_SPREAD_PX = 15.0  # about a common line: dashes of one streak lie on one
# Spots end where they sink into the noise: their variance is less than that of all their light
# (simulated trails of Moffat profiles)
TRUNCATED = 1.45


@dataclass(frozen=True, kw_only=True)
class StarTrail:
    """Length and direction of the trail of every star, and its width across."""

    length_px: float
    angle_rad: float
    sigma_px: float = 1.2

    def filtered(self, blurred: FloatImage, sigma_px: float) -> tuple[FloatImage, float]:
        """A blurred frame summed along the trail, and the sigma of white noise in that."""
        half = int(np.ceil(0.5 * self.length_px)) + 2
        steps = np.linspace(-0.5, 0.5, int(np.ceil(2.0 * self.length_px)) + 1) * self.length_px
        kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        x, y = half + steps * np.cos(self.angle_rad), half + steps * np.sin(self.angle_rad)
        for dx in (0, 1):
            for dy in (0, 1):
                left, top = np.floor(x).astype(int), np.floor(y).astype(int)
                weight = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
                np.add.at(kernel, (top + dy, left + dx), weight)
        kernel /= kernel.sum()
        answer = cv2.filter2D(blurred, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
        size = 4 * int(np.ceil(sigma_px)) + 1
        wide = cv2.copyMakeBorder(kernel, size, size, size, size, cv2.BORDER_CONSTANT)
        drawn = cv2.GaussianBlur(wide, (0, 0), sigma_px)
        return np.asarray(answer), float(np.sqrt(np.square(drawn).sum()))


def common_star_trail(blurred: FloatImage, unit: float, blur_px: float) -> StarTrail | None:
    """What most spots of a frame draw alike: lines of one length and direction.

    Parameters
    ----------
    blurred : ndarray of float32, shape (h, w)
        The frame in units of its noise, blurred.
    unit : float
        Sigma of the noise in that.
    blur_px : float
        Sigma of the blur.

    Returns
    -------
    StarTrail or None
        None where most spots are points, or do not agree.
    """
    spots = _spots(blurred, unit)
    if spots is None:
        return None
    x, y, long, short, angle = spots
    trails = long > LEAST_ELONGATION * short
    if np.count_nonzero(trails) < max(FEWEST_TRAILS, LEAST_SHARE * trails.size):
        return None
    doubled = np.exp(2j * angle[trails]).mean()
    if np.abs(doubled) < LEAST_AGREEMENT:
        return None
    common = 0.5 * float(np.angle(doubled))
    off = 0.5 * np.angle(np.exp(2j * (angle - common)))
    trails &= np.abs(off) < np.radians(PARALLEL_DEG)
    if not trails.any():
        return None
    common += float(np.median(off[trails]))
    beside = y[trails] * np.cos(common) - x[trails] * np.sin(common)
    if np.median(np.abs(beside - np.median(beside))) < LEAST_SPREAD_PX:
        return None
    length = float(np.median(np.sqrt(12.0 * (long**2 - short**2))[trails]))
    if length > LONGEST_PX:
        return None
    # The blur of the spots has widened them
    width = float(np.sqrt(max(TRUNCATED * (np.median(short[trails]) ** 2 - blur_px**2), 0.72)))
    return StarTrail(length_px=length, angle_rad=common, sigma_px=width)


def _spots(blurred: FloatImage, unit: float) -> tuple[FloatArray, ...] | None:
    """Centre, long and short sigma and angle of the bright spots; None where there are few."""
    lit = (blurred > SPOT_SNR * unit).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lit)
    rows, cols = np.nonzero(lit)
    if count <= FEWEST_TRAILS or rows.size == 0:
        return None
    label = np.asarray(labels[rows, cols], np.intp)
    strength = blurred[rows, cols] / unit
    brightest = np.zeros(count, np.float32)
    np.maximum.at(brightest, label, strength)
    sides = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    good = (brightest > BRIGHT_SNR) & (stats[:, cv2.CC_STAT_AREA] >= FEWEST_PIXELS)
    good &= sides < 1.5 * LONGEST_PX
    good[0] = False
    if not good.any():
        return None
    # Equal say along the trail: a star's light as far as it stands clearly above the noise
    weight = np.minimum(strength, 2.0 * SPOT_SNR)

    places = (cols.astype(float), rows.astype(float))
    x, y, long, _, angle = _moments(label, weight, places, good)
    # By their own light for the width: equal say would count the wings as much as the core
    short = _moments(label, strength, places, good)[3]
    return x, y, long, short, angle


def _moments(
    label: NDArray[np.intp],
    weight: FloatImage,
    places: tuple[FloatArray, FloatArray],
    good: NDArray[np.bool_],
) -> tuple[FloatArray, ...]:
    """Centre, long and short sigma and angle of labelled spots."""
    across, down = places

    def total(values: FloatArray) -> FloatArray:
        sums = np.bincount(label, weight * values, minlength=good.size)
        return np.asarray(sums[good], float)

    mass = total(np.ones(label.size))
    x, y = total(across) / mass, total(down) / mass
    xx, yy = total(across**2) / mass - x * x, total(down**2) / mass - y * y
    xy = total(across * down) / mass - x * y
    middle, apart = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    angle = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    short = np.sqrt(np.maximum(middle - apart, 0.05))
    return x, y, np.sqrt(middle + apart), short, angle
