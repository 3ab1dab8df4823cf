"""What is sought on photos, and what a method finds in one: in pixels of the picture as stored."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from detectors.registry import Kind
from detectors.types import BoolImage, Detections, Detector, PointDetections, StarDetections
from regengine.errors import ConfigError
from regengine.io.tables import csv_lines, name_cell, path_cell
from regengine.photo.formats import PhotoFile, as_photo_file
from regengine.photo.frame_ids import frame_id_of
from regengine.photo.image import LinearLight, read_linear_light
from regengine.result import Answer, Reason
from regengine.sky.drawing import PicturePaths

D = TypeVar("D", bound=Detections)
Record = dict[str, Any]

HEAD_COLUMNS = ("frame", "path", "method")
PLACES = ("x", "y", "x1", "y1", "x2", "y2")


@dataclass(frozen=True, kw_only=True)
class PhotoDetections(Generic[D]):
    """What one method found in one photo."""

    path: Path
    frame: str
    method: str
    found: D  # in pixels of the picture as stored
    seconds: float  # time of the detection, without reading the file
    reasons: tuple[Reason, ...] = ()  # why it was not searched; none where it was


@dataclass(frozen=True, kw_only=True)
class DetectionKind(Generic[D]):
    """One thing that is sought on photos: by which methods, at which size, and what is said."""

    kind: Kind[D]  # of the methods that find it
    best_method: str  # name of the one that its benchmark puts first
    long_side_px: int  # larger photos are averaged down to this unless something else is asked for
    # Columns that are told of each detection, and how they are rounded: as a number's format, with
    # places or digits; "" for words
    values: Mapping[str, str]
    draw: Callable[[Path, D, Path], None]  # draws the detections of a photo into a picture file
    # Where of a picture it is not sought unless in the whole frame
    hidden: Callable[[LinearLight], BoolImage] | None = None
    # The mosaics of raw files are taken as one grey picture of all their pixels
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
        """Read a photo (JPEG, PNG, TIFF, FITS or raw) and find it there.

        `detector`: the method; the best one if not given; `max_long_side_px`: larger photos are
        averaged down to this first; `long_side_px` if not given; `sky_only`: leave out what
        `hidden` tells: captions, and what lies below the Earth's limb; `overlays`: where a picture
        of it is drawn.

        Raises FrameError if the file is no readable image, or the picture cannot be written.
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
        """The record of one photo; values are rounded to what they are worth."""
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
        if isinstance(found, StarDetections):  # the common trail; None where stars are points
            trail = found.trail_px
            record["trail_px"] = None if trail is None else [round(side, 2) for side in trail]
        return record

    def answer(self, path: Path, **looked_at: Any) -> Answer:
        """What ``regengine detect`` says of a photo: its record as JSON, its rows of CSV.

        ``looked_at`` is of `in_photo`. A photo without detections has no row.
        """
        photo = self.in_photo(path, **looked_at)
        record = self.to_dict(photo)
        head: list[object] = [name_cell(photo.frame), path_cell(photo.path), photo.method]
        rows = [
            [*head, *("|".join(v) if k == "flags" else v for k, v in one.items())]
            for one in record[self.kind.name]
        ]
        return Answer(line=json.dumps(record), text="\n".join(csv_lines(rows)))


def detect_in_picture(
    picture: LinearLight, detector: Detector[D], *, mask: BoolImage | None = None
) -> D:
    """Apply a detector to a picture that was read, but where a mask of ``picture.light`` is True.

    What it finds is in pixels of the picture as stored.
    """
    found = detector.detect(picture.light, picture.without(mask), picture.saturated)
    return convert_to_stored_pixels(found, picture.factor, picture.full_scale)


def convert_to_stored_pixels(found: D, factor: float, full_scale: float = 1.0) -> D:
    """Detections of a picture that was resized by a factor, as of the picture before.

    Columns say by their names what they are: places, lengths (``_px``), areas (``_px2``) and
    light; what is none of these stays.
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
    """A value rounded as a format does; None for digits of what JSON has no word for."""
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
