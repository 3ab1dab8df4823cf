"""The focal lengths that a search tries: the one told, crops of it, or the usual lenses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matchers.camera import Camera

# Edited copies are crops (1.28 and 1.4 times seen): the focal length in pixels is then larger
CROP_SCALES = (1.25, 1.55, 0.8, 1.95)
SIGMA_LOG_FOCAL = 0.03  # zooms and focusing: 2-3 % on originals
SIGMA_LOG_FOCAL_CROPPED = 0.12
# and the lens' axis is anywhere in them: half a frame has it at a quarter of the whole from its own
# middle
SIGMA_PRINCIPAL_SHARE = 0.2
# Night lenses, millimetres, and how many of 9,403 archive records are theirs. What has lost its
# EXIF is often a crop, too: a tenth of a lens' records is counted for 1.25 and for 1.55 times it
USUAL_LENSES_MM = (85.0, 400.0, 180.0, 50.0, 58.0, 105.0, 135.0, 28.0, 300.0, 24.0, 35.0, 16.0)
LENS_RECORDS = (4220, 1650, 1320, 950, 500, 420, 420, 370, 130, 60, 50, 40)
SIGMA_LOG_FOCAL_UNKNOWN = 0.12
SIGMA_LOG_FOCAL_ANY = 1.0  # nothing is known of it; crops to a third have it three times as long
# Figures of towns are compared at each of these shares of the focal length at once; the first
# steps then reach from 0.7 to 1.4 times a lens
LENS_LADDER = (1.0, 0.8, 1.25)
LADDER_LENSES_MM = (85.0, 400.0, 50.0, 200.0, 128.0, 28.0, 700.0, 17.0)
LADDER_RECORDS = (4220, 1650, 1520, 1320, 480, 450, 200, 65)
# Towns are sought at the size that a focal length gives them, so that a ladder finds frames of 0.72
# to 1.39 times its own (19 and 16 of 26 frames of the training half from their true places, in the
# middle 21, at 0.64 and 1.56 times 6): one for mild crops, one for those to a third of the frame,
# one for what is wider than told
CROP_CENTRES = (1.3, 2.3, 0.75)
# How unlikely a focal length is, as a negative log-probability; only the order depends on it
# Originals of the archive are seldom crops; a focal length is wrong for one frame in twenty
CROP_SURPRISE = 2.8
CROPPED_SURPRISE = 1.0  # where the shape is not the sensor's
# The same for ladders of crops: shapes other than the sensor's come from crops of any size, the
# sensor's own shape from mild ones. With towns sought at each one's size, instead of at the told
# one's for a ladder of five, 5 of the 6 missed crops of the training half were found that figures
# find from the true place
CROPPED_CENTRE_SURPRISES = (0.5, 0.8, 3.0)
CROP_CENTRE_SURPRISES = (2.5, 7.0, 3.5)  # the same for ladders about 1.3, 2.3 and 0.75
# Fields below this (171 mm) lie within one city
TELE_FIELD_DEG = 12.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A focal length to try, relative to the nominal one."""

    ratio: float
    sigma_log_focal: float
    cropped: bool
    surprise: float = 0.0
    ladder: tuple[float, ...] = (1.0,)


def field_deg(camera: Camera) -> float:
    """Angle that the long side of an image covers."""
    longest = max(camera.width_px, camera.height_px)
    return float(np.degrees(2.0 * np.arctan(0.5 * longest / camera.focal_px)))


def is_telephoto(camera: Camera) -> bool:
    """Whether a frame lies within one city: its lights are then compared flat."""
    return field_deg(camera) < TELE_FIELD_DEG


def lens_scales(sparse: bool, focal_known: bool, may_be_cropped: bool) -> list[Scale]:
    """Focal lengths that are worth a comparison of pictures, or (sparse) of figures of towns.

    A look by figures covers a ladder of them.
    """
    ladder = LENS_LADDER if sparse else (1.0,)
    if not focal_known:
        lenses_mm = LADDER_LENSES_MM if sparse else USUAL_LENSES_MM
        records = LADDER_RECORDS if sparse else LENS_RECORDS
        return [
            Scale(
                ratio=lens_mm / USUAL_LENSES_MM[0],
                sigma_log_focal=SIGMA_LOG_FOCAL_UNKNOWN,
                surprise=math.log(records[0] / count),
                cropped=may_be_cropped,
                ladder=ladder,
            )
            for lens_mm, count in zip(lenses_mm, records, strict=True)
        ]
    ratios = CROP_CENTRES if sparse else CROP_SCALES
    first = CROPPED_SURPRISE if may_be_cropped else CROP_SURPRISE
    surprises: Sequence[float] = [first + 0.3 * k for k in range(len(ratios))]
    if sparse:
        surprises = CROPPED_CENTRE_SURPRISES if may_be_cropped else CROP_CENTRE_SURPRISES
    told = Scale(ratio=1.0, sigma_log_focal=SIGMA_LOG_FOCAL, cropped=may_be_cropped)
    return [told] + [
        Scale(
            ratio=ratio,
            sigma_log_focal=SIGMA_LOG_FOCAL_CROPPED,
            surprise=surprise,
            cropped=True,
            ladder=ladder,
        )
        for ratio, surprise in zip(ratios, surprises, strict=True)
    ]
