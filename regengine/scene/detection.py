"""Detect lights, lightning, stars and streaks in photos, as records and as rows of tables."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic

import numpy as np

from detectors import types
from detectors.constants import LONG_SIDE_PX
from detectors.lightning import Neighbour
from detectors.limb import Limb, find_limb, mask_sky
from detectors.masks import blank_parts, mask_window_frames
from detectors.types import (
    BoolImage,
    D,
    Detector,
    LightDetections,
    LightningDetections,
    ObjectKind,
    PointDetections,
    StarDetections,
    StreakDetections,
)
from regengine.errors import ConfigError, FrameError, Option
from regengine.io.tables import csv_lines, name_cell, path_cell
from regengine.photo.formats import PhotoFile, as_photo_file
from regengine.photo.frame import FULL_FRAME_MM, read_frame
from regengine.photo.image import LinearLight, mask_captions, read_linear_colours, read_linear_light
from regengine.photo.notations import frame_id_of
from regengine.scene import drawing
from regengine.scene.classify import NIGHT_SKY
from regengine.scene.features import measure_features
from regengine.scene.models import load_scene_model
from regengine.scene.picture import read_scene_picture
from regengine.store.reasons import Reason
from regengine.store.result import Answer

Record = dict[str, Any]

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

    kind: ObjectKind[D]  # of the methods that detect it
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
        return (*HEAD_COLUMNS, *self.values, "flags")

    def detector(self, name: str | None = None) -> Detector[D]:
        """The method of that name; the best one for None.

        Raises ConfigError if there is no such method.
        """
        methods = self.kind.detectors()
        wanted = self.best_method if name is None else name
        if wanted not in methods:
            raise ConfigError(
                Option("method", repr(wanted)),
                f" does not detect {self.kind.name}: choose one of {', '.join(methods)}.",
            )
        return methods[wanted]

    def in_photo(
        self,
        photo: Path | PhotoFile,
        detector: Detector[D] | None = None,
        *,
        max_long_side_px: int | None = None,
        sky_only: bool = True,
        overlays: drawing.PicturePaths | None = None,
        **more: Any,
    ) -> PhotoDetections[D]:
        """Read a photo (JPEG, PNG, TIFF, FITS or raw) and run the detection.

        `detector`: the method; the best one by default; `max_long_side_px`: larger photos are
        reduced to this first; `long_side_px` by default; `sky_only`: exclude what `hidden` masks:
        captions, and the area below the Earth's limb; `overlays`: paths of drawn overlays; `more`:
        of the kind's own `search`.

        Raises FrameError if the file is not a readable image, or the overlay cannot be written.
        """
        method = self.detector() if detector is None else detector
        side = self.long_side_px if max_long_side_px is None else max_long_side_px
        file = as_photo_file(photo)
        found, seconds, reasons = self.search(file, side, method, sky_only=sky_only, **more)
        if overlays is not None:
            self.draw(file.path, found, overlays.of(file.path))
        return PhotoDetections(
            path=file.path,
            frame=frame_id_of(file.path),
            method=method.name,
            found=found,
            seconds=seconds,
            reasons=reasons,
        )

    def search(
        self, file: PhotoFile, side_px: int, method: Detector[D], *, sky_only: bool
    ) -> tuple[D, float, tuple[Reason, ...]]:
        """Read a file, reduced to a long side, and search it.

        Returns what was found, the seconds that it took, and why it was not searched.
        """
        picture = read_linear_light(file, max_long_side_px=side_px, whole_mosaic=self.whole_mosaic)
        started = time.perf_counter()
        mask = self.hidden(picture) if sky_only and self.hidden is not None else None
        found = detect_in_picture(picture, method, mask=mask)
        return found, time.perf_counter() - started, ()

    def to_dict(self, photo: PhotoDetections[D]) -> Record:
        """The record of one photo; values are rounded to their accuracy."""
        found = photo.found
        columns: dict[str, list[Any]] = {}
        for name, rounding in self.values.items():
            axis = {"sigma_x_px": 0, "sigma_y_px": 1}.get(name)
            if axis is not None and isinstance(found, PointDetections):  # one sigma of centroids
                values = found.covariance_px2[:, axis, axis] ** 0.5
            else:
                values = getattr(found, name)
            columns[name] = [
                str(value)
                if not rounding
                else None  # of numbers that JSON cannot represent
                if rounding.endswith("g") and not math.isfinite(value)
                else float(f"{float(value):{rounding}}")
                for value in values
            ]
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
        if isinstance(found, LightningDetections):  # why it was not searched
            record["reasons"] = [reason.code for reason in photo.reasons]
            record["reason_texts"] = [reason.text for reason in photo.reasons]
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
    # Of the station, to half a degree of the horizon's dip
    return find_limb(picture.light, focal_px=None, altitude_km=410.0, ignored=hidden)


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


NIGHT = ("cities", "night_nocity", *NIGHT_SKY)


def list_beside(photos: Sequence[Path]) -> dict[Path, tuple[Path, ...]]:
    """Of each photo, the previous and the next one of its folder.

    They are in order of time according to their names; numbers in names are compared as numbers.
    """

    def in_order(photo: Path) -> tuple[str, list[int | str]]:
        parts = re.split(r"(\d+)", photo.name.lower())
        return str(photo.parent), [int(one) if k % 2 else one for k, one in enumerate(parts)]

    ordered, beside = sorted(photos, key=in_order), {}
    for k, photo in enumerate(ordered):
        near = (*ordered[max(k - 1, 0) : k], *ordered[k + 1 : k + 2])
        beside[photo] = tuple(one for one in near if one.parent == photo.parent)
    return beside


@dataclass(frozen=True, kw_only=True)
class LightningKind(DetectionKind[LightningDetections]):
    """Lightning, detected in colour, below the limb, and only in night photos."""

    def search(
        self,
        file: PhotoFile,
        side_px: int,
        method: Detector[LightningDetections],
        *,
        sky_only: bool,
        neighbours: Mapping[Path, tuple[Path, ...]] | None = None,
    ) -> tuple[LightningDetections, float, tuple[Reason, ...]]:
        """Read a photo and detect its lightning; see `DetectionKind.search`.

        `sky_only`: skip photos for which `why_not` returns a reason, and exclude what `not_ground`
        masks; `neighbours`: see `list_beside`; they are registered to the photo if they show the
        same ground. Unreadable ones are ignored.
        """
        picture, colours = read_linear_colours(file, max_long_side_px=side_px)
        started = time.perf_counter()
        reason = why_not(file, colours.shape[2]) if sky_only else None
        if reason is not None:
            return LightningDetections.empty(), time.perf_counter() - started, (reason,)
        hidden = picture.without(not_ground(picture) if sky_only else None)
        beside: list[Neighbour] = []
        for path in (neighbours or {}).get(file.path, ()):
            try:
                other, light = read_linear_colours(as_photo_file(path), max_long_side_px=side_px)
            except FrameError:
                continue
            masked = other.without(not_ground(other) if sky_only else None)
            ignored = np.zeros(other.light.shape, bool) if masked is None else masked
            beside.append((light, ignored))
        more: dict[str, Any] = {"neighbours": beside} if beside else {}
        found = method.detect(colours, hidden, picture.saturated, **more)
        found = convert_to_stored_pixels(found, picture.factor, picture.full_scale)
        return found, time.perf_counter() - started, ()


def why_not(file: PhotoFile, channels: int) -> Reason | None:
    """Reason not to search a photo for lightning; None where it is searched."""
    if channels != 3:
        return Reason(code="no_colour")
    frame = read_frame(file.path)
    if frame.focal_px is not None:
        equivalent_mm = FULL_FRAME_MM[0] * frame.focal_px / max(file.width_px, file.height_px)
        # Clouds lit by lightning are five kilometres wide and more: with longer lenses, lamps and
        # streets under thin cloud have the same width in the picture
        if equivalent_mm > 150.0:
            return Reason(code="unsuitable_lens", values={"equivalent_mm": equivalent_mm})
    answer = load_scene_model().answer(measure_features(read_scene_picture(file)))
    night = sum(answer.probabilities.get(name, 0.0) for name in NIGHT)
    # The minimum sum of the probabilities of the night classes: 0.48 and more for 29 photos with
    # lightning, by models that had not seen them
    if night >= 0.3 or not answer.explained:
        return None
    likeliest = max(answer.probabilities, key=lambda name: answer.probabilities[name])
    shown = {"looks_like": likeliest, "class_probability": answer.probabilities[likeliest]}
    return Reason(code="not_a_night_city_frame", values=shown)


def not_ground(picture: LinearLight) -> BoolImage:
    """Mask of captions, black bars, window frames, and the sky above the limb."""
    hidden = mask_captions(picture) | blank_parts(picture.light)
    if picture.full_scale != 1.0 or min(picture.light.shape) < MIN_LIMB_PX:
        return hidden
    limb = find_picture_limb(picture, hidden)
    sky = None
    if limb is not None:
        # Heights of thundercloud tops and their halo, and the error of the limb, extend this far
        # above it
        sky = mask_sky(limb, picture.light.shape, margin_deg=-0.6)
        hidden |= sky
    return hidden | mask_window_frames(picture.light, sky=sky)


# Columns of records and tables, rounded to their accuracy
PLACE = {"x": ".3f", "y": ".3f", "flux": ".5g", "snr": ".4g"}
SIGMAS = {"sigma_x_px": ".4f", "sigma_y_px": ".4f"}
BOX = ("x1", "y1", "x2", "y2")
ENDS = dict.fromkeys(BOX, ".2f")


def mask_not_sky(picture: LinearLight, *, blank: bool = False) -> BoolImage:
    """Mask of captions and, if the limb is visible, the Earth: city lights there are not stars.

    With ``blank``, also of black bars, whose straight edges resemble streaks. Neither is searched
    in FITS images: they are from telescopes on the ground, and their black has no fixed level.
    """
    hidden = mask_captions(picture)
    if picture.full_scale != 1.0:
        return hidden
    limb = find_picture_limb(picture, hidden)
    if limb is not None:
        hidden = hidden | ~mask_sky(limb, picture.light.shape, margin_deg=0.0)
    return hidden | blank_parts(picture.light) if blank else hidden


LIGHTS: DetectionKind[LightDetections] = DetectionKind(
    kind=types.LIGHTS,
    best_method="blobs",  # of `python -m benchmarks detectors lights`
    long_side_px=LONG_SIDE_PX["lights"],
    values=PLACE | {"radius_px": ".3f"} | SIGMAS,
    draw=drawing.draw_lights,
)
LIGHTNING = LightningKind(
    kind=types.LIGHTNING,
    best_method="excess",
    long_side_px=LONG_SIDE_PX["lightning"],
    values=PLACE | {"fwhm_px": ".3f", "blueness": ".3f"} | SIGMAS | dict.fromkeys(BOX, ".1f"),
    draw=drawing.draw_lightning,
)
STARS: DetectionKind[StarDetections] = DetectionKind(
    kind=types.STARS,
    best_method="matched",  # of `python -m benchmarks detectors stars`
    long_side_px=LONG_SIDE_PX["stars"],
    values=PLACE | {"fwhm_px": ".3f", "ellipticity": ".3f"} | SIGMAS,
    draw=drawing.draw_stars,
    hidden=mask_not_sky,
    whole_mosaic=True,
)
STREAKS: DetectionKind[StreakDetections] = DetectionKind(
    kind=types.STREAKS,
    best_method="radon",  # of `python -m benchmarks detectors streaks`
    long_side_px=LONG_SIDE_PX["streaks"],
    values=ENDS
    | {"snr": ".4g", "width_px": ".3g", "log10_false_alarm": ".4g", "length_px": ".1f"}
    | {"flux": ".5g", "bow_px": ".2f", "sigma_end_px": ".3g", "sigma_line_px": ".3g"},
    draw=drawing.draw_streaks,
    hidden=partial(mask_not_sky, blank=True),
)
SOUGHT: dict[str, DetectionKind[Any]] = {
    one.kind.name: one for one in (LIGHTS, LIGHTNING, STARS, STREAKS)
}
