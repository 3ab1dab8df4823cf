"""Frames by day: through an honest camera, or through one that sees the near infrared."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import blurred, fractal_tile
from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_ground import day_reflectance
from benchmarks.simulate.scene_infrared import unfiltered
from benchmarks.simulate.scene_view import View, draw_view

ImageArray = NDArray[np.float32]

# The same of both classes, for the window does not tell them apart
PORT_HOLES = 0.5
DAY_LOOK = Look(
    quantile=0.9, level=(0.12, 0.9), noise=(0.01, 0.15), hardware=0.25, lit=0.8, cast=0.08
)
INFRARED_LOOK = Look(
    quantile=0.9, level=(0.15, 0.8), noise=(0.01, 0.15), hardware=0.0, lit=0.1, cast=0.03
)


def day(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A day frame: linear red, green and blue, and how to develop it."""
    light, view = day_light(rng, limb_share=0.2)
    # Settings of the white balance from that of lamps to that of shade
    warm, pink = rng.normal(0.0, (0.09, 0.02))
    rgb = light[..., :3] * np.exp(np.array([warm + pink, 0.0, pink - warm], np.float32))
    if rng.random() < PORT_HOLES:
        rgb = port_hole(rgb, view, rng)
    return rgb, DAY_LOOK


def infrared(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A day frame by a sensor without infrared filter, bare or behind a filter of one colour."""
    light, view = day_light(rng, limb_share=0.08)
    rgb = unfiltered(light, rng)
    if rng.random() < PORT_HOLES:
        rgb = port_hole(rgb, view, rng)
    return rgb, INFRARED_LOOK


def port_hole(rgb: ImageArray, view: View, rng: np.random.Generator) -> ImageArray:
    """The round window before the camera: black about it, its ragged rim catches some light."""
    height, width = rgb.shape[:2]
    radius = rng.uniform(0.42, 0.62) * height
    centre = np.array([0.5 * width, 0.5 * height]) + rng.normal(0.0, 0.04, 2) * width
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot(columns - centre[0], rows - centre[1])
    turn = np.arctan2(rows - centre[1], columns - centre[0])
    waves = rng.normal(0.0, 0.006, 7)
    for number, size in enumerate(waves, start=2):
        away = away * (1.0 + size * np.cos(number * turn + 7.0 * size * number))
    inside = np.clip((radius - away) / rng.uniform(2.0, 12.0) + 0.5, 0.0, 1.0)
    rim = np.exp(-0.5 * ((away - 1.02 * radius) / (rng.uniform(0.01, 0.06) * radius)) ** 2)
    side = np.clip(np.cos(turn - rng.uniform(0.0, 6.3)) * 1.5 - 0.3, 0.0, 1.0)
    colour = rng.uniform((0.1, 0.3, 0.5), (0.8, 0.8, 1.0)) * rng.uniform(0.0, 0.4) * rgb.max()
    edge = (rim * side)[..., None] * colour * (1.0 - inside[..., None])
    return np.asarray(rgb * inside[..., None] + edge, np.float32)


def day_light(rng: np.random.Generator, *, limb_share: float) -> tuple[ImageArray, View]:
    """Light of a day frame in four bands, and its view; so many show the limb."""
    if rng.random() >= limb_share:
        view = draw_view(rng, off_nadir_deg=(0.0, 45.0), field_deg=(2.0, 70.0))
    else:
        view = draw_view(rng, limb=(0.0, 1.3), field_deg=(20.0, 90.0))
    light = day_reflectance(view, rng)
    if rng.random() < 0.2:  # haze, or a window that the Sun shines on
        tile = cv2.resize(fractal_tile(rng, 64, 2.0), (view.width_px, view.height_px))
        veil = blurred(np.asarray(np.clip(1.0 + 0.5 * tile, 0.0, 2.0), np.float32), 20.0)
        light = light + (rng.uniform(0.02, 0.2) * veil)[..., None]
    return light, view
