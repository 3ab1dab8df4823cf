"""Frames full of stars."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_view import (
    add_points,
    draw_view,
    frame_size,
    milky_way,
    star_field,
    view_at,
)
from benchmarks.simulate.scenes_night import airglow, night_ground
from detectors.types import FloatArray

# Fields of stars by small cameras and telescopes: sky all over, from 5 to 60 degrees wide.

ImageArray = NDArray[np.float32]

# The light is in shares of what fills the sensor already: the level is set to leave it so
FINDER_LOOK = Look(
    quantile=0.5, level=(1.0, 1.0), noise=(0.03, 0.8), hardware=0.0, cast=0.1, grey=0.6
)
STRETCHED_LOOK = replace(FINDER_LOOK, noise=(0.02, 0.4), grey=0.3)
# Sodium and LED lamps under haze, twilight and the Moon, dark sky
SKY_RGB = ((1.0, 0.75, 0.5), (0.8, 0.9, 1.1), (1.0, 1.0, 1.0))
# Hydrogen, oxygen, dust that scatters the light of hot stars
NEBULA_RGB = ((1.0, 0.15, 0.2), (0.25, 0.8, 0.7), (0.45, 0.5, 1.0))
# Stars over 10 square degrees down to what 0.1 s show, and down to what minutes do
FEW, MANY = 0.3, 30.0


def sky_camera(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A field of stars and nothing else: linear light and how to develop it.

    Most are as the sensor gave them, all but black with few stars or grey with the sky's light;
    others are long exposures with the sky's gradients left in, stretched until faint things show.
    """
    width, height = frame_size(rng)
    field_deg = float(np.exp(rng.uniform(np.log(5.0), np.log(60.0))))
    area = field_deg**2 * height / width / 10.0
    stretched = rng.random() < 0.25
    density = np.exp(rng.uniform(np.log(FEW), np.log(MANY))) * (10.0 if stretched else 1.0)
    number = int(np.clip(density * area, 5, 5000))
    sky = float(np.exp(rng.uniform(*np.log((0.004, 0.05) if stretched else (0.0001, 0.012)))))
    faintest = float(np.exp(rng.uniform(*np.log((0.02, 0.3) if stretched else (0.006, 0.15)))))
    light = sky * sky_light(rng, width, height)
    if stretched and rng.random() < 0.6:
        light += sky * rng.uniform(0.3, 4.0) * _nebula(rng, width, height)
    steps = trail_steps(rng, width) if rng.random() < 0.12 else None
    light += faintest * star_field(rng, width, height, number, steps)
    if rng.random() < 0.5:
        _add_hot_pixels(light, rng)
    look = STRETCHED_LOOK if stretched else FINDER_LOOK
    level = float(np.quantile(light.mean(axis=2), look.quantile))
    return light, replace(look, level=(level, level))


def sky_light(rng: np.random.Generator, width: int, height: int) -> ImageArray:
    """Light of the sky itself, about 1: even, brighter to a side, under a town's dome of light."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32) / np.float32(max(width, height))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    slope = np.cos(turn) * (columns - 0.5) + np.sin(turn) * (rows - 0.5)
    colour = np.array(SKY_RGB[int(rng.integers(len(SKY_RGB)))], np.float32)
    even = np.clip(1.0 + rng.uniform(0.0, 1.2) * slope, 0.2, None)
    light = even[..., None] * colour
    if rng.random() < 0.3:
        dome = np.exp(slope / rng.uniform(0.1, 0.4)) * rng.uniform(0.1, 1.0)
        light = light + dome[..., None] * np.array(SKY_RGB[0], np.float32)
    return np.asarray(light, np.float32)


def trail_steps(rng: np.random.Generator, width: int) -> FloatArray:
    """Steps of all stars while the camera turned under the open shutter, shape (n, 2), pixels."""
    length = float(np.exp(rng.uniform(np.log(3.0), np.log(0.25 * width))))
    turn, bend = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.5, 0.5)
    part = np.linspace(0.0, 1.0, max(int(1.5 * length), 2))
    heading = turn + bend * part
    steps = length * np.stack([np.cos(heading), np.sin(heading)], axis=1) / len(part)
    return np.asarray(np.cumsum(steps, axis=0))


def _nebula(rng: np.random.Generator, width: int, height: int) -> ImageArray:
    """The Milky Way, or glowing gas and dust, about 0 to 1."""
    if rng.random() < 0.4:
        band = milky_way(rng, width, height)
        return band[..., None] * np.array((1.0, 0.9, 0.8), np.float32)
    tile = cv2.resize(fractal_tile(rng, 256, 1.6), (width, height), interpolation=cv2.INTER_CUBIC)
    cloud = np.clip(np.exp(0.7 * tile) - rng.uniform(0.0, 1.0), 0.0, 4.0)
    colour = np.array(NEBULA_RGB[int(rng.integers(len(NEBULA_RGB)))], np.float32)
    return np.asarray(cloud[..., None] * colour, np.float32)


def _add_hot_pixels(light: ImageArray, rng: np.random.Generator) -> None:
    """Pixels that fill without light, each of one colour, in place."""
    height, width = light.shape[:2]
    number = int(np.exp(rng.uniform(0.0, np.log(60.0))))
    x, y = rng.integers(0, width, number), rng.integers(0, height, number)
    strength = rng.uniform(0.02, 1.0) * rng.random((number, 1)) ** 2
    one_colour = np.eye(3)[rng.integers(0, 3, number)]
    add_points(light, x.astype(float), y.astype(float), strength * one_colour)


MILKY_WAY_RGB = (1.0, 0.9, 0.8)
SKY_CAMERAS = 0.3
STAR_LOOK = Look(
    quantile=0.995, level=(0.08, 1.5), noise=(0.05, 0.8), hardware=0.6, lit=0.2, cast=0.15
)


def stars(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of stars: linear light and how to develop it.

    By cameras of the station, or by small ones and telescopes that see nothing but sky.
    """
    if rng.random() < SKY_CAMERAS:
        return sky_camera(rng)
    kind = rng.random()
    if kind < 0.4:  # sky all over
        base = draw_view(rng, field_deg=(10.0, 100.0))
        view = view_at(base.width_px, base.height_px, base.focal_px, 400.0, 160.0, 0.0)
    else:
        view = draw_view(rng, limb=(-1.3, -0.5), field_deg=(30.0, 110.0))
    height, width = view.perigee_km.shape
    tint = (rng.uniform(0.0, 0.03) * rng.uniform(0.5, 1.0, 3)).astype(np.float32)
    light = np.full((height, width, 3), tint, np.float32)
    clear = np.clip(view.perigee_km / 80.0, 0.0, 1.0).astype(np.float32)[..., None]
    number = int(np.exp(rng.uniform(np.log(300), np.log(6000))))
    trail = trail_steps(rng, width) if rng.random() < 0.25 else np.zeros((1, 2))
    band = milky_way(rng, width, height) if rng.random() < 0.5 else None
    light += clear * star_field(rng, width, height, number, trail, band)
    if band is not None:
        light += (
            clear * rng.uniform(0.05, 0.35) * band[..., None] * np.array(MILKY_WAY_RGB, np.float32)
        )
    if kind >= 0.4:
        light += airglow(view, rng) * np.float32(np.exp(rng.uniform(-1.5, 0.7)))
        light += (
            view.ground[..., None] * night_ground(view, rng) * np.float32(rng.uniform(0.1, 1.5))
        )
    return light, STAR_LOOK
