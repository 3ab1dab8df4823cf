"""Read FITS files: header units, and the first picture as linear light.

Astropy parses cards and decompresses tiles. Sizes claimed by a header are checked here before.
"""

from __future__ import annotations

import gzip
import io
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from regengine.errors import FrameError
from regengine.io.decoding import (
    make_damage_error,
    make_size_error,
    open_regular,
    raise_as_frame_error,
)

if TYPE_CHECKING:
    from astropy.io.fits import Header

CARD, BLOCK = 80, 2880
END_CARD = b"END" + b" " * 77
FITS_SIGNATURE, GZIP_SIGNATURE = b"SIMPLE  =", b"\x1f\x8b"
# Headers of real files have up to several hundred cards, 3 to 20 blocks; mosaics have several
# hundred units
MAX_BLOCKS = 400
MAX_UNITS = 1000
MAX_AXES = 999  # and columns (FITS Standard 4.0, 4.4.1 and 7.3.1)
# Limit of gzip decompression to reach a picture: two seconds of work
MAX_UNPACKED_BYTES = 600_000_000
# Limit of decoded samples: a full-frame astronomy camera has 61 million. With all derived arrays, a
# sample takes 18 bytes, or 36 if it needs double precision: at most 1.2 GB.
MAX_SAMPLES = 64_000_000
_STORED = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
# Detectors attribute noise below one step of 8-bit sRGB in the dark over sqrt(12), 8.8e-5, to
# rounding. Light is scaled so that the noise of the file is above that; 1 is then 4,500 sigma or
# more.
MIN_NOISE = 2.2e-4
# Nothing real is 45 million sigma away: such samples mark bad pixels
MAX_LIGHT = 1e4
_COLOURS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class FitsUnit:
    """One unit: its header, the offset of its data, and their layout according to the header.

    ``text`` is the header as in the file. ``shape`` has the slowest axis first, as in arrays; for a
    tile-compressed picture, it is the shape of the picture. ``bits`` is BITPIX, or ZBITPIX if
    ``packed``.
    """

    text: bytes
    header: Header
    offset: int
    data_bytes: int
    shape: tuple[int, ...]
    bits: int
    is_image: bool
    packed: bool


def _interpret_header(path: Path, text: bytes, offset: int) -> FitsUnit:
    """Return a unit by the text of its header; FrameError if the header is invalid."""
    from astropy.io.fits import Header

    with warnings.catch_warnings(action="ignore"):
        header = Header.fromstring(text)

    def whole(name: str, default: int | None = None, *, least: int = 0, most: int = 1 << 62) -> int:
        times = header.count(name) if name in header else 1
        # If two values differ, the one that Astropy uses depends on the operation
        if len({header[name, k] for k in range(times if times > 1 else 0)}) > 1:
            raise make_damage_error(path, f"its header has {name} twice")
        value = header.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise make_damage_error(path, f"its header has no valid {name}")
        return value

    def list_sides(prefix: str) -> tuple[int, ...]:
        axes = whole(f"{prefix}NAXIS", most=MAX_AXES)
        return tuple(whole(f"{prefix}NAXIS{k + 1}") for k in range(axes))

    with raise_as_frame_error(path):
        kind = str(header.get("XTENSION", "IMAGE")).strip().upper()
        sides = list_sides("")
        bits = stored = whole("BITPIX", least=-64, most=64)
        groups = header.get("GROUPS") is True and sides[:1] == (0,)
        heap = whole("PCOUNT", 0) if kind != "IMAGE" or groups else 0
        count = whole("GCOUNT", 1) if kind != "IMAGE" or groups else 1
        samples = math.prod(sides[1:] if groups else sides) if sides else 0
        packed = kind == "BINTABLE" and header.get("ZIMAGE") is True
        shape = list_sides("Z") if packed else sides
        if packed:
            # The memory of a tile larger than the picture would be allocated
            for number, side in enumerate(shape, start=1):
                if whole(f"ZTILE{number}", 1) > max(side, 1):
                    raise make_damage_error(path, "a tile is larger than the picture")
            whole("TFIELDS", most=MAX_AXES)  # Astropy loops over as many columns as it states
            stored = whole("ZBITPIX", least=-64, most=64)
    return FitsUnit(
        text=text,
        header=header,
        offset=offset,
        data_bytes=abs(bits) // 8 * count * (heap + samples),
        shape=shape[::-1],
        bits=stored,
        is_image=packed or (kind in ("IMAGE", "IUEIMAGE") and not groups),
        packed=packed,
    )


@contextmanager
def unpack_file(path: Path, plain: BinaryIO) -> Iterator[BinaryIO]:
    """Provide an open file from its beginning, decompressed if it is gzip.

    Damage in the gzip raises OSError or EOFError.
    """
    plain.seek(0)
    start = plain.read(2)
    plain.seek(0)
    if not start.startswith(GZIP_SIGNATURE):
        yield plain
        return
    with gzip.open(plain) as stream:
        try:
            yield stream  # type: ignore[misc]
        except (zlib.error, gzip.BadGzipFile) as error:
            raise make_damage_error(path, "its gzip cannot be unpacked") from error


