"""Lights, stars and streaks of known place and light on arrays, and how near detections come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

NOISE = 0.001
STAR_PX = 1.15  # sigma of starlight: FWHM 2.7
STAR_LEVEL = 0.02
STREAK_PX, STREAK_LEVEL, STREAK_NOISE = 1.2, 0.05, 0.002


def stored(light: ArrayLike) -> NDArray[np.uint8]:
    """Linear light from 0 to 1 as pixels of 8 bits, by the curve of sRGB (IEC 61966-2-1)."""
    light = np.clip(np.asarray(light, float), 0.0, 1.0)
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255.0 * curved).astype(np.uint8)


def spot(light, x: float, y: float, sigma: float, peak: float) -> None:
    """Add a Gaussian of light, in place."""
    rows, cols = np.arange(light.shape[0]), np.arange(light.shape[1])
    down, across = (np.exp(-0.5 * ((at - k) / sigma) ** 2) for at, k in ((rows, y), (cols, x)))
    light += peak * np.outer(down, across)


def streak_light(shape, ends: Iterable[float], sigma=STREAK_PX, *, bow=0.0, light=None):
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


@dataclass(frozen=True)
class Light:
    """A round Gaussian light; flux in full scale times square pixels."""

    x: float
    y: float
    flux: float
    sigma: float = 1.2


def draw(lights, shape=(240, 320), *, level=0.01, noise=NOISE, seed=0):
    """Gaussian lights (integrated at pixel centres) over a flat level with white noise."""
    image = np.full(shape, float(level))
    for one in lights:
        spot(image, one.x, one.y, one.sigma, one.flux / (2 * np.pi * one.sigma**2))
    if noise:
        image += np.random.default_rng(seed).normal(0.0, noise, shape)
    return image.astype(np.float32)


def flux_of_snr(snr, sigma=1.2, noise=NOISE):
    """Flux at which an ideal matched filter sees a Gaussian light at that SNR."""
    return snr * np.sqrt(4 * np.pi) * sigma * noise


def spread_lights(count, shape, *, snr=(15.0, 300.0), seed=1, gap=22.0, sigma=(0.8, 2.5)):
    """Lights at random places that keep a distance from each other and from the border."""
    rng = np.random.default_rng(seed)
    found = []
    while len(found) < count:
        x, y = rng.uniform(gap, shape[1] - 1 - gap), rng.uniform(gap, shape[0] - 1 - gap)
        if all(np.hypot(x - o.x, y - o.y) > gap for o in found):
            width = rng.uniform(*sigma)
            strength = np.exp(rng.uniform(*np.log(snr)))
            found.append(Light(x, y, flux_of_snr(strength, width), width))
    return found


def star_list(count=25, shape=(240, 320), *, snr=(25.0, 300.0), seed=1, gap=20.0):
    """Stars of one width at random places; SNR is that of a matched filter."""
    return spread_lights(count, shape, snr=snr, seed=seed, gap=gap, sigma=(STAR_PX, STAR_PX))


def star_frame(stars, shape=(240, 320), *, seed=0, level=STAR_LEVEL, noise=NOISE):
    """A frame of them over a dark sky."""
    return draw(stars, shape, level=level, noise=noise, seed=seed)


def trail_frame(stars, shape, path, *, seed=0):
    """A frame in which every star draws the places of a path, moves (n, 2) from its own."""
    drawn = [
        Light(one.x + dx, one.y + dy, one.flux / len(path), one.sigma)
        for one in stars
        for dx, dy in path
    ]
    return star_frame(drawn, shape, seed=seed)


def straight_path(trail):
    """A segment, x and y from end to end."""
    steps = 2 * int(np.hypot(*trail)) + 1
    return np.outer((np.arange(steps) + 0.5) / steps - 0.5, trail)


def nearest(detections, x, y):
    """Index of the detection nearest to a place, and its distance."""
    gap = np.hypot(detections.x - x, detections.y - y)
    return int(np.argmin(gap)), float(gap.min())


def centroid_pulls(detections, lights, reach_px):
    """Squared errors of the places by their covariance, of lights that were found within a reach.

    Chi squared of two degrees: median 1.39.
    """
    pulls = []
    for one in lights:
        index, gap = nearest(detections, one.x, one.y)
        if gap < reach_px:
            error = np.array([detections.x[index] - one.x, detections.y[index] - one.y])
            pulls.append(error @ np.linalg.inv(detections.covariance_px2[index]) @ error)
    return pulls


@dataclass(frozen=True)
class Streak:
    """An even streak; `snr` is the peak of its mean cross profile over the noise of a pixel."""

    x1: float
    y1: float
    x2: float
    y2: float
    snr: float = 8.0
    sigma_px: float = STREAK_PX

    @property
    def ends(self):
        return self.x1, self.y1, self.x2, self.y2

    def moved(self, dx, dy):
        ends = (self.x1 + dx, self.y1 + dy, self.x2 + dx, self.y2 + dy)
        return Streak(*ends, self.snr, self.sigma_px)

    def distance_px(self, x, y):
        """How far a place lies from it."""
        step = np.array([self.x2 - self.x1, self.y2 - self.y1])
        t = ((x - self.x1) * step[0] + (y - self.y1) * step[1]) / (step @ step)
        t = np.clip(t, 0.0, 1.0)
        return np.hypot(x - self.x1 - t * step[0], y - self.y1 - t * step[1])


def star_light(shape, stars, sigma=STREAK_PX):
    """Gaussian stars; each is x, y and its peak."""
    light = np.zeros(shape)
    for x, y, peak in stars:
        spot(light, x, y, sigma, peak)
    return light


def scattered_stars(count, shape, seed=1, peaks=(5.0, 100.0)):
    """Stars of such peaks anywhere, shape (count, 3)."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0.0, [shape[1] - 1, shape[0] - 1], (count, 2))
    return np.column_stack([places, np.exp(rng.uniform(*np.log(peaks), count))])


def streak_frame(streaks, shape=(208, 256), *, seed=0, stars=12, clear_px=0.0):
    """Streaks and some stars, clear of them, over a dim even sky with white noise."""
    rng = np.random.default_rng(seed)
    image = np.full(shape, STREAK_LEVEL)
    for _ in range(stars):
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        peak = STREAK_NOISE * 10.0 ** rng.uniform(1.0, 2.0)
        if all(one.distance_px(x, y) >= clear_px for one in streaks):
            spot(image, x, y, STREAK_PX, peak)
    for one in streaks:
        image += one.snr * STREAK_NOISE * streak_light(shape, one.ends, one.sigma_px)
    return (image + rng.normal(0.0, STREAK_NOISE, shape)).astype(np.float32)


def end_gap(ends, wanted):
    """How far the farther end of a segment lies from another's, whichever is called first."""
    one, other = np.reshape(ends, (2, 2)), np.reshape(wanted, (2, 2))
    return min(np.hypot(*(one - turned).T).max() for turned in (other, other[::-1]))


def nearest_streak(found, wanted):
    """The detection whose ends are nearest to given ones, and how far they are."""
    ends = np.column_stack([found.x1, found.y1, found.x2, found.y2])
    gaps = [end_gap(one, wanted) for one in ends]
    return (int(np.argmin(gaps)), min(gaps)) if gaps else (-1, np.inf)
