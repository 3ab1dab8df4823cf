"""Detectors are found by being there: the classes of each ``detectors/lights_*.py``
and so on that have a name and `detect`, and what such a file lists as its ``DETECTORS``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

import detectors
from detectors.types import (
    Detections,
    Detector,
    LightDetections,
    StarDetections,
    StreakDetections,
)

D = TypeVar("D", bound=Detections)


@dataclass(frozen=True)
class Kind(Generic[D]):
    """What some detectors find."""

    name: str  # in the plural; the files of its methods are called ``detectors/NAME_*.py``

    def detectors(self) -> dict[str, Detector[D]]:
        """Every method that finds it, with its default parameters, by name and in their order.

        Raises TypeError if a module holds no detector, or two detectors share a name.
        """
        return cast("dict[str, Detector[D]]", _detectors(self.name))


LIGHTS: Kind[LightDetections] = Kind("lights")
STARS: Kind[StarDetections] = Kind("stars")
STREAKS: Kind[StreakDetections] = Kind("streaks")


@cache
def _detectors(kind: str) -> dict[str, Detector[Any]]:
    found: dict[str, Detector[Any]] = {}
    for info in pkgutil.iter_modules(detectors.__path__):
        if not info.name.startswith(f"{kind}_"):
            continue
        for detector in detectors_of(importlib.import_module(f"detectors.{info.name}")):
            if detector.name in found:
                raise TypeError(
                    f"two {kind.removesuffix('s')} detectors are called {detector.name!r}: "
                    "rename one of them"
                )
            found[detector.name] = detector
    return dict(sorted(found.items()))


def detectors_of(module: ModuleType) -> list[Detector[Any]]:
    """The detectors that a module defines: those it lists, and its classes by their defaults."""
    classes: list[tuple[str, Any]] = inspect.getmembers(module, inspect.isclass)
    found: list[Detector[Any]] = list(getattr(module, "DETECTORS", ()))
    found += [
        kind()
        for name, kind in classes
        if kind.__module__ == module.__name__
        and not name.startswith("_")
        and hasattr(kind, "name")
        and callable(getattr(kind, "detect", None))
    ]
    if not found:
        raise TypeError(f"{module.__name__} defines no class with a name and detect()")
    return found
