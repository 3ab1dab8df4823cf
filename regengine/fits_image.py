"""FITS images: the first two-dimensional one of a file, as linear light with its gaps."""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from regengine.decoding import damaged, decoding, too_large
from regengine.errors import FrameError
from regengine.fits_units import BLOCK, FitsUnit, is_gzip, units, unpacked
from regengine.fits_wavelets import check_wavelets

if TYPE_CHECKING:
    from astropy.io.fits import Header

FITS_SIGNATURE = b"SIMPLE  ="
# Samples that are decoded: a full-frame camera for astronomy has 61 million. With all that is
# made of them one takes 18 bytes, or 36 where it needs double precision: 1.2 GB at the most.
MAX_SAMPLES = 64_000_000
_STORED = {8: "u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
# Detectors take noise below one step of 8-bit sRGB in the dark over sqrt(12), 8.8e-5, for rounding.
# Light is scaled so that the noise of the file lies above that; 1 is then 4,500 sigma or more.
LEAST_NOISE = 2.2e-4
# Nothing real is 45 million sigma away: such samples are marks of bad pixels
MOST_LIGHT = 1e4
NOISE_ROWS = 400  # of the image, to estimate its noise from
_COLOURS = 3


@dataclass(frozen=True, kw_only=True)
class FitsImage:
    """A FITS image, row 0 first.

    Attributes
    ----------
    light : ndarray of float32, shape (h, w) or (h, w, 3)
        Samples over `full_scale`, with their sign; missing ones hold the median.
    saturated : ndarray of float32, shape (h, w)
        1 where a sample reaches the header's SATURATE or the end of its integer type.
    missing : ndarray of bool, shape (h, w)
        True where the file has no value: NaN, BLANK, infinite or absurd.
    full_scale : float
        Samples per unit of light, in the unit of the file.
    """

    light: NDArray[np.float32]
    saturated: NDArray[np.float32]
    missing: NDArray[np.bool_]
    full_scale: float


def is_fits(path: Path, start: bytes | None = None) -> bool:
    """Whether a file is FITS, plain or in gzip, by its first bytes, which may be known already."""
    try:
        if start is None:
            with path.open("rb") as plain:
                start = plain.read(len(FITS_SIGNATURE))
        if start.startswith(FITS_SIGNATURE):
            return True
        if not is_gzip(start):
            return False
        with unpacked(path) as stream:
            return stream.read(len(FITS_SIGNATURE)) == FITS_SIGNATURE
    except (OSError, EOFError):
        return False


def fits_size(path: Path) -> tuple[int, int]:
    """Width and height of the first image of a FITS file; nothing is decoded.

    Parameters
    ----------
    path : Path
        A FITS file, also with compressed HDUs or in gzip.

    Returns
    -------
    tuple of int
        Pixels.

    Raises
    ------
    FrameError
        If the file is damaged, holds no image of two axes, or one too large to be decoded.
    """
    with decoding(path), unpacked(path) as stream:
        unit = _image_unit(path, units(path, stream))
    height, width = _plane_shape(unit.shape) or (0, 0)
    wide = abs(unit.bits) > 16 and unit.bits != -32  # what only double precision holds
    limit = MAX_SAMPLES // 2 if wide else MAX_SAMPLES
    if math.prod(unit.shape) > limit:
        size = f"{width} x {height} pixels of {abs(unit.bits)} bits, "
        raise too_large(path, size, limit_px=limit)
    return width, height


def fits_headers(path: Path) -> list[Header]:
    """Headers that tell of the image: its own, and the file's first.

    Raises
    ------
    FrameError
        As of `fits_size`.
    """
    with decoding(path), unpacked(path) as stream:
        walk = units(path, stream)
        first = next(walk, None)
        unit = _image_unit(path, chain(() if first is None else (first,), walk))
    return [unit.header] if first is None or unit is first else [unit.header, first.header]


def read_fits_image(path: Path) -> FitsImage:
    """Linear light of the first image of a FITS file.

    Parameters
    ----------
    path : Path
        A FITS file, also with compressed HDUs or in gzip. The first HDU with an image of two
        axes counts, or of three if one of them holds red, green and blue.

    Returns
    -------
    FitsImage

    Raises
    ------
    FrameError
        If the file is damaged, holds no such image, one too large to be decoded, or one without
        a single value.
    """
    fits_size(path)  # refuses what should not be decoded
    with decoding(path):
        with unpacked(path) as stream:
            unit = _image_unit(path, units(path, stream))
            header, stored = _samples(path, unit, stream)
        samples = _with_colours_last(stored)
        blank = header.get("BLANK")
        integer = samples.dtype.kind in "iu"
        exact = np.float32 if samples.dtype.itemsize <= 2 else np.float64
        values: NDArray[Any] = samples.astype(
            np.float32 if samples.dtype.kind == "f" and samples.dtype.itemsize == 4 else exact
        )
        if integer and blank is not None:
            values[samples == blank] = np.nan
        zero, slope = _number(header, "BZERO", 0.0), _number(header, "BSCALE", 1.0)
        if (zero, slope) != (0.0, 1.0):
            with np.errstate(over="ignore", invalid="ignore"):
                values *= slope
                values += zero
        top = _top(header, samples.dtype, zero, slope)
        del stored, samples
    return _as_light(path, values, top)


def _image_unit(path: Path, found: Iterable[FitsUnit]) -> FitsUnit:
    """The first unit with an image; the others are not even looked at."""
    cubes = []
    for unit in found:
        if not unit.is_image:
            continue
        if _plane_shape(unit.shape):
            return unit
        if len(unit.shape) > 1:
            cubes.append(" x ".join(str(side) for side in reversed(unit.shape)))
    what = f"its only arrays have {', '.join(cubes[:3])} samples" if cubes else "it has no data"
    raise FrameError(
        f"{path} is a FITS file without an image of two axes ({what}); "
        "give a file with one picture, grey or red, green and blue"
    )


def _samples(path: Path, unit: FitsUnit, stream: BinaryIO) -> tuple[Header, NDArray[Any]]:
    """A unit's header as that of a plain image, and its samples as they are stored.

    Astropy is given the bytes of a packed unit alone: it neither walks nor unpacks the rest.
    """
    if unit.data_bytes > MAX_SAMPLES * 8:
        raise damaged(path, "its data are longer than its picture")
    stream.seek(unit.offset)
    data = stream.read(min(unit.data_bytes, _longest(path, stream)))
    if len(data) < unit.data_bytes:
        raise damaged(path, f"it has {len(data)} of {unit.data_bytes} bytes of data")
    if not unit.packed:
        return unit.header, np.frombuffer(data, _STORED[unit.bits]).reshape(unit.shape)
    from astropy.io import fits

    first = fits.PrimaryHDU().header.tostring().encode("ascii")
    content = first + unit.text + data + bytes(-len(data) % BLOCK)
    if str(unit.header.get("ZCMPTYPE")).strip() == "HCOMPRESS_1":
        tile = [int(unit.header.get(f"ZTILE{k}", 1)) for k in range(len(unit.shape), 0, -1)]
        table = fits.open(io.BytesIO(content), memmap=False, disable_image_compression=True)
        with table as hdus:
            check_wavelets(path, hdus[1].data["COMPRESSED_DATA"], unit.shape, tuple(tile))
    # Samples as stored: astropy scales integers with a BLANK in other ways than those without
    with fits.open(io.BytesIO(content), memmap=False, do_not_scale_image_data=True) as hdus:
        samples = np.asarray(hdus[1].data)
        if samples.shape != unit.shape:
            raise damaged(path, "it unpacks to another size than it says")
        return hdus[1].header.copy(), samples


def _longest(path: Path, stream: BinaryIO) -> int:
    """Bytes that can be there at the most: reading more would take memory for nothing."""
    return MAX_SAMPLES * 8 if isinstance(stream, gzip.GzipFile) else path.stat().st_size


def _plane_shape(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Height and width of an image's plane; None where it is no picture."""
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    if len(shape) == 3 and shape[0] == _COLOURS:
        shape = shape[1:]
    elif len(shape) == 3 and shape[2] == _COLOURS:
        shape = shape[:2]
    return (shape[0], shape[1]) if len(shape) == 2 and min(shape) > 0 else None


def _with_colours_last(samples: NDArray[Any]) -> NDArray[Any]:
    while samples.ndim > 2 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim == 3 and samples.shape[0] == _COLOURS:
        samples = np.moveaxis(samples, 0, -1)
    return np.ascontiguousarray(samples, samples.dtype.newbyteorder("="))


def _number(header: Header, name: str, default: float) -> float:
    """A number of the header; the default where it is missing, text or no finite number."""
    try:
        value = float(header.get(name, default))
    except (TypeError, ValueError, OverflowError):
        return default
    return value if math.isfinite(value) else default


def _top(header: Header, stored: np.dtype[Any], zero: float, slope: float) -> float | None:
    """Where samples are clipped: SATURATE, else the end of an integer type of 8 or 16 bits."""
    saturate = _number(header, "SATURATE", 0.0)
    if saturate > 0.0:
        return saturate
    if stored.kind in "iu" and stored.itemsize <= 2:
        return float(np.iinfo(stored.name).max) * slope + zero
    return None


def _as_light(path: Path, values: NDArray[Any], top: float | None) -> FitsImage:
    """Samples as light; they are changed in place."""
    grey = values.ndim == 2
    missing = np.asarray(~np.isfinite(values))
    if missing.all():
        raise FrameError(f"{path} is a FITS image without a single value; get the file again")
    with np.errstate(invalid="ignore"):
        clipped = np.zeros(values.shape, bool) if top is None else values >= top
    there = values[~missing] if missing.any() else values.reshape(-1)
    middle = float(np.median(there))
    full = float(there.max()) if top is None else top
    full = full if full > 0.0 else float(np.abs(there).max()) or 1.0
    del there
    noise = _noise(values if grey else values[..., 1])
    if 0.0 < noise < LEAST_NOISE * full:
        full = noise / LEAST_NOISE
    values[missing] = middle
    with np.errstate(over="ignore"):
        values /= full
    absurd = ~((values <= MOST_LIGHT) & (values >= -MOST_LIGHT))
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


def _noise(values: NDArray[Any]) -> float:
    """Standard deviation of the noise, out of differences of neighbours; 0 where it has none."""
    rows = values[:: max(1, values.shape[0] // NOISE_ROWS)]
    with np.errstate(invalid="ignore", over="ignore"):
        steps = np.abs(rows[:, 1:] - rows[:, :-1])
    steps = steps[np.isfinite(steps)]
    return 1.4826 / 2.0**0.5 * float(np.median(steps)) if steps.size else 0.0
