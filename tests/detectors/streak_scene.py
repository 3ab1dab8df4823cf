"""Small frames with streaks for the tests of detectors and of the commands around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import erf

SHAPE = (208, 256)
SIGMA_PX = 1.2  # of starlight: FWHM 2.8
LEVEL, NOISE = 0.05, 0.002


@dataclass(frozen=True)
class Streak:
    """An even streak; `snr` is the peak of its mean cross profile over the noise of a pixel."""

    x1: float
    y1: float
    x2: float
    y2: float
    snr: float = 8.0
    sigma_px: float = SIGMA_PX

    @property
    def ends(self):
        return self.x1, self.y1, self.x2, self.y2

    def moved(self, dx, dy):
        ends = (self.x1 + dx, self.y1 + dy, self.x2 + dx, self.y2 + dy)
        return Streak(*ends, self.snr, self.sigma_px)


def light_of(streak, shape=SHAPE, noise=NOISE):
    """A segment blurred by a Gaussian of the streak's width."""
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    dx, dy = streak.x2 - streak.x1, streak.y2 - streak.y1
    length = np.hypot(dx, dy)
    along = ((cols - streak.x1) * dx + (rows - streak.y1) * dy) / length
    across = ((rows - streak.y1) * dx - (cols - streak.x1) * dy) / length
    scale = 2.0**0.5 * streak.sigma_px
    ends = 0.5 * (erf(along / scale) - erf((along - length) / scale))
    return streak.snr * noise * ends * np.exp(-((across / scale) ** 2))


def distance_px(streak, x, y):
    """How far a place lies from a streak."""
    step = np.array([streak.x2 - streak.x1, streak.y2 - streak.y1])
    t = np.clip(((x - streak.x1) * step[0] + (y - streak.y1) * step[1]) / (step @ step), 0.0, 1.0)
    return np.hypot(x - streak.x1 - t * step[0], y - streak.y1 - t * step[1])


def streak_frame(streaks, shape=SHAPE, *, seed=0, stars=12, level=LEVEL, noise=NOISE, clear_px=0.0):
    """Streaks and some stars, clear of them, over a dim even sky with white noise."""
    rng = np.random.default_rng(seed)
    image = np.full(shape, level)
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]]
    for _ in range(stars):
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        peak = noise * 10.0 ** rng.uniform(1.0, 2.0)
        if any(distance_px(streak, x, y) < clear_px for streak in streaks):
            continue
        image += peak * np.exp(-0.5 * ((cols - x) ** 2 + (rows - y) ** 2) / SIGMA_PX**2)
    for streak in streaks:
        image += light_of(streak, shape, noise)
    return (image + rng.normal(0.0, noise, shape)).astype(np.float32)


def end_gap(found, index, streak):
    """How far the farther end of a detection lies from the streak's, whichever is called first."""
    first = (found.x1[index], found.y1[index])
    second = (found.x2[index], found.y2[index])
    one, other = (streak.x1, streak.y1), (streak.x2, streak.y2)
    return min(
        max(np.hypot(*np.subtract(a, one)), np.hypot(*np.subtract(b, other)))
        for a, b in ((first, second), (second, first))
    )


def nearest_streak(found, streak):
    """The detection whose ends are nearest to a streak's, and how far they are."""
    gaps = [end_gap(found, i, streak) for i in range(len(found))]
    return (int(np.argmin(gaps)), min(gaps)) if gaps else (-1, np.inf)
