"""Read the headers of photo files once: format, size, EXIF, hash; raw files by LibRaw."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from regengine.errors import ConfigError, FrameError
from regengine.io import decoding
from regengine.io.extras import make_import_error
from regengine.photo.exif import TIFF_STARTS, Exif, exif_of_fits, read_exif_of, read_tiff_directory
from regengine.photo.fits import is_fits, read_fits_headers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ImageFormat = Literal["jpeg", "png", "tiff", "webp", "avif", "raw", "fits"]

MIN_SIDE_PX = 32  # smaller pictures contain no pattern of lights
# JPEG's longest side. Light is computed in strips of rows, which only saves memory if rows are
# short
MAX_SIDE_PX = 65_535
# LibRaw keeps sensor data, colours and result in memory at once, 22 bytes per pixel; no camera on
# the station has more than 46 megapixels
MAX_RAW_PIXELS = 56_000_000
RAW_EXTENSIONS = frozenset({".nef", ".nrw", ".dng", ".cr2"})

# Tag numbers of TIFF 6.0, and of DNG 1.4.
TIFF_WIDTH, TIFF_HEIGHT, TIFF_BITS = 256, 257, 258
TIFF_PHOTOMETRIC, TIFF_EXTRA_SAMPLES = 262, 338
_DNG_VERSION = 50706
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Other file types that occur under a photo's name, for the error message.
_OTHER_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF image"),
    (b"BM", "a BMP image"),
    (b"RIFF", "a sound, a video or another RIFF file"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000 image"),
)


@dataclass(frozen=True, kw_only=True)
class PhotoFile:
    """Header data of a photo's file, read once and passed on from there.

    ``deep`` is true for more than eight bits per sample, ``progressive`` for a JPEG that is decoded
    as a whole. ``tiff_tags`` is the main directory of a TIFF. ``exif`` is empty if it is missing or
    damaged. ``sha256``, hexadecimal, is empty if it was not requested.
    """

    path: Path
    format: ImageFormat
    width_px: int
    height_px: int
    deep: bool = False
    progressive: bool = False
    tiff_tags: Mapping[int, Any] = field(default_factory=dict, hash=False)
    exif: Exif = field(default_factory=Exif)
    sha256: str = ""


def read_photo_file(path: Path, *, hashed: bool = False) -> PhotoFile:
    """Read format and size of a photo as stored, its EXIF and, on request, the hash of its content.

    The EXIF orientation is not applied. The extension matters only for raw files (NEF, DNG, CR2).
    Raises FrameError if the file is not a readable image, too small to register, or too large to
    decode.
    """
    path = Path(path)
    with decoding.open_regular(path) as stream:
        file = _check_size(_read_header(path, stream))
        exif = file.exif if file.format == "fits" else read_exif_of(stream)
        sha256 = ""
        if hashed:
            stream.seek(0)
            try:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                raise FrameError(
                    f"{path} could not be read to its end ({error.strerror}); check the disk"
                ) from error
        return replace(file, exif=exif, sha256=sha256)


def as_photo_file(photo: Path | PhotoFile) -> PhotoFile:
    return photo if isinstance(photo, PhotoFile) else read_photo_file(photo)


def _read_header(path: Path, stream: BinaryIO) -> PhotoFile:
    """Read format and size of an open file."""
    with decoding.raise_as_frame_error(path):
        start = stream.read(512)
    if not start:
        raise FrameError(f"{path} is empty (0 bytes); get the file again")
    if start.startswith(b"\xff\xd8\xff"):
        return _pillow_header(path, stream, "jpeg", deep=False)
    if start.startswith(_PNG_SIGNATURE):
        return _pillow_header(path, stream, "png", deep=len(start) > 24 and start[24] == 16)
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return _pillow_header(path, stream, "webp", deep=False)
    # Kinds of file: the first is its own, the others are compatible with it
    brands = {start[8:12], *re.findall(rb"(?s)....", start[16 : int.from_bytes(start[:4])])}
    brands &= {*_AVIF_BRANDS, *_HEIC_BRANDS} if start[4:8] == b"ftyp" else set()
    if brands and brands <= _AVIF_BRANDS and start[8:12] in (*brands, b"mif1", b"msf1"):
        from PIL import features

        if features.check("avif"):  # as in most wheels since 11.3
            return _pillow_header(path, stream, "avif", deep=False)
    if start.startswith(TIFF_STARTS):
        return _tiff_header(path, stream, start)
    if is_fits(path, stream):
        width, height, headers = read_fits_headers(path, stream)
        file = PhotoFile(path=path, format="fits", width_px=width, height_px=height, deep=True)
        return replace(file, exif=exif_of_fits(headers))
    if decoding.is_packed(start):
        raise FrameError(f"{path} is compressed: unpack it first")
    what = next((name for signature, name in _OTHER_SIGNATURES if start.startswith(signature)), "")
    if not what and start[4:8] == b"ftyp":
        what = "a HEIC photo" if brands & _HEIC_BRANDS else "a HEIC, AVIF or video file"
    elif not what and b"\0" not in start and start.lstrip()[:1] == b"<":
        what = "a web page or XML text"
    elif not what and all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in start[:64]):
        what = "text"
    raise FrameError(
        f"{path} is {what or 'of an unknown format'}, which is not supported; give a JPEG, PNG, "
        "TIFF, WebP, FITS or raw (NEF, DNG, CR2) file"
    )


def check_pixels(pixels: Iterable[tuple[float, float]], width_px: int, height_px: int) -> None:
    """Raise ConfigError for a position outside of a photo: centres of pixels are integers."""
    for x, y in pixels:
        if not (-0.5 <= x <= width_px - 0.5 and -0.5 <= y <= height_px - 0.5):
            raise ConfigError(
                f"pixel ({x:.1f}, {y:.1f}) is outside the photo of {width_px} x {height_px} pixels"
            )


def _pillow_header(
    path: Path, stream: BinaryIO, image_format: ImageFormat, *, deep: bool
) -> PhotoFile:
    from PIL import Image

    stream.seek(0)
    with (
        decoding.raise_as_frame_error(path),
        Image.open(stream, formats=[image_format.upper()]) as image,
    ):
        width, height = image.size
        progressive = bool(image.info.get("progressive"))
    file = PhotoFile(path=path, format=image_format, width_px=width, height_px=height)
    return replace(file, deep=deep, progressive=progressive)


def _tiff_header(path: Path, stream: BinaryIO, start: bytes) -> PhotoFile:
    if path.suffix.lower() in RAW_EXTENSIONS or start[8:10] == b"CR":
        return _raw_header(path)
    with decoding.raise_as_frame_error(path):
        tags = read_tiff_directory(stream)
        # 32803: colour filter array, 34892: linear raw (DNG 1.4, chapter 4).
        if _DNG_VERSION in tags or tags.get(TIFF_PHOTOMETRIC) in (32803, 34892):
            return _raw_header(path)
        if TIFF_WIDTH not in tags or TIFF_HEIGHT not in tags:
            raise decoding.make_damage_error(path, "its TIFF directory names no image size")
        bits = tags.get(TIFF_BITS, 1)
        return PhotoFile(
            path=path,
            format="tiff",
            width_px=int(tags[TIFF_WIDTH]),
            height_px=int(tags[TIFF_HEIGHT]),
            deep=max(bits) > 8 if isinstance(bits, tuple) else bits > 8,
            tiff_tags=tags,
        )


def _raw_header(path: Path) -> PhotoFile:
    """Read the size of the visible part of the sensor, not rotated."""
    with _open_raw(path) as raw:
        width, height = int(raw.sizes.width), int(raw.sizes.height)
    return PhotoFile(path=path, format="raw", width_px=width, height_px=height, deep=True)


def _check_size(file: PhotoFile) -> PhotoFile:
    width, height = file.width_px, file.height_px
    limit = {"raw": MAX_RAW_PIXELS}.get(file.format, decoding.MAX_PIXELS)
    # These are decoded as a whole; a progressive JPEG takes two bytes per coefficient
    if file.progressive or file.format in ("webp", "avif"):
        limit = 90_000_000
    if width * height > limit:
        raise decoding.make_size_error(file.path, f"{width} x {height} pixels, ", limit_px=limit)
    if max(width, height) > MAX_SIDE_PX:
        raise FrameError(
            f"{file.path} claims {width} x {height} pixels, and the limit is {MAX_SIDE_PX} a "
            "side; if it is a real photo, give a smaller copy",
            code="too_large",
        )
    if min(width, height) < MIN_SIDE_PX:
        raise FrameError(
            f"{file.path} has {width} x {height} pixels, too few to register; use a copy with at "
            f"least {MIN_SIDE_PX} pixels a side",
            code="too_small",
        )
    return file


@contextmanager
def _open_raw(path: Path) -> Iterator[Any]:
    """Open a raw file with LibRaw, which of a truncated file only prints that it ends."""
    try:
        import rawpy
    except ImportError as error:
        raise FrameError(
            str(make_import_error(f"{path}, a raw photo,", error)), code="raw_support_missing"
        ) from error
    with decoding.raise_as_frame_error(path):
        with decoding.capture_stderr() as messages, rawpy.imread(str(path)) as raw:
            yield raw
        if text := " ".join(messages).replace(str(path), "").strip():
            raise decoding.make_damage_error(path, decoding.explain_library_error(text))


def decode_raw(path: Path, *, half_size: bool, for_display: bool = False) -> NDArray[np.uint16]:
    """Decode a raw file, without rotation or brightening."""
    with _open_raw(path) as raw:
        picture: NDArray[np.uint16] = raw.postprocess(
            half_size=half_size,
            use_camera_wb=True,
            output_bps=16,
            user_flip=0,  # as stored, the orientation is ignored
            no_auto_bright=not for_display,
            **({} if for_display else {"gamma": (1.0, 1.0)}),
        )
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise decoding.make_damage_error(path, "its sensor has no red, green and blue")
    return picture
