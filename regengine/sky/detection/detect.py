"""What a method finds in one photo, in the pixels of the picture as stored."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray, LightDetections, StarDetections, StreakDetections
from regengine.errors import ConfigError
from regengine.io.tables import csv_lines, name_cell, path_cell
from regengine.photo.frame_records import frame_id_of
from regengine.photo.image import LinearLight, read_linear_light

# Detections of a picture that was resized, in pixels of the picture as stored.

F = TypeVar("F", LightDetections, StarDetections, StreakDetections)

PLACES = ("x", "y", "x1", "y1", "x2", "y2")
# Light in units of the image times square pixels, and that per pixel of length
POWERS = {"flux": 2, "profiles": 1}


def in_stored_pixels(found: F, factor: float, full_scale: float = 1.0) -> F:
    """Detections of a picture that was resized by a factor, as of the picture before.

    Columns say by their names what they are: places, lengths (``_px``), areas (``_px2``) and
    light; what is none of these stays.
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


D = TypeVar("D", LightDetections, StarDetections, StreakDetections)
D_co = TypeVar("D_co", LightDetections, StarDetections, StreakDetections, covariant=True)


class Detector(Protocol[D_co]):
    """A method that finds lights, stars or streaks."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    def detect(
        self,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> D_co:
        """Find them in linear light."""
        ...


@dataclass(frozen=True, kw_only=True)
class PhotoDetections(Generic[D]):
    """What one method found in one photo.

    Attributes
    ----------
    path : Path
        The photo.
    frame : str
        Its frame id.
    method : str
        Name of the detector.
    found : LightDetections, StarDetections or StreakDetections
        In pixels of the picture as stored.
    width_px, height_px : int
        Of the picture as stored.
    seconds : float
        Time of the detection, without reading the file.
    """

    path: Path
    frame: str
    method: str
    found: D
    width_px: int
    height_px: int
    seconds: float


def detect_in_photo(
    path: Path,
    detector: Detector[D],
    *,
    max_long_side_px: int,
    hidden: Callable[[LinearLight], NDArray[np.bool_]] | None = None,
    whole_mosaic: bool = False,
) -> PhotoDetections[D]:
    """Read a photo and apply a detector to it."""
    picture = read_linear_light(path, max_long_side_px=max_long_side_px, whole_mosaic=whole_mosaic)
    started = time.perf_counter()
    found = detect_in_picture(picture, detector, mask=None if hidden is None else hidden(picture))
    height, width = picture.light.shape
    return PhotoDetections(
        path=path,
        frame=frame_id_of(path),
        method=detector.name,
        found=found,
        width_px=round(width / picture.factor),
        height_px=round(height / picture.factor),
        seconds=time.perf_counter() - started,
    )


def detect_in_picture(
    picture: LinearLight, detector: Detector[D], *, mask: NDArray[np.bool_] | None = None
) -> D:
    """Apply a detector to a picture that was read."""
    found = detector.detect(picture.light, picture.without(mask), picture.saturated)
    return in_stored_pixels(found, picture.factor, picture.full_scale)


# Which method of detection a name stands for.

Choice = TypeVar("Choice")


def chosen_detector(
    methods: Mapping[str, Choice], name: str | None, *, best: str, what: str
) -> Choice:
    """The method of that name; the best one for None."""
    wanted = best if name is None else name
    if wanted not in methods:
        raise ConfigError(
            f"--method {wanted!r} is no method that finds {what}: use one of {', '.join(methods)}."
        )
    return methods[wanted]


# What detection prints: a line of NDJSON a photo, or CSV with a row a detection.

Record = dict[str, Any]
HEAD_COLUMNS = ("frame", "path", "method")


def significant(value: float, digits: int) -> float | None:
    """A number to some digits; None where it is none or endless, which JSON has no word for."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def place_record(x: float, y: float, flux: float, snr: float) -> Record:
    """Plain values that every detection has, rounded to what they are worth."""
    return {
        "x": round(float(x), 3),
        "y": round(float(y), 3),
        "flux": significant(flux, 5),
        "snr": significant(snr, 4),
    }


def sigma_record(covariance_px2: FloatArray) -> Record:
    """One sigma of a centroid along each axis."""
    return {
        "sigma_x_px": round(float(covariance_px2[0, 0]) ** 0.5, 4),
        "sigma_y_px": round(float(covariance_px2[1, 1]) ** 0.5, 4),
    }


def json_line(found: PhotoDetections[Any], **values: Any) -> str:
    """One photo's detections as a line of NDJSON."""
    head = {"frame": found.frame, "path": str(found.path), "method": found.method}
    return json.dumps({**head, **values})


def csv_rows(
    found: PhotoDetections[Any], records: list[Record], columns: tuple[str, ...]
) -> list[list[object]]:
    """One photo's detections as rows of `HEAD_COLUMNS` and columns; flags are joined by ``|``.

    A photo without detections is a row without a position, so that it does not vanish.
    """
    head: list[object] = [name_cell(found.frame), path_cell(found.path), found.method]
    rows = [
        [*head, *("|".join(one[name]) if name == "flags" else one[name] for name in columns)]
        for one in records
    ]
    return rows or [[*head, *[""] * len(columns)]]


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV, without the end of the last line."""
    return "\n".join(csv_lines(rows))
