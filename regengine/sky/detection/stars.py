"""The stars of one photo, in the pixels of the picture as stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.limb import find_limb, sky_mask
from detectors.registry import star_detectors
from detectors.star_trails import marked_hot
from detectors.types import StarDetections, StarDetector
from regengine.batch.plan import Failure
from regengine.errors import RegengineError
from regengine.photo.exif import read_exif
from regengine.photo.formats import read_image_header
from regengine.photo.image import LinearLight
from regengine.registration.preparation import captions
from regengine.sky.detection.detect import (
    PhotoDetections,
    chosen_detector,
    detect_in_photo,
    detect_in_picture,
    place_record,
    sigma_record,
)

BEST_METHOD = "matched"  # of `python -m benchmarks stars`
# Stars are two to four pixels wide at the full 4256 to 5568 px of the Station's cameras and still
# sampled at this size, where noise is lower and the time a third
DETECTION_SIDE_PX = 3000
CSV_COLUMNS = (
    *("x", "y", "flux", "snr", "fwhm_px", "ellipticity"),
    *("sigma_x_px", "sigma_y_px", "flags"),
)
ALTITUDE_KM = 410.0  # of the Station, to half a degree of the horizon's dip
LEAST_LIMB_PX = 16  # a narrower picture shows no arc


def star_detector(name: str | None = None) -> StarDetector:
    """The star detector of that name; the best one for None.

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    return chosen_detector(star_detectors(), name, best=BEST_METHOD, what="stars")


def detect_photo_stars(
    path: Path,
    detector: StarDetector | None = None,
    *,
    max_long_side_px: int = DETECTION_SIDE_PX,
    sky_only: bool = True,
) -> PhotoDetections[StarDetections]:
    """Read a photo and find its stars.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF, FITS or raw file.
    detector : StarDetector, optional
        The method; the best one if not given.
    max_long_side_px : int, optional
        Larger photos are averaged down to this before stars are sought.
    sky_only : bool, optional
        Leave out captions and, where the Earth's limb is seen, what lies below it.

    Returns
    -------
    PhotoDetections

    Raises
    ------
    FrameError
        If the file is no readable image.
    """
    return detect_in_photo(
        path,
        star_detector() if detector is None else detector,
        max_long_side_px=max_long_side_px,
        hidden=not_sky if sky_only else None,
        whole_mosaic=True,
    )


def not_sky(picture: LinearLight) -> NDArray[np.bool_]:
    """Captions, and the Earth where its limb is seen: city lights there are no stars."""
    hidden = captions(picture)
    if min(picture.light.shape) < LEAST_LIMB_PX:
        return hidden
    limb = find_limb(picture.light, focal_px=None, altitude_km=ALTITUDE_KM, ignored=hidden)
    if limb is None:
        return hidden
    height, width = picture.light.shape
    return hidden | ~sky_mask(limb, (height, width), margin_deg=0.0)


def detect_stars(
    picture: LinearLight,
    detector: StarDetector | None = None,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> StarDetections:
    """Find the stars of a picture that was read.

    Parameters
    ----------
    picture : LinearLight
        As `read_linear_light` gives it.
    detector : StarDetector, optional
        The method; the best one if not given.
    mask : ndarray of bool, optional
        True where pixels of ``picture.light`` must be ignored (ground, hardware).

    Returns
    -------
    StarDetections
        In pixels of the picture as stored.
    """
    method = star_detector() if detector is None else detector
    return detect_in_picture(picture, method, mask=mask)


def star_records(stars: StarDetections) -> list[dict[str, Any]]:
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


def trail_record(stars: StarDetections) -> list[float] | None:
    """The common trail from end to end, (x, y) in pixels; None where stars are points."""
    return None if stars.trail_px is None else [round(side, 2) for side in stars.trail_px]


# Stars of many photos, looked at together by camera: hot pixels stay where they are.

MOST_TOGETHER = 24  # so many photos are looked at before the first of them is told
PhotoStars: TypeAlias = PhotoDetections[StarDetections]
Camera: TypeAlias = "tuple[str | None, int, int]"


def star_sequences(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Photos that follow each other and are of one camera body and size.

    Parameters
    ----------
    paths : sequence of Path
        All photos; of each, the header is read when it is reached.

    Yields
    ------
    list of Path
        At most `MOST_TOGETHER`. A file without a header that can be read parts nothing.
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


def with_hot_pixels(found: Sequence[PhotoStars | Failure]) -> list[PhotoStars | Failure]:
    """The stars of a sequence: what stays at its pixel in three of its photos is flagged as hot.

    See `detectors.star_trails.fixed_to_the_sensor`.
    """
    marked = iter(marked_hot([one.found for one in found if not isinstance(one, Failure)]))
    return [one if isinstance(one, Failure) else replace(one, found=next(marked)) for one in found]


def _camera(path: Path) -> Camera | None:
    """Body and size; None where the file is no readable image."""
    try:
        header = read_image_header(path)
        return read_exif(path).camera_body, header.width_px, header.height_px
    except (RegengineError, OSError, ValueError):
        return None
