"""Frames with streaks of known place for the tests: drawn apart from what the detectors use."""

from __future__ import annotations

import numpy as np

SHAPE = (384, 448)
LEVEL, NOISE = 200.0, 5.0


def noise_frame(seed, shape=SHAPE):
    return LEVEL + np.random.default_rng(seed).normal(0.0, NOISE, shape)


def streak(shape, ends, peak, sigma=1.3, bow=0.0, light=None):
    """Light of a streak: a Gaussian across, drawn as points a quarter of a pixel apart."""
    x1, y1, x2, y2 = ends
    length = np.hypot(x2 - x1, y2 - y1)
    t = (np.arange(int(4 * length)) + 0.5) / int(4 * length)
    off = 4.0 * bow * t * (1.0 - t)
    x = x1 + t * (x2 - x1) - off * (y2 - y1) / length
    y = y1 + t * (y2 - y1) + off * (x2 - x1) / length
    each = peak * np.ones(t.size) if light is None else peak * light(t)
    rows, cols = np.arange(shape[0]), np.arange(shape[1])
    image = np.zeros(shape)
    # The sum of points 1/4 px apart, each 1 / (sqrt(2 pi) sigma) times a quarter at its middle
    scale = 0.25 / np.sqrt(2.0 * np.pi) / sigma
    down = np.exp(-0.5 * ((rows[:, None] - y) / sigma) ** 2)
    across = np.exp(-0.5 * ((cols[:, None] - x) / sigma) ** 2)
    image += (down * (each * scale)) @ across.T
    return image


def stars(shape, seed, count=60, sigma=1.2):
    """Points of light from faint to bright."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for _ in range(count):
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        peak = NOISE * 3.0 * (1.0 + rng.pareto(0.8))
        square = (rows - y) ** 2 + (cols - x) ** 2
        image += min(peak, 2000.0) * np.exp(-0.5 * square / sigma**2)
    return image
