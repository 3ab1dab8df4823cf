"""Blended pairs of stars: detection by their elongation, and joint fits of two stars."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from detectors.psf import FWHM_PER_SIGMA, PointSpread
from detectors.star_fit import MISMATCH_IN_FIT, FittedStars, StarStamps, column
from detectors.types import BoolImage, Columns, FloatArray, FloatImage, IndexArray

STEP_PX = 0.25  # step of finite differences for second derivatives
# Noise causes such an elongation in 1 of 3 million stars (chi-square, two degrees of freedom)
MIN_SIGNIFICANCE = 30.0
# The common elongation of the bright stars, and its spread, are due to aberrations of the lens
BRIGHT_SNR, MIN_BRIGHT, OWN_SPREADS = 30.0, 8, 4.0
MIN_STRETCH = 0.1  # in units of sigma squared: the variation of stellar profiles
SHARES = (0.3, 0.5, 0.7)  # initial shares of the flux in the first star
FIRST_APART_SIGMAS = (1.0, 3.0)
ROUNDS = 8
LONGEST_STEP_SIGMAS = 0.6
# Minimum decrease of chi-square from one star to two, with three more parameters
GAIN = 30.0
FAINTEST_SHARE = 0.1
APART_SIGMAS = (0.8, 4.0)


def find_long_stars(stars: FittedStars, psf: PointSpread) -> BoolImage:
    """Find stars more elongated than the stars of the frame in general, mask (N,).

    The second moment of two stars with flux shares q and 1 - q at a distance d exceeds that of one
    star by q (1 - q) d^2.
    """
    stretch = _measure_stretch(stars)
    bright = stars.star_snr > BRIGHT_SNR
    least = MIN_STRETCH * psf.sigma_px**2
    if np.count_nonzero(bright) < MIN_BRIGHT:
        return np.hypot(*stretch.T) > least
    own = np.hypot(*(stretch - np.median(stretch[bright], axis=0)).T)
    # The median length of a vector of two normal deviates is 1.18 sigma (Rayleigh distribution)
    usual = float(np.median(own[bright])) / 1.18
    return np.asarray(own > max(least, OWN_SPREADS * usual))


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
    significance, chi2 = _test_shape(stamps, psf)
    long = significance > MIN_SIGNIFICANCE
    index, stamps, chi2 = index[long], stamps.select(long), chi2[long]
    if index.size == 0:
        return stars
    # Two stars in each stamp from several initial flux shares, of which the best is taken
    stretch = _measure_stretch(stars.select(index))
    tried = [_fit_jointly(stamps, _start(stamps, stretch, psf, share), psf) for share in SHARES]
    best = np.argmin([fit.chi2 for fit in tried], axis=0)
    every = np.arange(best.size)
    pairs = _Pairs(
        **{
            f.name: np.stack([getattr(fit, f.name) for fit in tried])[best, every]
            for f in fields(_Pairs)
        }
    )
    good = (chi2 - pairs.chi2 > GAIN) & pairs.plausible(psf)
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
        inside = (apart > APART_SIGMAS[0]) & (apart < APART_SIGMAS[1])
        return np.asarray(inside & (faint > FAINTEST_SHARE))


def _test_shape(stamps: StarStamps, psf: PointSpread) -> tuple[FloatArray, FloatArray]:
    """Compute chi-square of an elongation (two degrees of freedom), and of the one-star fit."""
    half, step = stamps.half, STEP_PX

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
    return np.einsum("ni,nij,nj->n", seen, np.linalg.inv(noise), seen), chi2


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
    apart = np.clip(apart, *(psf.sigma_px * np.array(FIRST_APART_SIGMAS)))
    ux, uy = apart * np.cos(angle), apart * np.sin(angle)
    first = (share * stamps.flux, stamps.dx - (1 - share) * ux, stamps.dy - (1 - share) * uy)
    second = ((1 - share) * stamps.flux, stamps.dx + share * ux, stamps.dy + share * uy)
    return np.stack([*first, *second, np.zeros_like(ux)], axis=1)


def _fit_jointly(stamps: StarStamps, start: FloatArray, psf: PointSpread) -> _Pairs:
    """Fit flux and position of two stars, and the local level, by Gauss-Newton steps."""
    p, ones = start, np.ones_like(stamps.light)
    for _ in range(ROUNDS):
        first, x1, y1 = psf.draw_with_slopes(p[:, 1], p[:, 2], stamps.half)
        second, x2, y2 = psf.draw_with_slopes(p[:, 4], p[:, 5], stamps.half)
        one, other = (column(np.maximum(p[:, k], 1e-12)) for k in (0, 3))
        light = one * first + other * second
        weight = stamps.weight(light, MISMATCH_IN_FIT)
        rest = stamps.light - light - column(p[:, 6])
        slopes = [first, one * x1, one * y1, second, other * x2, other * y2, ones]
        step, covariance, _ = _solve_linear(rest, weight, slopes)
        chi2 = (weight * rest**2).sum(axis=(1, 2), dtype=float)
        longest = LONGEST_STEP_SIGMAS * psf.sigma_px
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
