"""Frames of a hand-held colour camera behind a window: what its electronics and lens do to light.

What it takes for granted differs from `benchmarks.simulate.frames.open`: a mosaic of colours whose
interpolation ties the noise of neighbours, sometimes smoothed and stored as JPEG; a lens out of
focus with coma towards the corners; a hand that shakes; noise of rows and columns, warm pixels by
the hundred; moonlit clouds in half of the frames.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray
from benchmarks.simulate.frames.exposures import (
    BRIGHT_HALF_PX,
    Exposure,
    Optics,
    Spread,
    add_stars,
    add_streaks,
    add_track,
    fine_grid,
)
from benchmarks.simulate.frames.open import draw_sky
from benchmarks.simulate.render import through_jpeg, to_linear, to_srgb

CELLS = 5
DISC_HALF_PX = 10  # beyond that there is nothing of a disc out of focus
BLACK = 512.0  # counts added before rounding, so that noise below zero is kept
COLOURS = np.array([[1, 2], [0, 1]])  # of the mosaic: G B over R G


def camera_exposure(seed: int, *, side_px: int = 1024, streaks: bool = True) -> Exposure:
    """Draw one frame."""
    rng = np.random.default_rng([3, seed, side_px])
    shape = (side_px, side_px)
    megapixels = side_px**2 / 2**20
    sky, passed, cloudy = draw_sky(rng, side_px, (3.0, 150.0), cloudy=0.45)
    read = float(np.exp(rng.uniform(np.log(1.5), np.log(5.0))))
    well = float(np.exp(rng.uniform(np.log(4e3), np.log(4e4))))
    variance = sky + read**2
    optics = _optics(rng)
    scene = np.zeros(shape)
    count = int(megapixels * np.exp(rng.uniform(np.log(40.0), np.log(700.0))))
    strength = np.minimum(1.0 + rng.pareto(rng.uniform(0.6, 1.0), count), 2e4)
    places = rng.uniform(-0.5, side_px - 0.5, (count, 2))
    stars = add_stars(scene, optics, places, strength, variance, passed)
    truth = add_streaks(rng, scene, 7 * seed + 1, optics, variance, passed) if streaks else ()
    light, full = _develop_picture(rng, sky, scene, read, well, megapixels)
    return Exposure(
        light=light,
        saturated=full,
        stars=stars,
        streaks=truth,
        seed=seed,
        cloudy=cloudy,
        optics=optics,
        well=well,
    )


def _develop_picture(
    rng: np.random.Generator,
    sky: FloatArray,
    scene: FloatArray,
    read: float,
    well: float,
    megapixels: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The picture in linear light, and its full pixels, after sensor and software."""
    h, w = sky.shape
    sigma = float(np.sqrt(np.median(sky) + read**2))
    # Colours of the sky over those of its mean; one mean colour of stars, evened out by the
    # camera's white balance
    balance = rng.uniform(0.6, 1.4, 3)
    balance /= balance.mean()
    filters = balance[np.tile(COLOURS, (h // 2 + 1, w // 2 + 1))[:h, :w]]
    electrons = rng.poisson((sky + scene) * filters) + rng.normal(0.0, read, (h, w))
    _defects(rng, electrons, sigma, well, megapixels)
    full = electrons >= well
    raw = np.clip(np.rint(np.minimum(electrons, well) / filters + BLACK), 0, 65535)
    picture = cv2.cvtColor(raw.astype(np.uint16), cv2.COLOR_BayerGB2BGR)
    grey = picture.astype(np.float32) @ np.array([0.114, 0.587, 0.299], np.float32)
    grey = np.asarray(grey - np.float32(BLACK), np.float32)
    if rng.random() < 0.4:  # the camera smooths noise
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), float(rng.uniform(0.4, 0.8))))
    light: NDArray[np.float32] = (grey / np.float32(well)).astype(np.float32)
    if rng.random() < 0.4:
        light = _jpeg(light, float(np.median(sky)) / well, int(rng.integers(90, 99)), rng)
    near = cv2.dilate(full.astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(light, np.float32), (near > 0).astype(np.float32)


def _jpeg(
    light: NDArray[np.float32], level: float, quality: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Exposed so that the sky has some shade of grey, stored in eight bits, and read as sRGB."""
    shade = rng.uniform(0.015, 0.12)  # of the sky, linear
    gain = shade / max(level, 1e-6)
    stored = to_srgb(np.clip(light * gain, 0.0, 1.0))
    seen = through_jpeg(np.rint(255.0 * stored).astype(np.uint8), quality)
    return to_linear(seen.astype(np.float32) / np.float32(255.0))


def _defects(
    rng: np.random.Generator, electrons: FloatArray, sigma: float, well: float, megapixels: float
) -> None:
    """Warm pixels, noise of rows and columns, particles; in place."""
    h, w = electrons.shape
    warm = int(megapixels * np.exp(rng.uniform(np.log(20.0), np.log(600.0))))
    charge = np.minimum(sigma * (1.0 + rng.pareto(1.2, warm)), well)
    np.add.at(electrons, (rng.integers(0, h, warm), rng.integers(0, w, warm)), charge)
    rows: FloatArray = np.zeros(h)
    drift = float(rng.uniform(0.0, 0.9))
    for i in range(1, h):  # rows remember each other
        rows[i] = drift * rows[i - 1] + np.sqrt(1.0 - drift**2) * rng.normal()
    electrons += rng.uniform(0.0, 0.25) * sigma * rows[:, None]
    electrons += rng.uniform(0.0, 0.12) * sigma * rng.normal(size=(1, w))
    for _ in range(int(rng.integers(0, 3))):
        electrons[:, int(rng.integers(0, w))] += sigma * rng.uniform(0.3, 4.0)
    for _ in range(int(megapixels * rng.uniform(0, 30))):
        length = rng.uniform(0.5, 12.0) if rng.random() < 0.8 else rng.uniform(12.0, 70.0)
        loss = float(np.exp(rng.uniform(np.log(60.0), np.log(600.0))))
        add_track(electrons, rng, length, loss, bend=0.2 if rng.random() < 0.3 else 0.0)


def _optics(rng: np.random.Generator) -> Optics:
    """A disc out of focus and a Gaussian, with coma that grows from the middle; a shaken hand."""
    disc, sigma = rng.uniform(0.2, 1.8), rng.uniform(0.55, 1.0)
    coma, veil = rng.uniform(0.0, 2.5), rng.uniform(0.0, 0.1)
    x, y = fine_grid(BRIGHT_HALF_PX)
    wings = (1.0 + (x**2 + y**2) / 9.0) ** -1.8
    share = veil * wings / wings.sum()
    near_x, near_y = fine_grid(DISC_HALF_PX)
    beside = (x.size - near_x.size) // 2
    near = np.s_[beside:-beside, beside:-beside]
    rows = []
    for i in range(CELLS):
        row = []
        for j in range(CELLS):
            away = np.array([j - CELLS // 2, i - CELLS // 2]) / (CELLS // 2)
            discs = np.zeros((near_y.size, near_x.size))
            for step in np.linspace(0.0, 1.0, 6):  # discs that shrink to the middle
                x0, y0 = coma * step * away
                size = disc * (0.6 + 0.4 * step)
                discs += np.hypot(near_x - x0, near_y - y0) <= max(size, 0.1)
            fine = np.zeros((y.size, x.size))
            fine[near] = cv2.GaussianBlur(discs, (0, 0), sigma * 10.0)
            fine = (1.0 - veil) * fine / fine.sum() + share
            row.append(Spread.of(fine, BRIGHT_HALF_PX))
        rows.append(tuple(row))
    still = tuple(rows)
    if rng.random() >= 0.25:
        return Optics(still=still, stars=still, trail_px=None)
    # The same bent path for all
    length, turn = rng.uniform(3.0, 25.0), rng.uniform(-0.5, 0.5) * np.pi
    t = np.linspace(0.0, 1.0, 150) ** rng.uniform(0.7, 1.4)
    bow = rng.uniform(-0.25, 0.25) * length * 4.0 * t * (1.0 - t)
    along = length * t
    path = np.column_stack(
        [np.cos(turn) * along - np.sin(turn) * bow, np.sin(turn) * along + np.cos(turn) * bow]
    )
    stars = tuple(tuple(one.drawn_out(path) for one in row) for row in still)
    trail = (float(path[-1, 0] - path[0, 0]), float(path[-1, 1] - path[0, 1]))
    return Optics(still=still, stars=stars, trail_px=trail)
