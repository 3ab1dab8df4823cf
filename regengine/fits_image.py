"""FITS images: the first two-dimensional one of a file, as linear light with its gaps."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regengine.decoding import decoding
from regengine.errors import FrameError

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header

FITS_SIGNATURE = b"SIMPLE  ="
_GZIP_SIGNATURE = b"\x1f\x8b"
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
        if start.startswith(_GZIP_SIGNATURE):
            with gzip.open(path) as stream:
                start = stream.read(len(FITS_SIGNATURE))
    except (OSError, EOFError):
        return False
    return start.startswith(FITS_SIGNATURE)


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
        If the file is damaged or holds no image of two axes.
    """
    with decoding(path), _opened(path) as hdus:
        shape = hdus[_image_index(path, hdus)].shape
    height, width = _plane_shape(shape) or (0, 0)
    return width, height


def fits_headers(path: Path) -> list[Header]:
    """Headers that tell of the image: its own, and the file's first.

    Raises
    ------
    FrameError
        As of `fits_size`.
    """
    with decoding(path), _opened(path) as hdus:
        index = _image_index(path, hdus)
        return [hdus[number].header.copy() for number in dict.fromkeys((index, 0))]


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
        If the file is damaged, holds no such image, or one without a single value.
    """
    with decoding(path), _opened(path) as hdus:
        hdu = hdus[_image_index(path, hdus)]
        header = hdu.header
        samples = _with_colours_last(np.asarray(hdu.data))
        blank = header.get("BLANK")
        integer = samples.dtype.kind in "iu"
        exact = np.float32 if samples.dtype.itemsize <= 2 else np.float64
        values: NDArray[Any] = samples.astype(exact)
        if integer and blank is not None:
            values[samples == blank] = np.nan
        zero, slope = _number(header, "BZERO", 0.0), _number(header, "BSCALE", 1.0)
        if (zero, slope) != (0.0, 1.0):
            values = values * slope + zero
        top = _top(header, samples.dtype, zero, slope)
    return _as_light(path, values, top)


def _opened(path: Path) -> HDUList:
    from astropy.io import fits

    # Samples as stored: astropy scales integers with a BLANK in other ways than those without
    return fits.open(path, memmap=False, do_not_scale_image_data=True, lazy_load_hdus=True)


def _image_index(path: Path, hdus: HDUList) -> int:
    """Number of the first HDU with an image; the others are not even looked at."""
    cubes = []
    index = 0
    while True:
        try:
            hdu = hdus[index]
        except IndexError:
            break
        if getattr(hdu, "is_image", False):
            shape = tuple(hdu.shape)
            if _plane_shape(shape):
                return index
            if len(shape) > 1:
                cubes.append(" x ".join(str(side) for side in reversed(shape)))
        index += 1
    what = f"its only arrays have {', '.join(cubes[:3])} samples" if cubes else "it has no data"
    raise FrameError(
        f"{path} is a FITS file without an image of two axes ({what}); "
        "give a file with one picture, grey or red, green and blue"
    )


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
    except (TypeError, ValueError):
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
    grey = values.ndim == 2
    missing = np.asarray(~np.isfinite(values))
    if missing.all():
        raise FrameError(f"{path} is a FITS image without a single value; get the file again")
    with np.errstate(invalid="ignore"):
        clipped = np.zeros(values.shape, bool) if top is None else values >= top
    middle = float(np.median(values[~missing]))
    full = float(values[~missing].max()) if top is None else top
    full = full if full > 0.0 else float(np.abs(values[~missing]).max()) or 1.0
    noise = _noise(values if grey else values[..., 1])
    if 0.0 < noise < LEAST_NOISE * full:
        full = noise / LEAST_NOISE
    values = np.where(missing, middle, values) / full
    absurd = np.abs(values) > MOST_LIGHT
    light = np.where(absurd, middle / full, values).astype(np.float32)
    missing = np.asarray(missing | absurd, bool)
    if not grey:
        missing, clipped = np.asarray(missing.any(axis=2)), np.asarray(clipped.any(axis=2))
    return FitsImage(
        light=light,
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
