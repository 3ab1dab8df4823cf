"""Point spread functions of stars: stamps of a frame, the model, and its measurement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import erf

from detectors.types import BoolArray, BoolImage, FloatArray, FloatImage, IndexArray


def find_nearest_pixels(
    shape: tuple[int, ...], x: FloatArray, y: FloatArray
) -> tuple[IndexArray, IndexArray]:
    """Find rows and columns of the pixels nearest to positions, clipped to the image."""
    row = np.clip(np.rint(y), 0, shape[0] - 1).astype(np.intp)
    col = np.clip(np.rint(x), 0, shape[1] - 1).astype(np.intp)
    return row, col


def mark_first_of_each(places: FloatArray, nearer: float) -> BoolArray:
    """Mark positions, shape (N, 2), without an earlier one closer than a given distance."""
    keep = np.ones(len(places), bool)
    if len(places) > 1:
        for one, other in cKDTree(places).query_pairs(nearer):
            keep[max(one, other)] = False
    return keep


def measure_window_moments(
    stamps: FloatImage, x: FloatArray, y: FloatArray, sigma: FloatArray
) -> tuple[FloatArray, ...]:
    """Measure moments of light under round Gaussian windows at offsets from the stamp centres.

    Returns the sum (0 if it is not positive), the centroid relative to the window's centre (x, y),
    and the second central moments (xx, yy, xy), each of shape (N,).
    """
    half = stamps.shape[1] // 2
    offsets = np.arange(-half, half + 1)
    dx, dy = offsets - x[:, None], offsets - y[:, None]
    wx = np.exp(-0.5 * (dx / sigma[:, None]) ** 2)
    wy = np.exp(-0.5 * (dy / sigma[:, None]) ** 2)
    by_x = np.stack([wx, wx * dx, wx * dx * dx], axis=2).astype(np.float32)
    by_y = np.stack([wy, wy * dy, wy * dy * dy], axis=1).astype(np.float32)
    sums = (by_y @ stamps @ by_x).astype(np.float64)  # (N, power of y, power of x)
    total = sums[:, 0, 0]
    safe = np.where(total > 0.0, total, np.inf)
    mx, my = sums[:, 0, 1] / safe, sums[:, 1, 0] / safe
    xx, yy = sums[:, 0, 2] / safe - mx * mx, sums[:, 2, 0] / safe - my * my
    return np.maximum(total, 0.0), mx, my, xx, yy, sums[:, 1, 1] / safe - mx * my


def cut_stamps(
    image: NDArray[np.generic], row: IndexArray, col: IndexArray, half: int
) -> FloatImage:
    """Cut stamps around pixels; border pixels are replicated outside the image.

    `image` (h, w). `row`, `col` (N,): central pixels. `half`: half side of a stamp. Returns
    (N, 2 half + 1, 2 half + 1), with the type of the image.
    """
    h, w = image.shape
    offsets = np.arange(-half, half + 1)
    rows = np.clip(row[:, None] + offsets, 0, h - 1)
    cols = np.clip(col[:, None] + offsets, 0, w - 1)
    return np.asarray(image.ravel()[rows[:, :, None] * w + cols[:, None, :]])


def mask_inside_image(
    shape: tuple[int, ...], row: IndexArray, col: IndexArray, half: int
) -> BoolImage:
    """Mask stamp pixels that are inside the image, shape (N, 2 half + 1, 2 half + 1)."""
    h, w = shape
    offsets = np.arange(-half, half + 1)
    rows, cols = row[:, None] + offsets, col[:, None] + offsets
    return ((rows >= 0) & (rows < h))[:, :, None] & ((cols >= 0) & (cols < w))[:, None, :]


def sum_of_stamps(
    shape: tuple[int, ...], row: IndexArray, col: IndexArray, stamps: FloatImage
) -> FloatImage:
    """Add stamps into an image of the given shape; parts outside the image are ignored.

    `row`, `col` (N,): central pixels. `stamps` (N, n, n). Returns (h, w).
    """
    h, w = shape
    half = stamps.shape[1] // 2
    offsets = np.arange(-half, half + 1)
    rows, cols = row[:, None] + offsets, col[:, None] + offsets
    inside = mask_inside_image(shape, row, col, half)
    index = np.clip(rows, 0, h - 1)[:, :, None] * w + np.clip(cols, 0, w - 1)[:, None, :]
    total = np.zeros(h * w, np.float32)
    np.add.at(total, index.ravel(), np.where(inside, stamps, np.float32(0.0)).ravel())
    return total.reshape(h, w)


TOE_LIGHT = np.float32(0.0031308)  # below it sRGB is linear (IEC 61966-2-1)
FWHM_PER_SIGMA = 2.0 * (2.0 * np.log(2.0)) ** 0.5
# Width of the wings relative to the core, as in the double-Gaussian PSF of SDSS. Core and wings
# approximate Moffat profiles of beta 2.5 to 5 to within 2 % of the peak
WING_SIGMAS = 2.0

HALF_STAMP_PX, HALF_MIDDLE_PX = 10, 3
MAX_STARS = 150
# Stars are not sharper: the pixel itself blurs by 0.29, a lens in focus by 0.4 or more
NARROWEST_SIGMA_PX, WIDEST_SIGMA_PX = 0.48, 4.0
WING_SHARES = (0.0, 0.1, 0.2, 0.3, 0.45)
SIGMA_STEPS = np.linspace(0.7, 1.25, 12)


@dataclass(frozen=True, kw_only=True)
class PointSpread:
    """A point spread function of unit flux, integrated over square pixels."""

    sigma_px: float  # sigma of the Gaussian core
    # Share of the flux in the wings, a Gaussian of `WING_SIGMAS` times that width
    wings: float = 0.15
    # Vector (x, y) from end to end of a star trail; (0, 0) for a point
    trail_px: tuple[float, float] = (0.0, 0.0)
    bow_px: float = 0.0  # offset of the trail's middle to the right of the chord

    @property
    def trail_length_px(self) -> float:
        """Length of the trail."""
        return float(np.hypot(*self.trail_px))

    @property
    def is_well_sampled(self) -> bool:
        """Whether stars are points whose width tells them from pixels and galaxies."""
        return self.trail_length_px == 0.0 and self.sigma_px > 1.0

    @property
    def fwhm_px(self) -> float:
        """Full width at half maximum of the profile; for a trail, across the trail."""
        radius = np.linspace(0.0, 3.0 * self.sigma_px, 301)
        profile = np.zeros(radius.size)
        for weight, sigma in self._layers():
            profile += weight / sigma**2 * np.exp(-0.5 * (radius / sigma) ** 2)
        return 2.0 * float(np.interp(-0.5 * profile[0], -profile, radius))

    @property
    def half_stamp_px(self) -> int:
        """Half side of a square stamp that contains nearly all light of a star."""
        reach = 3.5 * self.sigma_px + 0.5 * max(abs(self.trail_px[0]), abs(self.trail_px[1]))
        reach += 0.7 * abs(self.bow_px)
        return max(4, int(np.ceil(reach)) + 1)

    def draw(self, x: FloatArray, y: FloatArray, half: int) -> FloatImage:
        """Render the PSF at subpixel positions, shape (N, 2 half + 1, 2 half + 1).

        `x`, `y` (N,): offsets from the centre of the central pixel. `half`: half side of the
        stamps.
        """
        weights, sigma, offset = self._gaussians()
        in_x = _integrate_over_pixels(x, offset[:, 0], sigma, half)
        in_y = _integrate_over_pixels(y, offset[:, 1], sigma, half)
        return np.asarray(np.swapaxes(weights[:, None] * in_y, 1, 2) @ in_x)

    def draw_with_slopes(
        self, x: FloatArray, y: FloatArray, half: int
    ) -> tuple[FloatImage, FloatImage, FloatImage]:
        """Render the PSF as `draw` does, with its derivatives by the star's x and y."""
        weights, sigma, offset = self._gaussians()
        in_x = _integrate_over_pixels(x, offset[:, 0], sigma, half)
        in_y = np.swapaxes(
            weights[:, None] * _integrate_over_pixels(y, offset[:, 1], sigma, half), 1, 2
        )
        by_x = _differentiate_integrals(x, offset[:, 0], sigma, half)
        by_y = np.swapaxes(
            weights[:, None] * _differentiate_integrals(y, offset[:, 1], sigma, half), 1, 2
        )
        return np.asarray(in_y @ in_x), np.asarray(in_y @ by_x), np.asarray(by_y @ in_x)

    def _gaussians(self) -> tuple[FloatImage, FloatArray, FloatArray]:
        """Weight, sigma and offset (x, y) of all Gaussians, shapes (K,), (K,), (K, 2)."""
        weights, sigmas, offsets = [], [], []
        for share, sigma in self._layers():
            along = np.zeros(1)
            if self.trail_length_px > 0.0:
                # Gaussians at this spacing along a trail sum to a uniform line, with ripples of 2
                # exp(-2 pi^2 / s^2), and have a line's variance
                steps = 1 + int(np.ceil(self.trail_length_px / sigma / 1.4))
                along = (np.arange(steps) + 0.5) / steps - 0.5
                along /= (1.0 - 1.0 / steps**2) ** 0.5
            weights += [share / along.size] * along.size
            sigmas += [sigma] * along.size
            bent = 4.0 * self.bow_px * (np.mean(along**2) - along**2)  # relative to the centroid
            normal = np.array([-self.trail_px[1], self.trail_px[0]]) / max(
                self.trail_length_px, 1.0
            )
            offsets.append(along[:, None] * np.array(self.trail_px) + bent[:, None] * normal)
        return np.array(weights, np.float32), np.array(sigmas), np.concatenate(offsets)

    def _layers(self) -> tuple[tuple[float, float], ...]:
        """Weight and sigma of the Gaussians of a point source."""
        core = (1.0 - self.wings, self.sigma_px)
        return (core, (self.wings, WING_SIGMAS * self.sigma_px)) if self.wings else (core,)


