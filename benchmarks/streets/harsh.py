"""The second generator of telephoto frames: other assumptions about lamps, air and camera.

Lamps stand at random intervals on one side of the road, some streets glow without lamps, half of
the minor ones are dark by quarter, private lights outnumber the lamps, there are clouds, the point
spread is not Gaussian and differs over the frame, what is too bright blooms, and the picture was
developed by somebody. Nothing here is shared with the first generator but how points of the ground
come into the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.arrays import FloatArray
from benchmarks.simulate.camera import SimCamera
from benchmarks.streets.first import Lamps, Light, Scene, smear, splat, veil
from benchmarks.streets.maps import CLASSES, SmoothField

COLOURS = np.array([[1.0, 0.45, 0.08], [1.0, 0.72, 0.38], [0.8, 1.0, 0.95], [0.62, 1.0, 0.66]])


def draw_harsh_lamps(rng: np.random.Generator, scene: Scene) -> Lamps:
    """Lamps, glowing streets and private lights."""
    roads = scene.roads
    missing, private = float(rng.uniform(0.4, 0.6)), float(rng.uniform(1.2, 2.2))
    wrong = float(rng.uniform(0.04, 0.12))
    is_minor = roads.classes == CLASSES.index("minor")
    n_lines = len(roads.classes)
    middles = roads.xy[roads.starts[:-1]]
    # Dark by quarter: neighbours are more alike than by chance
    quarter = SmoothField(rng, scene.low, scene.high, 700.0).at(middles)
    mood = quarter + 0.7 * rng.normal(size=n_lines)
    is_dark = is_minor & (mood < np.quantile(mood[is_minor], missing) if is_minor.any() else False)
    odds = np.array([0.3, 0.6, 0.95, 0.95, 0.9, 1.0, 0.3, 0.35])[roads.classes]
    roads = roads.take(~is_dark & (rng.random(n_lines) < odds))
    lengths = roads.lengths()
    n_lines = len(lengths)
    # Lamps by a Poisson process: gaps of any length; every fifth street glows evenly instead
    glows = rng.random(n_lines) < 0.2
    spacing = np.where(glows, 6.0, np.exp(rng.normal(np.log(38.0), 0.35, n_lines)))
    counts = rng.poisson(lengths / spacing)
    line = np.repeat(np.arange(n_lines), counts)
    distance = rng.random(len(line)) * lengths[line]
    xy, along = roads.points_at(line, distance)
    # In a row on one side, on the other side of one road in three only now and then
    side = rng.choice([-1.0, 1.0], n_lines)[line]
    side *= np.where(rng.random(len(line)) < 0.15, -1.0, 1.0)
    offset = rng.gamma(6.0, 1.2, n_lines)[line] * side
    xy = xy + offset[:, None] * np.stack([-along[:, 1], along[:, 0]], axis=-1)
    # The map has lines wrong by a shift and a turn about their first point
    is_wrong = (rng.random(n_lines) < wrong)[line]
    turn = rng.normal(0.0, 0.25, n_lines)[line] * is_wrong
    start = roads.xy[roads.starts[:-1]][line]
    away = xy - start
    cos, sin = np.cos(turn), np.sin(turn)
    xy = start + np.stack(
        [cos * away[:, 0] - sin * away[:, 1], sin * away[:, 0] + cos * away[:, 1]], axis=-1
    )
    xy += (rng.normal(0.0, 40.0, (n_lines, 2))[line]) * is_wrong[:, None]
    gain = rng.gamma(1.2, 0.9, n_lines) * (1.0 + 0.5 * (roads.classes < CLASSES.index("minor")))
    gains = gain[line] * rng.gamma(3.0, 1.0 / 3.0, len(line)) * np.where(glows[line], 0.16, 1.0)
    # Private lights: some about streets, others about centres of their own
    n_private = int(private * np.count_nonzero(~glows[line]))
    n_centres = 1 + n_private // 40
    centres = rng.uniform(scene.low, scene.high, (n_centres, 2))
    near_street = xy[rng.integers(max(len(xy), 1), size=n_private)] if len(xy) else centres[:0]
    near_street = near_street + rng.laplace(0.0, 55.0, near_street.shape)
    own = centres[rng.integers(n_centres, size=n_private // 3)]
    own = own + rng.standard_t(3, own.shape) * 130.0
    others = np.concatenate([near_street[: n_private - len(own)], own])
    other_gains = 0.8 * rng.pareto(2.2, len(others)).clip(max=30.0)
    # Area lights: yards and stadiums, as many points
    n_yards = 1 + int(np.prod(scene.high - scene.low) / 4e6)
    yards = rng.uniform(scene.low, scene.high, (n_yards, 2))
    if len(xy):
        yards = xy[rng.integers(len(xy), size=n_yards)] + rng.normal(0.0, 200.0, yards.shape)
    radius = np.exp(rng.uniform(np.log(30.0), np.log(250.0), n_yards))
    yard = np.repeat(np.arange(n_yards), np.ceil(radius**2 / 60.0).astype(int))
    disc = rng.uniform(-1.0, 1.0, (len(yard), 2)) * radius[yard][:, None]
    yard_gain = (0.12 * np.exp(rng.normal(0.0, 0.8, n_yards)))[yard]
    xy = np.concatenate([xy, others, yards[yard] + disc])
    gains = np.concatenate([gains, other_gains, yard_gain])
    districts = np.exp(0.8 * SmoothField(rng, scene.low, scene.high, 2500.0).at(xy))
    districts *= np.exp(0.5 * SmoothField(rng, scene.low, scene.high, 500.0).at(xy))
    kind = SmoothField(rng, scene.low, scene.high, 900.0).at(xy) + 0.6 * rng.normal(size=len(xy))
    edges = np.sort(rng.normal(0.0, 0.9, len(COLOURS) - 1))
    colour = COLOURS[np.searchsorted(edges, kind)]
    return Lamps(xy=xy, light=(gains * districts)[:, None] * colour)


def expose_harshly(rng: np.random.Generator, scene: Scene, camera: SimCamera) -> tuple[Light, int]:
    """A picture of 0 to 1 by the second generator, and the quality of its JPEG."""
    light = splat(camera, scene, draw_harsh_lamps(rng, scene))
    rows, cols = light.shape[:2]
    light = _spread(rng, light)
    motion_px = float(rng.uniform(0.0, 14.0))
    if motion_px > 0.5:  # not straight, nor at an even speed
        angle, bend = rng.uniform(0.0, 2.0 * np.pi), rng.normal(0.0, 0.15)
        time = np.linspace(0.0, 1.0, 49) ** rng.uniform(0.7, 1.4) - 0.5
        path = motion_px * np.stack([time, 4.0 * bend * (time**2)], axis=-1)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        light = smear(light, path @ turn.T)
    light = _cover(rng, light)
    haze = float(rng.uniform(0.0, 0.5))
    light = veil(light, haze, float(rng.uniform(20.0, 100.0)))
    y, x = np.mgrid[-1.0 : 1.0 : rows * 1j, -1.0 : 1.0 : cols * 1j].astype(np.float32)
    light *= (1.0 / (1.0 + float(rng.uniform(0.0, 0.5)) * (x * x + y * y)))[..., None]
    bright = max(float(np.percentile(light[::3, ::3].max(axis=-1), rng.uniform(96.0, 99.8))), 1e-9)
    light = light / bright * float(np.exp(rng.uniform(-0.3, 0.9)))
    # What is beyond the full well runs along the columns and about it
    over = np.maximum(light - 1.0, 0.0)
    bloom = float(rng.uniform(0.0, 0.25))
    light = np.minimum(light, 1.0) + bloom * (
        0.6 * cv2.blur(over, (1, 9)) + 0.4 * cv2.GaussianBlur(over, (0, 0), 5.0)
    )
    light += float(rng.uniform(0.0, 0.06)) * (1.0 + float(rng.uniform(-0.5, 0.5)) * x[..., None])
    gain_e = float(np.exp(rng.uniform(np.log(300.0), np.log(5000.0))))
    noise = rng.standard_normal(light.shape, np.float32)
    light += noise * np.sqrt(np.maximum(light, 0.0) / gain_e + (9.0 / gain_e) ** 2)
    light += 0.004 * rng.standard_normal((rows, 1, 1), np.float32)  # banding
    picture = np.clip(light, 0.0, 1.0) ** (1.0 / float(rng.uniform(1.6, 2.8)))
    # Developed: contrast, colour, sharpening
    contrast = float(rng.uniform(0.0, 0.6))
    picture = (1.0 - contrast) * picture + contrast * picture**2 * (3.0 - 2.0 * picture)
    grey = picture.mean(axis=-1, keepdims=True)
    picture = grey + float(rng.uniform(0.4, 1.6)) * (picture - grey)
    sharp = float(rng.uniform(0.0, 0.8))
    picture = picture + sharp * (picture - cv2.GaussianBlur(picture, (0, 0), 1.5))
    return np.asarray(np.clip(picture, 0.0, 1.0), np.float32), int(rng.integers(50, 90))


def _spread(rng: np.random.Generator, light: Light) -> Light:
    """Moffat's profile with a tail, astigmatic, sharp in the middle and blurred in a corner."""
    side = np.arange(-12, 13)
    stretch = float(rng.uniform(1.0, 1.7))
    angle = rng.uniform(0.0, np.pi)
    x = side[None] * np.cos(angle) + side[:, None] * np.sin(angle)
    y = -side[None] * np.sin(angle) + side[:, None] * np.cos(angle)
    blurred = []
    for width in (rng.uniform(0.7, 1.3), rng.uniform(1.5, 2.6)):
        profile = (1.0 + (x / (width * stretch)) ** 2 + (y / width) ** 2) ** -rng.uniform(1.8, 3.0)
        kernel = np.asarray(profile / profile.sum(), np.float32)
        blurred.append(cv2.filter2D(light, cv2.CV_32F, kernel))
    rows, cols = light.shape[:2]
    row, col = np.mgrid[0.0 : 1.0 : rows * 1j, 0.0 : 1.0 : cols * 1j]
    corner: FloatArray = rng.choice([0.0, 1.0], 2)
    share = np.clip(np.hypot(row - corner[0], col - corner[1]) / 1.2, 0.0, 1.0)
    share = share.astype(np.float32)[..., None]
    return np.asarray(share * blurred[0] + (1.0 - share) * blurred[1], np.float32)


def _cover(rng: np.random.Generator, light: Light) -> Light:
    """The light that comes through clouds, spread by them."""
    cover = float(rng.uniform(0.0, 0.7)) * (rng.random() < 0.6)
    if cover < 0.02:
        return light
    rows, cols = light.shape[:2]
    field = np.zeros((rows, cols), np.float32)
    for size, weight in ((4, 1.0), (9, 0.6), (20, 0.35), (45, 0.2)):
        small = rng.standard_normal((size, size), np.float32)
        field += weight * cv2.resize(small, (cols, rows), interpolation=cv2.INTER_CUBIC)
    edge = np.quantile(field[::8, ::8], 1.0 - cover)
    depth = np.clip((field - edge) / 0.35, 0.0, 1.0)[..., None]
    through = float(rng.uniform(0.05, 0.5))
    diffuse = veil(light, 1.0, float(rng.uniform(15.0, 50.0)))
    return np.asarray((1.0 - depth) * light + depth * through * diffuse, np.float32)
