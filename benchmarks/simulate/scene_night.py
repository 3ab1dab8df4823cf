"""Night without towns: moonlit clouds, lightning, airglow, and frames that are all but black."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import blurred, fractal_tile
from benchmarks.simulate.scene_day import port_hole
from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_ground import clouds, surface
from benchmarks.simulate.scene_starlight import add_points, star_field
from benchmarks.simulate.scene_view import View, draw_view

ImageArray = NDArray[np.float32]

MOONLIT_LOOK = Look(
    quantile=0.9, level=(0.02, 0.28), noise=(0.05, 0.6), hardware=0.25, lit=0.15, cast=0.15
)
DARK_LOOK = Look(
    quantile=0.95, level=(0.02, 0.12), noise=(0.05, 1.0), hardware=0.3, lit=0.08, cast=0.2
)
# All but black: nothing to be seen but what is brightest
DIM_LOOK = replace(DARK_LOOK, level=(0.004, 0.025))
MOST_LAMPS, MOST_LAMPS_DIM = 80, 6
MOONLIGHT_RGB = (0.93, 0.98, 1.05)
AIR_RGB = (0.02, 0.035, 0.06)  # its own veil: moonlight is the Sun's
BLACK_LOOK = Look(
    quantile=0.99, level=(0.0005, 0.008), noise=(0.05, 1.0), hardware=0.0, lit=0.0, cast=0.3
)


def night_nocity(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A night frame without towns: linear light and how to develop it."""
    kind = rng.random()
    if kind < 0.15:
        return _nearly_black(rng), BLACK_LOOK
    if kind < 0.25:
        view = draw_view(rng, off_nadir_deg=(0.0, 55.0), field_deg=(15.0, 90.0))
    else:
        view = draw_view(rng, limb=(-0.6, 1.1), field_deg=(25.0, 100.0))
    moonlit = rng.random() < 0.6
    # A dim frame with a field of points would be one of stars or of lamps
    dim = not moonlit and rng.random() < 0.5
    light = night_ground(view, rng) * np.float32(rng.uniform(0.3, 2.0) if moonlit else 0.05)
    light = light * view.ground[..., None]
    light = light + airglow(view, rng) * np.float32(np.exp(rng.uniform(-3.5, -0.4)))
    if rng.random() < (0.4 if moonlit else 0.8):
        light = light + lightning(view, rng, int(rng.integers(1, 6)))
    if rng.random() < 0.85:  # fires, flares, boats
        light = light + _few_lights(view, rng, MOST_LAMPS_DIM if dim else MOST_LAMPS)
    if not dim and rng.random() < 0.75:
        sky = np.clip(view.perigee_km / 80.0, 0.0, 1.0).astype(np.float32)[..., None]
        number = int(np.exp(rng.uniform(np.log(10), np.log(600))))
        light = light + 0.05 * sky * star_field(rng, view.width_px, view.height_px, number)
    if moonlit:
        return light, MOONLIT_LOOK
    return light, DIM_LOOK if dim else DARK_LOOK


def night_ground(view: View, rng: np.random.Generator) -> ImageArray:
    """Moonlit sea, land and clouds, about 0 to 1, shape (height, width, 3)."""
    extent_km = max(60.0, float(np.median(view.footprint_km)) * view.width_px)
    ground = surface(view, rng, extent_km)[..., :3] * np.float32(rng.uniform(0.3, 1.0))
    depth, shading = clouds(view, rng, extent_km, float(rng.uniform(0.0, 0.95)))
    opaque = (1.0 - np.exp(-depth))[..., None]
    white = (0.8 * depth / (depth + 2.0) * shading)[..., None] * np.array(MOONLIGHT_RGB, np.float32)
    air = np.array(AIR_RGB, np.float32) / np.sqrt(view.cosine**2 + 0.02)[..., None]
    return np.asarray(ground * (1.0 - opaque) + white + 0.4 * air, np.float32)