def _scale_pixel_edges(
    place: FloatArray, offset: FloatArray, sigma: FloatArray, half: int
) -> FloatImage:
    """Positions of pixel edges in units of each Gaussian's sigma, shape (N, K, 2 half + 2)."""
    sides = np.arange(-half, half + 2) - 0.5
    middle = place[:, None] + offset
    scaled = (sides - middle[:, :, None]) / sigma[:, None]
    return scaled.astype(np.float32)


def _integrate_over_pixels(
    place: FloatArray, offset: FloatArray, sigma: FloatArray, half: int
) -> FloatImage:
    """Integrate each Gaussian over each pixel, shape (N, K, 2 half + 1)."""
    below = erf(_scale_pixel_edges(place, offset, sigma, half) * np.float32(0.5**0.5))
    return np.asarray(np.float32(0.5) * np.diff(below, axis=2))


def _differentiate_integrals(
    place: FloatArray, offset: FloatArray, sigma: FloatArray, half: int
) -> FloatImage:
    """Derivatives of these integrals by the position of the Gaussian."""
    height = np.exp(np.float32(-0.5) * _scale_pixel_edges(place, offset, sigma, half) ** 2)
    scale = (-1.0 / ((2.0 * np.pi) ** 0.5 * sigma)).astype(np.float32)
    return np.asarray(scale[:, None] * np.diff(height, axis=2))


