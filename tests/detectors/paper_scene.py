"""Small frames with streaks for the tests of detectors: truth by construction."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

SIGMA_PX = 1.3  # FWHM 3.1
SHAPE = (240, 300)


def streak_light(shape, segment, sigma=SIGMA_PX):
    """A straight streak of peak 1, a Gaussian across and blurred alike at its ends."""
    x1, y1, x2, y2 = segment
    length = np.hypot(x2 - x1, y2 - y1)
    step = np.array([x2 - x1, y2 - y1]) / length
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]]
    along = (cols - x1) * step[0] + (rows - y1) * step[1]
    across = (rows - y1) * step[0] - (cols - x1) * step[1]
    ends = 0.5 * (erf(along / sigma / 2**0.5) - erf((along - length) / sigma / 2**0.5))
    return ends * np.exp(-0.5 * (across / sigma) ** 2)


def star_light(shape, stars, sigma=SIGMA_PX):
    """Gaussian stars; each is x, y and its peak."""
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]]
    light = np.zeros(shape)
    for x, y, peak in stars:
        light += peak * np.exp(-0.5 * ((cols - x) ** 2 + (rows - y) ** 2) / sigma**2)
    return light


def scattered_stars(count, shape=SHAPE, seed=1):
    """Stars of peaks 5 to 100 sigma anywhere, shape (count, 3)."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0.0, [shape[1] - 1, shape[0] - 1], (count, 2))
    return np.column_stack([places, np.exp(rng.uniform(np.log(5.0), np.log(100.0), count))])


def noisy(light, seed=0, level=100.0):
    """Electrons over a sky, noise of 1."""
    noise = np.random.default_rng(seed).standard_normal(light.shape)
    return (level + light + noise).astype(np.float32)
