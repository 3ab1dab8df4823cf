"""Aurora: folded curtains and diffuse ovals, ahead of the camera or below it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_night import airglow, night_ground
from benchmarks.simulate.scene_starlight import add_points, star_field
from benchmarks.simulate.scene_view import EARTH_RADIUS_KM, View, draw_view

ImageArray = NDArray[np.float32]
FloatArray = NDArray[np.float64]

AURORA_LOOK = Look(
    quantile=0.97, level=(0.25, 1.6), noise=(0.05, 0.6), hardware=0.55, lit=0.5, cast=0.12
)
# Oxygen's green line of 557.7 nm is brightest near 110 km, its red one of 630.0 nm above 200 km;
# nitrogen adds violet tops in sunlight and a pink lower border.
LINES_RGB = ((0.12, 1.0, 0.25), (1.0, 0.16, 0.22), (0.6, 0.25, 1.0), (1.0, 0.35, 0.75))
HEIGHTS_KM = np.concatenate([np.arange(95.0, 160.0, 4.0), np.arange(160.0, 440.0, 10.0)])
STEPS = 2500  # points along a curtain
TRIES, LEAST_SEEN = 6, 0.01  # share of the picture


def aurora(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame with aurora: linear light and how to develop it."""
    below = rng.random() < 0.2
    if below:
        view = draw_view(rng, off_nadir_deg=(20.0, 55.0), field_deg=(40.0, 100.0))
    else:
        view = draw_view(rng, limb=(-0.7, 0.9), field_deg=(30.0, 110.0))
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    for _ in range(TRIES):  # a curtain may stand outside of the picture
        light += sum(curtain(view, rng) for _ in range(int(rng.integers(1, 4))))
        if float(np.mean(light[..., 1] > 0.2 * light[..., 1].max())) > LEAST_SEEN:
            break
    if rng.random() < 0.6:
        light += np.float32(rng.uniform(0.3, 1.5)) * curtain(view, rng, diffuse=True)
    light /= max(float(np.quantile(light.max(axis=2), 0.97)), 1e-6)
    moonlit = rng.uniform(0.02, 0.9) if rng.random() < 0.7 else 0.0
    ground = night_ground(view, rng)
    # What lies below shines green in its light
    own = cv2.GaussianBlur(light, (0, 0), 60.0) * np.float32(rng.uniform(0.0, 0.5))
    light += view.ground[..., None] * ground * (np.float32(moonlit) + own)
    light += airglow(view, rng) * np.float32(np.exp(rng.uniform(-4.0, -1.2)))
    if rng.random() < 0.7:
        sky = np.clip(view.perigee_km / 80.0, 0.0, 1.0).astype(np.float32)[..., None]
        number = int(np.exp(rng.uniform(np.log(50), np.log(1500))))
        light += 0.1 * sky * star_field(rng, view.width_px, view.height_px, number)
    if rng.random() < 0.25:
        light += _town_lights(view, rng)
    return light, AURORA_LOOK


def curtain(view: View, rng: np.random.Generator, *, diffuse: bool = False) -> ImageArray:
    """Light of one folded curtain, shape (height, width, 3).

    It hangs over a winding line on the ground and is drawn as points between 95 and 330 km; what
    lies one behind the other adds up, as in thin air it does.
    """
    place, strength = _line(view, rng, diffuse=diffuse)
    red, violet = rng.exponential((0.08, 0.03))
    pink = rng.uniform(0.0, 0.6)
    reach = np.exp(rng.normal(0.0, 0.3))
    spread_km = float(rng.uniform(60.0, 250.0)) if diffuse else 2.0
    # Every point of the line at every height, shaken so that no row of them shows
    thick_km = np.repeat(np.gradient(HEIGHTS_KM), STEPS)
    height_km = np.repeat(HEIGHTS_KM, STEPS) + thick_km * rng.uniform(-0.5, 0.5, len(thick_km))
    width_km = np.where(height_km < 110.0, 8.0, 28.0 * reach)
    green = np.exp(-0.5 * ((height_km - 110.0) / width_km) ** 2)
    top = np.exp(-0.5 * ((height_km - 220.0) / (70.0 * reach)) ** 2)
    border = np.exp(-0.5 * ((height_km - 97.0) / 3.0) ** 2)
    lines = zip((green, red * top, violet * top, pink * border), LINES_RGB, strict=True)
    colour = sum(share[:, None] * np.array(rgb) for share, rgb in lines)
    ground = np.tile(place, (len(HEIGHTS_KM), 1))
    ground = ground + rng.normal(0.0, spread_km, ground.shape)
    x, y, seen = view.pixels_of(_raised(ground, height_km))
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    add_points(
        light, x, y, (np.tile(strength, len(HEIGHTS_KM)) * seen * thick_km)[:, None] * colour
    )
    sigma = float(rng.uniform(8.0, 25.0)) if diffuse else float(rng.uniform(1.5, 3.5))
    return np.asarray(cv2.GaussianBlur(light, (0, 0), sigma), np.float32)


