"""Stars of many photos, looked at together by camera: hot pixels stay where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from detectors.star_sequence import marked_hot
from detectors.star_types import StarDetections
from regengine.batch.mishaps import Mishap
from regengine.errors import RegengineError
from regengine.exif import read_exif
from regengine.image_header import read_image_header
from regengine.photo_detections import PhotoDetections

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


def with_hot_pixels(found: Sequence[PhotoStars | Mishap]) -> list[PhotoStars | Mishap]:
    """The stars of a sequence: what stays at its pixel in three of its photos is flagged as hot.

    See `detectors.star_sequence.fixed_to_the_sensor`.

    Parameters
    ----------
    found : sequence of PhotoDetections or Mishap
        Of the photos of a sequence.

    Returns
    -------
    list of PhotoDetections or Mishap
        In the same order.
    """
    marked = iter(marked_hot([one.found for one in found if not isinstance(one, Mishap)]))
    return [one if isinstance(one, Mishap) else replace(one, found=next(marked)) for one in found]


def _camera(path: Path) -> Camera | None:
    """Body and size; None where the file is no readable image."""
    try:
        header = read_image_header(path)
        return read_exif(path).camera_body, header.width_px, header.height_px
    except (RegengineError, OSError, ValueError):
        return None
