"""Crowded frames: a survey telescope along the Milky Way, stars without number and particles.

What it takes for granted differs from `.open`: images of stars are ellipses with
exponential wings (and spikes), stars come in pairs and clusters and go on below the noise,
trails are arcs about a pole, full columns bleed, galaxies and nebulae stand behind, particles leave
long tracks, columns are hot or dead.
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
    add_stamp,
    add_stars,
    add_streaks,
    add_track,
    bleed,
    fine_grid,
)
from benchmarks.simulate.noise import fractal_tile

CELLS = 3


def crowded_exposure(seed: int, *, side_px: int = 1024, streaks: bool = True) -> Exposure:
    """Draw one frame."""
    rng = np.random.default_rng([2, seed, side_px])
    shape = (side_px, side_px)
    megapixels = side_px**2 / 2**20
    sky = _sky(rng, side_px)
    read = float(np.exp(rng.uniform(np.log(3.0), np.log(15.0))))
    well = float(np.exp(rng.uniform(np.log(2e4), np.log(8e4))))
    variance, passed = sky + read**2, np.ones(shape)
    optics = _optics(rng, side_px)
    scene = np.zeros(shape)
    places, strength = _stars(rng, side_px, megapixels, optics.middle.fwhm_px)
    stars = add_stars(scene, optics, places, strength, variance, passed)
    for _ in range(rng.poisson(3.0 * megapixels)):
        _add_galaxy(rng, scene, float(np.sqrt(np.median(variance))), optics.middle.fwhm_px)
    truth = add_streaks(rng, scene, 7 * seed + 3, optics, variance, passed) if streaks else ()
    electrons = rng.poisson(sky + scene) + rng.normal(0.0, read, shape)
    add_hot_pixels(rng, electrons, int(megapixels * rng.uniform(0, 120)), well)
    for _ in range(int(megapixels * rng.uniform(5, 40))):
        slow = rng.random() < 0.3
        length = 2.0 + rng.exponential(6.0) + (rng.uniform(10, 110) if rng.random() < 0.15 else 0.0)
        charge = float(np.exp(rng.uniform(np.log(80.0), np.log(900.0))))
        add_track(electrons, rng, length, charge, bend=0.35 if slow else 0.0)
    _columns(rng, electrons, read)
    bleed(electrons, well)
    light = np.clip(np.rint(electrons), 0.0, well) / well
    return Exposure(
        light=light.astype(np.float32),
        saturated=(electrons >= well).astype(np.float32),
        stars=stars,
        streaks=truth,
        seed=seed,
        cloudy=False,
        optics=optics,
        well=well,
    )


def _sky(rng: np.random.Generator, side: int) -> FloatArray:
    """Sky in electrons: a bent plane, and in a third of the frames a nebula."""
    x = np.linspace(-1.0, 1.0, side)[None, :]
    y = np.linspace(-1.0, 1.0, side)[:, None]
    a, b, c, d, e = rng.normal(0.0, 0.08, 5)
    light = 1.0 + a * x + b * y + c * x**2 + d * y**2 + e * x * y
    if rng.random() < 0.35:
        tile = fractal_tile(rng, 512, rng.uniform(1.5, 2.2))
        cloud = cv2.resize(cv2.GaussianBlur(tile, (0, 0), 5.0), (side, side))
        cloud = np.clip(cloud / max(float(np.quantile(cloud, 0.98)), 1e-3), 0.0, 1.5)
        light = light + rng.uniform(0.05, 0.5) * cloud
    level = np.exp(rng.uniform(np.log(30.0), np.log(1500.0)))
    return np.asarray(level * np.maximum(light, 0.3))


def _optics(rng: np.random.Generator, side: int) -> Optics:
    """Ellipses with exponential wings, wider to the corners; arcs about a pole."""
    fwhm, stretch = rng.uniform(1.6, 3.8), rng.uniform(1.0, 1.25)
    turn, halo = rng.uniform(0.0, np.pi), rng.uniform(0.06, 0.25)
    scale = rng.uniform(1.0, 2.2) * fwhm
    spikes = rng.uniform(0.005, 0.03) if rng.random() < 0.25 else 0.0
    spike_turn, corner = rng.uniform(0.0, np.pi), rng.uniform(0.0, 0.2)
    x, y = fine_grid(BRIGHT_HALF_PX)

    def spread(wider: float) -> Spread:
        u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        sigma = fwhm * wider / 2.3548
        core = np.exp(-0.5 * ((u / (sigma * stretch)) ** 2 + (v / sigma) ** 2))
        wings = np.exp(-np.hypot(x, y) / scale)
        fine = (1.0 - halo - spikes) * core / core.sum() + halo * wings / wings.sum()
        if spikes:
            p = np.cos(spike_turn) * x + np.sin(spike_turn) * y
            q = np.cos(spike_turn) * y - np.sin(spike_turn) * x
            cross = sum(
                np.exp(-np.abs(one) / 14.0 - 0.5 * (other / (0.5 * sigma)) ** 2)
                for one, other in ((p, q), (q, p))
            )
            fine = fine + spikes * cross / cross.sum()
        return Spread.of(fine, BRIGHT_HALF_PX)

    middles = (np.arange(CELLS) + 0.5) / CELLS * side
    by_radius = {0: spread(1.0), 1: spread(1.0 + 0.5 * corner), 2: spread(1.0 + corner)}
    half = CELLS // 2
    still = tuple(
        tuple(by_radius[abs(i - half) + abs(j - half)] for j in range(CELLS)) for i in range(CELLS)
    )
    if rng.random() >= 0.2:
        return Optics(still=still, stars=still, trail_px=None)
    # The sky turns about a pole that may lie in the frame
    pole = np.array([0.5, 0.5]) * side + rng.uniform(-2.0, 2.0, 2) * side
    longest = float(np.hypot(*(np.array([0.5, 0.5]) * side - pole)))
    turned = rng.uniform(5.0, 40.0) / max(longest, 0.3 * side)
    stars, middle = [], np.zeros(2)
    for i, y0 in enumerate(middles):
        row = []
        for j, x0 in enumerate(middles):
            radius = np.array([x0, y0]) - pole
            angle = np.linspace(-0.5, 0.5, 200) * turned
            arc = np.column_stack(
                [
                    np.cos(angle) * radius[0] - np.sin(angle) * radius[1],
                    np.sin(angle) * radius[0] + np.cos(angle) * radius[1],
                ]
            )
            row.append(still[i][j].drawn_out(arc))
            if i == j == half:
                middle = arc[-1] - arc[0]
        stars.append(tuple(row))
    sign = 1.0 if middle[0] >= 0.0 else -1.0
    trail = (float(sign * middle[0]), float(sign * middle[1]))
    return Optics(still=still, stars=tuple(stars), trail_px=trail)


def _stars(
    rng: np.random.Generator, side: int, megapixels: float, fwhm: float
) -> tuple[FloatArray, FloatArray]:
    """Places and strengths: a field, companions close by, and clusters."""
    density = np.exp(rng.uniform(np.log(200.0), np.log(4000.0)))
    count = int(density * megapixels)
    places = [rng.uniform(-0.5, side - 0.5, (count, 2))]
    strength = [0.7 * np.minimum(1.0 + rng.pareto(rng.uniform(0.7, 1.2), count), 3e4)]
    paired = np.flatnonzero(rng.random(count) < 0.25)
    angle = rng.uniform(0.0, 2.0 * np.pi, paired.size)
    away = fwhm * rng.uniform(0.5, 4.0, paired.size)
    places.append(
        places[0][paired] + away[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    )
    strength.append(strength[0][paired] * rng.uniform(0.1, 1.0, paired.size))
    for _ in range(int(rng.integers(0, 4))):
        members = int(rng.integers(20, 150))
        middle, radius = rng.uniform(0, side, 2), rng.uniform(15.0, 70.0)
        places.append(middle + rng.normal(0.0, radius, (members, 2)))
        strength.append(1.0 + np.minimum(rng.pareto(0.9, members), 2e3))
    every, how = np.concatenate(places), np.concatenate(strength)
    inside = ((every > -0.5) & (every < side - 0.5)).all(axis=1)
    return every[inside], how[inside]


def _add_galaxy(rng: np.random.Generator, scene: FloatArray, sigma: float, fwhm: float) -> None:
    """An exponential disc seen at an angle, blurred; in place."""
    side = scene.shape[0]
    scale, thin = rng.uniform(1.0, 5.0), rng.uniform(0.3, 1.0)
    turn = rng.uniform(0.0, np.pi)
    offsets = np.arange(-40, 41)
    x, y = offsets[None, :], offsets[:, None]
    u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
    disc = cv2.GaussianBlur(np.exp(-np.hypot(u, v / thin) / scale), (0, 0), fwhm / 2.3548)
    peak = sigma * np.exp(rng.uniform(np.log(0.5), np.log(30.0)))
    row, col = rng.integers(0, side, 2)
    add_stamp(scene, peak * disc / disc.max(), int(row), int(col))


def _columns(rng: np.random.Generator, electrons: FloatArray, read: float) -> None:
    """Hot and dead columns, from a row to the end; in place."""
    side = electrons.shape[0]
    sigma = float(np.sqrt(np.median(electrons) + read**2))
    for _ in range(int(rng.integers(0, 4))):
        first, col = rng.integers(0, side, 2)
        electrons[first:, col] += sigma * np.exp(rng.uniform(np.log(0.5), np.log(15.0)))
    if rng.random() < 0.4:
        electrons[:, int(rng.integers(0, side))] *= rng.uniform(0.0, 0.8)
