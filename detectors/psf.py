"""Point spread functions of stars: the model, its measurement on a frame, and fits with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import erf

from detectors.types import BoolArray, BoolImage, Columns, FloatArray, FloatImage, IndexArray


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

HALF_STAMP_PX, HALF_MIDDLE_PX = 10, 3  # of stamps, and of what must be usable in them
MAX_STARS = 150  # the brightest, that tell the width
# Stars are not sharper: the pixel itself blurs by 0.29, a lens in focus by 0.4 or more
NARROWEST_SIGMA_PX, WIDEST_SIGMA_PX = 0.48, 4.0
WING_SHARES = (0.0, 0.1, 0.2, 0.3, 0.45)  # tried in the fit of the profile


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
        in_x, in_y = self._profiles(x, y, half, _integrate_over_pixels)
        return np.asarray(in_y @ in_x)

    def draw_with_slopes(
        self, x: FloatArray, y: FloatArray, half: int
    ) -> tuple[FloatImage, FloatImage, FloatImage]:
        """Render the PSF as `draw` does, with its derivatives by the star's x and y."""
        in_x, in_y = self._profiles(x, y, half, _integrate_over_pixels)
        by_x, by_y = self._profiles(x, y, half, _differentiate_integrals)
        return np.asarray(in_y @ in_x), np.asarray(in_y @ by_x), np.asarray(by_y @ in_x)

    def _profiles(
        self, x: FloatArray, y: FloatArray, half: int, measure: Callable[..., FloatImage]
    ) -> tuple[FloatImage, FloatImage]:
        """Profiles of all Gaussians in x, (N, K, n), and in y by their weights, (N, n, K)."""
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
        off_x, off_y = np.concatenate(offsets).T
        in_x, in_y = (measure(*one, np.array(sigmas), half) for one in ((x, off_x), (y, off_y)))
        return in_x, np.swapaxes(np.array(weights, np.float32)[:, None] * in_y, 1, 2)

    def _layers(self) -> tuple[tuple[float, float], ...]:
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
    whole = cut_stamps(usable, row, col, HALF_MIDDLE_PX).all(axis=(1, 2))
    chosen = np.flatnonzero(whole)[: 4 * MAX_STARS]
    row, col, noise = row[chosen], col[chosen], noise[chosen]
    stamps = cut_stamps(image, row, col, HALF_STAMP_PX)
    x, y, short, long, good = find_starlike(stamps, NARROWEST_SIGMA_PX)
    if np.count_nonzero(good) < 4:
        return None
    sigma = float(np.median(np.sqrt(short * long)[good][:MAX_STARS]))
    near = good & (np.abs(np.log(np.sqrt(short * long) / sigma)) < 0.4)
    chosen = np.flatnonzero(near)[:MAX_STARS]
    shown = np.ones_like(stamps[chosen])
    widths = np.maximum(NARROWEST_SIGMA_PX, sigma * np.linspace(0.7, 1.25, 12))
    half = int(min(HALF_STAMP_PX, np.ceil(4.5 * sigma) + 1))
    return fit_profile(stamps[chosen], shown, x[chosen], y[chosen], noise[chosen], widths, half)


