"""Detectors are found by being there: each ``detectors/lights_*.py`` and so on lists its own as
``DETECTORS``, with their default parameters.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar, cast

import detectors
from detectors.types import (
    Detections,
    Detector,
    LightDetections,
    LightningDetections,
    StarDetections,
    StreakDetections,
)

D = TypeVar("D", bound=Detections)


@dataclass(frozen=True)
class Kind(Generic[D]):
    """What some detectors find."""

    # The files of its methods are called ``detectors/NAME.py`` or ``detectors/NAME_*.py``
    name: str

    def detectors(self) -> dict[str, Detector[D]]:
        """Every method that finds it, with its default parameters, by name and in their order.

        Raises TypeError if two detectors share a name.
        """
        return cast("dict[str, Detector[D]]", _load_detectors(self.name))


LIGHTS: Kind[LightDetections] = Kind("lights")
LIGHTNING: Kind[LightningDetections] = Kind("lightning")
STARS: Kind[StarDetections] = Kind("stars")
STREAKS: Kind[StreakDetections] = Kind("streaks")


@cache
def _load_detectors(kind: str) -> dict[str, Detector[Any]]:
    found: dict[str, Detector[Any]] = {}
    for info in pkgutil.iter_modules(detectors.__path__):
        if info.name.partition("_")[0] != kind:
            continue
        for detector in importlib.import_module(f"detectors.{info.name}").DETECTORS:
            if detector.name in found:
                raise TypeError(
                    f"two {kind.removesuffix('s')} detectors are named {detector.name!r}: rename "
                    "one of them"
                )
            found[detector.name] = detector
    return dict(sorted(found.items()))
