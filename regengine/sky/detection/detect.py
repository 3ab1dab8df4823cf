"""Detection kinds and their results, in pixels of the picture as stored."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from detectors.limb import Limb, find_limb
from detectors.registry import Kind
from detectors.types import BoolImage, Detections, Detector, PointDetections, StarDetections
from regengine.errors import ConfigError
from regengine.io.tables import csv_lines, name_cell, path_cell
from regengine.photo.formats import PhotoFile, as_photo_file
from regengine.photo.frame_ids import frame_id_of
from regengine.photo.image import LinearLight, read_linear_light
from regengine.sky.drawing import PicturePaths
from regengine.store.result import Answer, Reason

D = TypeVar("D", bound=Detections)
Record = dict[str, Any]

ALTITUDE_KM = 410.0  # of the station, to half a degree of the horizon's dip
MIN_LIMB_PX = 16  # a narrower picture has no measurable arc
HEAD_COLUMNS = ("frame", "path", "method")
PLACES = ("x", "y", "x1", "y1", "x2", "y2")


@dataclass(frozen=True, kw_only=True)
class PhotoDetections(Generic[D]):
    """Detections of one method in one photo."""

    path: Path
    frame: str
    method: str
    found: D  # in pixels of the picture as stored
    seconds: float  # time of the detection, without reading the file
    reasons: tuple[Reason, ...] = ()  # why it was not searched; empty if it was


@dataclass(frozen=True, kw_only=True)
class DetectionKind(Generic[D]):
    """A kind of detection: its methods, working size and output columns."""

    kind: Kind[D]  # of the methods that detect it
    best_method: str  # the best method of its benchmark
    long_side_px: int  # larger photos are reduced to this by default
    # Output columns of each detection, and their number formats, with decimals or significant
    # digits; "" for words
    values: Mapping[str, str]
    draw: Callable[[Path, D, Path], None]  # draws the detections of a photo into a picture file
    # Mask of the picture's parts to exclude unless the whole frame is searched
    hidden: Callable[[LinearLight], BoolImage] | None = None
    # Raw mosaics are treated as one grey picture of all their pixels
    whole_mosaic: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Header of the CSV."""
        return (*HEAD_COLUMNS, *self.values, "flags")

    def detector(self, name: str | None = None) -> Detector[D]:
        """The method of that name; the best one for None.

        Raises ConfigError if there is no such method.
        """
        methods = self.kind.detectors()
        wanted = self.best_method if name is None else name
        if wanted not in methods:
            raise ConfigError(
                f"--method {wanted!r} does not detect {self.kind.name}: choose one of "
                f"{', '.join(methods)}."
            )
        return methods[wanted]

    def in_photo(
        self,
        photo: Path | PhotoFile,
        detector: Detector[D] | None = None,
        *,
        max_long_side_px: int | None = None,
        sky_only: bool = True,
        overlays: PicturePaths | None = None,
    ) -> PhotoDetections[D]:
        """Read a photo (JPEG, PNG, TIFF, FITS or raw) and run the detection.

        `detector`: the method; the best one by default; `max_long_side_px`: larger photos are
        reduced to this first; `long_side_px` by default; `sky_only`: exclude what `hidden` masks:
        captions, and the area below the Earth's limb; `overlays`: paths of drawn overlays.

        Raises FrameError if the file is not a readable image, or the overlay cannot be written.
        """
        method = self.detector() if detector is None else detector
        side = self.long_side_px if max_long_side_px is None else max_long_side_px
        file = as_photo_file(photo)
        path = file.path
        picture = read_linear_light(file, max_long_side_px=side, whole_mosaic=self.whole_mosaic)
        started = time.perf_counter()
        mask = self.hidden(picture) if sky_only and self.hidden is not None else None
        found = detect_in_picture(picture, method, mask=mask)
        seconds = time.perf_counter() - started
        if overlays is not None:
            self.draw(path, found, overlays.of(path))
        frame = frame_id_of(path)
        return PhotoDetections(
            path=path, frame=frame, method=method.name, found=found, seconds=seconds
        )

    def to_dict(self, photo: PhotoDetections[D]) -> Record:
        """The record of one photo; values are rounded to their accuracy."""
        found = photo.found
        columns: dict[str, list[Any]] = {
            name: [round_as(value, rounding) for value in _column(found, name)]
            for name, rounding in self.values.items()
        }
        columns["flags"] = [list(found.flag_names(i)) for i in range(len(found))]
        record: Record = {
            "frame": photo.frame,
            "path": str(photo.path),
            "method": photo.method,
            self.kind.name: [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ],
        }
        if isinstance(found, StarDetections):  # the common trail; None if stars are points
            trail = found.trail_px
            record["trail_px"] = None if trail is None else [round(side, 2) for side in trail]
        return record

    def answer(self, path: Path, **looked_at: Any) -> Answer:
        """Output of ``regengine detect`` for a photo: its record as JSON, its rows of CSV.

        ``looked_at`` are arguments of `in_photo`. A photo without detections has no row.
        """
        photo = self.in_photo(path, **looked_at)
        record = self.to_dict(photo)
        head: list[object] = [name_cell(photo.frame), path_cell(photo.path), photo.method]
        rows = [
            [*head, *("|".join(v) if k == "flags" else v for k, v in one.items())]
            for one in record[self.kind.name]
        ]
        return Answer(line=json.dumps(record), text="\n".join(csv_lines(rows)))