def find_starlike(
    stamps: FloatImage, narrowest_px: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, BoolArray]:
    """Measure centre, minor and major sigma of stamps, and whether each may be a star.

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
    good = (short > narrowest_px) & (long < WIDEST_SIGMA_PX) & (long < 2.0 * short)
    good &= (total > 0.0) & (np.hypot(x, y) < 1.5)
    return x, y, short, long, good


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
        products = ((data, core), (data, wide), (core, core), (wide, wide), (core, wide))
        by_core, by_wide, cores, wides, crossed = (
            np.einsum("np,np->n", one, other).astype(float) for one, other in products
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


def measure_narrow_light(alone: FloatImage, half: int) -> tuple[FloatArray, FloatArray]:
    """Measure the brightest pixel or pair of pixels, and the light around it.

    The first is divided by the square root of the number of pixels. The second is the sum of the
    other pixels of the central 5 x 5.
    """
    core = alone[:, half - 2 : half + 3, half - 2 : half + 3].astype(float)
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


# PSF fits of stars, with the light of neighbouring stars subtracted

# PSF mismatch as a fraction of the star's light: real profiles vary this much over a frame
MISMATCH_IN_FIT = 0.03
LONE_MISMATCH = 0.15  # before pixels are taken for defects; chosen by eye


@dataclass(frozen=True, kw_only=True)
class FittedStars(Columns):
    """Results of the PSF fit, one row per star."""

    # x, y, flux, (N,): centre in pixels of the image, and total flux
    x: FloatArray
    y: FloatArray
    flux: FloatArray
    covariance: FloatArray  # (N, 2, 2): covariance of the centre (x, y) due to noise only
    # (N,): reduced chi-square, where the variance includes noise and PSF mismatch: 1 is good
    misfit: FloatArray
    # narrow_snr, star_snr, (N,): signal-to-noise ratio of the best single pixel or pair of pixels,
    # and of the star
    narrow_snr: FloatArray
    star_snr: FloatArray
    around_snr: FloatArray  # (N,): SNR of the other pixels of the central 5 x 5
    moments: FloatArray  # (N, 2, 2): windowed second moments, corrected for the window
    # (N,): False if the centre reached the limit of its motion or the flux is not positive
    settled: BoolImage


def draw_stars(
    shape: tuple[int, ...], x: FloatArray, y: FloatArray, flux: FloatArray, psf: PointSpread
) -> FloatImage:
    """Render stars into an image."""
    row, col = find_nearest_pixels(shape, x, y)
    half = psf.half_stamp_px
    drawn = psf.draw(x - col, y - row, half) * flux.astype(np.float32)[:, None, None]
    return sum_of_stamps(shape, row, col, drawn)


def fit_stars(
    image: FloatImage,
    usable: BoolImage,
    x: FloatArray,
    y: FloatArray,
    *,
    psf: PointSpread,
    noise: FloatArray,
    gain: FloatArray,
) -> FittedStars:
    """Fit flux, position and local level of each star by least squares, neighbours subtracted.

    `image` (h, w): background-subtracted light. `usable` (h, w): False for pixels that are
    clipped, ignored or not finite; these are excluded. `x`, `y` (N,): initial positions. `noise`
    (N,): 1 sigma of a pixel without the star. `gain` (N,): shot-noise variance per unit of light.
    """
    if x.size == 0:
        return replace(FittedStars.empty(), settled=np.zeros(0, bool))
    half = psf.half_stamp_px
    row, col = find_nearest_pixels(image.shape, x, y)
    stamps = cut_stamps(image, row, col, half)
    inside = mask_inside_image(image.shape, row, col, half)
    whole = (cut_stamps(usable, row, col, half) * inside).astype(np.float32)
    shown = whole.copy()
    state = _State(
        dx=x - col,
        dy=y - row,
        flux=np.zeros(x.size),
        level=np.zeros(x.size),
        psf=psf,
        start=(x - col, y - row),
        # Larger along a trail, whose peak is broad
        leash=[1.5 * psf.sigma_px + 0.3 * abs(side) for side in psf.trail_px],
        # In images of constant value the noise is 0; 16-bit rounding gives 1e-11
        variance=np.maximum(np.square(noise), 1e-20),
        gain=gain,
    )
    # Matched-filter flux at the initial positions
    power = (np.square(state.drawn) * shown).sum(axis=(1, 2))
    seen = (stamps * state.drawn * shown).sum(axis=(1, 2))
    state.flux = np.asarray(np.maximum(seen / np.maximum(power, 1e-6), 0.0), float)
    others = np.zeros_like(stamps)
    # Each subtracts neighbours as fitted in the previous round
    for turn in range(2):
        drawn = state.light()
        others = cut_stamps(sum_of_stamps(image.shape, row, col, drawn), row, col, half) - drawn
        for _ in range(2):
            state.improve(stamps - others, shown)
        if turn == 0:
            light = state.light()
            rest = (stamps - others - column(state.level) - light) * shown
            variance = compute_pixel_variance(light, state.variance, gain, LONE_MISMATCH)
            shown[find_lone_pixels(rest, variance, psf, state.dx, state.dy)] = 0.0
    found = state.measured(stamps - others, whole, shown)
    return replace(found, x=found.x + col, y=found.y + row)


@dataclass(kw_only=True)
class _State:
    """Parameters of all stars during the fit."""

    dx: FloatArray
    dy: FloatArray
    flux: FloatArray
    level: FloatArray
    psf: PointSpread
    start: tuple[FloatArray, FloatArray]
    leash: list[float]  # maximum motion in x and y
    variance: FloatArray  # of a pixel without the star
    gain: FloatArray  # variance that light adds, per unit of it
    covariance: FloatArray | None = None

    @cached_property
    def drawn(self) -> FloatImage:
        return self.psf.draw(self.dx, self.dy, self.psf.half_stamp_px)

    def light(self) -> FloatImage:
        return np.asarray(self.drawn * column(np.maximum(self.flux, 0.0)))

    def improve(self, stamps: FloatImage, shown: FloatImage) -> None:
        """Make one Gauss-Newton step for flux, position and level."""
        half = self.psf.half_stamp_px
        drawn, by_x, by_y = self.psf.draw_with_slopes(self.dx, self.dy, half)
        flux = column(np.maximum(self.flux, 1e-12))
        light = drawn * flux
        weight = shown / compute_pixel_variance(light, self.variance, self.gain, MISMATCH_IN_FIT)
        slopes = [drawn, flux * by_x, flux * by_y, np.ones_like(drawn)]
        rest = stamps - light - column(self.level)
        step, covariance, _ = _solve_linear(rest, weight, slopes)
        self.flux = self.flux + step[:, 0]
        moved = np.clip(step[:, 1:3], -0.7, 0.7)
        (x, y), (most_x, most_y) = self.start, self.leash
        self.dx = np.clip(self.dx + moved[:, 0], x - most_x, x + most_x)
        self.dy = np.clip(self.dy + moved[:, 1], y - most_y, y + most_y)
        self.level = self.level + step[:, 3]
        self.__dict__.pop("drawn", None)  # it was of the places before
        self.covariance = covariance[:, 1:3, 1:3]

    def measured(self, stamps: FloatImage, whole: FloatImage, shown: FloatImage) -> FittedStars:
        """Measure the stars; positions are relative to the stamp centres.

        Shape statistics are computed on the light of each star without its neighbours.
        """
        alone = stamps - column(self.level)
        drawn = self.drawn
        flux = np.maximum(self.flux, 0.0)
        light = drawn * column(flux)
        allowed = np.maximum(light, 0.1 * light.max(axis=(1, 2), keepdims=True))
        rest = np.square(alone - light) / compute_pixel_variance(
            allowed, self.variance, self.gain, 0.3
        )
        pixels = np.maximum(shown.sum(axis=(1, 2)), 1.0)
        misfit = (rest * shown).sum(axis=(1, 2)) / np.maximum(pixels - 4.0, 1.0)
        sigma = np.sqrt(self.variance)
        middle = np.median(stamps, axis=(1, 2), keepdims=True)
        half = self.psf.half_stamp_px
        narrow, around = measure_narrow_light((stamps - middle) * whole, half)
        power = np.sqrt((np.square(drawn) * shown).sum(axis=(1, 2)))
        far = np.maximum(
            np.abs(self.dx - self.start[0]) / self.leash[0],
            np.abs(self.dy - self.start[1]) / self.leash[1],
        )
        settled = (far < 0.99) & (self.flux > 0.0) & (pixels >= 9)
        assert self.covariance is not None
        return FittedStars(
            x=self.dx,
            y=self.dy,
            flux=flux,
            covariance=self.covariance,
            misfit=np.asarray(misfit, float),
            narrow_snr=narrow / sigma,
            around_snr=around / (23.5**0.5 * sigma),
            star_snr=np.asarray(flux * power / sigma, float),
            # Unusable pixels, such as a clipped core, are replaced by the fit
            moments=measure_star_moments(
                np.where(shown > 0.0, alone, light), self.dx, self.dy, self.psf, half
            ),
            settled=settled,
        )


def compute_pixel_variance(
    light: FloatImage, variance: FloatArray, gain: FloatArray, mismatch: float
) -> FloatImage:
    """Variance of pixels with the given light of a star: background, shot noise, PSF mismatch."""
    shot = np.maximum(light, 0.0) * column(gain)
    return np.asarray(column(variance) + shot + np.square(np.float32(mismatch) * light))


def find_lone_pixels(
    rest: FloatImage,
    variance: FloatImage,
    psf: PointSpread,
    x: FloatArray,
    y: FloatArray,
) -> BoolImage:
    """Find single pixels far above the fit outside of the core: defects superposed on stars."""
    # A hot pixel on a star exceeds the fit by 6 sigma and its neighbours by 2.5 times
    far = rest > np.float32(6.0) * np.sqrt(variance)
    some = np.flatnonzero(far.any(axis=(1, 2)))
    padded = np.pad(rest[some], ((0, 0), (1, 1), (1, 1)))
    sides = (padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1])
    far[some] &= rest[some] > np.float32(2.5) * np.maximum.reduce(sides)
    # The core is exempt, since the core of a sharp star is also a single pixel
    offsets = np.arange(-psf.half_stamp_px, psf.half_stamp_px + 1)
    squared = np.square(offsets - y[:, None])[:, :, None] + np.square(offsets - x[:, None])[:, None]
    return np.asarray(far & ((squared > 1.25**2) | (psf.trail_length_px > 0.0)))


def column(values: FloatArray) -> FloatImage:
    """Reshape one value per stamp to (N, 1, 1), for broadcasting over pixels."""
    return np.asarray(values, np.float32)[:, None, None]


@dataclass(frozen=True, kw_only=True)
class StarStamps(Columns):
    """Stamps of stars with neighbours subtracted, and the weights of their pixels."""

    light: FloatImage  # (N, n, n): without the light of the other stars
    shown: FloatImage  # (N, n, n): 1 for pixels that are used, else 0
    # row, col, (N,): central pixels
    row: IndexArray
    col: IndexArray
    # dx, dy, flux, (N,): the fitted star, its position relative to the stamp centre
    dx: FloatArray
    dy: FloatArray
    flux: FloatArray
    # variance, gain, (N,): variance of a pixel without the star, and per unit of its light
    variance: FloatArray
    gain: FloatArray

    @classmethod
    def of(
        cls,
        image: FloatImage,
        usable: BoolImage,
        stars: FittedStars,
        chosen: IndexArray,
        *,
        psf: PointSpread,
        noise: FloatArray,
        gain: FloatArray,
    ) -> StarStamps:
        """Cut stamps of selected stars from an image.

        `image`, `usable`, `psf`, and `noise`, `gain` (N,) of these stars: as for `fit_stars`.
        `chosen` (N,): indices of the stars.
        """
        half = psf.half_stamp_px
        places = np.column_stack([stars.x, stars.y])
        gap, _ = cKDTree(places[chosen]).query(places, distance_upper_bound=3.0 * half)
        near = stars.select(np.isfinite(gap))
        others = draw_stars(image.shape, near.x, near.y, near.flux, psf)
        own = stars.select(chosen)
        row, col = find_nearest_pixels(image.shape, own.x, own.y)
        dx, dy = own.x - col, own.y - row
        drawn = psf.draw(dx, dy, half) * own.flux.astype(np.float32)[:, None, None]
        light = cut_stamps(image, row, col, half) - cut_stamps(others, row, col, half) + drawn
        shown = cut_stamps(usable, row, col, half).astype(bool)
        shown &= mask_inside_image(image.shape, row, col, half)
        return cls(
            light=light,
            shown=shown.astype(np.float32),
            row=row,
            col=col,
            dx=dx,
            dy=dy,
            flux=own.flux,
            variance=np.square(noise),
            gain=gain,
        )

    def weight(self, drawn: FloatImage, mismatch: float) -> FloatImage:
        return np.asarray(
            self.shown / compute_pixel_variance(drawn, self.variance, self.gain, mismatch)
        )


def find_long_stars(stars: FittedStars, psf: PointSpread) -> BoolImage:
    """Find stars more elongated than the stars of the frame in general, mask (N,).

    The second moment of two stars with flux shares q and 1 - q at a distance d exceeds that of one
    star by q (1 - q) d^2.
    """
    stretch = _measure_stretch(stars)
    # The common elongation of the bright stars, and its spread, are due to aberrations of the lens
    bright = stars.star_snr > 30.0
    least = 0.1 * psf.sigma_px**2  # the variation of stellar profiles
    if np.count_nonzero(bright) < 8:
        return np.hypot(*stretch.T) > least
    own = np.hypot(*(stretch - np.median(stretch[bright], axis=0)).T)
    # The median length of a vector of two normal deviates is 1.18 sigma (Rayleigh distribution)
    usual = float(np.median(own[bright])) / 1.18
    return np.asarray(own > max(least, 4.0 * usual))


def fit_pairs(
    stars: FittedStars, index: IndexArray, stamps: StarStamps, psf: PointSpread
) -> FittedStars:
    """Replace stars by two stars if these fit significantly better.

    Two stars closer than their width look like one elongated star. To second order, the difference
    from one star is the second derivative of the PSF along the line through both. If this term is
    significant, two stars are fitted.

    `index` (N,): candidates. `stamps`: N stamps of these. The fainter stars of pairs are last in
    the result.
    """
    # Compute chi-square of an elongation (two degrees of freedom), and of the one-star fit
    half, step = psf.half_stamp_px, 0.25  # step of finite differences for second derivatives

    def moved(x: float, y: float) -> FloatImage:
        return psf.draw(stamps.dx + x * step, stamps.dy + y * step, half)

    drawn, by_x, by_y = psf.draw_with_slopes(stamps.dx, stamps.dy, half)
    xx = moved(1, 0) + moved(-1, 0) - 2.0 * drawn
    yy = moved(0, 1) + moved(0, -1) - 2.0 * drawn
    xy = moved(1, 1) + moved(-1, -1) - moved(1, -1) - moved(-1, 1)
    one = [drawn, by_x, by_y, np.ones_like(drawn)]
    weight = stamps.weight(drawn * column(stamps.flux), MISMATCH_IN_FIT)
    _, _, chi2 = _solve_linear(stamps.light, weight, one)
    found, covariance, _ = _solve_linear(stamps.light, weight, [*one, xx - yy, xy, xx + yy])
    seen, noise = found[:, 4:6], covariance[:, 4:6, 4:6]
    significance = np.einsum("ni,nij,nj->n", seen, np.linalg.inv(noise), seen)
    # Noise causes such an elongation in 1 of 3 million stars (chi-square, two degrees of freedom)
    long = significance > 30.0
    index, stamps, chi2 = index[long], stamps.select(long), chi2[long]
    if index.size == 0:
        return stars
    # Two stars in each stamp from several initial flux shares, of which the best is taken
    stretch = _measure_stretch(stars.select(index))
    count = index.size
    start = np.concatenate([_start(stamps, stretch, psf, share) for share in (0.3, 0.5, 0.7)])
    tried = _fit_jointly(stamps.select(np.tile(np.arange(count), 3)), start, psf)
    best = np.argmin(tried[2].reshape(3, count), axis=0) * count + np.arange(count)
    p, covariance, chi2_of_two = (part[best] for part in tried)
    apart = np.hypot(p[:, 1] - p[:, 4], p[:, 2] - p[:, 5]) / psf.sigma_px
    faint = np.minimum(p[:, 0], p[:, 3]) / np.maximum(p[:, 0] + p[:, 3], 1e-30)
    # Chi-square decreases by 30 or more from one star to two, with three more parameters. Two stars
    # leave 1.6 or less for each pixel, galaxies 1.7 or more (95 % of 84 and all 9 simulated ones)
    good = (chi2 - chi2_of_two > 30.0) & (apart > 0.8) & (apart < 4.0) & (faint > 0.1)
    good &= chi2_of_two < 1.6 * stamps.shown.sum(axis=(1, 2))
    if not good.any():
        return stars
    index, stamps, p, covariance = index[good], stamps.select(good), p[good], covariance[good]
    old, made = stars.select(index), []
    first = p[:, 0] >= p[:, 3]
    round_star = (psf.fwhm_px / FWHM_PER_SIGMA) ** 2 * np.eye(2)
    for brighter in (first, ~first):
        at = np.where(brighter, 0, 3)[:, None] + np.arange(3)
        flux, x, y = np.take_along_axis(p, at, axis=1).T
        share = flux / (p[:, 0] + p[:, 3])
        rows, cols = at[:, 1:, None], at[:, None, 1:]
        two = replace(
            old,
            x=x + stamps.col,
            y=y + stamps.row,
            flux=flux,
            covariance=covariance[np.arange(index.size)[:, None, None], rows, cols],
            narrow_snr=share * old.narrow_snr,
            around_snr=share * old.around_snr,
            star_snr=share * old.star_snr,
            moments=np.broadcast_to(round_star, (index.size, 2, 2)),
        )
        made.append(two)
    keep = np.ones(len(stars), bool)
    keep[index] = False
    return FittedStars.joined([stars.select(keep), *made])


def _measure_stretch(stars: FittedStars) -> FloatArray:
    """Compute the elongation from second moments, (xx - yy) / 2 and xy; shape (N, 2)."""
    m = stars.moments
    return np.stack([0.5 * (m[:, 0, 0] - m[:, 1, 1]), m[:, 0, 1]], axis=1)


def _solve_linear(
    light: FloatImage, weight: FloatImage, columns: list[FloatImage]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Solve weighted least squares in each stamp: coefficients, covariance, chi-square."""
    count = len(light)
    design = np.stack(columns, axis=1).reshape(count, len(columns), -1).astype(float)
    data, w = light.reshape(count, -1).astype(float), weight.reshape(count, -1).astype(float)
    weighted = design * w[:, None]
    normal = weighted @ design.transpose(0, 2, 1)
    scale = np.sqrt(np.maximum(np.einsum("nii->ni", normal), 1e-30))
    both = scale[:, :, None] * scale[:, None, :]
    covariance = np.linalg.inv(normal / both + 1e-7 * np.eye(len(columns))) / both
    found = (covariance @ (weighted @ data[:, :, None]))[:, :, 0]
    rest = data - np.einsum("nk,nkp->np", found, design)
    return found, covariance, (w * rest**2).sum(axis=1)


