"""Detectors are found by being there: one class in each ``detectors/lights_*.py`` and so on."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from types import ModuleType
from typing import Protocol, TypeVar

import detectors
from detectors.star_types import StarDetector
from detectors.streak_types import StreakDetector
from detectors.types import LightDetector

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
        If a module holds no detector or several, or two detectors share a name.
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
        If a module holds no detector or several, or two detectors share a name.
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
        If a module holds no detector or several, or two detectors share a name.
    """
    return _found(STREAKS_PREFIX, StreakDetector, "streak")  # type: ignore[type-abstract]


def _found(prefix: str, protocol: type[D], kind: str) -> dict[str, D]:
    """Detectors of all modules whose name begins with a prefix, by their names."""
    found: dict[str, D] = {}
    for info in pkgutil.iter_modules(detectors.__path__):
        if not info.name.startswith(prefix):
            continue
        detector = only_detector(importlib.import_module(f"detectors.{info.name}"), protocol)
        if detector.name in found:
            raise TypeError(
                f"two {kind} detectors are called {detector.name!r}: rename one of them"
            )
        found[detector.name] = detector
    return found


def only_detector(module: ModuleType, protocol: type[D]) -> D:
    """The one detector that a module defines, with its default parameters.

    Parameters
    ----------
    module : module
        A module of detection.
    protocol : type
        What a detector of that kind must have.

    Returns
    -------
    object
        It satisfies `protocol`.

    Raises
    ------
    TypeError
        If the module defines none, or more than one.
    """
    classes = [
        made
        for name, made in inspect.getmembers(module, inspect.isclass)
        if made.__module__ == module.__name__
        and not name.startswith("_")
        and hasattr(made, "name")
        and callable(getattr(made, "detect", None))
    ]
    if len(classes) != 1:
        raise TypeError(
            f"{module.__name__} must define one class with a name and detect(), "
            f"not {len(classes)}: give each method a module of its own"
        )
    detector = classes[0]()
    if not isinstance(detector, protocol):
        raise TypeError(f"{module.__name__} lacks what {protocol.__name__} asks for")
    return detector
