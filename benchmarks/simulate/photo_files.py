"""What a camera writes beside a picture: its clock, lens and settings as EXIF."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from PIL import ExifTags, Image

SENSOR_WIDTH_MM = {"NIKON D3S": 36.0, "NIKON D4": 36.0, "NIKON D5": 35.9}


@dataclass(frozen=True, kw_only=True)
class CameraSettings:
    """What the camera knows."""

    clock_utc: datetime  # what its clock shows, which may be wrong
    focal_mm: float | None  # none leaves the tag out
    aperture_f: float = 1.4
    exposure_s: float = 0.05
    iso: int = 10000
    body: str = "NIKON D3S"  # EXIF model; its sensor's width is in ``SENSOR_WIDTH_MM``.
    orientation: int = 1  # EXIF orientation, 1 to 8

    def pixel_pitch_um(self, width_px: int, height_px: int) -> float:
        """Pitch of a picture's pixels if it shows the whole sensor."""
        return 1000.0 * SENSOR_WIDTH_MM[self.body] / max(width_px, height_px)


def exif_bytes(settings: CameraSettings) -> bytes:
    """EXIF block for Pillow's ``save(..., exif=...)``."""
    exif = Image.Exif()
    base, detail = ExifTags.Base, ExifTags.IFD.Exif
    stamp = settings.clock_utc.strftime("%Y:%m:%d %H:%M:%S")
    exif[base.Make] = "KODAK" if "KODAK" in settings.body else "NIKON CORPORATION"
    exif[base.Model] = settings.body
    exif[base.Orientation] = settings.orientation
    exif[base.Software] = "regengine simulator"
    exif[base.DateTime] = stamp
    block = exif.get_ifd(detail)
    block[base.DateTimeOriginal] = stamp
    block[base.DateTimeDigitized] = stamp
    block[base.SubsecTimeOriginal] = f"{settings.clock_utc.microsecond // 10000:02d}"
    block[base.ExposureTime] = settings.exposure_s
    block[base.FNumber] = settings.aperture_f
    block[base.ISOSpeedRatings] = settings.iso
    if settings.focal_mm is not None:
        block[base.FocalLength] = settings.focal_mm
    return exif.tobytes()
