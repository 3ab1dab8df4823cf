"""Lightning detection: selection of photos, ground mask, and neighbouring frames."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from detectors.lightning import NeighbourFrame
from detectors.limb import mask_sky
from detectors.masks import blank_parts, mask_window_frames
from detectors.types import BoolImage, Detector, LightningDetections
from regengine.errors import FrameError
from regengine.photo.formats import PhotoFile, as_photo_file
from regengine.photo.frame import read_frame
from regengine.photo.frame_ids import frame_id_of
from regengine.photo.image import (
    LinearLight,
    mask_captions,
    read_linear_colours,
)
from regengine.scene.classify import NIGHT_SKY
from regengine.scene.features import measure_features
from regengine.scene.model_file import load_scene_model
from regengine.scene.picture import read_scene_picture
from regengine.sky.detection.detect import (
    MIN_LIMB_PX,
    DetectionKind,
    PhotoDetections,
    Record,
    convert_to_stored_pixels,
    find_picture_limb,
)
from regengine.sky.drawing import PicturePaths
from regengine.store.result import Reason

# Heights of thundercloud tops and their halo, and the error of the limb, extend this far above it
ABOVE_LIMB_DEG = 0.6
FULL_FRAME_MM = 36.0
# Clouds lit by lightning are five kilometres wide and more: with longer lenses, lamps and streets
# under thin cloud have the same width in the picture
MAX_EQUIVALENT_MM = 150.0
# Night classes, and the minimum sum of their probabilities: 0.87 and more for the 15 photos with
# lightning of the tuning half, 0.14 and less for those by day and of lit hardware
NIGHT = ("cities", "night_nocity", *NIGHT_SKY)
MIN_NIGHT_PROBABILITY = 0.3


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """The photos of a command in order of time, according to their names."""

    ordered: tuple[Path, ...] = ()

    @classmethod
    def among(cls, photos: Sequence[Path]) -> Neighbours:
        """Sort photos by folder and name; numbers in names are compared as numbers."""

        def in_order(photo: Path) -> tuple[str, list[tuple[int, str]]]:
            parts = re.findall(r"\d+|\D+", photo.name.lower())
            return str(photo.parent), [
                (int(part), "") if part.isdecimal() else (-1, part) for part in parts
            ]

        return cls(ordered=tuple(sorted(photos, key=in_order)))

    @cached_property
    def _place(self) -> dict[Path, int]:
        return {photo: place for place, photo in enumerate(self.ordered)}

    def of(self, photo: Path) -> tuple[Path, ...]:
        """The previous and the next photo of the same folder."""
        place = self._place.get(photo)
        if place is None:
            return ()
        beside = self.ordered[max(place - 1, 0) : place] + self.ordered[place + 1 : place + 2]
        return tuple(one for one in beside if one.parent == photo.parent)


@dataclass(frozen=True, kw_only=True)
class LightningKind(DetectionKind[LightningDetections]):
    """Lightning, detected in colour, below the limb, and only in night photos."""

    def in_photo(
        self,
        photo: Path | PhotoFile,
        detector: Detector[LightningDetections] | None = None,
        *,
        max_long_side_px: int | None = None,
        sky_only: bool = True,
        overlays: PicturePaths | None = None,
        neighbours: Neighbours = Neighbours(),
    ) -> PhotoDetections[LightningDetections]:
        """Read a photo and detect its lightning; see `DetectionKind.in_photo`.

        `sky_only`: skip photos for which `why_not` returns a reason, and exclude what `not_ground`
        masks; `neighbours`: the previous and the next photo are registered to it if they show the
        same ground. Unreadable ones are ignored.
        """
        method = self.detector() if detector is None else detector
        side = self.long_side_px if max_long_side_px is None else max_long_side_px
        file = as_photo_file(photo)
        picture, colours = read_linear_colours(file, max_long_side_px=side)
        started = time.perf_counter()
        reason = why_not(file, colours.shape[2]) if sky_only else None
        if reason is not None:
            found = LightningDetections.empty()
        else:
            hidden = picture.without(not_ground(picture) if sky_only else None)
            beside = [
                one
                for path in neighbours.of(file.path)
                if (one := _read_neighbour(path, side, sky_only=sky_only)) is not None
            ]
            more: dict[str, Any] = {"neighbours": beside} if beside else {}
            found = method.detect(colours, hidden, picture.saturated, **more)
        found = convert_to_stored_pixels(found, picture.factor, picture.full_scale)
        seconds = time.perf_counter() - started
        if overlays is not None:
            self.draw(file.path, found, overlays.of(file.path))
        return PhotoDetections(
            path=file.path,
            frame=frame_id_of(file.path),
            method=method.name,
            found=found,
            seconds=seconds,
            reasons=() if reason is None else (reason,),
        )

    def to_dict(self, photo: PhotoDetections[LightningDetections]) -> Record:
        """The record of one photo, with the reason if it was not searched."""
        record = super().to_dict(photo)
        record["reasons"] = [reason.code for reason in photo.reasons]
        record["reason_texts"] = [reason.text for reason in photo.reasons]
        return record


def why_not(file: PhotoFile, channels: int) -> Reason | None:
    """Reason not to search a photo for lightning; None where it is searched."""
    if channels != 3:
        return Reason(
            code="no_colour",
            text="the photo has no colours, by which lightning differs from lamps",
        )
    frame = read_frame(file.path)
    if frame.focal_px is not None:
        equivalent_mm = FULL_FRAME_MM * frame.focal_px / max(file.width_px, file.height_px)
        if equivalent_mm > MAX_EQUIVALENT_MM:
            return Reason(
                code="unsuitable_lens",
                text=f"through a lens of {equivalent_mm:.0f} mm (on full frame) lamps look as wide "
                "as lightning; use --whole-frame to try it anyway",
            )
    answer = load_scene_model().answer(measure_features(read_scene_picture(file)))
    night = sum(answer.probabilities.get(name, 0.0) for name in NIGHT)
    if night >= MIN_NIGHT_PROBABILITY or not answer.explained:
        return None
    likeliest = max(answer.probabilities, key=lambda name: answer.probabilities[name])
    return Reason(
        code="not_a_night_city_frame",
        text=f"the photo looks like {likeliest} (probability "
        f"{answer.probabilities[likeliest]:.2f}), not like the ground at night; use --whole-frame "
        "to try it anyway",
    )


def not_ground(picture: LinearLight) -> BoolImage:
    """Mask of captions, black bars, window frames, and the sky above the limb."""
    hidden = mask_captions(picture) | blank_parts(picture.light)
    if picture.full_scale != 1.0 or min(picture.light.shape) < MIN_LIMB_PX:
        return hidden
    limb = find_picture_limb(picture, hidden)
    sky = None
    if limb is not None:
        sky = mask_sky(limb, picture.light.shape, margin_deg=-ABOVE_LIMB_DEG)
        hidden |= sky
    return hidden | mask_window_frames(picture.light, sky=sky)


def _read_neighbour(path: Path, side_px: int, *, sky_only: bool) -> NeighbourFrame | None:
    """A neighbour, prepared for registration; None if it cannot be read."""
    try:
        file = as_photo_file(path)
        picture, colours = read_linear_colours(file, max_long_side_px=side_px)
    except FrameError:
        return None
    hidden = picture.without(not_ground(picture) if sky_only else None)
    ignored = np.zeros(picture.light.shape, bool) if hidden is None else hidden
    return NeighbourFrame(light=colours, ignored=ignored)
