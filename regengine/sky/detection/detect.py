"""What is sought on photos, and what a method finds in one: in pixels of the picture as stored."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from detectors.registry import Kind
from detectors.types import BoolImage, Detections, Detector, PointDetections
from regengine.errors import ConfigError
from regengine.io.tables import csv_lines, name_cell, path_cell
from regengine.photo.frame_records import frame_id_of
from regengine.photo.image import LinearLight, read_linear_light
from regengine.result import Answer, Failure
from regengine.sky.detection.overlay import PicturePaths

D = TypeVar("D", bound=Detections)
Record = dict[str, Any]

HEAD_COLUMNS = ("frame", "path", "method")
PLACES = ("x", "y", "x1", "y1", "x2", "y2")
# Light in units of the image times square pixels, and that per pixel of length
POWERS = {"flux": 2, "profiles": 1}


@dataclass(frozen=True, kw_only=True)
class PhotoDetections(Generic[D]):
    """What one method found in one photo."""

    path: Path
    frame: str
    method: str
    found: D  # in pixels of the picture as stored
    # Of the picture as stored
    width_px: int
    height_px: int
    seconds: float  # time of the detection, without reading the file


@dataclass(frozen=True, kw_only=True)
class Sought(Generic[D]):
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
    of_image: Callable[[D], Record] | None = None  # what the record says of the whole image
    # Photos that are to be looked at together
    sequences: Callable[[Sequence[Path]], Iterator[list[Path]]] | None = None
    # What was found in such photos, changed by what the others show
    compared: Callable[[Sequence[Any]], list[Any]] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """What is told of each detection, in records and in CSV alike."""
        return (*self.values, "flags")

    def detector(self, name: str | None = None) -> Detector[D]:
        """The method of that name; the best one for None.

        Raises ConfigError if there is no such method.
        """
        wanted = self.best_method if name is None else name
        return self.detectors(wanted)[wanted]

    def detectors(self, name: str | None = None) -> dict[str, Detector[D]]:
        """All methods by their names, or the one of that name.

        Raises ConfigError if there is no such method.
        """
        methods = self.kind.detectors()
        if name is None:
            return methods
        if name not in methods:
            raise ConfigError(
                f"--method {name!r} is no method that finds {self.kind.name}: use one of "
                f"{', '.join(methods)}."
            )
        return {name: methods[name]}

    def in_photo(
        self,
        path: Path,
        detector: Detector[D] | None = None,
        *,
        max_long_side_px: int | None = None,
        sky_only: bool = True,
    ) -> PhotoDetections[D]:
        """Read a photo (JPEG, PNG, TIFF, FITS or raw) and find it there.

        `detector`: the method; the best one if not given; `max_long_side_px`: larger photos are
        averaged down to this first; `long_side_px` if not given; `sky_only`: leave out what
        `hidden` tells: captions, and what lies below the Earth's limb.

        Raises FrameError if the file is no readable image.
        """
        method = self.detector() if detector is None else detector
        side = self.long_side_px if max_long_side_px is None else max_long_side_px
        picture = read_linear_light(path, max_long_side_px=side, whole_mosaic=self.whole_mosaic)
        started = time.perf_counter()
        mask = self.hidden(picture) if sky_only and self.hidden is not None else None
        found = detect_in_picture(picture, method, mask=mask)
        height, width = picture.light.shape
        return PhotoDetections(
            path=path,
            frame=frame_id_of(path),
            method=method.name,
            found=found,
            width_px=round(width / picture.factor),
            height_px=round(height / picture.factor),
            seconds=time.perf_counter() - started,
        )

    def records(self, found: D) -> list[Record]:
        """Plain values of each detection, in their order, rounded to what they are worth."""
        told = [
            [plain(value, rounding) for value in _column(found, name)]
            for name, rounding in self.values.items()
        ]
        return [
            {**dict(zip(self.values, row, strict=True)), "flags": list(found.flag_names(i))}
            for i, row in enumerate(zip(*told, strict=True))
        ]

    def answer(self, photo: PhotoDetections[D], *, profiles: bool = False) -> Answer:
        """The record of one photo as a line of JSON, and its rows of CSV.

        A photo without detections is a row without a position, so that it does not vanish.
        """
        records = self.records(photo.found)
        if profiles:
            for record, profile in zip(records, getattr(photo.found, "profiles", ()), strict=True):
                record["profile"] = [plain(value, ".4g") for value in profile]
        line: Record = {"frame": photo.frame, "path": str(photo.path), "method": photo.method}
        line |= {self.kind.name: records}
        line |= {} if self.of_image is None else self.of_image(photo.found)
        head: list[object] = [name_cell(photo.frame), path_cell(photo.path), photo.method]
        rows = [
            [*head, *("|".join(one[k]) if k == "flags" else one[k] for k in self.columns)]
            for one in records
        ]
        return Answer(
            line=json.dumps(line), text=csv_text(rows or [[*head, *[""] * len(self.columns)]])
        )

    def answers_of_sequence(
        self, found: Sequence[PhotoDetections[D] | Failure]
    ) -> list[Answer | Failure]:
        """The answers for photos that were looked at together."""
        changed = found if self.compared is None else self.compared(found)
        return [one if isinstance(one, Failure) else self.answer(one) for one in changed]


@dataclass(frozen=True, kw_only=True)
class DetectJob:
    """What to do with each photo; call it with a path; pickles."""

    sought: Sought[Any]
    detector: Detector[Any]
    max_long_side_px: int
    sky_only: bool = True  # as of `Sought.in_photo`
    pictures: PicturePaths | None = None  # overlays to draw

    def __call__(self, path: Path) -> PhotoDetections[Any]:
        """Find, and draw the overlay if one is wanted.

        Raises FrameError if the photo cannot be read, or the overlay not be written.
        """
        found = self.sought.in_photo(
            path, self.detector, max_long_side_px=self.max_long_side_px, sky_only=self.sky_only
        )
        if self.pictures is not None:
            self.sought.draw(path, found.found, self.pictures.of(path))
        return found


@dataclass(frozen=True)
class DetectAnswers:
    """The answers of a job, with the light along streaks if that is wanted."""

    job: DetectJob
    profiles: bool = False

    def __call__(self, path: Path) -> Answer:
        """The photo's record and rows."""
        return self.job.sought.answer(self.job(path), profiles=self.profiles)


def detect_in_picture(
    picture: LinearLight, detector: Detector[D], *, mask: BoolImage | None = None
) -> D:
    """Apply a detector to a picture that was read, but where a mask of ``picture.light`` is True.

    What it finds is in pixels of the picture as stored.
    """
    found = detector.detect(picture.light, picture.without(mask), picture.saturated)
    return in_stored_pixels(found, picture.factor, picture.full_scale)


def in_stored_pixels(found: D, factor: float, full_scale: float = 1.0) -> D:
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


def plain(value: Any, rounding: str) -> float | str | None:
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


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV, without the end of the last line."""
    return "\n".join(csv_lines(rows))
