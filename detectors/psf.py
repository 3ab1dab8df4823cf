"""What stars look like in a frame: their point spread function, their trails and their peaks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import erf

from detectors import background
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


FWHM_PER_SIGMA = 2.0 * (2.0 * np.log(2.0)) ** 0.5
# Width of the wings relative to the core, as in the double-Gaussian PSF of SDSS. Core and wings
# approximate Moffat profiles of beta 2.5 to 5 to within 2 % of the peak
WING_SIGMAS = 2.0
LONGEST_TRAIL_PX = 80.0

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


# Peaks of the matched-filtered frame, its noise, and the trails of stars

TOE_LIGHT = np.float32(0.0031308)  # below it sRGB is linear (IEC 61966-2-1)
SAMPLES_ACROSS = 16  # 256 per box: sigma is accurate to 8 %, the median of nine boxes to 4 %
TRAILS_A_BOX = 4.0


def stabilise_noise(light: FloatImage) -> FloatImage:
    """Apply a variance-stabilising transform: the square root of light plus a small offset.

    Shot noise is proportional to the square root of the light. Cameras also store roughly the
    square root, so noise that is symmetric there is skewed in linear light. The offset is 0.0031,
    below which sRGB is linear.
    """
    root = np.maximum(light, np.float32(0.0))
    root += TOE_LIGHT
    return np.sqrt(root, out=root)


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """A matched-filtered frame and its noise."""

    response: FloatImage  # (h, w): filter response, in units of the image
    mesh: background.Mesh  # boxes over the frame
    boxes: FloatImage  # (rows, cols): sigma of the response between stars, by box
    gain: float  # sigma of the response to unit white noise per pixel

    def noise_at(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Interpolate the sigma of the response at pixels."""
        return self.mesh.at(self.boxes, row, col)

    def above(self, snr: float) -> tuple[IndexArray, IndexArray, FloatArray]:
        """Find rows, columns and signal-to-noise ratio of the pixels above a given ratio."""
        row, col = np.nonzero(self.response > np.float32(snr * float(self.boxes.min())))
        ratio = self.response[row, col] / self.noise_at(row, col)
        keep = ratio > snr
        return row[keep], col[keep], ratio[keep]


def filter_frame(
    image: FloatImage,
    psf: PointSpread,
    ignored: BoolImage,
    *,
    least_noise: float,
    black_clipped: bool = False,
) -> Filtered:
    """Filter a frame with the PSF minus a local background, and measure the noise of the response.

    `image` (h, w): stabilised light (`stabilise_noise`), background subtracted. `ignored` (h, w):
    pixels excluded from the noise estimate. `least_noise`: lower bound of the sigma of a pixel.
    `black_clipped`: many pixels are black, so the dark side of the noise is unreliable.
    """
    response, gain = filter_answer(image, psf)
    known = np.where(ignored, np.float32(np.nan), response) if ignored.any() else response
    length = psf.trail_length_px
    mesh = background.Mesh.with_scale(image.shape, 64.0 + TRAILS_A_BOX * length)
    samples = mesh.samples(known, SAMPLES_ACROSS)
    spread = background.smooth_boxes(
        background.estimate_lowest_mode(samples, least_noise * gain)[1]
    )
    # Noise that is clipped at black, or processed, has a longer upper tail than its dark side
    # implies
    tail = background.smooth_boxes(background.estimate_upper_spread(samples, (0.9, 0.95, 0.98)))
    fine = background.Mesh.with_scale(image.shape, 32.0 + TRAILS_A_BOX * length)
    clutter = background.fill_holes(
        background.estimate_upper_spread(fine.samples(known, SAMPLES_ACROSS))
    )
    long_tailed = np.float32(0.85) * tail
    if not black_clipped:
        # Larger tails are due to stars, as in the Milky Way
        long_tailed = np.minimum(long_tailed, np.float32(2.0) * spread)
    coarse = np.maximum(spread, long_tailed)
    boxes = cv2.resize(coarse, (fine.cols, fine.rows), interpolation=cv2.INTER_LINEAR)
    # Surrounding texture counts as noise by 0.8, as for lights
    boxes = np.maximum(boxes, np.float32(0.8) * clutter)
    boxes = np.maximum(boxes, np.float32(least_noise * gain))
    return Filtered(response=response, mesh=fine, boxes=boxes, gain=gain)


