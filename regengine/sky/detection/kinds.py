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
from regengine.sky.detection.detect import PhotoDetections, Record, Sought
from regengine.sky.detection.overlay import draw_lights, draw_stars, draw_streaks

PhotoStars: TypeAlias = PhotoDetections[StarDetections]
Camera: TypeAlias = "tuple[str | None, int, int]"

ALTITUDE_KM = 410.0  # of the Station, to half a degree of the horizon's dip
LEAST_LIMB_PX = 16  # a narrower picture shows no arc
MOST_TOGETHER = 24  # so many photos are looked at before the first of them is told
# What records and tables say of each, rounded to what it is worth
PLACE = {"x": ".3f", "y": ".3f", "flux": ".5g", "snr": ".4g"}
SIGMAS = {"sigma_x_px": ".4f", "sigma_y_px": ".4f"}
ENDS = dict.fromkeys(("x1", "y1", "x2", "y2"), ".2f")


def trail_record(stars: StarDetections) -> Record:
    """The common trail from end to end, (x, y) in pixels; None where stars are points."""
    trail = stars.trail_px
    return {"trail_px": None if trail is None else [round(side, 2) for side in trail]}


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
    values=PLACE | {"radius_px": ".3f"} | SIGMAS,
    draw=draw_lights,
)
STARS: Sought[StarDetections] = Sought(
    kind=registry.STARS,
    best_method="matched",  # of `python -m benchmarks stars`
    long_side_px=LONG_SIDE_PX["stars"],
    values=PLACE | {"fwhm_px": ".3f", "ellipticity": ".3f"} | SIGMAS,
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
    values=ENDS
    | {"snr": ".4g", "width_px": ".3g", "log10_false_alarm": ".4g", "kind": "", "length_px": ".1f"}
    | {"flux": ".5g", "bow_px": ".2f", "sigma_end_px": ".3g", "sigma_line_px": ".3g"},
    draw=draw_streaks,
    hidden=not_sky_or_blank,
)
SOUGHT: dict[str, Sought[Any]] = {one.kind.name: one for one in (LIGHTS, STARS, STREAKS)}
