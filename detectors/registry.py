"""Detectors are found by being there: one class in each ``detectors/lights_*.py``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import cache
from types import ModuleType

import detectors
from detectors.types import LightDetector

LIGHTS_PREFIX = "lights_"


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
    found: dict[str, LightDetector] = {}
    for info in pkgutil.iter_modules(detectors.__path__):
        if not info.name.startswith(LIGHTS_PREFIX):
            continue
        detector = only_detector(importlib.import_module(f"detectors.{info.name}"))
        if detector.name in found:
            raise TypeError(f"two light detectors are called {detector.name!r}: rename one of them")
        found[detector.name] = detector
    return found


def only_detector(module: ModuleType) -> LightDetector:
    """The one detector that a module defines, with its default parameters.

    Parameters
    ----------
    module : module
        A module of light detection.

    Returns
    -------
    LightDetector

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
    assert isinstance(detector, LightDetector)
    return detector