def find_picture_limb(picture: LinearLight, hidden: BoolImage) -> Limb | None:
    """Find the Earth's limb in a photo of the station; None if it is not visible."""
    if min(picture.light.shape) < MIN_LIMB_PX:
        return None
    return find_limb(picture.light, focal_px=None, altitude_km=ALTITUDE_KM, ignored=hidden)


def detect_in_picture(
    picture: LinearLight, detector: Detector[D], *, mask: BoolImage | None = None
) -> D:
    """Apply a detector to a picture, except where a mask of ``picture.light`` is True.

    Results are in pixels of the picture as stored.
    """
    found = detector.detect(picture.light, picture.without(mask), picture.saturated)
    return convert_to_stored_pixels(found, picture.factor, picture.full_scale)


def convert_to_stored_pixels(found: D, factor: float, full_scale: float = 1.0) -> D:
    """Convert detections of a picture that was resized by a factor to the original pixels.

    Column names determine the quantity: positions, lengths (``_px``), areas (``_px2``) and light;
    other columns are unchanged.
    """
    if factor == 1.0 == full_scale:
        return found
    changed: dict[str, Any] = {}
    for name, value in vars(found).items():
        if name in PLACES:
            changed[name] = (value + 0.5) / factor - 0.5
        elif name == "flux":
            changed[name] = value / (factor**2 / full_scale)
        elif name == "trail_px":
            changed[name] = value and tuple(side / factor for side in value)
        elif name.endswith("_px2"):
            changed[name] = value / factor**2
        elif name.endswith("_px"):
            changed[name] = value / factor
    return replace(found, **changed)


def round_as(value: Any, rounding: str) -> float | str | None:
    """Round a value according to a format; None for numbers that JSON cannot represent."""
    if not rounding:
        return str(value)
    if rounding.endswith("g") and not math.isfinite(value):
        return None
    return float(f"{float(value):{rounding}}")


def _column(found: Detections, name: str) -> Sequence[Any]:
    """A column, or one sigma of the centroids along an axis."""
    axis = {"sigma_x_px": 0, "sigma_y_px": 1}.get(name)
    if axis is None or not isinstance(found, PointDetections):
        return cast("Sequence[Any]", getattr(found, name))
    return [float(one[axis, axis]) ** 0.5 for one in found.covariance_px2]
