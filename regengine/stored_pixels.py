"""Detections of a picture that was resized, in pixels of the picture as stored."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

from detectors.star_types import StarDetections
from detectors.streak_types import StreakDetections
from detectors.types import LightDetections

F = TypeVar("F", LightDetections, StarDetections, StreakDetections)

PLACES = ("x", "y", "x1", "y1", "x2", "y2")
# Light in units of the image times square pixels, and that per pixel of length
POWERS = {"flux": 2, "profiles": 1}


def in_stored_pixels(found: F, factor: float, full_scale: float = 1.0) -> F:
    """Detections of a picture that was resized by a factor, as of the picture before.

    Columns say by their names what they are: places, lengths (``_px``), areas (``_px2``) and
    light; what is none of these stays.

    Parameters
    ----------
    found : LightDetections, StarDetections or StreakDetections
        In pixels of the resized picture.
    factor : float
        Its size over the stored picture's.
    full_scale : float, optional
        Light of 1 in units of the file.

    Returns
    -------
    LightDetections, StarDetections or StreakDetections
        Fluxes count stored pixels and units of the file, too.
    """
    if factor == 1.0 == full_scale:
        return found
    changed: dict[str, Any] = {}
    for name in (field.name for field in fields(found)):
        value = getattr(found, name)
        if name in PLACES:
            changed[name] = (value + 0.5) / factor - 0.5
        elif power := _power(name):
            unit = full_scale if name in POWERS else 1.0
            changed[name] = _over(value, factor**power / unit)
    return replace(found, **changed)


def _power(name: str) -> int:
    """How often a column counts pixels."""
    return POWERS.get(name, 2 if name.endswith("_px2") else int(name.endswith("_px")))


def _over(value: Any, divisor: float) -> Any:
    """A column divided; a tuple one by one."""
    if value is None:
        return None
    return tuple(one / divisor for one in value) if isinstance(value, tuple) else value / divisor
