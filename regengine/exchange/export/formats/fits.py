"""FITS headers with the sky's coordinates, for photos in which the sky is seen above the limb.

Photos of stars alone have theirs from ``regengine solve --wcs``. The first row of the file is the
upper one of the photo.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from regengine.errors import FrameError
from regengine.exchange.export.format import (
    ExportOptions,
    FolderFormat,
    LeftOutError,
    chosen_kinds,
    no_camera,
    photo_stem,
)
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.viewing import sees_sky, sky_camera
from regengine.exchange.export.warp import photo_of
from regengine.photo.exif import MJD_ZERO
from regengine.photo.frame_records import parse_iso_time
from regengine.sky.stars.wcs import Value, camera_header, header_bytes

ENDINGS = {"wcs": ".wcs", "image": ".sky.fits"}
LONGEST_TEXT = 60  # a card has 80 letters
BLOCK = 2880


def fits_header(frame: ExportFrame) -> dict[str, Value]:
    """Keywords of a frame that has a camera and a time."""
    assert frame.camera is not None
    time = _time(frame)
    assert time is not None
    header = camera_header(sky_camera(frame.camera, time))
    header["DATE-OBS"] = time.strftime("%Y-%m-%dT%H:%M:%S.%f")
    header["MJD-OBS"] = (time - MJD_ZERO) / timedelta(days=1)
    header["TIMESYS"] = "UTC"
    header["FRAMEID"] = _card_text(frame.result.frame)
    header["ORIGIN"] = "regengine"
    return header


def fits_image(frame: ExportFrame) -> bytes:
    """A FITS file with the photo in grey, eight bits."""
    from regengine.photo.image import read_display_rgb

    assert frame.camera is not None
    try:
        rgb, factor = read_display_rgb(photo_of(frame), max_long_side_px=2**31)
    except FrameError as error:
        raise LeftOutError(str(error)) from error
    size = (frame.camera.height_px, frame.camera.width_px)
    if factor != 1.0 or rgb.shape[:2] != size:
        raise LeftOutError("the photo has another size than its camera")
    grey = np.rint(rgb.mean(axis=-1, dtype=np.float32)).astype(np.uint8)
    header: dict[str, Value] = {}
    for key, value in fits_header(frame).items():
        header[key] = 2 if key == "NAXIS" else value
        if key == "NAXIS":
            header |= {"NAXIS1": size[1], "NAXIS2": size[0]}
    return header_bytes(header) + grey.tobytes() + bytes(-grey.size % BLOCK)


def _time(frame: ExportFrame) -> datetime | None:
    return parse_iso_time(frame.result.time_utc or "")


def _card_text(text: str) -> str:
    """Text as a card can hold it: printable ASCII, without what would end it."""
    return "".join(c if " " <= c <= "~" and c != "'" else "_" for c in text)[:LONGEST_TEXT]


def _lacks(frame: ExportFrame) -> str:
    if frame.camera is None:
        return no_camera(frame)
    if _time(frame) is None:
        return "no time"
    return "" if sees_sky(frame.camera) else "no sky in view"


def _names(photo: str, options: ExportOptions) -> tuple[str, ...]:
    return tuple(f"{photo}{ENDINGS[kind]}" for kind in chosen_kinds(options, ENDINGS, ("wcs",)))


def _write(
    frame: ExportFrame, paths: tuple[Path, ...], targets: tuple[Path, ...], options: ExportOptions
) -> None:
    for kind, path in zip(chosen_kinds(options, ENDINGS, ("wcs",)), paths, strict=True):
        whole = fits_image(frame) if kind == "image" else header_bytes(fits_header(frame))
        path.write_bytes(whole)


FORMATS = {
    "fits": FolderFormat(
        summary="FITS headers of the sky above the limb, files a photo",
        names=_names,
        write=_write,
        lacks=_lacks,
        photo_name=photo_stem,
    )
}