USUAL = PointSpread(sigma_px=1.0, wings=0.15)  # FWHM 2.5 px, a lens in focus on small pixels


def measure_width(
    image: FloatImage,
    usable: BoolImage,
    row: IndexArray,
    col: IndexArray,
    noise: FloatArray,
) -> PointSpread | None:
    """Measure width and wings of the PSF from stars at given peaks, sorted brightest first.

    Adaptive moments give the sigma of each star. The median excludes single pixels and wide
    sources. A fit of the profile to the stars' light then refines the sigma and gives the wings.

    `image` (h, w): background-subtracted light. `usable` (h, w): False for clipped or ignored
    pixels. `row`, `col` (N,): peaks. `noise` (N,): 1 sigma of a pixel there. None if there are too
    few suitable stars.
    """
    stamps = cut_stamps(image, row, col, HALF_STAMP_PX)
    whole = cut_stamps(usable, row, col, HALF_MIDDLE_PX).all(axis=(1, 2))
    stamps, noise = stamps[whole][: 4 * MAX_STARS], noise[whole][: 4 * MAX_STARS]
    if len(stamps) < 4:
        return None
    x, y, short, long, total = measure_adaptive_moments(stamps)
    good = (short > NARROWEST_SIGMA_PX) & (long < WIDEST_SIGMA_PX) & (long < 2.0 * short)
    good &= (total > 0.0) & (np.hypot(x, y) < 1.5)
    if np.count_nonzero(good) < 4:
        return None
    sigma = float(np.median(np.sqrt(short * long)[good][:MAX_STARS]))
    near = good & (np.abs(np.log(np.sqrt(short * long) / sigma)) < 0.4)
    chosen = np.flatnonzero(near)[:MAX_STARS]
    shown = np.ones_like(stamps[chosen])
    widths = np.maximum(NARROWEST_SIGMA_PX, sigma * SIGMA_STEPS)
    half = int(min(HALF_STAMP_PX, np.ceil(4.5 * sigma) + 1))
    return fit_profile(stamps[chosen], shown, x[chosen], y[chosen], noise[chosen], widths, half)


