"""Zero points, colour terms and limiting magnitude of frames whose stars are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regengine.photo.lens_profile import SUN_COLOUR, ChannelPhotometry

FloatArray = NDArray[np.float64]

LIMIT_SNR = 5.0
LEAST_SNR = 20.0  # of stars that zero points are made of, by their magnitude
FEWEST_STARS = 10
FEWEST_COLOURS = 20
_FEWEST_COLOUR_SPREAD = 0.15  # magnitudes: of fewer, no slope
_MAG_PER_RATIO = 2.5 / float(np.log(10.0))
_TUKEY = 4.685  # 95 % efficient for normal errors
_STEPS = 30


def fit_channel(
    channel: str,
    magnitude_g: FloatArray,
    colour: FloatArray,
    flux: FloatArray,
    sigma: FloatArray,
) -> ChannelPhotometry | None:
    """Zero point and colour term of a channel.

    A robust straight line (Tukey's weights) of G + 2.5 log10(flux) over the colour. Stars without
    a colour are left out where enough have one; else there is no colour term, and the zero point
    is the median.

    References
    ----------
    Beaton, A. E., Tukey, J. W. (1974). Technometrics 16, 147-185.
    """
    good = np.isfinite(magnitude_g) & np.isfinite(flux) & (flux > 0.0)
    good &= _bright_enough(magnitude_g, flux, sigma, good)
    coloured = good & np.isfinite(colour)
    spread = float(np.std(colour[coloured])) if coloured.any() else 0.0
    with_colour = coloured.sum() >= FEWEST_COLOURS and spread > _FEWEST_COLOUR_SPREAD
    used = coloured if with_colour else good
    if used.sum() < FEWEST_STARS:
        return None
    value = magnitude_g[used] + 2.5 * np.log10(flux[used])
    noise = _MAG_PER_RATIO * sigma[used] / flux[used]
    columns = np.ones((value.size, 1))
    if with_colour:
        columns = np.column_stack([columns, -(colour[used] - SUN_COLOUR)])
    solution, covariance, scatter = _robust_line(columns, value, noise)
    slope = (float(solution[1]), float(np.sqrt(covariance[1, 1]))) if with_colour else (0.0, 0.0)
    return ChannelPhotometry(
        channel=channel,
        zero_point_mag=float(solution[0]),
        zero_point_sigma=float(np.sqrt(covariance[0, 0])),
        colour_term=slope[0],
        colour_term_sigma=slope[1],
        scatter_mag=scatter,
        stars=int(used.sum()),
    )


def _bright_enough(
    magnitude_g: FloatArray, flux: FloatArray, sigma: FloatArray, good: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Stars that by the catalogue give `LEAST_SNR`: chosen by their own light, they would be those
    that noise and colour make bright.
    """
    if not good.any():
        return good
    usual = float(np.median(flux[good] * 10.0 ** (0.4 * magnitude_g[good])))
    return np.asarray(usual * 10.0 ** (-0.4 * magnitude_g) > LEAST_SNR * sigma)


def limiting_magnitude(magnitude_g: FloatArray, snr: FloatArray) -> tuple[float, float] | None:
    """Magnitude of stars with a signal-to-noise ratio of 5, and the spread of single stars' values.

    Where the sky's noise rules, the ratio falls in proportion to the light; only stars with ratios
    up to 50 are asked, so that their own noise counts little.
    """
    faint = np.isfinite(magnitude_g) & (snr > LIMIT_SNR) & (snr < 10.0 * LIMIT_SNR)
    if faint.sum() < FEWEST_STARS:
        return None
    limits = magnitude_g[faint] + 2.5 * np.log10(snr[faint] / LIMIT_SNR)
    middle = float(np.median(limits))
    return middle, 1.4826 * float(np.median(np.abs(limits - middle)))


def _robust_line(
    columns: FloatArray, value: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Solution, its covariance, and the scatter of single values beyond nothing."""
    solution: FloatArray = np.zeros(columns.shape[1])
    solution[0] = np.median(value)
    scatter = 0.0
    covariance = np.zeros((columns.shape[1],) * 2)
    for _ in range(_STEPS):
        residual = value - columns @ solution
        scatter = max(1.4826 * float(np.median(np.abs(residual))), 1e-6)
        # What stars scatter beyond their own noise is one and the same for all
        own = np.sqrt(np.maximum(scatter**2 - np.median(noise) ** 2, 0.0) + noise**2)
        away = residual / np.maximum(own, 1e-6)
        weight = np.where(np.abs(away) < _TUKEY, (1.0 - (away / _TUKEY) ** 2) ** 2, 0.0)
        weight /= np.maximum(own, 1e-6) ** 2
        normal = (columns * weight[:, None]).T @ columns
        new = np.linalg.solve(normal, (columns * weight[:, None]).T @ value)
        # Of M-estimates: (X'WX)^-1 X'W r r' W X (X'WX)^-1 (Huber 1981, 7.6)
        inverse = np.linalg.inv(normal)
        middle = columns * (weight * residual)[:, None]
        covariance = inverse @ (middle.T @ middle) @ inverse
        done = np.abs(new - solution).max() < 1e-7
        solution = np.asarray(new, float)
        if done:
            break
    return solution, covariance, scatter
