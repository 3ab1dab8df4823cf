"""Open frames: a tracked telescope under a plain sky, few stars, all alike over the frame.

What it takes for granted: images of stars are Moffat's, stars stand alone, trails are straight, the
sky is a slope with a bow of airglow, clouds come in a fifth of the frames.
"""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.arrays import FloatArray
from benchmarks.simulate.frames.exposures import (
    BRIGHT_HALF_PX,
    Exposure,
    Optics,
    Spread,
    add_hot_pixels,
    add_stars,
    add_streaks,
    add_track,
    bleed,
    fine_grid,
)
from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.render import Moffat

WELL = 30_000.0


def open_exposure(seed: int, *, side_px: int = 1024, streaks: bool = True) -> Exposure:
    """Draw one frame."""
    rng = np.random.default_rng([1, seed, side_px])
    shape = (side_px, side_px)
    megapixels = side_px**2 / 2**20
    sky, passed, cloudy = draw_sky(rng, side_px, (20.0, 500.0), cloudy=0.2)
    read = float(np.exp(rng.uniform(np.log(2.0), np.log(12.0))))
    variance = sky + read**2
    optics = _optics(rng)
    scene = np.zeros(shape)
    count = round(megapixels * rng.uniform(100, 400))
    strength = 2.0 * np.minimum(1.0 + rng.pareto(rng.uniform(0.6, 1.1), count), 2e4)
    places = rng.uniform(-0.5, side_px - 0.5, (count, 2))
    stars = add_stars(scene, optics, places, strength, variance, passed)
    truth = add_streaks(rng, scene, 7 * seed, optics, variance, passed) if streaks else ()
    electrons = rng.poisson(sky + scene) + rng.normal(0.0, read, shape)
    add_hot_pixels(rng, electrons, int(megapixels * rng.uniform(0, 80)), WELL)
    for _ in range(int(megapixels * rng.uniform(0, 20))):
        length = rng.uniform(15.0, 40.0) if rng.random() < 0.2 else rng.uniform(0.3, 15.0)
        add_track(electrons, rng, length, float(rng.uniform(80.0, 900.0)), bend=0.0)
    if rng.random() < 0.5:
        bleed(electrons, WELL)
    light = np.clip(np.rint(electrons), 0.0, WELL) / WELL
    return Exposure(
        light=light.astype(np.float32),
        saturated=(electrons >= WELL).astype(np.float32),
        stars=stars,
        streaks=truth,
        seed=seed,
        cloudy=cloudy,
        optics=optics,
        well=WELL,
    )


def draw_sky(
    rng: np.random.Generator, side: int, electrons: tuple[float, float], *, cloudy: float
) -> tuple[FloatArray, FloatArray, bool]:
    """Sky in electrons, what passes clouds and lens, and whether there are clouds."""
    x = (np.arange(side) / side - 0.5)[None, :]
    y = (np.arange(side) / side - 0.5)[:, None]
    angle = rng.uniform(0.0, 2.0 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    bow = 0.5 * np.exp(-0.5 * ((along - rng.uniform(-0.4, 0.4)) / 0.15) ** 2)
    light = 1.0 + rng.uniform(0.0, 0.6) * (along + bow)
    lens = 1.0 - rng.uniform(0.0, 0.45) * 2.0 * (x**2 + y**2)
    level = np.exp(rng.uniform(*np.log(electrons)))
    if rng.random() >= cloudy:
        return np.asarray(level * light * lens), np.asarray(lens), False
    tile = cv2.resize(fractal_tile(rng, 1024, rng.uniform(1.3, 1.9)), (side, side))
    cloud = cv2.GaussianBlur(tile, (0, 0), rng.uniform(1.5, 4.0))
    low, high = np.quantile(cloud[::8, ::8], [rng.uniform(0.1, 0.6), 0.99])
    thick = np.clip((cloud - low) / (high - low), 0.0, 1.0) ** 0.8
    light = light + rng.uniform(0.15, 1.5) * thick
    passed = lens * (1.0 - rng.uniform(0.1, 0.8) * thick)
    return np.asarray(level * light * lens), np.asarray(passed), True


def _optics(rng: np.random.Generator) -> Optics:
    """One Moffat profile for the whole frame, in a quarter of the frames drawn out straight."""
    profile = Moffat(fwhm_px=float(rng.uniform(1.8, 3.5)), beta=float(rng.uniform(2.5, 5.0)))
    x, y = fine_grid(BRIGHT_HALF_PX)
    spread = Spread.of(profile.point(x**2 + y**2), BRIGHT_HALF_PX)
    if rng.random() >= 0.25:
        return Optics(still=((spread,),), stars=((spread,),), trail_px=None)
    length = float(np.exp(rng.uniform(np.log(4.0), np.log(40.0))))
    angle = float(rng.uniform(-0.5, 0.5) * np.pi)
    trail = (length * np.cos(angle), length * np.sin(angle))
    path = np.linspace(-0.5, 0.5, 200)[:, None] * np.array(trail)
    return Optics(still=((spread,),), stars=((spread.drawn_out(path),),), trail_px=trail)
