"""Simulated frames of classes of scenes, to train a classifier where real ones are few."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate import scenes_ground, scenes_night, scenes_sky
from benchmarks.simulate.cases import draw_case
from benchmarks.simulate.scene_canvas import Look, develop, stored_file

Drawer = Callable[[np.random.Generator], tuple[NDArray[np.float32], Look]]
DRAWERS: Mapping[str, Drawer] = {
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
KINDS = ("cities", *DRAWERS)


def draw(kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a frame of a class."""
    if kind not in KINDS:
        raise ValueError(f"no simulated frames show {kind!r}; choose from {', '.join(KINDS)}")
    if kind == "cities":
        return _cities(rng)
    light, look = DRAWERS[kind](rng)
    return develop(light, look, rng)


def _cities(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Towns up to the limb, or those of the made-up world as the registration's cases show them."""
    if rng.random() < 0.5:
        return develop(*scenes_night.towns(rng), rng)
    case = draw_case(
        int(rng.integers(2**31)), kind="city", long_side_px=int(rng.integers(640, 1000))
    )
    photo = cv2.imdecode(np.frombuffer(case.photo, np.uint8), cv2.IMREAD_COLOR_RGB)
    return stored_file(np.asarray(photo, np.uint8), rng, crop=0.3)