def measure_adaptive_moments(
    stamps: FloatImage,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Measure centre, minor and major sigma, and windowed flux of stamps.

    A round Gaussian window moves to the centroid (by twice the step) and adapts to the width of
    the star. A Gaussian multiplied by a window of the same sigma has half of its own variance.

    References
    ----------
    Bernstein, G. M., Jarvis, M. (2002). Shapes and shears, stars and smears. AJ 123, 583-618.
    """
    count = len(stamps)
    x, y, sigma = np.zeros(count), np.zeros(count), np.full(count, 1.2)
    for _ in range(4):
        total, mx, my, xx, yy, xy = measure_window_moments(stamps, x, y, sigma)
        x, y = np.clip(x + 2.0 * mx, -2.0, 2.0), np.clip(y + 2.0 * my, -2.0, 2.0)
        middle, apart = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
        window = sigma
        sigma = np.sqrt(_undo_window(np.maximum(middle, 0.02), window))
        sigma = np.clip(sigma, 0.5, WIDEST_SIGMA_PX)
    short = np.sqrt(_undo_window(np.maximum(middle - apart, 0.02), window))
    long = np.sqrt(_undo_window(np.maximum(middle + apart, 0.02), window))
    return x, y, short, long, total


def _undo_window(seen: FloatArray, window: FloatArray) -> FloatArray:
    """Correct the variance measured under a Gaussian window of given sigma for that window."""
    return np.asarray(1.0 / np.maximum(1.0 / seen - 1.0 / window**2, 1.0 / (3.0 * window) ** 2))


def fit_profile(
    stamps: FloatImage,
    shown: FloatImage,
    x: FloatArray,
    y: FloatArray,
    noise: FloatArray,
    widths: FloatArray,
    half: int,
    wing_shares: tuple[float, ...] = WING_SHARES,
) -> PointSpread:
    """Find the width and wings that explain most of the stars' light in the usable pixels."""
    best, most = USUAL, -np.inf
    cut = slice(HALF_STAMP_PX - half, HALF_STAMP_PX + half + 1)
    data = stamps[:, cut, cut].reshape(len(stamps), -1)
    shown = shown[:, cut, cut].reshape(len(stamps), -1)
    level = np.nanmedian(np.where(shown > 0.0, data, np.nan), axis=1, keepdims=True)
    data = (data - level) * shown
    # Equal weights beyond an SNR of about 50, so that the brightest stars do not dominate
    scale = np.hypot(noise, 0.02 * np.abs(data).max(axis=1))
    data = data / scale[:, None].astype(np.float32)
    for width in widths.tolist():
        core = _draw_centred(x, y, half, width, shown)
        wide = _draw_centred(x, y, half, WING_SIGMAS * width, shown)
        # Sums of products give the fit of any mixture of core and wings
        by_core, by_wide = _multiply_rows(data, core), _multiply_rows(data, wide)
        cores, wides, crossed = (
            _multiply_rows(core, core),
            _multiply_rows(wide, wide),
            _multiply_rows(core, wide),
        )
        for wings in wing_shares:
            rest = 1.0 - wings
            power = rest**2 * cores + 2.0 * rest * wings * crossed + wings**2 * wides
            explained = float(
                ((rest * by_core + wings * by_wide) ** 2 / np.maximum(power, 1e-30)).sum()
            )
            if explained > most:
                best, most = PointSpread(sigma_px=width, wings=wings), explained
    return best


def _draw_centred(
    x: FloatArray, y: FloatArray, half: int, sigma: float, shown: FloatImage
) -> FloatImage:
    """Render Gaussians minus their mean over usable pixels, shape (N, pixels)."""
    drawn = PointSpread(sigma_px=sigma, wings=0.0).draw(x, y, half).reshape(x.size, -1) * shown
    mean = drawn.sum(axis=1, keepdims=True) / shown.sum(axis=1, keepdims=True)
    return np.asarray((drawn - mean) * shown)


def _multiply_rows(one: FloatImage, other: FloatImage) -> FloatArray:
    return np.einsum("np,np->n", one, other).astype(float)


def measure_narrow_light(alone: FloatImage, half: int) -> tuple[FloatArray, FloatArray]:
    """Measure the brightest pixel or pair of pixels, and the light around it.

    The first is divided by the square root of the number of pixels. The second is the sum of the
    other pixels of the central 5 x 5.
    """
    c = half
    core = alone[:, c - 2 : c + 3, c - 2 : c + 3].astype(float)
    middle = core[:, 1:4, 1:4]
    shifts = ((0, 1), (1, 0), (1, 1), (1, -1))
    sums = [middle] + [middle + core[:, 1 + i : 4 + i, 1 + j : 4 + j] for i, j in shifts]
    counts = np.array([1.0, 2.0, 2.0, 2.0, 2.0])
    best = np.stack([one.max(axis=(1, 2)) for one in sums], axis=1)
    which = np.argmax(best / np.sqrt(counts), axis=1)
    light = np.take_along_axis(best, which[:, None], axis=1)[:, 0]
    return light / np.sqrt(counts[which]), core.sum(axis=(1, 2)) - light


def measure_star_moments(
    alone: FloatImage, x: FloatArray, y: FloatArray, psf: PointSpread, half: int
) -> FloatArray:
    """Measure second moments under a Gaussian window wider than the star, shape (N, 2, 2).

    A Gaussian with moments M under a window with moments S has moments (M^-1 + S^-1)^-1. The result
    is corrected for the window.
    """
    offsets = np.arange(-half, half + 1)
    dx = (offsets - x[:, None])[:, None, :]
    dy = (offsets - y[:, None])[:, :, None]
    trail = np.array(psf.trail_px)
    own = psf.sigma_px**2 * np.eye(2) + np.outer(trail, trail) / 12.0
    window = np.linalg.inv(1.5**2 * own)  # 1.5 times as wide as the star
    exponent = window[0, 0] * dx**2 + window[1, 1] * dy**2 + 2.0 * window[0, 1] * dx * dy
    light = alone * np.exp((-0.5 * exponent).astype(np.float32))
    total = light.sum(axis=(1, 2), dtype=float)
    total = np.where(total > 0.0, total, np.inf)
    xx = (light * dx**2).sum(axis=(1, 2)) / total
    yy = (light * dy**2).sum(axis=(1, 2)) / total
    xy = (light * dx * dy).sum(axis=(1, 2)) / total
    seen = np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2)
    values, vectors = np.linalg.eigh(seen)
    seen = np.einsum("nij,nj,nkj->nik", vectors, np.maximum(values, 0.25**2), vectors)
    values, vectors = np.linalg.eigh(np.linalg.inv(seen) - window)
    most = 12.0**2 * np.trace(own)
    values = np.clip(1.0 / np.maximum(values, 1.0 / most), 0.25**2, most)
    return np.asarray(np.einsum("nij,nj,nkj->nik", vectors, values, vectors))
