"""Hand-crafted features in families.

A family has a version, which is increased whenever the value of a feature for the same picture
changes. Its ``meaning`` documents what each feature measures and which class it supports. Its
function returns exactly these features, as finite floats.

Features use only the standard picture, never its original size, EXIF or JPEG tables: these identify
the source, not the scene. Rotating or mirroring the picture changes none of them beyond rounding:
an astronaut's camera has no preferred orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regengine.scene.features import detail, light, shapes
from regengine.scene.picture import ScenePicture


class Family(NamedTuple):
    """A family of features."""

    version: int
    meaning: Mapping[str, str]
    measure: Callable[[ScenePicture], Mapping[str, float]]


FAMILIES: Mapping[str, Family] = {
    "colour": Family(2, light.COLOUR, light.measure_colour),
    "disc": Family(1, shapes.DISC, shapes.measure_disc),
    "points": Family(1, detail.POINTS, detail.measure_points),
    "structure": Family(1, shapes.STRUCTURE, shapes.measure_structure),
    "texture": Family(1, detail.TEXTURE, detail.measure_texture),
}


def feature_names() -> tuple[str, ...]:
    """Names of all features, in the order of `measure_features`."""
    return tuple(name for family in FAMILIES.values() for name in family.meaning)


def feature_versions() -> dict[str, int]:
    """Version of every family, by name."""
    return {name: family.version for name, family in FAMILIES.items()}


def measure_features(picture: ScenePicture) -> NDArray[np.float64]:
    """All features of a picture, shape (F,), in the order of `feature_names`; finite."""
    values: list[float] = []
    for family in FAMILIES.values():
        measured = family.measure(picture)
        values.extend(measured[name] for name in family.meaning)
    return np.array(values, np.float64)
