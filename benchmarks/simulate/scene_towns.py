"""Towns by night seen obliquely, up to the limb, with airglow, clouds, stars and lightning."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_night import airglow, lightning, night_ground
from benchmarks.simulate.scene_starlight import add_points, star_field
from benchmarks.simulate.scene_view import EARTH_RADIUS_KM, View, draw_view, ground_texture

ImageArray = NDArray[np.float32]
FloatArray = NDArray[np.float64]

TOWN_LOOK = Look(
    quantile=0.995, level=(0.2, 3.0), noise=(0.03, 0.5), hardware=0.35, lit=0.15, cast=0.12
)
# Sodium lamps, and white ones, as a camera balanced for daylight sees them
SODIUM_RGB, WHITE_RGB = (1.9, 0.9, 0.25), (1.0, 0.95, 0.85)
TOWNS = (300, 6000)  # in the whole sight, most of them beyond the middle distance


def towns(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of towns up to the limb: linear light and how to develop it."""
    view = draw_view(rng, limb=(-0.7, 1.2), field_deg=(25.0, 100.0))
    light = town_light(view, rng)
    full = max(float(np.quantile(light.max(axis=2), 0.997)), 1e-6)
    light = light * np.float32(1.0 / full)
    depth = np.exp(-np.maximum(ground_texture(rng, view, scale_km=600.0, slope=1.5) - 0.8, 0.0))
    light = light * depth[..., None]  # clouds here and there
    moonlit = np.exp(rng.uniform(np.log(0.002), np.log(0.35)))
    light += np.float32(moonlit) * view.ground[..., None] * night_ground(view, rng)
    light += np.float32(np.exp(rng.uniform(-4.5, -1.2))) * airglow(view, rng)
    if rng.random() < 0.7:
        sky = np.clip(view.perigee_km / 80.0, 0.0, 1.0).astype(np.float32)[..., None]
        number = int(np.exp(rng.uniform(np.log(30), np.log(1200))))
        light += 0.08 * sky * star_field(rng, view.width_px, view.height_px, number)
    if rng.random() < 0.35:
        light += lightning(view, rng, int(rng.integers(1, 3)))
    return light.astype(np.float32), TOWN_LOOK


def town_light(view: View, rng: np.random.Generator) -> ImageArray:
    """Lamps of towns along coasts and rivers, shape (height, width, 3)."""
    place, power = _towns(view, rng)
    lamps = np.clip(rng.poisson(2.0 + 12.0 * power), 1, 300)
    which = np.repeat(np.arange(len(place)), lamps)
    reach_km = 2.0 + 2.5 * np.sqrt(power[which])
    spot = place[which] + reach_km[:, None] * rng.normal(0.0, 1.0, (len(which), 2))
    arc = np.hypot(spot[:, 0], spot[:, 1])
    flat = EARTH_RADIUS_KM * np.sin(arc / EARTH_RADIUS_KM) / np.maximum(arc, 1e-9)
    height = EARTH_RADIUS_KM * np.cos(arc / EARTH_RADIUS_KM)
    # A little above the ground, so that rounding does not hide them
    points = np.stack([spot[:, 0] * flat, spot[:, 1] * flat, height], axis=1) * (1.0 + 2e-5)
    x, y, seen = view.pixels_of(points)
    origin = np.array([0.0, 0.0, EARTH_RADIUS_KM + view.altitude_km])
    distance = np.linalg.norm(points - origin, axis=1)
    strength = seen * (view.altitude_km / distance) ** 2 * rng.exponential(1.0, len(which))
    sodium = rng.beta(2.5, 1.0) * rng.uniform(0.5, 1.2, len(place))
    share = np.clip(sodium, 0.0, 1.0)[which][:, None]
    colour = share * np.array(SODIUM_RGB) + (1.0 - share) * np.array(WHITE_RGB)
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    add_points(light, x, y, strength[:, None] * colour)
    glow = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(4.0, 15.0)))
    return np.asarray(light + np.float32(rng.uniform(0.1, 1.0)) * glow, np.float32)


def _towns(view: View, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Places ahead and aside, km, shape (n, 2), and their power; they keep to lines and plains."""
    number = int(np.exp(rng.uniform(*np.log(TOWNS))))
    ridge = ground_texture(rng, view, scale_km=float(rng.uniform(300.0, 1500.0)), slope=1.7)
    liked = np.exp(-((ridge / rng.uniform(0.1, 0.6)) ** 2)) * (view.perigee_km < -2.0)
    # Pixels near the limb see more ground, and so more towns
    weight = (liked * view.footprint_km**1.4).ravel()
    if weight.sum() <= 0.0:
        return np.zeros((1, 2)), np.ones(1)
    chosen = rng.choice(weight.size, number, p=weight / weight.sum())
    place = np.stack([view.ahead_km.ravel()[chosen], view.aside_km.ravel()[chosen]], axis=1)
    spread = view.footprint_km.ravel()[chosen][:, None] * rng.uniform(-0.5, 0.5, (number, 2))
    return place + spread, np.minimum(rng.pareto(1.1, number), 60.0)
