"""PSF fitting of stars, with the light of neighbouring stars subtracted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from detectors.psf import PointSpread, measure_narrow_light, measure_star_moments
from detectors.stamps import cut_stamps, find_nearest_pixels, mask_inside_image, sum_of_stamps
from detectors.types import BoolImage, Columns, FloatArray, FloatImage, IndexArray

PASSES = 2
# Lower bound for images of constant value, whose noise is 0; 16-bit rounding gives 1e-11
MIN_VARIANCE = 1e-20
ROUNDS = 2  # each subtracts neighbours as fitted in the previous round
LONGEST_STEP_PX = 0.7
LEASH_TRAILS = 0.3
LEASH_SIGMAS = 1.5  # maximum distance between the fitted and the initial position
# PSF mismatch as a fraction of the star's light: real profiles vary this much over a frame
MISMATCH_IN_FIT = 0.03
MISMATCH_IN_TEST = 0.3
MIN_PIXELS = 9
AROUND_PIXELS = 23.5
# A hot pixel on a star exceeds the fit by this many sigma and its neighbours by this factor. The
# core is exempt, since the core of a sharp star is also a single pixel
LONE_SIGMA, LONE_TIMES = 6.0, 2.5
CORE_PX = 1.25
LONE_MISMATCH = 0.15


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

    def __len__(self) -> int:
        return int(self.x.size)


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
        return replace(FittedStars.none(), settled=np.zeros(0, bool))
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
        variance=np.maximum(np.square(noise), MIN_VARIANCE),
        gain=gain,
    )
    # Matched-filter flux at the initial positions
    drawn = state.draw_unit_stars()
    power = (np.square(drawn) * shown).sum(axis=(1, 2))
    seen = (stamps * drawn * shown).sum(axis=(1, 2))
    state.flux = np.asarray(np.maximum(seen / np.maximum(power, 1e-6), 0.0), float)
    others = np.zeros_like(stamps)
    for turn in range(ROUNDS):
        drawn = state.light()
        others = cut_stamps(sum_of_stamps(image.shape, row, col, drawn), row, col, half) - drawn
        for _ in range(PASSES):
            state.improve(stamps - others, shown)
        if turn == 0:
            light = state.light()
            rest = (stamps - others - column(state.level) - light) * shown
            lone = find_lone_pixels(
                rest, compute_pixel_variance(light, state.variance, gain, LONE_MISMATCH)
            )
            shown[lone & mask_away_from_core(psf, state.dx, state.dy, half)] = 0.0
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
    variance: FloatArray  # of a pixel without the star
    gain: FloatArray  # variance that light adds, per unit of it
    covariance: FloatArray | None = None

    def draw_unit_stars(self) -> FloatImage:
        """Render each star with unit flux into its stamp."""
        return self.psf.draw(self.dx, self.dy, self.psf.half_stamp_px)

    def light(self) -> FloatImage:
        """Render each star with its fitted flux into its stamp."""
        return np.asarray(self.draw_unit_stars() * column(np.maximum(self.flux, 0.0)))

    def improve(self, stamps: FloatImage, shown: FloatImage) -> None:
        """Make one Gauss-Newton step for flux, position and level."""
        half, leash = self.psf.half_stamp_px, _limit_moves(self.psf)
        drawn, by_x, by_y = self.psf.draw_with_slopes(self.dx, self.dy, half)
        flux = column(np.maximum(self.flux, 1e-12))
        light = drawn * flux
        weight = shown / compute_pixel_variance(light, self.variance, self.gain, MISMATCH_IN_FIT)
        count, pixels = len(stamps), (2 * half + 1) ** 2
        slopes = np.stack([drawn, by_x, by_y, np.ones_like(drawn)], axis=1).reshape(
            count, 4, pixels
        )
        slopes[:, 1:3] *= flux.reshape(count, 1, 1)
        weighted = slopes * weight.reshape(count, 1, pixels)
        rest = (stamps - light - column(self.level)).reshape(count, pixels, 1)
        normal = (weighted @ slopes.transpose(0, 2, 1)).astype(np.float64)
        scale = np.sqrt(np.maximum(np.einsum("nii->ni", normal), 1e-30))
        normal /= scale[:, :, None] * scale[:, None, :]
        normal += 1e-6 * np.eye(4)
        inverse = np.linalg.inv(normal) / (scale[:, :, None] * scale[:, None, :])
        step = (inverse @ (weighted @ rest).astype(np.float64))[:, :, 0]
        self.flux = self.flux + step[:, 0]
        moved = np.clip(step[:, 1:3], -LONGEST_STEP_PX, LONGEST_STEP_PX)
        self.dx = np.clip(self.dx + moved[:, 0], *_bound_around(self.start[0], leash[0]))
        self.dy = np.clip(self.dy + moved[:, 1], *_bound_around(self.start[1], leash[1]))
        self.level = self.level + step[:, 3]
        self.covariance = inverse[:, 1:3, 1:3]

    def measured(self, stamps: FloatImage, whole: FloatImage, shown: FloatImage) -> FittedStars:
        """Measure the stars; positions are relative to the stamp centres.

        Shape statistics are computed on the light of each star without its neighbours.
        """
        alone = stamps - column(self.level)
        half, leash = self.psf.half_stamp_px, _limit_moves(self.psf)
        drawn = self.draw_unit_stars()
        flux = np.maximum(self.flux, 0.0)
        light = drawn * column(flux)
        allowed = np.maximum(light, 0.1 * light.max(axis=(1, 2), keepdims=True))
        rest = np.square(alone - light) / compute_pixel_variance(
            allowed, self.variance, self.gain, MISMATCH_IN_TEST
        )
        pixels = np.maximum(shown.sum(axis=(1, 2)), 1.0)
        misfit = (rest * shown).sum(axis=(1, 2)) / np.maximum(pixels - 4.0, 1.0)
        sigma = np.sqrt(self.variance)
        middle = np.median(stamps, axis=(1, 2), keepdims=True)
        narrow, around = measure_narrow_light((stamps - middle) * whole, half)
        power = np.sqrt((np.square(drawn) * shown).sum(axis=(1, 2)))
        far = np.maximum(
            np.abs(self.dx - self.start[0]) / leash[0],
            np.abs(self.dy - self.start[1]) / leash[1],
        )
        settled = (far < 0.99) & (self.flux > 0.0) & (pixels >= MIN_PIXELS)
        assert self.covariance is not None
        return FittedStars(
            x=self.dx,
            y=self.dy,
            flux=flux,
            covariance=self.covariance,
            misfit=np.asarray(misfit, float),
            narrow_snr=narrow / sigma,
            around_snr=around / (AROUND_PIXELS**0.5 * sigma),
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


def find_lone_pixels(rest: FloatImage, variance: FloatImage) -> BoolImage:
    """Find single pixels far above the fit: sensor defects superposed on stars."""
    far = rest > np.float32(LONE_SIGMA) * np.sqrt(variance)
    some = np.flatnonzero(far.any(axis=(1, 2)))
    padded = np.pad(rest[some], ((0, 0), (1, 1), (1, 1)))
    sides = (padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1])
    far[some] &= rest[some] > np.float32(LONE_TIMES) * np.maximum.reduce(sides)
    return far


def mask_away_from_core(psf: PointSpread, x: FloatArray, y: FloatArray, half: int) -> BoolImage:
    """Mask stamp pixels outside the core of a star; all pixels if stars are trails."""
    offsets = np.arange(-half, half + 1)
    squared = np.square(offsets - y[:, None])[:, :, None] + np.square(offsets - x[:, None])[:, None]
    return np.asarray((squared > CORE_PX**2) | (psf.trail_length_px > 0.0))


def _limit_moves(psf: PointSpread) -> tuple[float, float]:
    """Maximum motion of a star in x and y; larger along a trail, whose peak is broad."""
    x, y = (LEASH_SIGMAS * psf.sigma_px + LEASH_TRAILS * abs(side) for side in psf.trail_px)
    return x, y


def _bound_around(start: FloatArray, leash: float) -> tuple[FloatArray, FloatArray]:
    return start - leash, start + leash


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

        `image`, `usable`, `psf`: as for `detectors.star_fit.fit_stars`. `chosen` (N,): indices of
        the stars. `noise`, `gain` (N,): for these stars, as for `detectors.star_fit.fit_stars`.
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
        rest = (light - drawn) * shown
        variance = np.square(noise)
        lone = find_lone_pixels(rest, compute_pixel_variance(drawn, variance, gain, LONE_MISMATCH))
        shown &= ~(lone & mask_away_from_core(psf, dx, dy, half))
        return cls(
            light=light,
            shown=shown.astype(np.float32),
            row=row,
            col=col,
            dx=dx,
            dy=dy,
            flux=own.flux,
            variance=variance,
            gain=gain,
        )

    @property
    def half(self) -> int:
        """Half side of a stamp, pixels."""
        return self.light.shape[1] // 2

    def weight(self, drawn: FloatImage, mismatch: float) -> FloatImage:
        """Inverse variance of the pixels, given the light of stars in them."""
        return np.asarray(
            self.shown / compute_pixel_variance(drawn, self.variance, self.gain, mismatch)
        )
