"""Detectors are found by being there: the classes of each ``detectors/lights_*.py``
and so on that have a name and `detect`.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from types import ModuleType
from typing import Protocol, TypeVar

import detectors
from detectors.types import LightDetector, StarDetector, StreakDetector

LIGHTS_PREFIX = "lights_"
STARS_PREFIX = "stars_"
STREAKS_PREFIX = "streaks_"


class _Named(Protocol):
    """What every method has, whatever it finds."""

    @property
    def name(self) -> str: ...


D = TypeVar("D", bound=_Named)


@cache
def light_detectors() -> dict[str, LightDetector]:
    """Every light detector with its default parameters, by name.

    Returns
    -------
    dict of str to LightDetector
        In the order of their module's names.

    Raises
    ------
    TypeError
        If a module holds no detector, or two detectors share a name.
    """
    return _found(LIGHTS_PREFIX, LightDetector, "light")  # type: ignore[type-abstract]


@cache
def star_detectors() -> dict[str, StarDetector]:
    """Every star detector with its default parameters, by name.

    Returns
    -------
    dict of str to StarDetector
        In the order of their module's names.

    Raises
    ------
    TypeError
        If a module holds no detector, or two detectors share a name.
    """
    return _found(STARS_PREFIX, StarDetector, "star")  # type: ignore[type-abstract]


@cache
def streak_detectors() -> dict[str, StreakDetector]:
    """Every streak detector with its default parameters, by name.

    Returns
    -------
    dict of str to StreakDetector
        In the order of their module's names.

    Raises
    ------
    TypeError
        If a module holds no detector, or two detectors share a name.
    """
    return _found(STREAKS_PREFIX, StreakDetector, "streak")  # type: ignore[type-abstract]


def _found(prefix: str, protocol: type[D], kind: str) -> dict[str, D]:
    """Detectors of all modules whose name begins with a prefix, by their names."""
    found: dict[str, D] = {}
    for info in pkgutil.iter_modules(detectors.__path__):
        if not info.name.startswith(prefix):
            continue
        for detector in detectors_of(importlib.import_module(f"detectors.{info.name}"), protocol):
            if detector.name in found:
                raise TypeError(
                    f"two {kind} detectors are called {detector.name!r}: rename one of them"
                )
            found[detector.name] = detector
    return found


def detectors_of(module: ModuleType, protocol: type[D]) -> list[D]:
    """The detectors that a module defines, with their default parameters."""
    found: list[D] = []
    for name, kind in inspect.getmembers(module, inspect.isclass):
        has_both = hasattr(kind, "name") and callable(getattr(kind, "detect", None))
        if kind.__module__ != module.__name__ or name.startswith("_") or not has_both:
            continue
        detector = kind()
        if not isinstance(detector, protocol):
            raise TypeError(f"{module.__name__}.{name} lacks what {protocol.__name__} asks for")
        found.append(detector)
    if not found:
        raise TypeError(f"{module.__name__} defines no class with a name and detect()")
    return sorted(found, key=lambda detector: detector.name)
