"""Small frames with streaks of known place for the tests of detectors and commands around them."""

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


def streak_light(shape, ends, sigma=SIGMA_PX, *, bow=0.0, light=None):
    """A segment of peak 1, blurred by a Gaussian; perhaps bent to its right, or uneven along."""
    x1, y1, x2, y2 = ends
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)
    dx, dy = x2 - x1, y2 - y1
    length = np.hypot(dx, dy)
    along = ((cols - x1) * dx + (rows - y1) * dy) / length
    across = ((rows - y1) * dx - (cols - x1) * dy) / length
    t = np.clip(along / length, 0.0, 1.0)
    across -= 4.0 * bow * t * (1.0 - t)
    scale = 2.0**0.5 * sigma
    lit = 0.5 * (erf(along / scale) - erf((along - length) / scale))
    return lit * np.exp(-((across / scale) ** 2)) * (1.0 if light is None else light(t))


def star_light(shape, stars, sigma=SIGMA_PX):
    """Gaussian stars; each is x, y and its peak."""
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]]
    light = np.zeros(shape)
    for x, y, peak in stars:
        light += peak * np.exp(-0.5 * ((cols - x) ** 2 + (rows - y) ** 2) / sigma**2)
    return light


def scattered_stars(count, shape=SHAPE, seed=1):
    """Stars of peaks 5 to 100 anywhere, shape (count, 3)."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0.0, [shape[1] - 1, shape[0] - 1], (count, 2))
    return np.column_stack([places, np.exp(rng.uniform(np.log(5.0), np.log(100.0), count))])


def noisy(light, seed=0, level=100.0):
    """Electrons over a sky, noise of 1."""
    noise = np.random.default_rng(seed).standard_normal(light.shape)
    return (level + light + noise).astype(np.float32)


def light_of(streak, shape=SHAPE, noise=NOISE):
    """Light of a streak over noise of so much a pixel."""
    return streak.snr * noise * streak_light(shape, streak.ends, streak.sigma_px)


def distance_px(streak, x, y):
    """How far a place lies from a streak."""
    step = np.array([streak.x2 - streak.x1, streak.y2 - streak.y1])
    t = np.clip(((x - streak.x1) * step[0] + (y - streak.y1) * step[1]) / (step @ step), 0.0, 1.0)
    return np.hypot(x - streak.x1 - t * step[0], y - streak.y1 - t * step[1])


def streak_frame(streaks, shape=SHAPE, *, seed=0, stars=12, level=LEVEL, noise=NOISE, clear_px=0.0):
    """Streaks and some stars, clear of them, over a dim even sky with white noise."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(stars):
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        peak = noise * 10.0 ** rng.uniform(1.0, 2.0)
        if all(distance_px(streak, x, y) >= clear_px for streak in streaks):
            drawn.append((x, y, peak))
    image = level + star_light(shape, drawn) + sum(light_of(one, shape, noise) for one in streaks)
    return (image + rng.normal(0.0, noise, shape)).astype(np.float32)


def end_gap(ends, wanted):
    """How far the farther end of a segment lies from another's, whichever is called first."""
    one, other = np.reshape(ends, (2, 2)), np.reshape(wanted, (2, 2))
    return min(np.hypot(*(one - turned).T).max() for turned in (other, other[::-1]))


def nearest_streak(found, streak):
    """The detection whose ends are nearest to a streak's, and how far they are."""
    ends = np.column_stack([found.x1, found.y1, found.x2, found.y2])
    gaps = [end_gap(one, streak.ends) for one in ends]
    return (int(np.argmin(gaps)), min(gaps)) if gaps else (-1, np.inf)
