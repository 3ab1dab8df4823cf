"""The point spread function of a frame, measured on its own stars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.point_spread import WING_SIGMAS, PointSpread
from detectors.stamps import cut_stamps
from detectors.types import FloatArray

FloatImage = NDArray[np.float32]
IndexArray = NDArray[np.intp]

HALF_STAMP_PX, HALF_MIDDLE_PX = 10, 3
MOST_STARS = 150
FEWEST_STARS = 4
PASSES = 4
# Nothing sharper is starlight: the pixel alone blurs by 0.29, lenses in focus by 0.4 and more
NARROWEST_SIGMA_PX, WIDEST_SIGMA_PX = 0.48, 4.0
WING_SHARES = (0.0, 0.1, 0.2, 0.3, 0.45)
SIGMA_STEPS = np.linspace(0.7, 1.25, 12)
USUAL = PointSpread(sigma_px=1.0, wings=0.15)  # FWHM 2.5 px, a lens in focus on small pixels


def measure_width(
    image: FloatImage,
    usable: NDArray[np.bool_],
    row: IndexArray,
    col: IndexArray,
    noise: FloatArray,
) -> PointSpread:
    """Width and wings of the stars at some places, the brightest first.

    Each star's sigma is found by a Gaussian window that takes its width; the median of what is
    neither a single pixel nor wide is refined, with the wings, by the profile that explains most
    of the stars' light.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Light, background removed.
    usable : ndarray of bool, shape (h, w)
        False where a pixel is clipped or ignored.
    row, col : ndarray of int, shape (N,)
        Peaks.
    noise : ndarray of float64, shape (N,)
        Sigma of a pixel there.

    Returns
    -------
    PointSpread
        `USUAL` where too few stars tell.
    """
    stamps = cut_stamps(image, row, col, HALF_STAMP_PX)
    whole = cut_stamps(usable, row, col, HALF_MIDDLE_PX).all(axis=(1, 2))
    stamps, noise = stamps[whole][: 4 * MOST_STARS], noise[whole][: 4 * MOST_STARS]
    if len(stamps) < FEWEST_STARS:
        return USUAL
    x, y, short, long, total = adaptive_moments(stamps)
    good = (short > NARROWEST_SIGMA_PX) & (long < WIDEST_SIGMA_PX) & (long < 2.0 * short)
    good &= (total > 0.0) & (np.hypot(x, y) < 1.5)
    if np.count_nonzero(good) < FEWEST_STARS:
        return USUAL
    sigma = float(np.median(np.sqrt(short * long)[good][:MOST_STARS]))
    near = good & (np.abs(np.log(np.sqrt(short * long) / sigma)) < 0.4)
    chosen = np.flatnonzero(near)[:MOST_STARS]
    return _best_profile(stamps[chosen], x[chosen], y[chosen], noise[chosen], sigma)


def adaptive_moments(
    stamps: FloatImage,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Centre, short and long sigma, and windowed sum of the light in stamps.

    A round Gaussian window moves to the centroid (by twice the step) and takes the star's width:
    under a window of sigma equal to its own a Gaussian shows half of its variance.

    References
    ----------
    Bernstein, G. M., Jarvis, M. (2002). Shapes and shears, stars and smears. AJ 123, 583-618.
    """
    half = stamps.shape[1] // 2
    offsets = np.arange(-half, half + 1)
    count = len(stamps)
    x, y, sigma = np.zeros(count), np.zeros(count), np.full(count, 1.2)
    for _ in range(PASSES):
        dx, dy = offsets - x[:, None], offsets - y[:, None]
        wx = np.exp(-0.5 * (dx / sigma[:, None]) ** 2)
        wy = np.exp(-0.5 * (dy / sigma[:, None]) ** 2)
        by_x = np.stack([wx, wx * dx, wx * dx * dx], axis=2).astype(np.float32)
        by_y = np.stack([wy, wy * dy, wy * dy * dy], axis=1).astype(np.float32)
        sums = (by_y @ stamps @ by_x).astype(np.float64)
        total = np.where(sums[:, 0, 0] > 0.0, sums[:, 0, 0], np.inf)
        mx, my = sums[:, 0, 1] / total, sums[:, 1, 0] / total
        xx, yy = sums[:, 0, 2] / total - mx * mx, sums[:, 2, 0] / total - my * my
        xy = sums[:, 1, 1] / total - mx * my
        x, y = np.clip(x + 2.0 * mx, -2.0, 2.0), np.clip(y + 2.0 * my, -2.0, 2.0)
        middle, apart = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
        window = sigma
        sigma = np.sqrt(_behind(np.maximum(middle, 0.02), window))
        sigma = np.clip(sigma, 0.5, WIDEST_SIGMA_PX)
    short = np.sqrt(_behind(np.maximum(middle - apart, 0.02), window))
    long = np.sqrt(_behind(np.maximum(middle + apart, 0.02), window))
    return x, y, short, long, np.where(np.isfinite(total), total, 0.0)


def _behind(seen: FloatArray, window: FloatArray) -> FloatArray:
    """Variance of a Gaussian that shows this variance under a window of that sigma."""
    return np.asarray(1.0 / np.maximum(1.0 / seen - 1.0 / window**2, 1.0 / (3.0 * window) ** 2))


def _best_profile(
    stamps: FloatImage, x: FloatArray, y: FloatArray, noise: FloatArray, sigma: float
) -> PointSpread:
    """Width and wings with the greatest share of the stars' light explained."""
    best, most = USUAL, -np.inf
    half = int(min(HALF_STAMP_PX, np.ceil(4.5 * sigma) + 1))
    cut = slice(HALF_STAMP_PX - half, HALF_STAMP_PX + half + 1)
    data = stamps[:, cut, cut].reshape(len(stamps), -1)
    data = data - np.median(data, axis=1, keepdims=True)
    # Stars of equal say beyond a signal-to-noise ratio of some 50: the brightest are not all
    scale = np.hypot(noise, 0.02 * np.abs(data).max(axis=1))
    data = data / scale[:, None].astype(np.float32)
    for step in SIGMA_STEPS:
        width = float(max(NARROWEST_SIGMA_PX, sigma * step))
        core, wide = _centred(x, y, half, width), _centred(x, y, half, WING_SIGMAS * width)
        # All mixtures of both from the sums of products
        by_core, by_wide = _dots(data, core), _dots(data, wide)
        cores, wides, crossed = _dots(core, core), _dots(wide, wide), _dots(core, wide)
        for wings in WING_SHARES:
            rest = 1.0 - wings
            power = rest**2 * cores + 2.0 * rest * wings * crossed + wings**2 * wides
            explained = float(((rest * by_core + wings * by_wide) ** 2 / power).sum())
            if explained > most:
                best, most = PointSpread(sigma_px=width, wings=wings), explained
    return best


def _centred(x: FloatArray, y: FloatArray, half: int, sigma: float) -> FloatImage:
    """Gaussians at places, less their mean, shape (N, pixels)."""
    drawn = PointSpread(sigma_px=sigma, wings=0.0).draw(x, y, half).reshape(x.size, -1)
    return np.asarray(drawn - drawn.mean(axis=1, keepdims=True))


def _dots(one: FloatImage, other: FloatImage) -> FloatArray:
    return np.einsum("np,np->n", one, other).astype(float)
