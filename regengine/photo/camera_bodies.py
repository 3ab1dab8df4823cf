"""Camera bodies flown on the station, and the pixel pitch of their photos."""

from __future__ import annotations

import re
from dataclasses import dataclass

FULL_FRAME_MM = (36.0, 24.0)  # assumed sensor if the body is unknown
# Nikon's DX crop of a full-frame sensor: 2784 px of 8.46 um (D3S), 3648 px of 6.45 um (D5).
_DX_FACTOR, _DX_MM = 1.5, (23.5, 15.65)
# Aspect ratios of pictures run from 1.500 (D5) to 1.510 (DCS 760)
_KNOWN_SHAPE, _ANY_3_TO_2 = 0.001, 0.007


@dataclass(frozen=True)
class CameraBody:
    """A camera body: its EXIF name, its sensor in millimetres and its full picture in pixels."""

    name: str
    long_mm: float
    short_mm: float
    long_px: int
    short_px: int

    @property
    def native_pitch_um(self) -> float:
        """Pixel pitch of an uncropped picture that is not resized."""
        return self.long_mm * 1000.0 / self.long_px


@dataclass(frozen=True, kw_only=True)
class PixelPitch:
    """Pixel pitch of a file, and whether the aspect ratio of the file indicates a crop."""

    pitch_um: float
    may_be_cropped: bool


# Sensor and picture sizes from the makers' data sheets. Checked against the focal-plane resolution
# that the cameras themselves write into EXIF: D4 7.305, D5 6.443, Z 9 4.345 um. The first column is
# searched for in the upper-case name, between non-alphanumeric neighbours.
_BODIES = (
    ("D3S", CameraBody("NIKON D3S", 36.0, 23.9, 4256, 2832)),
    ("D3X", CameraBody("NIKON D3X", 35.9, 24.0, 6048, 4032)),
    ("D3", CameraBody("NIKON D3", 36.0, 23.9, 4256, 2832)),
    ("D4S", CameraBody("NIKON D4S", 36.0, 23.9, 4928, 3280)),
    ("D4", CameraBody("NIKON D4", 36.0, 23.9, 4928, 3280)),
    ("D5", CameraBody("NIKON D5", 35.9, 23.9, 5568, 3712)),
    ("D6", CameraBody("NIKON D6", 35.9, 23.9, 5568, 3712)),
    ("D700", CameraBody("NIKON D700", 36.0, 23.9, 4256, 2832)),
    ("D800E", CameraBody("NIKON D800E", 35.9, 24.0, 7360, 4912)),
    ("D800", CameraBody("NIKON D800", 35.9, 24.0, 7360, 4912)),
    ("D810", CameraBody("NIKON D810", 35.9, 24.0, 7360, 4912)),
    ("D850", CameraBody("NIKON D850", 35.9, 23.9, 8256, 5504)),
    ("Z ?9", CameraBody("NIKON Z 9", 35.9, 23.9, 8256, 5504)),
    ("D2XS", CameraBody("NIKON D2Xs", 23.7, 15.7, 4288, 2848)),
    ("D1X", CameraBody("NIKON D1X", 23.7, 15.6, 3008, 1960)),
    ("D1", CameraBody("NIKON D1", 23.7, 15.6, 2000, 1312)),
    ("DCS ?760C?|K760C", CameraBody("KODAK DCS 760", 27.6, 18.3, 3032, 2008)),
    ("DCS ?460C?", CameraBody("KODAK DCS 460", 27.6, 18.4, 3060, 2036)),
    ("ILCE-7SM2", CameraBody("SONY ILCE-7SM2", 35.6, 23.8, 4240, 2832)),
    ("IXUS 700", CameraBody("CANON DIGITAL IXUS 700", 7.18, 5.32, 3072, 2304)),
    ("RP_OV5647", CameraBody("RASPBERRY PI OV5647", 3.629, 2.722, 2592, 1944)),
    ("IMX477", CameraBody("RASPBERRY PI IMX477", 6.287, 4.712, 4056, 3040)),
)
_PATTERNS = tuple(
    (re.compile(rf"(?<![A-Z0-9])(?:{pattern})(?![A-Z0-9])"), body) for pattern, body in _BODIES
)


def find_body(name: str) -> CameraBody | None:
    """Return the body for a name from EXIF or an archive record; None if it is not in the table.

    Names are, for example, ``"NIKON D3S"``, ``"NIKON D3S S/N: 2053892"``,
    ``"KODAK S/N:  K760C-01390"`` or ``"Nikon D2Xs Electronic Still Camera"``.
    """
    upper = name.upper()
    return next((body for pattern, body in _PATTERNS if pattern.search(upper)), None)


def find_body_pitch(
    body: CameraBody, width_px: int, height_px: int, *, crop_factor: float | None = None
) -> PixelPitch:
    """Return the pixel pitch of a file, for a photo of a known body.

    A file that has the sensor's number of pixels along one side has the sensor's pitch. Any other
    file is assumed to be a resized copy of the full picture.
    """
    long_px, short_px = max(width_px, height_px), min(width_px, height_px)
    native = body.native_pitch_um
    factor_over_own = (crop_factor or 0.0) * body.long_mm / FULL_FRAME_MM[0]
    if abs(factor_over_own / _DX_FACTOR - 1.0) < 0.1:
        return _compute_resized_pitch(long_px, short_px, *_DX_MM, _ANY_3_TO_2)
    if long_px == body.long_px or short_px == body.short_px:
        cropped = not _shapes_agree(long_px, short_px, body.long_px / body.short_px, _KNOWN_SHAPE)
        return PixelPitch(pitch_um=native, may_be_cropped=cropped)
    short_mm = body.short_px * native / 1000.0
    return _compute_resized_pitch(long_px, short_px, body.long_mm, short_mm, _KNOWN_SHAPE)


def assume_pitch(width_px: int, height_px: int, *, crop_factor: float | None = None) -> PixelPitch:
    """Return the pixel pitch of a file if the body is unknown."""
    factor = crop_factor or 1.0
    long_px, short_px = max(width_px, height_px), min(width_px, height_px)
    long_mm, short_mm = FULL_FRAME_MM[0] / factor, FULL_FRAME_MM[1] / factor
    return _compute_resized_pitch(long_px, short_px, long_mm, short_mm, _ANY_3_TO_2)


def _shapes_agree(long_px: int, short_px: int, ratio: float, tolerance: float) -> bool:
    """Whether a picture has the aspect ratio of the sensor, within one pixel of rounding."""
    expected_short = long_px / ratio
    return abs(short_px - expected_short) <= max(1.0, tolerance * expected_short)


def _compute_resized_pitch(
    long_px: int, short_px: int, long_mm: float, short_mm: float, tolerance: float
) -> PixelPitch:
    """Return sensor side over file side; for a crop, the largest pitch that fits the sensor."""
    by_long, by_short = long_mm * 1000.0 / long_px, short_mm * 1000.0 / short_px
    if _shapes_agree(long_px, short_px, long_mm / short_mm, tolerance):
        return PixelPitch(pitch_um=by_long, may_be_cropped=False)
    # A crop that fills one side of the sensor cannot exceed the other: a square crop of a 3:2
    # picture is at most as wide as the sensor is high.
    return PixelPitch(pitch_um=min(by_long, by_short), may_be_cropped=True)