def units(path: Path, stream: BinaryIO) -> Iterator[FitsUnit]:
    """Yield the units of a FITS file from the first; data are skipped."""
    for _ in range(MAX_UNITS):
        blocks: list[bytes] = []
        is_whole = False
        while not is_whole:  # up to the END card
            block = stream.read(BLOCK)
            # The end of the file, or data that may follow the last unit (FITS Standard 4.0, 3.5)
            if not blocks and not block.startswith((b"SIMPLE", b"XTENSION")):
                return
            blocks.append(block)
            is_whole = any(block[at : at + CARD] == END_CARD for at in range(0, BLOCK, CARD))
            if len(block) < BLOCK or (len(blocks) == MAX_BLOCKS and not is_whole):
                raise make_damage_error(path, "a header has no end")
        unit = _interpret_header(path, b"".join(blocks), stream.tell())
        yield unit
        after = unit.offset + -(-unit.data_bytes // BLOCK) * BLOCK
        if isinstance(stream, gzip.GzipFile) and after > MAX_UNPACKED_BYTES:
            raise FrameError(
                f"{path} has no picture within the first {MAX_UNPACKED_BYTES // 1_000_000} "
                "megabytes unpacked; unpack it and give only the picture"
            )
        stream.seek(after)


@dataclass(frozen=True, kw_only=True)
class FitsImage:
    """A FITS image, row 0 first; ``light`` has shape (h, w) or (h, w, 3), all else (h, w)."""

    # Samples over `full_scale`, with their sign; missing samples are the median.
    light: NDArray[np.float32]
    # 1 where a sample reaches the header's SATURATE or the end of its integer type.
    saturated: NDArray[np.float32]
    missing: NDArray[np.bool_]  # true where the file has no value: NaN, BLANK, infinite or absurd
    full_scale: float  # samples per unit of light, in the unit of the file


def is_fits(path: Path, plain: BinaryIO) -> bool:
    """Whether an open file is FITS, plain or in gzip, by its first bytes."""
    try:
        with unpack_file(path, plain) as stream:
            return stream.read(len(FITS_SIGNATURE)) == FITS_SIGNATURE
    except (OSError, EOFError):
        return False


def read_fits_headers(path: Path, plain: BinaryIO) -> tuple[int, int, list[Header]]:
    """Return width and height of the first image of an open file; nothing is decoded.

    Also the headers about it: its own, and the file's first.
    """
    with raise_as_frame_error(path), unpack_file(path, plain) as stream:
        first, unit = _find_image(path, stream)
    headers = [unit.header] if unit is first else [unit.header, first.header]
    return *_size_of(path, unit), headers


def _size_of(path: Path, unit: FitsUnit) -> tuple[int, int]:
    """Return width and height of an image; FrameError if it is too large to decode."""
    height, width = _plane_shape(unit.shape) or (0, 0)
    wide = abs(unit.bits) > 16 and unit.bits != -32  # needs double precision
    limit = MAX_SAMPLES // 2 if wide else MAX_SAMPLES
    if math.prod(unit.shape) > limit:
        size = f"{width} x {height} pixels of {abs(unit.bits)} bits, "
        raise make_size_error(path, size, limit_px=limit)
    return width, height


def read_fits_image(path: Path) -> FitsImage:
    """Read the linear light of the first image of a FITS file."""
    with raise_as_frame_error(path):
        with open_regular(path) as plain, unpack_file(path, plain) as stream:
            _, unit = _find_image(path, stream)
            _size_of(path, unit)
            header, stored = _samples(path, unit, stream)
        samples = stored
        while samples.ndim > 2 and samples.shape[0] == 1:
            samples = samples[0]
        if samples.ndim == 3 and samples.shape[0] == _COLOURS:
            samples = np.moveaxis(samples, 0, -1)
        samples = np.ascontiguousarray(samples, samples.dtype.newbyteorder("="))
        blank = header.get("BLANK")
        integer = samples.dtype.kind in "iu"
        is_narrow = samples.dtype.itemsize <= 2 or samples.dtype == np.float32
        values: NDArray[Any] = samples.astype(np.float32 if is_narrow else np.float64)
        if integer and blank is not None:
            values[samples == blank] = np.nan
        zero, slope = _number(header, "BZERO", 0.0), _number(header, "BSCALE", 1.0)
        if (zero, slope) != (0.0, 1.0):
            with np.errstate(over="ignore", invalid="ignore"):
                values *= slope
                values += zero
        # The saturation level: SATURATE, else the end of an integer type of 8 or 16 bits
        top: float | None = _number(header, "SATURATE", 0.0)
        if not top or top < 0.0:
            small = integer and samples.dtype.itemsize <= 2
            top = float(np.iinfo(samples.dtype).max) * slope + zero if small else None
        del stored, samples
    return _as_light(path, values, top)


def _find_image(path: Path, stream: BinaryIO) -> tuple[FitsUnit, FitsUnit]:
    """Return the first unit, and the first with an image; later units are not read."""
    first, cubes = None, []
    for unit in units(path, stream):
        first = first or unit
        if unit.is_image and _plane_shape(unit.shape):
            return first, unit
        if unit.is_image and len(unit.shape) > 1:
            cubes.append(" x ".join(str(side) for side in reversed(unit.shape)))
    what = f"its only arrays have {', '.join(cubes[:3])} samples" if cubes else "it has no data"
    raise FrameError(
        f"{path} is a FITS file without a two-dimensional image ({what}); give a file with one "
        "picture, grey or red, green and blue"
    )


def _samples(path: Path, unit: FitsUnit, stream: BinaryIO) -> tuple[Header, NDArray[Any]]:
    """Return a unit's header as that of a plain image, and its samples as stored."""
    if unit.data_bytes > MAX_SAMPLES * 8:
        raise make_damage_error(path, "its data are longer than its picture")
    stream.seek(unit.offset)
    # More bytes must not be allocated
    most = MAX_SAMPLES * 8 if isinstance(stream, gzip.GzipFile) else path.stat().st_size
    data = stream.read(min(unit.data_bytes, most))
    if len(data) < unit.data_bytes:
        raise make_damage_error(path, f"it has {len(data)} of {unit.data_bytes} bytes of data")
    if not unit.packed:
        return unit.header, np.frombuffer(data, _STORED[unit.bits]).reshape(unit.shape)
    from astropy.io import fits

    first = fits.PrimaryHDU().header.tostring().encode("ascii")
    content = first + unit.text + data + bytes(-len(data) % BLOCK)
    # Its decompression writes beyond its memory
    if str(unit.header.get("ZCMPTYPE")).strip() == "HCOMPRESS_1":
        raise FrameError(
            f"{path} is compressed by HCOMPRESS, which is not supported: unpack it with funpack"
        )
    # Samples as stored: astropy scales integers differently with and without a BLANK
    with fits.open(io.BytesIO(content), memmap=False, do_not_scale_image_data=True) as hdus:
        samples = np.asarray(hdus[1].data)
        if samples.shape != unit.shape:
            raise make_damage_error(path, "its unpacked size differs from the stated one")
        return hdus[1].header.copy(), samples


def _plane_shape(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return height and width of an image plane; None if the data are not a picture."""
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) == 3 and shape[0] == _COLOURS:
        shape = shape[1:]
    elif len(shape) == 3 and shape[2] == _COLOURS:
        shape = shape[:2]
    return (shape[0], shape[1]) if len(shape) == 2 and min(shape) > 0 else None


def _number(header: Header, name: str, default: float) -> float:
    """Return a number of the header; the default if it is missing or not a finite number."""
    try:
        value = float(header.get(name, default))
    except (TypeError, ValueError, OverflowError):
        return default
    return value if math.isfinite(value) else default


def _as_light(path: Path, values: NDArray[Any], top: float | None) -> FitsImage:
    """Convert samples to light in place."""
    grey = values.ndim == 2
    missing = np.asarray(~np.isfinite(values))
    if missing.all():
        raise FrameError(f"{path} is a FITS image without any value; get the file again")
    with np.errstate(invalid="ignore"):
        clipped = np.zeros(values.shape, bool) if top is None else values >= top
    there = values[~missing] if missing.any() else values.reshape(-1)
    middle = float(np.median(there))
    full = float(there.max()) if top is None else top
    full = full if full > 0.0 else float(np.abs(there).max()) or 1.0
    del there
    # Standard deviation of the noise, from differences of neighbours in 400 rows; 0 if none
    rows = (values if grey else values[..., 1])[:: max(1, len(values) // 400)]
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.abs(rows[:, 1:] - rows[:, :-1])
    steps = steps[np.isfinite(steps)]
    noise = 1.4826 / 2.0**0.5 * float(np.median(steps)) if steps.size else 0.0
    if 0.0 < noise < MIN_NOISE * full:
        full = noise / MIN_NOISE
    values[missing] = middle
    with np.errstate(over="ignore"):
        values /= full
    absurd = ~((values <= MAX_LIGHT) & (values >= -MAX_LIGHT))
    values[absurd] = middle / full
    missing |= absurd
    if not grey:
        missing, clipped = np.asarray(missing.any(axis=2)), np.asarray(clipped.any(axis=2))
    return FitsImage(
        light=values.astype(np.float32, copy=False),
        saturated=(clipped & ~missing).astype(np.float32),
        missing=missing,
        full_scale=full,
    )
