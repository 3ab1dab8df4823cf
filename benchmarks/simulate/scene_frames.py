"""Simulated frames of classes of scenes, to train a classifier where real ones are few."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate import scenes_ground as scene_day
from benchmarks.simulate import scenes_ground as scene_station
from benchmarks.simulate import (
    scenes_night as scene_aurora,
)
from benchmarks.simulate import (
    scenes_night as scene_night,
)
from benchmarks.simulate import (
    scenes_night as scene_towns,
)
from benchmarks.simulate import scenes_sky as scene_moon
from benchmarks.simulate import scenes_sky as scene_stars
from benchmarks.simulate import scenes_sky as scene_sun
from benchmarks.simulate.cases import draw_case
from benchmarks.simulate.scene_canvas import Look, develop, stored_file

Drawer = Callable[[np.random.Generator], tuple[NDArray[np.float32], Look]]
DRAWERS: Mapping[str, Drawer] = {
    "aurora": scene_aurora.aurora,
    "day": scene_day.day,
    "infrared": scene_day.infrared,
    "inside": scene_station.inside,
    "moon": scene_moon.moon,
    "night_nocity": scene_night.night_nocity,
    "other": scene_station.other,
    "stars": scene_stars.stars,
    "sunset_sunrise": scene_sun.sunset_sunrise,
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
        return develop(*scene_towns.towns(rng), rng)
    case = draw_case(
        int(rng.integers(2**31)), kind="city", long_side_px=int(rng.integers(640, 1000))
    )
    photo = cv2.imdecode(np.frombuffer(case.photo, np.uint8), cv2.IMREAD_COLOR_RGB)
    return stored_file(np.asarray(photo, np.uint8), rng, crop=0.3)
