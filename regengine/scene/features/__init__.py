"""Hand-crafted features in families: a module here holds one or several, found by being there.

A module has ``FAMILIES``, each a `Family`: its version is raised whenever a feature's value for the
same picture changes, its meaning tells by each feature's name what it measures and for which class
it speaks, and its function gives exactly these, as finite floats.

Features see the standard picture alone, never its original size, EXIF or JPEG tables: these tell
the source, not the scene. Turning or mirroring the picture changes none of them beyond rounding:
an astronaut's camera has no up.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of features."""

    name: str
    version: int
    meaning: Mapping[str, str]
    measure: Callable[[ScenePicture], Mapping[str, float]]


@cache
def families() -> tuple[Family, ...]:
    """Every family, in the order of their names.

    Raises TypeError: two families have a feature of the same name.
    """
    found: list[Family] = []
    for info in pkgutil.iter_modules(__path__):
        found += importlib.import_module(f"{__name__}.{info.name}").FAMILIES
    seen: set[str] = set()
    for family in found:
        twice = seen & set(family.meaning)
        if twice:
            raise TypeError(f"two families measure {sorted(twice)[0]!r}: rename one of them")
        seen |= set(family.meaning)
    return tuple(sorted(found, key=lambda family: family.name))


def feature_names() -> tuple[str, ...]:
    """Names of all features, in the order of `measure_features`."""
    return tuple(name for family in families() for name in family.meaning)


def feature_versions() -> dict[str, int]:
    """Version of every family, by its name."""
    return {family.name: family.version for family in families()}


def measure_features(picture: ScenePicture) -> NDArray[np.float64]:
    """All features of a picture, shape (F,), in the order of `feature_names`; finite."""
    values: list[float] = []
    for family in families():
        measured = family.measure(picture)
        values.extend(measured[name] for name in family.meaning)
    return np.array(values, np.float64)
