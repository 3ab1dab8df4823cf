"""Frames by day: through an honest camera, or through one that sees the near infrared."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import blurred, fractal_tile
from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_ground import day_reflectance
from benchmarks.simulate.scene_view import View, draw_view

ImageArray = NDArray[np.float32]

DAY_LOOK = Look(
    quantile=0.9, level=(0.12, 0.9), noise=(0.01, 0.15), hardware=0.25, lit=0.8, cast=0.08
)
INFRARED_LOOK = Look(
    quantile=0.9, level=(0.15, 0.8), noise=(0.01, 0.15), hardware=0.0, lit=0.1, cast=0.05
)


def day(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A day frame: linear red, green and blue, and how to develop it."""
    light, view = day_light(rng, limb_share=0.2)
    rgb = light[..., :3].copy()
    if rng.random() < 0.4:
        rgb = port_hole(rgb, view, rng)
    return rgb, DAY_LOOK


def infrared(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A day frame by a sensor without infrared filter, most often behind a blue one.

    The blue filter passes blue and near infrared: the red pixels measure the infrared, the green
    ones a mixture, the blue ones blue and some infrared. White balances differ: automatic ones
    even out the means, others leave the whole picture red, brown or pink.
    """
    light, view = day_light(rng, limb_share=0.08)
    red, green, blue, infra = (light[..., band] for band in range(4))
    blue_filter = rng.random() < 0.75
    visible = np.array([0.08, 0.55, 1.0] if blue_filter else [1.0, 1.0, 1.0])
    # Near-infrared sensitivity of red, green and blue pixels beyond 0.8 um is nearly the same
    sense = rng.uniform((0.6, 0.3, 0.2), (1.3, 0.9, 0.8))
    rgb = np.stack(
        [
            visible[0] * red + sense[0] * infra,
            visible[1] * green + sense[1] * infra,
            visible[2] * blue + sense[2] * infra,
        ],
        axis=-1,
    ).astype(np.float32)
    mean = rgb.mean(axis=(0, 1))
    evened = rng.uniform(0.3, 1.0)
    cast = np.exp(rng.normal((0.08, 0.0, 0.02), 0.10))
    rgb = rgb * (cast * (mean.mean() / mean) ** evened).astype(np.float32)
    if rng.random() < 0.6:  # stray infrared in the window: what is dark turns orange or brown
        stray = rng.uniform((0.8, 0.35, 0.0), (1.0, 0.75, 0.45)) * rng.uniform(0.05, 0.6)
        rgb = rgb + (stray * np.quantile(rgb, 0.9)).astype(np.float32)
    if rng.random() < 0.45:
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
