"""Frames with true stars and streaks, by three generators that take different things for granted.

Seeds 0 to 999 are for tuning, those from 10,000 on for the benchmark alone. Nothing here is shared
with ``detectors``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray
from benchmarks.simulate.frames.exposures import (
    BRIGHT_HALF_PX,
    Exposure,
    Optics,
    Spread,
    TrueStreak,
    add_hot_pixels,
    add_stamp,
    add_stars,
    add_streaks,
    add_track,
    bleed,
    fine_grid,
)
from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.render import Moffat, through_jpeg, to_linear, to_srgb

Rng = np.random.Generator
Planes = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Generator:
    """Draws the frame of a seed, by what it takes for granted."""

    number: int  # of its stream of random numbers
    turn: int  # of the cells of its streaks
    read: tuple[float, float]  # electrons of read-out, even in their logarithm
    well: tuple[float, float] | float  # electrons of a full pixel, likewise
    # Sky in electrons, what passes clouds and lens, and whether there are clouds
    sky: Callable[[Rng, int], tuple[FloatArray, FloatArray, bool]]
    optics: Callable[[Rng, int], Optics]
    stars: Callable[[Rng, int, float], tuple[FloatArray, FloatArray]]  # places, strengths
    # Light and full pixels of sky and scene, read-out noise and full well
    develop: Callable[[Rng, FloatArray, FloatArray, float, float], Planes]
    # Adds what stands behind to the scene, by noise and width of stars
    behind: Callable[[Rng, FloatArray, float, float], None] | None = None

    def __call__(self, seed: int, *, side_px: int = 1024, streaks: bool = True) -> Exposure:
        """Draw one frame."""
        rng = np.random.default_rng([self.number, seed, side_px])
        sky, passed, cloudy = self.sky(rng, side_px)
        read = float(np.exp(rng.uniform(*np.log(self.read))))
        well = self.well
        if isinstance(well, tuple):
            well = float(np.exp(rng.uniform(*np.log(well))))
        variance = sky + read**2
        optics = self.optics(rng, side_px)
        scene = np.zeros((side_px, side_px))
        fwhm_px = optics.middle.fwhm_px
        stars = add_stars(scene, optics, *self.stars(rng, side_px, fwhm_px), variance, passed)
        if self.behind is not None:
            self.behind(rng, scene, float(np.sqrt(np.median(variance))), fwhm_px)
        truth: tuple[TrueStreak, ...] = ()
        if streaks:
            truth = add_streaks(rng, scene, 7 * seed + self.turn, optics, variance, passed)
        light, full = self.develop(rng, sky, scene, read, well)
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


def _megapixels(side_px: int) -> float:
    return side_px**2 / 2**20


def _digitise(electrons: FloatArray, well: float) -> Planes:
    """Light in whole electrons, 1 at full well, and the pixels that are full."""
    light = np.clip(np.rint(electrons), 0.0, well) / well
    return light.astype(np.float32), (electrons >= well).astype(np.float32)


# Open frames: a tracked telescope under a plain sky. Images of stars are Moffat's and alike, stars
# few and alone, trails straight; the sky is a slope with a bow of airglow, and clouds come in a
# fifth of the frames


def _open_stars(rng: Rng, side_px: int, fwhm_px: float) -> tuple[FloatArray, FloatArray]:
    count = round(_megapixels(side_px) * rng.uniform(100, 400))
    strength = 2.0 * np.minimum(1.0 + rng.pareto(rng.uniform(0.6, 1.1), count), 2e4)
    return rng.uniform(-0.5, side_px - 0.5, (count, 2)), strength


def _open_develop(rng: Rng, sky: FloatArray, scene: FloatArray, read: float, well: float) -> Planes:
    """Noise, hot pixels, cosmic rays; in half of the frames full pixels bleed."""
    electrons = rng.poisson(sky + scene) + rng.normal(0.0, read, sky.shape)
    megapixels = _megapixels(sky.shape[0])
    add_hot_pixels(rng, electrons, int(megapixels * rng.uniform(0, 80)), well)
    for _ in range(int(megapixels * rng.uniform(0, 20))):
        length = rng.uniform(15.0, 40.0) if rng.random() < 0.2 else rng.uniform(0.3, 15.0)
        add_track(electrons, rng, length, float(rng.uniform(80.0, 900.0)), bend=0.0)
    if rng.random() < 0.5:
        bleed(electrons, well)
    return _digitise(electrons, well)


def draw_sky(
    rng: Rng, side: int, *, electrons: tuple[float, float], cloudy: float
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


def _open_optics(rng: Rng, side_px: int) -> Optics:
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


OPEN = Generator(
    number=1,
    turn=0,
    read=(2.0, 12.0),
    well=30_000.0,
    sky=partial(draw_sky, electrons=(20.0, 500.0), cloudy=0.2),
    optics=_open_optics,
    stars=_open_stars,
    develop=_open_develop,
)


# Crowded frames: a survey telescope along the Milky Way. Images of stars are ellipses with
# exponential wings (and spikes), stars come in pairs and clusters and go on below the noise, trails
# are arcs about a pole, full columns bleed, galaxies and nebulae stand behind, particles leave long
# tracks, columns are hot or dead

CROWDED_CELLS = 3


def _crowded_develop(
    rng: Rng, sky: FloatArray, scene: FloatArray, read: float, well: float
) -> Planes:
    """Noise, hot pixels, particles slow and fast, bad columns; full pixels bleed."""
    electrons = rng.poisson(sky + scene) + rng.normal(0.0, read, sky.shape)
    megapixels = _megapixels(sky.shape[0])
    add_hot_pixels(rng, electrons, int(megapixels * rng.uniform(0, 120)), well)
    for _ in range(int(megapixels * rng.uniform(5, 40))):
        slow = rng.random() < 0.3
        length = 2.0 + rng.exponential(6.0) + (rng.uniform(10, 110) if rng.random() < 0.15 else 0.0)
        charge = float(np.exp(rng.uniform(np.log(80.0), np.log(900.0))))
        add_track(electrons, rng, length, charge, bend=0.35 if slow else 0.0)
    _spoil_columns(rng, electrons, read)
    bleed(electrons, well)
    return _digitise(electrons, well)


def _crowded_sky(rng: Rng, side: int) -> tuple[FloatArray, FloatArray, bool]:
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
    return np.asarray(level * np.maximum(light, 0.3)), np.ones((side, side)), False


def _crowded_optics(rng: Rng, side: int) -> Optics:
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

    middles = (np.arange(CROWDED_CELLS) + 0.5) / CROWDED_CELLS * side
    by_radius = {0: spread(1.0), 1: spread(1.0 + 0.5 * corner), 2: spread(1.0 + corner)}
    half = CROWDED_CELLS // 2
    still = tuple(
        tuple(by_radius[abs(i - half) + abs(j - half)] for j in range(CROWDED_CELLS))
        for i in range(CROWDED_CELLS)
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
            across, down = np.array([-radius[1], radius[0]]), radius
            arc = np.cos(angle)[:, None] * down + np.sin(angle)[:, None] * across
            row.append(still[i][j].drawn_out(arc))
            if i == j == half:
                middle = arc[-1] - arc[0]
        stars.append(tuple(row))
    sign = 1.0 if middle[0] >= 0.0 else -1.0
    trail = (float(sign * middle[0]), float(sign * middle[1]))
    return Optics(still=still, stars=tuple(stars), trail_px=trail)


def _crowded_stars(rng: Rng, side: int, fwhm: float) -> tuple[FloatArray, FloatArray]:
    """Places and strengths: a field, companions close by, and clusters."""
    density = np.exp(rng.uniform(np.log(200.0), np.log(4000.0)))
    count = int(density * _megapixels(side))
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


def _add_galaxies(rng: Rng, scene: FloatArray, sigma: float, fwhm: float) -> None:
    """Exponential discs seen at an angle, blurred; in place."""
    offsets = np.arange(-40, 41)
    x, y = offsets[None, :], offsets[:, None]
    for _ in range(rng.poisson(3.0 * _megapixels(scene.shape[0]))):
        scale, thin = rng.uniform(1.0, 5.0), rng.uniform(0.3, 1.0)
        turn = rng.uniform(0.0, np.pi)
        u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        disc = cv2.GaussianBlur(np.exp(-np.hypot(u, v / thin) / scale), (0, 0), fwhm / 2.3548)
        peak = sigma * np.exp(rng.uniform(np.log(0.5), np.log(30.0)))
        row, col = rng.integers(0, scene.shape[0], 2)
        add_stamp(scene, peak * disc / disc.max(), int(row), int(col))


def _spoil_columns(rng: Rng, electrons: FloatArray, read: float) -> None:
    """Hot and dead columns, from a row to the end; in place."""
    side = electrons.shape[0]
    sigma = float(np.sqrt(np.median(electrons) + read**2))
    for _ in range(int(rng.integers(0, 4))):
        first, col = rng.integers(0, side, 2)
        electrons[first:, col] += sigma * np.exp(rng.uniform(np.log(0.5), np.log(15.0)))
    if rng.random() < 0.4:
        electrons[:, int(rng.integers(0, side))] *= rng.uniform(0.0, 0.8)


CROWDED = Generator(
    number=2,
    turn=3,
    read=(3.0, 15.0),
    well=(2e4, 8e4),
    sky=_crowded_sky,
    optics=_crowded_optics,
    stars=_crowded_stars,
    develop=_crowded_develop,
    behind=_add_galaxies,
)


# Frames of a hand-held colour camera behind a window: a mosaic of colours whose interpolation ties
# the noise of neighbours, sometimes smoothed and stored as JPEG; a lens out of focus with coma
# towards the corners; a hand that shakes; noise of rows and columns, warm pixels by the hundred;
# moonlit clouds in half of the frames

CAMERA_CELLS = 5
DISC_HALF_PX = 10  # beyond that there is nothing of a disc out of focus
BLACK = 512.0  # counts added before rounding, so that noise below zero is kept
COLOURS = np.array([[1, 2], [0, 1]])  # of the mosaic: G B over R G


def _camera_stars(rng: Rng, side_px: int, fwhm_px: float) -> tuple[FloatArray, FloatArray]:
    count = int(_megapixels(side_px) * np.exp(rng.uniform(np.log(40.0), np.log(700.0))))
    strength = np.minimum(1.0 + rng.pareto(rng.uniform(0.6, 1.0), count), 2e4)
    return rng.uniform(-0.5, side_px - 0.5, (count, 2)), strength


def _camera_develop(
    rng: Rng, sky: FloatArray, scene: FloatArray, read: float, well: float
) -> Planes:
    """The picture in linear light, and its full pixels, after sensor and software."""
    h, w = sky.shape
    sigma = float(np.sqrt(np.median(sky) + read**2))
    # Colours of the sky over those of its mean; one mean colour of stars, evened out by the
    # camera's white balance
    balance = rng.uniform(0.6, 1.4, 3)
    balance /= balance.mean()
    filters = balance[np.tile(COLOURS, (h // 2 + 1, w // 2 + 1))[:h, :w]]
    electrons = rng.poisson((sky + scene) * filters) + rng.normal(0.0, read, (h, w))
    _add_defects(rng, electrons, sigma, well)
    full = electrons >= well
    raw = np.clip(np.rint(np.minimum(electrons, well) / filters + BLACK), 0, 65535)
    picture = cv2.cvtColor(raw.astype(np.uint16), cv2.COLOR_BayerGB2BGR)
    grey = picture.astype(np.float32) @ np.array([0.114, 0.587, 0.299], np.float32)
    grey = np.asarray(grey - np.float32(BLACK), np.float32)
    if rng.random() < 0.4:  # the camera smooths noise
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), float(rng.uniform(0.4, 0.8))))
    light: NDArray[np.float32] = (grey / np.float32(well)).astype(np.float32)
    if rng.random() < 0.4:
        light = _expose_for_jpeg(
            light, float(np.median(sky)) / well, int(rng.integers(90, 99)), rng
        )
    near = cv2.dilate(full.astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(light, np.float32), (near > 0).astype(np.float32)


def _expose_for_jpeg(
    light: NDArray[np.float32], level: float, quality: int, rng: Rng
) -> NDArray[np.float32]:
    """Exposed so that the sky has some shade of grey, stored in eight bits, and read as sRGB."""
    shade = rng.uniform(0.015, 0.12)  # of the sky, linear
    gain = shade / max(level, 1e-6)
    stored = to_srgb(np.clip(light * gain, 0.0, 1.0))
    seen = through_jpeg(np.rint(255.0 * stored).astype(np.uint8), quality)
    return to_linear(seen.astype(np.float32) / np.float32(255.0))


def _add_defects(rng: Rng, electrons: FloatArray, sigma: float, well: float) -> None:
    """Warm pixels, noise of rows and columns, particles; in place."""
    h, w = electrons.shape
    megapixels = _megapixels(h)
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


def _camera_optics(rng: Rng, side_px: int) -> Optics:
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
    for i in range(CAMERA_CELLS):
        row = []
        for j in range(CAMERA_CELLS):
            away = np.array([j - CAMERA_CELLS // 2, i - CAMERA_CELLS // 2]) / (CAMERA_CELLS // 2)
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


CAMERA = Generator(
    number=3,
    turn=1,
    read=(1.5, 5.0),
    well=(4e3, 4e4),
    sky=partial(draw_sky, electrons=(3.0, 150.0), cloudy=0.45),
    optics=_camera_optics,
    stars=_camera_stars,
    develop=_camera_develop,
)


GENERATORS = {"open": OPEN, "crowded": CROWDED, "camera": CAMERA}