def airglow(view: View, rng: np.random.Generator) -> ImageArray:
    """Shells of airglow at the limb, green, orange and a wide red one, shape (height, width, 3).

    Oxygen's green line at 95 km, sodium's yellow at 90 km, hydroxyl's red at 87 km, oxygen's red
    line about 250 km; which one shows depends on the camera's filter and the night.
    """
    green, yellow, red, high = np.exp(rng.normal((0.0, -0.7, -1.2, -2.4), 0.8))
    height_km = view.perigee_km
    edge = np.clip(height_km / 15.0 + 1.0, 0.0, 1.0)
    light = np.zeros((*height_km.shape, 3), np.float32)
    for at_km, thick_km, share, colour in (
        (95.0, 5.0, green, (0.35, 1.0, 0.25)),
        (90.0, 5.0, yellow, (1.0, 0.65, 0.1)),
        (87.0, 4.0, red, (1.0, 0.25, 0.1)),
        (250.0, 70.0, high, (1.0, 0.2, 0.15)),
    ):
        shell = np.exp(-0.5 * ((height_km - at_km) / thick_km) ** 2)
        # Below its height a shell is crossed twice, the less obliquely the lower
        below = 0.4 / np.sqrt(1.0 + np.maximum(at_km - height_km, 0.0) / thick_km)
        glow = shell + below * (height_km < at_km) * (0.5 + 0.5 * edge)
        light += (share * glow)[..., None] * np.array(colour, np.float32)
    haze = rng.uniform(0.0, 1.0) * np.exp(-np.abs(height_km) / 12.0)
    light += haze[..., None].astype(np.float32) * rng.uniform(0.3, 1.0, 3).astype(np.float32)
    return light


def lightning(view: View, rng: np.random.Generator, flashes: int) -> ImageArray:
    """Clouds lit from within, blinding white to violet, shape (height, width, 3)."""
    rows, columns = np.mgrid[: view.height_px, : view.width_px].astype(np.float32)
    places = np.argwhere(view.ground > 0.5)
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    for _ in range(flashes if len(places) else 0):
        row, column = places[int(rng.integers(len(places)))]
        km_per_px = float(view.distance_km[row, column]) / view.focal_px
        tall = max(np.exp(rng.normal(np.log(20.0), 0.5)) / km_per_px, 1.0)
        flat = max(float(view.cosine[row, column]), 0.3)
        away = np.hypot(columns - column, (rows - row) / flat) / tall
        rough = np.exp(0.5 * _texture(rng, view)) if tall > 8.0 else 1.0
        power = np.exp(rng.uniform(np.log(1.0), np.log(100.0)))
        colour = np.exp(rng.normal((-0.1, 0.0, 0.25), 0.1))
        spot = power * np.exp(-(away**1.5)) * rough
        light += np.float32(colour) * spot[..., None].astype(np.float32)
    return light


def _few_lights(view: View, rng: np.random.Generator, most: int) -> ImageArray:
    number = int(np.exp(rng.uniform(0.0, np.log(most))))
    x, y = rng.uniform(0.0, view.width_px, number), rng.uniform(0.0, view.height_px, number)
    power = np.exp(rng.normal(2.0, 1.3, (number, 1)))
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    add_points(light, x, y, power * np.exp(rng.normal((0.6, 0.0, -0.8), 0.3)))
    return blurred(light, float(rng.uniform(0.6, 2.0))) * view.ground[..., None]


def _texture(rng: np.random.Generator, view: View) -> ImageArray:
    tile = fractal_tile(rng, 256, 1.3)
    size = (view.width_px, view.height_px)
    return np.asarray(cv2.resize(tile, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _nearly_black(rng: np.random.Generator) -> ImageArray:
    """Nothing but noise, a faint glow, at times of a window's rim."""
    view = draw_view(rng)
    glow = blurred(np.abs(_texture(rng, view)), float(rng.uniform(20.0, 120.0)))
    tint = rng.uniform(0.0, 1.0, 3).astype(np.float32)
    light = glow[..., None] * tint
    if rng.random() < 0.5:
        light = port_hole(light, view, rng)
    return np.asarray(light, np.float32)
