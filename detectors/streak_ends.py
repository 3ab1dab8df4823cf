"""Where a streak begins and ends: the part of a profile that stands out most from noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]

MOST_CHUNKS = 120
NEAR_END_PX = 24.0
REACH_PX, STEP_PX = 6.0, 0.25
LEAST_WEIGHT = 0.2  # of a step, one sigma squared of noise: a fifth of a pixel's


def lit_part(signal: FloatArray, weight: FloatArray) -> tuple[int, int, float]:
    """Steps [i, j) with the greatest sum of signal over the root of the sum of weights.

    For a streak of even light that is its likeliest extent (a generalised likelihood ratio of two
    change points).

    Parameters
    ----------
    signal, weight : ndarray of float64, shape (n,)
        Filter sum and its variance at each step along the path.

    Returns
    -------
    i, j : int
    snr : float
    """
    count = signal.size
    size = max(1, -(-count // MOST_CHUNKS))
    edges = np.unique(np.append(np.arange(0, count, size), count))
    total, spread = np.append(0.0, np.cumsum(signal)), np.append(0.0, np.cumsum(weight))
    a, b, snr = _best_pair(total, spread, edges, edges)
    if size > 1:  # around both, step by step
        near_a = np.arange(max(0, a - 2 * size), min(count, a + 2 * size) + 1)
        near_b = np.arange(max(0, b - 2 * size), min(count, b + 2 * size) + 1)
        a, b, snr = _best_pair(total, spread, near_a, near_b)
    seen = np.flatnonzero(weight[a:b] > LEAST_WEIGHT)  # not beyond the image
    return (a + int(seen[0]), a + int(seen[-1]) + 1, snr) if seen.size else (a, b, snr)


def _best_pair(
    total: FloatArray, spread: FloatArray, first: NDArray[np.intp], last: NDArray[np.intp]
) -> tuple[int, int, float]:
    light = total[last][None, :] - total[first][:, None]
    noise = spread[last][None, :] - spread[first][:, None]
    ahead = (last[None, :] > first[:, None]) & (noise > 1e-3)
    snr = np.where(ahead, light / np.sqrt(np.where(ahead, noise, 1.0)), -np.inf)
    best = int(np.argmax(snr))
    i, j = divmod(best, last.size)
    return int(first[i]), int(last[j]), float(snr[i, j])


def fine_end(
    u: FloatArray, signal: FloatArray, weight: FloatArray, end: float, side: int, sigma_px: float
) -> tuple[float, float]:
    """An end to a fraction of a pixel, and its sigma.

    The light near the end is fitted by an even level that the blur rounds off. The sigma joins
    the blurred edge's Cramer-Rao bound and the scatter of a change point in noise, sqrt(26)
    (noise / level)^2 (Hinkley 1970, Biometrika 57, 1).

    Parameters
    ----------
    u, signal, weight : ndarray of float64, shape (n,)
        Place, filter sum and its variance at each step.
    end : float
        Where it is about.
    side : int
        -1: the first end, light lies at greater u; 1: the second.
    sigma_px : float
        Of the blur.

    Returns
    -------
    end, sigma_px : float
    """
    inward = side * (end - u)
    near = (inward > -REACH_PX - 3.0 * sigma_px) & (inward < NEAR_END_PX) & (weight > 1e-3)
    if np.count_nonzero(near) < 4:
        return end, REACH_PX
    at, light, var = inward[near], signal[near], weight[near]
    shifts = np.arange(-REACH_PX, REACH_PX + 0.5 * STEP_PX, STEP_PX)
    shape = ndtr((at[None, :] + shifts[:, None]) / sigma_px)  # a shift is outward
    power = (shape**2 * var).sum(axis=1)
    level = np.maximum((shape * light).sum(axis=1) / np.maximum(power, 1e-9), 0.0)
    gain = level**2 * power
    best = int(np.argmax(gain))
    shift = float(shifts[best])
    if 0 < best < shifts.size - 1:
        left, middle, right = gain[best - 1 : best + 2]
        bend = left - 2.0 * middle + right
        if bend < 0.0:
            shift += STEP_PX * float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))
    noise = 1.0 / float(np.sqrt(np.median(var)))
    ratio = noise / max(float(level[best]), 1e-6)
    bound = 2.0 * np.sqrt(np.pi) * sigma_px * ratio**2
    return end + side * shift, float(np.sqrt(bound + 26.0 * ratio**4))
