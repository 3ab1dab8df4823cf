"""Read photos as arrays: linear light for measurement, display colours for drawing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.masks import mask_caption_strips
from regengine.errors import FrameError
from regengine.io.decoding import raise_as_frame_error
from regengine.photo.decode import (
    Reduction,
    Strip,
    check_unchanged,
    open_picture,
    plan_reduction,
    read_strips,
    reduce_around_gaps,
)
from regengine.photo.fits import FitsImage, read_fits_image
from regengine.photo.formats import PhotoFile, as_photo_file
from regengine.photo.raw import decode_raw

# Linear-light luminance of sRGB's primaries (IEC 61966-2-1).
LUMINANCE_WEIGHTS = (0.2126, 0.7152, 0.0722)
# A sample counts as clipped from 252 of 255 on: JPEG compression spreads a clipped plateau over the
# last few values.
CLIPPED_FROM = 252.0 / 255.0
# In display colours of FITS images, black is this many sigma below the median, and light is
# compressed above this many sigma over it
BLACK_SIGMAS, LINEAR_SIGMAS = 2.0, 4.0
CAPTION_MARGIN_PX = 3  # margin of pictures next to their captions
WHITE_SHARE = 0.9995  # share of the pixels below white
MIN_WHITE_SIGMAS = 40.0


@dataclass(frozen=True, kw_only=True)
class LinearLight:
    """A photo as linear luminance.

    ``light`` (float32, height x width, 0 to 1; any sign for FITS images) and ``saturated``
    (float32, same shape, share of the pixel's area in which a colour is clipped). A position (x, y)
    of the stored picture is at ((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5) in these
    arrays. ``missing`` (bool, same shape) is true where the file has no values, or None if it has
    all. ``full_scale`` is the value of light 1 in units of the file: other than 1 only for FITS
    images.
    """

    light: NDArray[np.float32]
    saturated: NDArray[np.float32]
    factor: float
    missing: NDArray[np.bool_] | None = None
    full_scale: float = 1.0

    def without(self, mask: NDArray[np.bool_] | None = None) -> NDArray[np.bool_] | None:
        """Return the pixels to ignore: those of a mask and those without values; None if none."""
        if mask is None or self.missing is None:
            return self.missing if mask is None else mask
        return mask | self.missing


def mask_captions(light: LinearLight) -> NDArray[np.bool_]:
    """Mask white strips along the picture's borders, into which archives print captions."""
    return mask_caption_strips(light.saturated > 0.5, margin_px=CAPTION_MARGIN_PX)


def read_linear_light(
    photo: Path | PhotoFile,
    *,
    max_long_side_px: int,
    whole_mosaic: bool = False,
    small_jpeg: bool = False,
) -> LinearLight:
    """Read the linear luminance of a photo, reduced by area averages.

    The inverse of the sRGB curve (IEC 61966-2-1) is applied to samples before averaging, so that a
    lamp keeps its flux. Embedded colour profiles are not applied. Transparent parts are dark. Raw
    and FITS files are linear already. Pixels are as stored: the EXIF orientation is not applied.
    Pictures smaller than the requested size are not enlarged.

    ``whole_mosaic`` interpolates the colours of raw files even if the picture is reduced by a
    factor of two or more. It takes four times as long. Without it, a coloured star is displaced by
    up to 0.1 stored pixels, because red and blue are sampled on opposite sides of each block.

    ``small_jpeg`` starts from the result of `read_small_jpeg`, of at least twice the requested
    size. It takes half the time, but lamps narrower than two pixels lose flux: not for photometry.

    Raises FrameError if the file is not a readable image, or is damaged or truncated.
    """
    file = as_photo_file(photo)
    reduction = plan_reduction(file.width_px, file.height_px, max_long_side_px)
    if file.format == "fits":
        return _fits_light(_fits_image(file), reduction)
    small = read_small_jpeg(file, 2 * max_long_side_px) if small_jpeg else None
    light, saturated = _planes(
        file, reduction, _strip_light, whole_mosaic=whole_mosaic, small=small
    )
    return LinearLight(light=light, saturated=saturated, factor=reduction.factor)


def read_small_jpeg(file: PhotoFile, min_long_side_px: int) -> NDArray[np.uint8] | None:
    """Read the display colours of a JPEG, shape (h, w, 3), not much larger than requested.

    The JPEG is decoded (by its own cosine transform) at the smallest of the scales 1, 1/2, 1/4 and
    1/8 that has enough pixels. The last result is cached. Returns None if the file is not a JPEG or
    has four inks. Raises FrameError as `read_linear_light` does.
    """
    if file.format != "jpeg":
        return None
    longest, status = max(file.width_px, file.height_px), file.path.stat()
    divisor = max(d for d in (1, 2, 4, 8) if d == 1 or longest >= d * min_long_side_px)
    return _small_jpeg(file, divisor, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _small_jpeg(
    file: PhotoFile, divisor: int, _modified_ns: int, _bytes: int
) -> NDArray[np.uint8] | None:
    from PIL import Image

    with (
        raise_as_frame_error(file.path),
        open_picture(file) as stream,
        Image.open(stream, formats=["JPEG"]) as image,
    ):
        check_unchanged(file, *image.size)
        if image.mode not in ("RGB", "L"):
            return None
        # Sides that are not divisible are rounded up: the scene model was trained on such pictures
        size = math.ceil(image.width / divisor), math.ceil(image.height / divisor)
        image.draft(image.mode, size)
        # Avoids a copy if the picture is in colour already
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_linear_channels(
    photo: Path | PhotoFile, *, max_long_side_px: int
) -> tuple[NDArray[np.float32], float]:
    """Read the linear light of each channel, and its scale, as `read_linear_light` does.

    Red, green and blue, or grey, shape (height, width, 3 or 1).
    """
    file = as_photo_file(photo)
    reduction = plan_reduction(file.width_px, file.height_px, max_long_side_px)
    if file.format == "fits":
        fits = _fits_image(file)
        light = fits.light if fits.light.ndim == 3 else fits.light[..., None]
        return reduce_around_gaps(light, fits.missing, reduction)[0], reduction.factor
    return np.stack(_planes(file, reduction, _strip_channels), axis=-1), reduction.factor


def read_linear_colours(
    photo: Path | PhotoFile, *, max_long_side_px: int
) -> tuple[LinearLight, NDArray[np.float32]]:
    """Read what `read_linear_light` and `read_linear_channels` give, in one decoding."""
    file = as_photo_file(photo)
    reduction = plan_reduction(file.width_px, file.height_px, max_long_side_px)
    if file.format == "fits":
        channels, _ = read_linear_channels(file, max_long_side_px=max_long_side_px)
        return _fits_light(_fits_image(file), reduction), channels
    light, saturated, *planes = _planes(
        file,
        reduction,
        lambda strip, linear: [*_strip_light(strip, linear), *_strip_channels(strip, linear)],
    )
    picture = LinearLight(light=light, saturated=saturated, factor=reduction.factor)
    return picture, np.stack(planes, axis=-1)


def reduce_light(light: LinearLight, max_long_side_px: int) -> LinearLight:
    """Reduce linear light again by area averages, to a maximum length of its longer side."""
    height, width = light.light.shape
    reduction = plan_reduction(width, height, max_long_side_px)
    missing = np.zeros((height, width), bool) if light.missing is None else light.missing
    down, gaps = reduce_around_gaps(light.light, missing, reduction)
    return LinearLight(
        light=down,
        saturated=reduce_around_gaps(light.saturated, missing, reduction)[0],
        factor=light.factor * reduction.factor,
        missing=gaps if gaps.any() else None,
        full_scale=light.full_scale,
    )


def read_display_rgb(
    photo: Path | PhotoFile, max_long_side_px: int
) -> tuple[NDArray[np.uint8], float]:
    """Read display colours, to draw on, and their scale; errors are those of `read_linear_light`.

    Red, green, blue, sRGB, shape (height, width, 3), as stored; transparent parts are black.
    """
    file = as_photo_file(photo)
    reduction = plan_reduction(file.width_px, file.height_px, max_long_side_px)
    if file.format == "fits":
        light, _ = read_linear_channels(file, max_long_side_px=max_long_side_px)
        return _compress_colours(light), reduction.factor
    (rgb,) = _planes(file, reduction, _strip_rgb, for_display=True)
    return rgb, reduction.factor


def _planes(
    file: PhotoFile,
    reduction: Reduction,
    planes_of: Callable[[Strip, bool], Sequence[NDArray[Any]]],
    *,
    whole_mosaic: bool = False,
    for_display: bool = False,
    small: NDArray[np.uint8] | None = None,
) -> list[NDArray[Any]]:
    """Return reduced planes that are computed from strips, and whether the strips are linear light.

    The strips are those of ``small``, if given: the same picture at a fraction of its size.
    """
    if file.format == "raw":
        halved = reduction.factor <= 0.5 and not whole_mosaic
        picture, scale = _raw_picture(file, halved=halved, for_display=for_display)
        whole = list(planes_of(Strip(samples=picture), True))
    else:
        divisor = 1 if small is None else round(file.width_px / small.shape[1])
        blocks = replace(reduction, block=reduction.block // divisor)
        scale, rows = 1.0 / (divisor * blocks.block), blocks.strip_rows
        strips = read_strips(file, rows)
        if small is not None:
            tops = range(0, len(small), rows)
            strips = (Strip(samples=small[top : top + rows]) for top in tops)
        parts = [[blocks.blocks_of(plane) for plane in planes_of(strip, False)] for strip in strips]
        whole = [np.concatenate(plane) for plane in zip(*parts, strict=True)]
    return [reduction.finish(plane, scale=scale) for plane in whole]


def _compress_colours(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Compress linear light of any range, shape (h, w, 1 or 3), to colours that show faint light.

    References
    ----------
    Lupton, R. et al. (2004). Preparing red-green-blue images from CCD data. PASP 116, 133-137.
    """
    planes = []
    for k in range(light.shape[2]):
        plane = light[..., k].astype(np.float64)
        middle = np.median(plane)
        # Only the darker half: stars and nebulae are excluded
        sigma = 1.4826 * float(np.median(middle - plane[plane <= middle]))
        planes.append((plane - middle, sigma))
    sigma = max(sigma for _, sigma in planes)
    above = np.stack([plane for plane, _ in planes], axis=-1)
    white = float(np.quantile(above, WHITE_SHARE))
    if sigma == 0.0:
        sigma = white / MIN_WHITE_SIGMAS if white > 0.0 else 1.0
    white = max(white, MIN_WHITE_SIGMAS * sigma)
    softening = LINEAR_SIGMAS * sigma
    low = np.arcsinh(-BLACK_SIGMAS * sigma / softening)
    value = (np.arcsinh(above / softening) - low) / (np.arcsinh(white / softening) - low)
    rgb = np.rint(255.0 * np.clip(value, 0.0, 1.0)).astype(np.uint8)
    return rgb if rgb.shape[2] == 3 else np.repeat(rgb, 3, axis=2)


def _fits_image(file: PhotoFile) -> FitsImage:
    fits = read_fits_image(file.path)
    height, width = fits.missing.shape
    check_unchanged(file, width, height)
    return fits


def _fits_light(fits: FitsImage, reduction: Reduction) -> LinearLight:
    grey = fits.light
    if grey.ndim == 3:
        grey = grey @ np.array(LUMINANCE_WEIGHTS, np.float32)
    light, missing = reduce_around_gaps(grey, fits.missing, reduction)
    return LinearLight(
        light=light,
        saturated=reduce_around_gaps(fits.saturated, fits.missing, reduction)[0],
        factor=reduction.factor,
        missing=missing if missing.any() else None,
        full_scale=fits.full_scale,
    )


def _raw_picture(
    file: PhotoFile, *, halved: bool, for_display: bool
) -> tuple[NDArray[np.uint16], float]:
    """Read a raw file and its scale; if halved, with one pixel per block of the colour filter."""
    scale = 0.5 if halved else 1.0
    picture = decode_raw(file.path, half_size=halved, for_display=for_display)
    shape = (math.ceil(file.height_px * scale), math.ceil(file.width_px * scale))
    if picture.shape[:2] != shape:  # LibRaw stretches non-square pixels and rotates slanted sensors
        raise FrameError(
            f"{file.path} is from a sensor with non-square pixels; give the camera's JPEG or a "
            "TIFF of it"
        )
    return picture, scale


@cache
def _curve(full_scale: int, linear: bool) -> NDArray[np.float32]:
    """Return the linear light, 0 to 1, of every possible sample value."""
    value = np.arange(full_scale + 1) / full_scale
    if not linear:
        value = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return value.astype(np.float32)


def _strip_light(strip: Strip, linear: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return luminance and clipped pixels of a strip at full resolution."""
    full_scale = int(np.iinfo(strip.samples.dtype).max)
    curve = _curve(full_scale, linear)
    if strip.samples.ndim == 2:
        light, largest = _look_up(strip.samples, curve), strip.samples
    else:
        red, green, blue = cv2.split(strip.samples)
        light = _look_up(red, curve * np.float32(LUMINANCE_WEIGHTS[0]))
        light += _look_up(green, curve * np.float32(LUMINANCE_WEIGHTS[1]))
        light += _look_up(blue, curve * np.float32(LUMINANCE_WEIGHTS[2]))
        largest = np.maximum(np.maximum(red, green), blue)
    saturated = (largest >= math.ceil(CLIPPED_FROM * full_scale)).astype(np.float32)
    if strip.alpha is not None:
        opacity = strip.alpha.astype(np.float32) / np.float32(full_scale)
        light *= opacity
        saturated *= opacity
    return light, saturated


def _strip_channels(strip: Strip, linear: bool) -> list[NDArray[np.float32]]:
    """Return the linear light of each channel of a strip at full resolution."""
    full_scale = int(np.iinfo(strip.samples.dtype).max)
    curve = _curve(full_scale, linear)
    grey = strip.samples.ndim == 2
    planes = [strip.samples] if grey else [strip.samples[..., i] for i in range(3)]
    light = [_look_up(np.ascontiguousarray(plane), curve) for plane in planes]
    if strip.alpha is not None:
        opacity = strip.alpha.astype(np.float32) / np.float32(full_scale)
        light = [plane * opacity for plane in light]
    return light


def _look_up(samples: NDArray[Any], curve: NDArray[np.float32]) -> NDArray[np.float32]:
    if samples.dtype == np.uint8:
        # Three times faster than indexing.
        return np.asarray(cv2.LUT(samples, curve), np.float32)
    return curve[samples]


def _strip_rgb(strip: Strip, _linear: bool) -> tuple[NDArray[np.uint8]]:
    """Return display colours; raw pictures are in display colours already."""
    samples = strip.samples if strip.samples.ndim == 3 else np.stack([strip.samples] * 3, -1)
    if samples.dtype == np.uint16:
        samples = (samples >> 8).astype(np.uint8)
    if strip.alpha is not None:
        opacity = strip.alpha.astype(np.float32) / np.iinfo(strip.alpha.dtype).max
        samples = (samples * opacity[..., None] + 0.5).astype(np.uint8)
    return (np.ascontiguousarray(samples),)
