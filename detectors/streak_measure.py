"""Signal-to-noise ratio and ends of a line, held against parallel lines beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.streak_ends import fine_end
from detectors.streak_line import Line
from detectors.streak_strip import Path, Strip, strip_along

FloatImage = NDArray[np.float32]
FloatArray = NDArray[np.float64]

BEYOND_PX = 24.0
SIDE_PX = 30.0  # lines to both sides, as far as this, tell the frame's own scatter
THIRD_OF_MANY, COMMON_SLACK = 1.9, 1.15  # the third largest of 20 normal numbers is 1.5
PIECE_PX, MOST_OF_PIECE = 12, 4.0


def across(strip: Strip, off: float, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Filter sum across the path and its variance in white noise, step by step."""
    kernel = np.exp(-0.5 * ((strip.v - off) / sigma) ** 2).astype(np.float32)
    signal = strip.light @ kernel
    weight = strip.known @ np.square(kernel)
    return signal.astype(float), weight.astype(float)


def measured(
    light: FloatImage,
    known: FloatImage,
    path: Path,
    sigma: float,
    errors: tuple[float, float, float],
    ends: tuple[float, float] | None = None,
) -> Line | None:
    """Ends to a fraction of a pixel unless they are given, and the final signal-to-noise ratio.

    Parameters
    ----------
    light, known : ndarray of float32, shape (h, w)
    path : Path
    sigma : float
        Width across.
    errors : tuple of float
        Standard deviations of bow, place across and ln width.
    ends : tuple of float, optional
        The path's ends stay; these are their standard deviations.
    """
    strip = strip_along(light, known, path, beyond_px=BEYOND_PX, half_px=SIDE_PX + 4.0 * sigma)
    signal, weight = across(strip, 0.0, sigma)
    if ends is None:
        u1, error1 = fine_end(strip.u, signal, weight, 0.0, -1, sigma)
        u2, error2 = fine_end(strip.u, signal, weight, path.length_px, 1, sigma)
    else:
        u1, u2, (error1, error2) = 0.0, path.length_px, ends
    u1, u2 = within(path, u1, u2, light.shape, 2.0 * sigma)
    if u2 - u1 < 4.0:
        return None
    inside = (strip.u >= u1) & (strip.u <= u2)
    total = float(weight[inside].sum())
    if total <= 1.0:
        return None
    base, scatter = _beside(strip, inside, sigma)
    snr = (float(signal[inside].sum()) / total - base) * np.sqrt(total)
    return Line(
        path=path.cut(u1, u2),
        sigma_px=sigma,
        snr=snr / scatter,
        scatter=scatter,
        bow_sigma_px=errors[0],
        line_sigma_px=errors[1],
        sigma_width=errors[2],
        end_sigma_px=(error1, error2),
        u=strip.u - u1,
        signal=signal,
        weight=weight,
    )


def _beside(strip: Strip, inside: NDArray[np.bool_], sigma: float) -> tuple[float, float]:
    """Level of parallel lines beside the path, and their scatter in units of white noise.

    A piece of them counts with no more than four sigma: what is left of a star or of another
    streak that crosses is no noise. The scatter is at least 1.
    """
    far = np.arange(4.0 * sigma + 2.0, SIDE_PX + 1.0, 2.0 * sigma)
    offs = np.concatenate([-far, far])
    kernels = np.exp(-0.5 * ((strip.v[:, None] - offs) / sigma) ** 2).astype(np.float32)
    signal = strip.light[inside] @ kernels
    weight = strip.known[inside] @ np.square(kernels)
    edges = np.arange(0, len(signal), PIECE_PX)
    signal, weight = np.add.reduceat(signal, edges), np.add.reduceat(weight, edges)
    most = MOST_OF_PIECE * np.sqrt(weight)
    total, spread = np.clip(signal, -most, most).sum(axis=0), weight.sum(axis=0)
    seen = spread > 0.3 * np.median(spread)
    if np.count_nonzero(seen) < 6:
        return 0.0, 1.0
    level = total[seen] / np.maximum(spread[seen], 1e-6)
    base = float(np.median(level))
    size = np.sort(np.abs(level - base) * np.sqrt(spread[seen]))
    # Noise alone shows a little more in one case in six; clouds have long tails. A second streak
    # beside takes one or two of the lines
    common = float(np.quantile(size, 0.68)) / COMMON_SLACK
    return base, max(1.0, common, float(size[-3]) / THIRD_OF_MANY)


def within(
    path: Path, u1: float, u2: float, shape: tuple[int, ...], near_px: float
) -> tuple[float, float]:
    """Ends cut off at the outline of the frame's pixels; those that nearly reach it, on it."""
    u = np.arange(min(u1, 0.0) - near_px, max(u2, path.length_px) + near_px, 0.25)
    x, y = path.at(u, 0.0)
    h, w = shape[:2]
    inside = np.flatnonzero((x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5))
    if inside.size == 0:
        return u1, u1
    first, last = float(u[inside[0]]), float(u[inside[-1]])
    cut_first, cut_last = inside[0] > 0, inside[-1] < u.size - 1
    if cut_first and u1 < first + near_px:
        u1 = first
    if cut_last and u2 > last - near_px:
        u2 = last
    return u1, u2
