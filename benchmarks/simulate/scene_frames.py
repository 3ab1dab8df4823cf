"""Simulated frames of classes of scenes, to train a classifier where real ones are few."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate import scenes_ground, scenes_night, scenes_sky
from benchmarks.simulate.scene_canvas import Look, develop

Drawer = Callable[[np.random.Generator], tuple[NDArray[np.float32], Look]]
DRAWERS: Mapping[str, Drawer] = {
    "cities": scenes_night.towns,
    "aurora": scenes_night.aurora,
    "day": scenes_ground.day,
    "infrared": scenes_ground.infrared,
    "inside": scenes_ground.inside,
    "moon": scenes_sky.moon,
    "night_nocity": scenes_night.night_nocity,
    "other": scenes_ground.other,
    "stars": scenes_sky.stars,
    "sunset_sunrise": scenes_sky.sunset_sunrise,
}
KINDS = tuple(DRAWERS)


def draw(kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a frame of a class."""
    if kind not in KINDS:
        raise ValueError(f"no simulated frames show {kind!r}; choose from {', '.join(KINDS)}")
    light, look = DRAWERS[kind](rng)
    return develop(light, look, rng)
