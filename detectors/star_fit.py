"""PSF fitting of stars, with the light of neighbouring stars subtracted."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.spatial import cKDTree

from detectors.psf import (
    FWHM_PER_SIGMA,
    PointSpread,
    cut_stamps,
    find_nearest_pixels,
    mask_inside_image,
    measure_narrow_light,
    measure_star_moments,
    sum_of_stamps,
)
from detectors.types import BoolImage, Columns, FloatArray, FloatImage, IndexArray

# PSF mismatch as a fraction of the star's light: real profiles vary this much over a frame
MISMATCH_IN_FIT = 0.03
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
        # In images of constant value the noise is 0; 16-bit rounding gives 1e-11
        variance=np.maximum(np.square(noise), 1e-20),
        gain=gain,
    )
    # Matched-filter flux at the initial positions
    drawn = state.draw_unit_stars()
    power = (np.square(drawn) * shown).sum(axis=(1, 2))
    seen = (stamps * drawn * shown).sum(axis=(1, 2))
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
        moved = np.clip(step[:, 1:3], -0.7, 0.7)
        (x, y), (most_x, most_y) = self.start, leash
        self.dx = np.clip(self.dx + moved[:, 0], x - most_x, x + most_x)
        self.dy = np.clip(self.dy + moved[:, 1], y - most_y, y + most_y)
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
            allowed, self.variance, self.gain, 0.3
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


def find_lone_pixels(rest: FloatImage, variance: FloatImage) -> BoolImage:
    """Find single pixels far above the fit: sensor defects superposed on stars."""
    # A hot pixel on a star exceeds the fit by 6 sigma and its neighbours by 2.5 times
    far = rest > np.float32(6.0) * np.sqrt(variance)
    some = np.flatnonzero(far.any(axis=(1, 2)))
    padded = np.pad(rest[some], ((0, 0), (1, 1), (1, 1)))
    sides = (padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1])
    far[some] &= rest[some] > np.float32(2.5) * np.maximum.reduce(sides)
    return far


def mask_away_from_core(psf: PointSpread, x: FloatArray, y: FloatArray, half: int) -> BoolImage:
    """Mask stamp pixels outside the core of a star; all pixels if stars are trails."""
    offsets = np.arange(-half, half + 1)
    squared = np.square(offsets - y[:, None])[:, :, None] + np.square(offsets - x[:, None])[:, None]
    # The core is exempt, since the core of a sharp star is also a single pixel
    return np.asarray((squared > 1.25**2) | (psf.trail_length_px > 0.0))


def _limit_moves(psf: PointSpread) -> tuple[float, float]:
    """Maximum motion of a star in x and y; larger along a trail, whose peak is broad."""
    x, y = (1.5 * psf.sigma_px + 0.3 * abs(side) for side in psf.trail_px)
    return x, y


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
    half, step = stamps.half, 0.25  # step of finite differences for second derivatives

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
    significance, chi2 = np.einsum("ni,nij,nj->n", seen, np.linalg.inv(noise), seen), chi2
    # Noise causes such an elongation in 1 of 3 million stars (chi-square, two degrees of freedom)
    long = significance > 30.0
    index, stamps, chi2 = index[long], stamps.select(long), chi2[long]
    if index.size == 0:
        return stars
    # Two stars in each stamp from several initial flux shares, of which the best is taken
    stretch = _measure_stretch(stars.select(index))
    tried = [
        _fit_jointly(stamps, _start(stamps, stretch, psf, share), psf) for share in (0.3, 0.5, 0.7)
    ]
    best = np.argmin([fit.chi2 for fit in tried], axis=0)
    every = np.arange(best.size)
    pairs = _Pairs(
        **{
            f.name: np.stack([getattr(fit, f.name) for fit in tried])[best, every]
            for f in fields(_Pairs)
        }
    )
    # Chi-square decreases by 30 or more from one star to two, with three more parameters
    good = (chi2 - pairs.chi2 > 30.0) & pairs.plausible(psf)
    return _with_pairs(stars, index[good], stamps.select(good), pairs.select(good), psf)


def _measure_stretch(stars: FittedStars) -> FloatArray:
    """Compute the elongation from second moments, (xx - yy) / 2 and xy; shape (N, 2)."""
    m = stars.moments
    return np.stack([0.5 * (m[:, 0, 0] - m[:, 1, 1]), m[:, 0, 1]], axis=1)


@dataclass(frozen=True, kw_only=True)
class _Pairs(Columns):
    """Pairs of stars: (flux, x, y, flux, x, y, level), x and y relative to the stamp centre."""

    parameters: FloatArray
    covariance: FloatArray
    chi2: FloatArray

    def plausible(self, psf: PointSpread) -> BoolImage:
        """Select pairs with a plausible separation and flux ratio."""
        p = self.parameters
        apart = np.hypot(p[:, 1] - p[:, 4], p[:, 2] - p[:, 5]) / psf.sigma_px
        faint = np.minimum(p[:, 0], p[:, 3]) / np.maximum(p[:, 0] + p[:, 3], 1e-30)
        return np.asarray((apart > 0.8) & (apart < 4.0) & (faint > 0.1))


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
    """Place two stars on the major axis, with the centroid at the position of the single star."""
    angle = 0.5 * np.arctan2(stretch[:, 1], stretch[:, 0])
    apart = np.sqrt(2.0 * np.hypot(*stretch.T) / (share * (1.0 - share)))
    apart = np.clip(apart, psf.sigma_px, 3.0 * psf.sigma_px)
    ux, uy = apart * np.cos(angle), apart * np.sin(angle)
    first = (share * stamps.flux, stamps.dx - (1 - share) * ux, stamps.dy - (1 - share) * uy)
    second = ((1 - share) * stamps.flux, stamps.dx + share * ux, stamps.dy + share * uy)
    return np.stack([*first, *second, np.zeros_like(ux)], axis=1)


def _fit_jointly(stamps: StarStamps, start: FloatArray, psf: PointSpread) -> _Pairs:
    """Fit flux and position of two stars, and the local level, by Gauss-Newton steps."""
    p, ones = start, np.ones_like(stamps.light)
    for _ in range(8):
        first, x1, y1 = psf.draw_with_slopes(p[:, 1], p[:, 2], stamps.half)
        second, x2, y2 = psf.draw_with_slopes(p[:, 4], p[:, 5], stamps.half)
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
    return _Pairs(parameters=p - step, covariance=covariance, chi2=chi2)


def _with_pairs(
    stars: FittedStars,
    index: IndexArray,
    stamps: StarStamps,
    pairs: _Pairs,
    psf: PointSpread,
) -> FittedStars:
    """Replace single stars by the fitted pairs."""
    if index.size == 0:
        return stars
    p, old = pairs.parameters, stars.select(index)
    first = p[:, 0] >= p[:, 3]
    round_star = (psf.fwhm_px / FWHM_PER_SIGMA) ** 2 * np.eye(2)
    made = []
    for brighter in (first, ~first):
        at = np.where(brighter, 0, 3)[:, None] + np.arange(3)
        flux, x, y = np.take_along_axis(p, at, axis=1).T
        share = flux / (p[:, 0] + p[:, 3])
        rows, cols = at[:, 1:, None], at[:, None, 1:]
        made.append(
            replace(
                old,
                x=x + stamps.col,
                y=y + stamps.row,
                flux=flux,
                covariance=pairs.covariance[np.arange(index.size)[:, None, None], rows, cols],
                narrow_snr=share * old.narrow_snr,
                around_snr=share * old.around_snr,
                star_snr=share * old.star_snr,
                moments=np.broadcast_to(round_star, (index.size, 2, 2)),
            )
        )
    keep = np.ones(len(stars), bool)
    keep[index] = False
    return FittedStars.joined([stars.select(keep), *made])
