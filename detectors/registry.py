"""Registry of the detectors, discovered by module name.

Each module such as ``detectors/lights_*.py`` lists its detectors, with default parameters, in
``DETECTORS``.
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
    """A kind of object to detect, such as stars."""

    # Its detectors are in modules named ``detectors/NAME.py`` or ``detectors/NAME_*.py``
    name: str

    def detectors(self) -> dict[str, Detector[D]]:
        """Load all detectors of this kind, with default parameters, keyed and sorted by name.

        Raises TypeError if two detectors have the same name.
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
