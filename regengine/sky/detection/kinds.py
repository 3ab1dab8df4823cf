"""What can be sought on photos: lights, stars and streaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from detectors import registry
from detectors.limb import find_limb, sky_mask
from detectors.masks import blank_parts
from detectors.star_trails import marked_hot
from detectors.types import BoolImage, LightDetections, StarDetections, StreakDetections
from regengine.errors import RegengineError
from regengine.photo.exif import read_exif
from regengine.photo.formats import read_image_header
from regengine.photo.image import LinearLight, captions
from regengine.result import Failure
from regengine.sky.detection import LONG_SIDE_PX
from regengine.sky.detection.detect import (
    PhotoDetections,
    Record,
    Sought,
    place_record,
    sigma_record,
    significant,
)
from regengine.sky.detection.overlay import draw_lights, draw_stars, draw_streaks

PhotoStars: TypeAlias = PhotoDetections[StarDetections]
Camera: TypeAlias = "tuple[str | None, int, int]"

ALTITUDE_KM = 410.0  # of the Station, to half a degree of the horizon's dip
LEAST_LIMB_PX = 16  # a narrower picture shows no arc
MOST_TOGETHER = 24  # so many photos are looked at before the first of them is told
ENDS = ("x1", "y1", "x2", "y2")


def light_records(lights: LightDetections) -> list[Record]:
    """Plain values of each light, the brightest first, rounded to what they are worth."""
    return [
        {
            **place_record(lights.x[i], lights.y[i], lights.flux[i], lights.snr[i]),
            "radius_px": round(float(lights.radius_px[i]), 3),
            **sigma_record(lights.covariance_px2[i]),
            "flags": list(lights.flag_names(i)),
        }
        for i in range(len(lights))
    ]


def star_records(stars: StarDetections) -> list[Record]:
    """Plain values of each star, the brightest first, rounded to what they are worth."""
    return [
        {
            **place_record(stars.x[i], stars.y[i], stars.flux[i], stars.snr[i]),
            "fwhm_px": round(float(stars.fwhm_px[i]), 3),
            "ellipticity": round(float(stars.ellipticity[i]), 3),
            **sigma_record(stars.covariance_px2[i]),
            "flags": list(stars.flag_names(i)),
        }
        for i in range(len(stars))
    ]


def trail_record(stars: StarDetections) -> Record:
    """The common trail from end to end, (x, y) in pixels; None where stars are points."""
    trail = stars.trail_px
    return {"trail_px": None if trail is None else [round(side, 2) for side in trail]}


def streak_records(streaks: StreakDetections) -> list[Record]:
    """Plain values of each streak, the surest first, rounded to what they are worth."""
    lengths = streaks.length_px
    return [
        {
            **{name: round(float(getattr(streaks, name)[i]), 2) for name in ENDS},
            "snr": significant(streaks.snr[i], 4),
            "width_px": significant(streaks.width_px[i], 3),
            "log10_false_alarm": significant(streaks.log10_false_alarm[i], 4),
            "kind": str(streaks.kind[i]),
            "length_px": round(float(lengths[i]), 1),
            "flux": significant(streaks.flux[i], 5),
            "bow_px": round(float(streaks.bow_px[i]), 2),
            "sigma_end_px": significant(streaks.sigma_end_px[i], 3),
            "sigma_line_px": significant(streaks.sigma_line_px[i], 3),
            "flags": list(streaks.flag_names(i)),
        }
        for i in range(len(streaks))
    ]


def not_sky(picture: LinearLight) -> BoolImage:
    """Captions, and the Earth where its limb is seen: city lights there are no stars."""
    hidden = captions(picture)
    if min(picture.light.shape) < LEAST_LIMB_PX:
        return hidden
    limb = find_limb(picture.light, focal_px=None, altitude_km=ALTITUDE_KM, ignored=hidden)
    if limb is None:
        return hidden
    height, width = picture.light.shape
    return hidden | ~sky_mask(limb, (height, width), margin_deg=0.0)


def not_sky_or_blank(picture: LinearLight) -> BoolImage:
    """What is no sky, and black bars, whose straight edges look like streaks."""
    hidden = not_sky(picture)
    if picture.full_scale == 1.0:  # black of FITS images has no level, and their gaps are known
        hidden = hidden | blank_parts(picture.light)
    return hidden


def star_sequences(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Photos that follow each other and are of one camera body and size.

    Of each, the header is read when it is reached. At most `MOST_TOGETHER` come together; a file
    without a header that can be read parts nothing.
    """
    together: list[Path] = []
    camera: Camera | None = None
    for path in paths:
        own = _camera(path)
        parted = None not in (camera, own) and camera != own
        if parted or len(together) == MOST_TOGETHER:
            yield together
            together, camera = [], None
        together.append(path)
        camera = camera or own
    if together:
        yield together


def _camera(path: Path) -> Camera | None:
    """Body and size; None where the file is no readable image."""
    try:
        header = read_image_header(path)
        return read_exif(path).camera_body, header.width_px, header.height_px
    except (RegengineError, OSError, ValueError):
        return None


def with_hot_pixels(found: Sequence[PhotoStars | Failure]) -> list[PhotoStars | Failure]:
    """The stars of a sequence: what stays at its pixel in three of its photos is flagged as hot.

    See `detectors.star_trails.fixed_to_the_sensor`.
    """
    marked = iter(marked_hot([one.found for one in found if not isinstance(one, Failure)]))
    return [one if isinstance(one, Failure) else replace(one, found=next(marked)) for one in found]


LIGHTS: Sought[LightDetections] = Sought(
    kind=registry.LIGHTS,
    best_method="blobs",  # of `python -m benchmarks lights`
    long_side_px=LONG_SIDE_PX["lights"],
    columns=("x", "y", "flux", "snr", "radius_px", "sigma_x_px", "sigma_y_px", "flags"),
    records=light_records,
    draw=draw_lights,
)
STARS: Sought[StarDetections] = Sought(
    kind=registry.STARS,
    best_method="matched",  # of `python -m benchmarks stars`
    long_side_px=LONG_SIDE_PX["stars"],
    columns=(
        *("x", "y", "flux", "snr", "fwhm_px", "ellipticity"),
        *("sigma_x_px", "sigma_y_px", "flags"),
    ),
    records=star_records,
    draw=draw_stars,
    hidden=not_sky,
    whole_mosaic=True,
    of_image=trail_record,
    sequences=star_sequences,
    compared=with_hot_pixels,
)
STREAKS: Sought[StreakDetections] = Sought(
    kind=registry.STREAKS,
    best_method="radon",  # of `python -m benchmarks streaks`
    long_side_px=LONG_SIDE_PX["streaks"],
    columns=(
        *(*ENDS, "snr", "width_px", "log10_false_alarm", "kind"),
        *("length_px", "flux", "bow_px", "sigma_end_px", "sigma_line_px", "flags"),
    ),
    records=streak_records,
    draw=draw_streaks,
    hidden=not_sky_or_blank,
)
SOUGHT: dict[str, Sought[Any]] = {one.kind.name: one for one in (LIGHTS, STARS, STREAKS)}