def _line(view: View, rng: np.random.Generator, *, diffuse: bool) -> tuple[FloatArray, FloatArray]:
    """Points of a winding line on the ground, ahead and aside in km, (n, 2); their brightness."""
    rows = rng.integers(0, view.height_px, 60)
    columns = rng.integers(0, view.width_px, 60)
    shown = np.argsort(-view.distance_km[rows, columns])
    # Mostly in the farther part of what is seen, where an oval stands before the limb
    chosen = shown[int(rng.integers(0, 25))]
    middle = np.array(
        [
            view.ahead_km[rows[chosen], columns[chosen]],
            view.aside_km[rows[chosen], columns[chosen]],
        ]
    )
    length_km = float(rng.uniform(1200.0, 5000.0))
    along = np.linspace(-0.5, 0.5, STEPS) * length_km
    turn = rng.normal(0.5 * np.pi, 0.5) if rng.random() < 0.7 else rng.uniform(0.0, np.pi)
    bend = rng.normal(0.0, 6e-5) * along**2
    for wave_km, size_km in ((1500.0, 120.0), (500.0, 50.0), (170.0, 18.0), (60.0, 6.0)):
        wave = 2.0 * np.pi * along / (wave_km * np.exp(rng.normal(0.0, 0.3)))
        bend = bend + rng.exponential(size_km) * np.sin(wave + rng.uniform(0.0, 6.3))
    heading, side = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    place = middle + along[:, None] * heading + bend[:, None] * side
    rays = np.ones(STEPS)
    if not diffuse:
        rough = sum(
            np.interp(
                along,
                np.arange(-0.5, 0.501, 1.0 / knots) * length_km,
                rng.normal(0.0, 1.0, knots + 1),
            )
            for knots in (8, 30, 90, 250)
        )
        rays = np.exp(rng.uniform(0.3, 0.8) * rough)
    return place, rays * np.cos(np.pi * along / length_km) ** 2


def _raised(ground_km: FloatArray, height_km: FloatArray) -> FloatArray:
    """Points above places on the ground, about the Earth's centre, shape (n, 3), km."""
    arc = np.hypot(ground_km[:, 0], ground_km[:, 1])
    angle = arc / EARTH_RADIUS_KM
    flat = np.sin(angle) / np.maximum(arc, 1e-9)
    unit = np.stack([ground_km[:, 0] * flat, ground_km[:, 1] * flat, np.cos(angle)], axis=1)
    return np.asarray((EARTH_RADIUS_KM + height_km)[:, None] * unit)


def _town_lights(view: View, rng: np.random.Generator) -> ImageArray:
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    for _ in range(int(rng.integers(1, 8))):
        centre = rng.uniform(0.0, 1.0, 2) * (view.width_px, view.height_px)
        number = int(rng.integers(5, 60))
        place = centre + rng.normal(0.0, rng.uniform(3.0, 25.0), (number, 2)) * (1.0, 0.5)
        power = 2.0 * rng.exponential(1.0, (number, 1))
        add_points(light, place[:, 0], place[:, 1], power * np.array([1.3, 0.9, 0.45]))
    return np.asarray(cv2.GaussianBlur(light, (0, 0), 0.9), np.float32) * view.ground[..., None]
