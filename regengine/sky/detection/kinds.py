"""The kinds of detection: lights, lightning, stars and streaks."""

from __future__ import annotations

from typing import Any

from detectors import registry
from detectors.constants import LONG_SIDE_PX
from detectors.limb import mask_sky
from detectors.masks import blank_parts
from detectors.types import BoolImage, LightDetections, StarDetections, StreakDetections
from regengine.photo.image import LinearLight, mask_captions
from regengine.sky.detection.detect import DetectionKind, find_picture_limb
from regengine.sky.detection.lightning import LightningKind
from regengine.sky.drawing import draw_lightning, draw_lights, draw_stars, draw_streaks

# Columns of records and tables, rounded to their accuracy
PLACE = {"x": ".3f", "y": ".3f", "flux": ".5g", "snr": ".4g"}
SIGMAS = {"sigma_x_px": ".4f", "sigma_y_px": ".4f"}
BOX = ("x1", "y1", "x2", "y2")
ENDS = dict.fromkeys(BOX, ".2f")


def mask_not_sky(picture: LinearLight) -> BoolImage:
    """Mask of captions and, if the limb is visible, the Earth: city lights there are not stars.

    The limb is not searched in FITS images: they are from telescopes on the ground.
    """
    hidden = mask_captions(picture)
    if _is_fits(picture):
        return hidden
    limb = find_picture_limb(picture, hidden)
    if limb is None:
        return hidden
    height, width = picture.light.shape
    return hidden | ~mask_sky(limb, (height, width), margin_deg=0.0)


def mask_not_sky_or_blank(picture: LinearLight) -> BoolImage:
    """Mask of everything except sky, and of black bars, whose straight edges resemble streaks."""
    hidden = mask_not_sky(picture)
    if not _is_fits(picture):  # black of FITS images has no fixed level, and their gaps are known
        hidden = hidden | blank_parts(picture.light)
    return hidden


def _is_fits(picture: LinearLight) -> bool:
    return picture.full_scale != 1.0


LIGHTS: DetectionKind[LightDetections] = DetectionKind(
    kind=registry.LIGHTS,
    best_method="blobs",  # of `python -m benchmarks detectors lights`
    long_side_px=LONG_SIDE_PX["lights"],
    values=PLACE | {"radius_px": ".3f"} | SIGMAS,
    draw=draw_lights,
)
LIGHTNING = LightningKind(
    kind=registry.LIGHTNING,
    best_method="excess",
    long_side_px=LONG_SIDE_PX["lightning"],
    values=PLACE | {"fwhm_px": ".3f", "blueness": ".3f"} | SIGMAS | dict.fromkeys(BOX, ".1f"),
    draw=draw_lightning,
)
STARS: DetectionKind[StarDetections] = DetectionKind(
    kind=registry.STARS,
    best_method="matched",  # of `python -m benchmarks detectors stars`
    long_side_px=LONG_SIDE_PX["stars"],
    values=PLACE | {"fwhm_px": ".3f", "ellipticity": ".3f"} | SIGMAS,
    draw=draw_stars,
    hidden=mask_not_sky,
    whole_mosaic=True,
)
STREAKS: DetectionKind[StreakDetections] = DetectionKind(
    kind=registry.STREAKS,
    best_method="radon",  # of `python -m benchmarks detectors streaks`
    long_side_px=LONG_SIDE_PX["streaks"],
    values=ENDS
    | {"snr": ".4g", "width_px": ".3g", "log10_false_alarm": ".4g", "length_px": ".1f"}
    | {"flux": ".5g", "bow_px": ".2f", "sigma_end_px": ".3g", "sigma_line_px": ".3g"},
    draw=draw_streaks,
    hidden=mask_not_sky_or_blank,
)
SOUGHT: dict[str, DetectionKind[Any]] = {
    one.kind.name: one for one in (LIGHTS, LIGHTNING, STARS, STREAKS)
}