def _start(stamps: StarStamps, stretch: FloatArray, psf: PointSpread, share: float) -> FloatArray:
    """Two stars on the major axis about the single star: flux, x, y, flux, x, y, level."""
    angle = 0.5 * np.arctan2(stretch[:, 1], stretch[:, 0])
    apart = np.sqrt(2.0 * np.hypot(*stretch.T) / (share * (1.0 - share)))
    apart = np.clip(apart, psf.sigma_px, 3.0 * psf.sigma_px)
    ux, uy = apart * np.cos(angle), apart * np.sin(angle)
    first = (share * stamps.flux, stamps.dx - (1 - share) * ux, stamps.dy - (1 - share) * uy)
    second = ((1 - share) * stamps.flux, stamps.dx + share * ux, stamps.dy + share * uy)
    return np.stack([*first, *second, np.zeros_like(ux)], axis=1)


def _fit_jointly(
    stamps: StarStamps, start: FloatArray, psf: PointSpread
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit two stars by Gauss-Newton steps: parameters as of `_start`, covariance, chi-square."""
    p, ones = start, np.ones_like(stamps.light)
    for _ in range(8):
        first, x1, y1 = psf.draw_with_slopes(p[:, 1], p[:, 2], psf.half_stamp_px)
        second, x2, y2 = psf.draw_with_slopes(p[:, 4], p[:, 5], psf.half_stamp_px)
        one, other = (column(np.maximum(p[:, k], 1e-12)) for k in (0, 3))
        light = one * first + other * second
        weight = stamps.weight(light, MISMATCH_IN_FIT)
        rest = stamps.light - light - column(p[:, 6])
        slopes = [first, one * x1, one * y1, second, other * x2, other * y2, ones]
        step, covariance, _ = _solve_linear(rest, weight, slopes)
        chi2 = (weight * rest**2).sum(axis=(1, 2), dtype=float)
        longest = 0.6 * psf.sigma_px
        step[:, [1, 2, 4, 5]] = np.clip(step[:, [1, 2, 4, 5]], -longest, longest)
        p = p + step
    return p - step, covariance, chi2