def find_peaks(
    seen: Filtered,
    min_snr: float,
    allowed: BoolImage,
    before: FloatImage | None = None,
) -> tuple[IndexArray, IndexArray]:
    """Find peaks above a minimum signal-to-noise ratio, highest ratio first.

    `allowed` (h, w): mask of permitted positions. `before` (h, w): response before stars were
    subtracted, from which residuals of these stars are estimated and added to the noise. Returns
    `row`, `col` (N,).
    """
    response, least = seen.response, min_snr * float(seen.boxes.min())
    row, col = background.find_local_maxima(response, least)
    keep = allowed[row, col]
    row, col = row[keep], col[keep]
    noise = seen.noise_at(row, col)
    if before is not None:
        taken = before[row, col] - response[row, col]
        # Subtraction is assumed to leave a residual of 0.3 of the star
        noise = np.hypot(noise, 0.3 * taken)
    snr = response[row, col] / noise
    order = np.argsort(-snr, kind="stable")
    order = order[snr[order] > min_snr]
    return row[order], col[order]


def filter_answer(image: FloatImage, psf: PointSpread) -> tuple[FloatImage, float]:
    """Compute the filter response, and its sigma for unit white noise."""
    if psf.trail_length_px == 0.0:
        matched = background.blur_image(image, psf.sigma_px)
        kernel = background.make_gaussian_kernel(psf.sigma_px)
    else:
        drawn = psf.draw(np.zeros(1), np.zeros(1), psf.half_stamp_px)[0]
        kernel = drawn / drawn.sum()
        matched = np.asarray(
            cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        )
    # This width of the local background loses 3 % of the signal-to-noise ratio and follows airglow,
    # haze and the Milky Way
    around = 4.0 * float(np.hypot(psf.sigma_px, psf.trail_length_px / 12.0**0.5))
    wide = background.make_gaussian_kernel(around)
    inner = (wide.shape[0] - kernel.shape[0]) // 2
    difference = -wide
    difference[inner : inner + kernel.shape[0], inner : inner + kernel.shape[1]] += kernel
    gain = float(np.sqrt(np.square(difference).sum()))
    # The local background by a Gaussian blur, clipping bright stars, at half size
    h, w = image.shape
    size = (-(-w // 2), -(-h // 2))
    half: FloatImage = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    blurred = background.blur_image(half, 0.5 * around)
    usual = float(np.median(np.abs((half - blurred)[::4, ::4]))) / background.NORMAL_Q75
    if usual > 0.0:
        # clipped, to avoid dark rings around stars
        faint = np.minimum(half, blurred + np.float32(4.0 * usual))
        blurred = background.blur_image(faint, 0.5 * around)
    level = np.asarray(cv2.resize(blurred, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(matched - level), gain


SPOT_SNR, BRIGHT_SNR = 5.0, 9.0
MIN_PIXELS, MIN_TRAILS = 6, 6
MAX_TRAILS = 30
# Long axis over short axis of a spot, second moments. In frames of points half of the spots have
# less than 1.1 and three quarters less than 1.27 (simulated frames)
MIN_ELONGATION = 1.35
MIN_SHARE = 0.5  # of the bright spots: edges and glints are elongated, too, but not most spots
PARALLEL_DEG = 15.0
LENGTH_STEPS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
ANGLE_STEPS_DEG = (-4.0, -2.0, 0.0, 2.0, 4.0)
TRAIL_SIGMA_STEPS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4)


@dataclass(frozen=True, kw_only=True)
class TurningTrails:
    """Trails of a sky that turns about a pole: their ends apart change linearly with the place."""

    middle: tuple[float, float]  # x, y of the frame's middle, pixels
    middle_trail_px: tuple[float, float]  # (x, y) from end to end there
    turn_rad: float  # by which the sky turned
    sigma_px: float  # of the profile across

    def trail_px_at(self, x: float, y: float) -> tuple[float, float]:
        """The trail of a star at a place, (x, y) from end to end; x >= 0."""
        dx, dy = x - self.middle[0], y - self.middle[1]
        along_x = self.middle_trail_px[0] - self.turn_rad * dy
        along_y = self.middle_trail_px[1] + self.turn_rad * dx
        sign = -1.0 if along_x < 0.0 else 1.0
        return sign * along_x, sign * along_y


def find_turning_trails(
    spots: tuple[FloatArray, ...], shape: tuple[int, ...]
) -> TurningTrails | None:
    """How the trails of a frame turn about a pole; None where one trail describes them all.

    The ends of a trail at p lie t + w J (p - m) apart: t at the frame's middle m, w the angle by
    which the sky turned, J a quarter turn. Two spots give t and w (whose ends are which cannot be
    seen, so both signs are tried); the pair that most spots agree with is refined on these, and
    taken where an F test says that one trail for all leaves more.

    `spots`: as of `measure_spots`; `shape` (h, w): of the frame.
    """
    x, y, long, short, angle = (column[:120] for column in spots)
    is_long = long > MIN_ELONGATION * short
    n_long = np.count_nonzero(is_long)
    # Single pixels among the bright spots may be more than stars; of points a fifth looks so long
    if n_long < max(MIN_TRAILS, 0.3 * is_long.size):
        return None
    x, y, long, short, angle = (column[is_long] for column in (x, y, long, short, angle))
    length = np.sqrt(12.0 * (long**2 - short**2))
    trail = length[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    height, width = shape
    middle = (0.5 * (width - 1.0), 0.5 * (height - 1.0))
    dx, dy = x - middle[0], y - middle[1]
    # (N, 2, 3): the trail at each spot by the three unknowns tx, ty, w
    design = np.zeros((x.size, 2, 3))
    design[:, 0, 0] = design[:, 1, 1] = 1.0
    design[:, 0, 2], design[:, 1, 2] = -dy, dx
    tolerance_px = 0.2 * length + 1.5  # a trail fits where its ends lie so near

    def misfit(unknowns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How far each trail lies off, in tolerances, and its ends in the order that fits."""
        fitted = np.einsum("nik,...k->...ni", design, unknowns)
        sign = np.where((fitted * trail).sum(axis=-1) < 0.0, -1.0, 1.0)
        ends = sign[..., None] * trail
        return np.hypot(*np.moveaxis(fitted - ends, -1, 0)) / tolerance_px, ends

    def refine(unknowns: FloatArray, n_unknowns: int) -> tuple[FloatArray, FloatArray]:
        """Least squares for the first unknowns on the trails that agree; the misfits of all."""
        off, ends = misfit(unknowns)
        for _ in range(3):
            agreed = off < 1.0
            weighted = design[agreed, :, :n_unknowns] / tolerance_px[agreed, None, None]
            scaled = ends[agreed] / tolerance_px[agreed, None]
            step = np.linalg.lstsq(weighted.reshape(-1, n_unknowns), scaled.ravel(), rcond=None)[0]
            unknowns = np.append(step, np.zeros(3 - n_unknowns))
            off, ends = misfit(unknowns)
        return unknowns, off

    rng = np.random.default_rng(0)
    pairs = np.stack([rng.choice(x.size, 2, replace=False) for _ in range(400)])
    solved = np.linalg.pinv(design[pairs].reshape(400, 4, 3))
    signs = np.array([[[1.0], [1.0]], [[1.0], [-1.0]]])
    ends = trail[pairs][:, None] * signs
    starts = np.einsum("pkj,psj->psk", solved, ends.reshape(400, 2, 4)).reshape(800, 3)
    best = starts[np.argmin(np.minimum(misfit(starts)[0], 1.0).sum(axis=1))]
    turned, off = refine(best, 3)
    agreed = off < 1.0
    if np.count_nonzero(agreed) < max(MIN_TRAILS, MIN_SHARE * n_long):
        return None
    # A trail at the border differs by 3 px and more from that in the middle
    if abs(turned[2]) * np.hypot(*middle) < 3.0:
        return None
    each = np.column_stack([trail, np.zeros(x.size)])
    straight = each[np.argmin(misfit(each)[0].sum(axis=1))]
    parallel_off = refine(straight, 2)[1]
    left, left_parallel = (np.square(np.minimum(one, 1.0)).sum() for one in (off, parallel_off))
    # By chance an F ratio of 1 and 50 degrees of freedom exceeds 30 once in a million
    if (left_parallel - left) * (2 * x.size - 3) < 30.0 * left:
        return None
    sigma = max(0.6, float(np.sqrt(max(np.median(short[agreed]) ** 2 - 0.5, 0.2))))
    return TurningTrails(
        middle=middle,
        middle_trail_px=(float(turned[0]), float(turned[1])),
        turn_rad=float(turned[2]),
        sigma_px=sigma,
    )


def find_common_trail(
    above: FloatImage, spots: tuple[FloatArray, ...], usable: BoolImage
) -> PointSpread | None:
    """What a star looks like in a frame where the stars are trails; None where they are not.

    Where most of the bright spots are long and parallel, the segment blurred by a Gaussian that
    explains most of their light is the common trail.

    `above` (h, w): light above the background; `spots`: as of `measure_spots`; `usable` (h, w):
    false where a pixel is clipped or ignored.
    """
    x, y, long, short, angle = spots
    found = select_parallel_spots(long, short, angle)
    if found is None:
        return None
    trails, common = found
    length = float(np.median(np.sqrt(12.0 * (long**2 - short**2))[trails]))
    if length > LONGEST_TRAIL_PX:
        return None
    # The filter of the spots has widened them by a sigma of one
    sigma = max(0.6, float(np.sqrt(max(np.median(short[trails]) ** 2 - 0.5, 0.2))))
    x, y = x[trails][:MAX_TRAILS], y[trails][:MAX_TRAILS]
    half = int(np.ceil(0.5 * max(LENGTH_STEPS) * length + 3.5 * sigma)) + 1
    row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    # Pixels that are clipped or ignored take no part: dark ones in a trail's middle would make it
    # long and wide
    shown = cut_stamps(usable, row, col, half).reshape(len(x), -1).astype(np.float32)
    pixels = np.maximum(shown.sum(axis=1, keepdims=True), 1.0)
    data = cut_stamps(above, row, col, half).reshape(len(x), -1)
    data = (data - np.median(data, axis=1, keepdims=True)) * shown
    data = data / np.maximum(np.sqrt(np.square(data).sum(axis=1)), 1e-12)[:, None]

    def look(turn_deg: float, stretch: float, wider: float, bow: float = 0.0) -> PointSpread:
        turned = common + np.radians(turn_deg)
        sign = 1.0 if np.cos(turned) >= 0.0 else -1.0
        size = sign * length * stretch
        trail = (float(size * np.cos(turned)), float(size * np.sin(turned)))
        return PointSpread(sigma_px=sigma * wider, trail_px=trail, bow_px=bow * abs(size))

    def explained(turn_deg: float, stretch: float, wider: float, bow: float = 0.0) -> float:
        drawn = look(turn_deg, stretch, wider, bow).draw(x - col, y - row, half)
        drawn = drawn.reshape(len(x), -1)
        mean = (drawn * shown).sum(axis=1, keepdims=True) / pixels
        drawn = (drawn - mean) * shown
        power = np.maximum(np.square(drawn).sum(axis=1), 1e-30)
        return float(np.median((data * drawn).sum(axis=1) ** 2 / power))

    # One after the other, from the guesses: they hardly depend on each other
    stretch = max(LENGTH_STEPS, key=lambda step: explained(0.0, step, 1.0))
    turn = max(ANGLE_STEPS_DEG, key=lambda step: explained(step, stretch, 1.0))
    wider = max(TRAIL_SIGMA_STEPS, key=lambda step: explained(turn, stretch, step))
    bows = (-0.24, -0.16, -0.08, 0.0, 0.08, 0.16, 0.24)  # a hand shakes
    bow = max(bows, key=lambda step: explained(turn, stretch, wider, step))
    # A bow must explain so much more of the light
    if explained(turn, stretch, wider, bow) < explained(turn, stretch, wider) + 0.01:
        bow = 0.0
    elif bow != 0.0:  # across, a straight trail had taken the bow for width
        wider = max(TRAIL_SIGMA_STEPS, key=lambda step: explained(turn, stretch, step, bow))
        turn = max(ANGLE_STEPS_DEG, key=lambda step: explained(step, stretch, wider, bow))
    fine = max((0.95, 1.0, 1.05), key=lambda step: explained(turn, stretch * step, wider, bow))
    return look(turn, stretch * fine, wider, bow)


def select_parallel_spots(
    long: FloatArray, short: FloatArray, angle: FloatArray
) -> tuple[BoolArray, float] | None:
    """Spots that are trails of one direction, and that angle; None where most are not long, or
    do not agree.
    """
    trails = long > MIN_ELONGATION * short
    if np.count_nonzero(trails) < max(MIN_TRAILS, MIN_SHARE * trails.size):
        return None
    doubled = np.exp(2j * angle[trails]).mean()
    # Mean resultant of the doubled angles; 1 is parallel
    if np.abs(doubled) >= 0.7:
        common = 0.5 * float(np.angle(doubled))
    else:
        # Trails among tracks of particles: their commonest direction
        some = angle[trails][:400]
        turn = np.angle(np.exp(2j * np.subtract.outer(some, some)))
        alike = (np.abs(turn) < 2.0 * np.radians(PARALLEL_DEG)).sum(axis=1)
        chance = PARALLEL_DEG / 90.0
        usual, scatter = chance * some.size, np.sqrt(chance * (1.0 - chance) * some.size)
        best = int(np.argmax(alike))
        if alike[best] < max(MIN_TRAILS, usual + 3.5 * scatter):
            return None  # chance shows as many alike
        common = float(some[best])
    off = 0.5 * np.angle(np.exp(2j * (angle - common)))
    return trails & (np.abs(off) < np.radians(PARALLEL_DEG)), common


def measure_spots(
    rows: IndexArray,
    cols: IndexArray,
    strength: FloatArray | FloatImage,
    shape: tuple[int, ...],
) -> tuple[FloatArray, ...] | None:
    """Measure centre, long and short sigma, and angle of bright spots, by second moments.

    `rows`, `cols`, `strength` (N,): pixels above `SPOT_SNR` under the filter of point-like stars,
    and their signal-to-noise ratio; `shape` (h, w): of the frame. None if there are few.
    """
    if rows.size < MIN_TRAILS * MIN_PIXELS:
        return None
    # Spots are connected at half the pixels: four times as fast, and a dark pixel parts no trail
    half_rows, half_cols = rows // 2, cols // 2
    h, w = shape
    lit = np.zeros((-(-h // 2), -(-w // 2)), np.uint8)
    lit[half_rows, half_cols] = 1
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lit)
    label = np.asarray(labels[half_rows, half_cols], np.intp)
    brightest = np.zeros(count)
    np.maximum.at(brightest, label, strength)
    sides = 2 * np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    good = (brightest > BRIGHT_SNR) & (np.bincount(label, minlength=count) >= MIN_PIXELS)
    good &= sides < 2.0 * LONGEST_TRAIL_PX
    good[0] = False
    if not good.any():
        return None
    # Equal say along the trail: a star's light as far as it stands clearly above the noise
    weight = np.minimum(strength, 2.0 * SPOT_SNR)
    places = (cols.astype(float), rows.astype(float))
    x, y, long, short, angle = measure_spot_moments(label, weight, places, good)
    order = np.argsort(-brightest[good], kind="stable")
    return x[order], y[order], long[order], short[order], angle[order]


def measure_spot_moments(
    label: IndexArray,
    weight: FloatArray | FloatImage,
    places: tuple[FloatArray, FloatArray],
    good: BoolArray,
) -> tuple[FloatArray, ...]:
    """Centre x and y, long and short sigma and angle of the good ones among labelled spots."""
    across, down = places

    def total(values: FloatArray) -> FloatArray:
        sums = np.bincount(label, weight * values, minlength=good.size)
        return np.asarray(sums[good], float)

    mass = np.maximum(total(np.ones(label.size)), 1e-9)
    x, y = total(across) / mass, total(down) / mass
    xx, yy = total(across**2) / mass - x * x, total(down**2) / mass - y * y
    xy = total(across * down) / mass - x * y
    middle, apart = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    angle = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    short = np.sqrt(np.maximum(middle - apart, 0.05))
    return x, y, np.sqrt(middle + apart), short, angle
