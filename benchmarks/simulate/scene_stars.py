"""Frames full of stars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_finder import sky_camera, trail_steps
from benchmarks.simulate.scene_night import airglow, night_ground
from benchmarks.simulate.scene_starlight import milky_way, star_field
from benchmarks.simulate.scene_view import draw_view, view_at

ImageArray = NDArray[np.float32]

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
