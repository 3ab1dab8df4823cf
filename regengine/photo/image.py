"""Read photos as arrays: linear light for measurement, display colours for drawing."""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp as Band

from detectors.masks import mask_caption_strips
from regengine.errors import FrameError
from regengine.io.decoding import capture_stderr, open_regular, raise_as_frame_error
from regengine.io.gdal import open_gdal_session, provide_gdal_path
from regengine.photo.fits import FitsImage, read_fits_image
from regengine.photo.formats import (
    TIFF_EXTRA_SAMPLES,
    TIFF_PHOTOMETRIC,
    PhotoFile,
    as_photo_file,
    decode_raw,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Of one strip or tile, which is decoded as a whole: it can be a picture of 45 megapixels in 16 bits
MAX_BLOCK_BYTES = 500_000_000
_STRIP_ROWS = 256  # rows per strip: 12 MB of a 45-megapixel colour photo
_END_OF_IMAGE, _TAIL_BYTES = b"\xff\xd9", 4096  # some programs append data after the end


@dataclass(frozen=True, kw_only=True)
class ImageSamples:
    """A decoded image, or some full rows of one.

    ``samples`` has shape (rows, width) for grey or (rows, width, 3) for red, green, blue and
    dtype uint8 or uint16; ``alpha`` has shape (rows, width) and the same dtype, or is None.
    """

    samples: NDArray[Any]
    alpha: NDArray[Any] | None = None

    def rows(self, top: int, beyond: int) -> ImageSamples:
        alpha = None if self.alpha is None else self.alpha[top:beyond]
        return ImageSamples(samples=self.samples[top:beyond], alpha=alpha)


def open_picture(file: PhotoFile) -> BinaryIO:
    """Open a picture for Pillow; if a JPEG lacks its end marker, the marker is appended.

    The decoder then detects whether the picture is complete: appended bits change a truncated
    picture, but not a complete one.
    """
    stream = open_regular(file.path)
    if file.format != "jpeg":
        return stream
    stream.seek(-min(_TAIL_BYTES, stream.seek(0, os.SEEK_END)), os.SEEK_END)
    ended = _END_OF_IMAGE in stream.read()
    stream.seek(0)
    if ended:
        return stream
    from PIL import Image

    with stream:
        data = stream.read()
    decoded = []
    for bits in (b"\x55", b"\xaa"):
        with Image.open(io.BytesIO(data + 64 * bits + _END_OF_IMAGE), formats=["JPEG"]) as image:
            decoded.append(np.asarray(image))
    return io.BytesIO(data + _END_OF_IMAGE if np.array_equal(decoded[0], decoded[1]) else data)


def check_unchanged(file: PhotoFile, width_px: int, height_px: int) -> None:
    """Raise FrameError if a picture has another size than when its file was read."""
    if (width_px, height_px) != (file.width_px, file.height_px):
        raise FrameError(
            f"{file.path} changed while it was read (from {file.width_px} x {file.height_px} to "
            f"{width_px} x {height_px} pixels); try again"
        )


def decode(file: PhotoFile) -> ImageSamples:
    """Decode a JPEG, PNG or TIFF, as stored.

    Pillow decodes JPEG and 8-bit PNG: it handles Adobe's inverted CMYK and fails if data is
    missing. GDAL decodes TIFF and 16-bit PNG, because Pillow drops the low byte of colours.
    """
    if file.format == "tiff" or file.deep:
        return _decode_with_gdal(file)
    from PIL import Image

    with raise_as_frame_error(file.path), open_picture(file) as stream:
        image = Image.open(stream, formats=[file.format.upper()])
        check_unchanged(file, *image.size)
        image.load()  # fails if data is missing, without grey filling
        # Mode 1, L, LA, P, RGB, RGBA or CMYK
        is_opaque = image.mode not in ("LA", "RGBA") and "transparency" not in image.info
        mode = ("L" if image.mode in ("1", "L") else "RGB") if is_opaque else "RGBA"
        samples = np.asarray(image if image.mode == mode else image.convert(mode))
    if is_opaque:
        return ImageSamples(samples=samples)
    return ImageSamples(samples=samples[..., :3], alpha=samples[..., 3])


def _decode_with_gdal(file: PhotoFile) -> ImageSamples:
    driver = "PNG" if file.format == "png" else "GTiff"
    with (
        open_gdal_session(),
        raise_as_frame_error(file.path),
        provide_gdal_path(file.path) as place,
        capture_stderr(),  # libtiff reports offsets beyond the end of the file
        rasterio.open(place, driver=driver) as source,
    ):
        check_unchanged(file, source.width, source.height)
        rows, columns = source.block_shapes[0]
        # A block of a TIFF contains all bands unless they are stored one after the other
        size = rows * columns * source.count * np.dtype(source.dtypes[0]).itemsize
        if size > MAX_BLOCK_BYTES:
            raise FrameError(
                f"{file.path} is stored in blocks of {columns} x {rows} pixels, "
                f"{size / 1e6:.0f} MB each; save it as a TIFF with strips or tiles, or as a PNG",
                code="too_large",
            )
        colours, n_colours, alpha = _choose_bands(file, source)
        full_scale = int(np.iinfo(source.dtypes[0]).max)
        stated = source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", full_scale.bit_length())
        palette = np.zeros((256, 3), np.uint8)
        if colours == "palette":
            for index, colour in source.colormap(1).items():
                palette[index] = colour[:3]
        bands = source.read([*range(1, n_colours + 1), *([] if alpha is None else [alpha])])
    bits = 8 if colours == "palette" else int(stated)
    if bits == 16 and colours != "white is zero":
        bits = _bits_used(file.path.absolute(), int(bands[:n_colours].max()))
    scaled = np.arange(full_scale + 1, dtype=np.uint32) * full_scale // (2**bits - 1)
    for strip in np.array_split(bands, math.ceil(bands.shape[1] / _STRIP_ROWS), axis=1):
        if 2**bits - 1 != full_scale:  # such as 12 bits in 16; alpha may use all 16
            strip[:] = np.minimum(scaled, full_scale)[strip]
        if colours == "cmyk":  # ink absorbs the light of the paper
            black = (full_scale - strip[3]).astype(np.uint32)
            strip[:3] = ((full_scale - strip[:3]) * black + full_scale // 2) // full_scale
        elif colours == "white is zero":
            strip[:1] = full_scale - strip[:1]
    samples = bands[0] if n_colours == 1 else np.moveaxis(bands[:3], 0, -1)
    return ImageSamples(
        samples=palette[samples] if colours == "palette" else samples,
        alpha=None if alpha is None else bands[-1],
    )


@lru_cache(maxsize=64)  # told once
def _bits_used(path: Path, greatest: int) -> int:
    """Return the bits that 16-bit samples use: those of A/D converters of 10, 12 or 14 bits.

    A smaller depth is only assumed if the greatest sample is in the upper half of its range, which
    holds for nearly all photos of lights. A darker picture keeps its 16 bits.
    """
    bits = next((bits for bits in (10, 12, 14) if 2 ** (bits - 1) <= greatest < 2**bits), 16)
    if bits != 16:
        logging.getLogger("regengine").warning(
            "%s: read as %d bits in 16, since its largest sample is %d", path, bits, greatest
        )
    return bits


def _choose_bands(file: PhotoFile, source: rasterio.DatasetReader) -> tuple[str, int, int | None]:
    """Return the colours of a GDAL image, the number of bands, and that of alpha if any."""
    meaning = source.colorinterp
    extra = file.tiff_tags.get(TIFF_EXTRA_SAMPLES)
    # ExtraSamples 1 (TIFF 6.0): colours are premultiplied by alpha
    has_alpha = Band.alpha in meaning and extra not in (1, (1,))
    alpha = meaning.index(Band.alpha) + 1 if has_alpha else None
    many = f"{len(meaning)} channels that are" if len(meaning) > 1 else "one channel that is"
    what = f"{many} neither grey, a palette, RGB nor CMYK"
    # PhotometricInterpretation 0 (TIFF 6.0): white is zero; GDAL reports a palette for it
    if not set(source.dtypes) <= {"uint8", "uint16"}:
        what = f"samples of type {source.dtypes[0]}"
    elif file.tiff_tags.get(TIFF_PHOTOMETRIC) == 0:
        return "white is zero", 1, alpha
    elif meaning[:3] == (Band.red, Band.green, Band.blue):
        return "rgb", 3, alpha
    elif meaning[:4] == (Band.cyan, Band.magenta, Band.yellow, Band.black):
        return "cmyk", 4, alpha
    elif meaning[0] == Band.palette and source.dtypes[0] == "uint8":
        return "palette", 1, alpha
    elif meaning[0] == Band.gray:
        return "grey", 1, alpha
    raise FrameError(
        f"{file.path} has {what}, which is not supported; save it as an 8- or 16-bit grey or RGB "
        "TIFF, PNG or JPEG"
    )


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """Reduction of an image to a size: integer blocks while it is read, the rest afterwards.

    A position (x, y) of the image is at ((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5) in the
    result, whose ``width_px`` and ``height_px`` are the rounded products. Squares of ``block``
    pixels a side are averaged in every strip; the remaining factor is at least one half.
    """

    factor: float
    block: int
    width_px: int
    height_px: int

    def blocks_of(self, strip: NDArray[Any]) -> NDArray[Any]:
        """Return the block means of one strip; edge pixels are repeated to fill the last blocks."""
        if self.block == 1:
            return strip
        height, width, *channels = strip.shape
        below, right = -height % self.block, -width % self.block
        if below or right:
            strip = cv2.copyMakeBorder(strip, 0, below, 0, right, cv2.BORDER_REPLICATE)
        size = (strip.shape[1] // self.block, strip.shape[0] // self.block)
        means = cv2.resize(strip, size, interpolation=cv2.INTER_AREA)
        return means.reshape(*means.shape[:2], *channels)  # OpenCV drops a single channel

    def finish(self, image: NDArray[Any], *, scale: float) -> NDArray[Any]:
        """Return the result from an image that is already reduced to ``scale`` of the original."""
        factor = self.factor / scale
        if math.isclose(factor, 1.0, rel_tol=1e-9):
            return np.ascontiguousarray(image[: self.height_px, : self.width_px])
        # Not cv2.resize: it uses rounded sizes and copies if these are equal, which displaces the
        # far edge by up to half a pixel.
        down = _area_weights(image.shape[0], self.height_px, factor)
        across = _area_weights(image.shape[1], self.width_px, factor)
        planes = image[..., None] if image.ndim == 2 else image
        each = (planes[..., i].astype(np.float32) for i in range(planes.shape[-1]))
        reduced = [(across @ (down @ plane).T).T for plane in each]
        result = np.stack(reduced, axis=-1)
        if image.dtype == np.uint8:
            result = (result + 0.5).astype(np.uint8)
        return np.ascontiguousarray(result if image.ndim == 3 else result[..., 0])


def reduce_around_gaps(
    image: NDArray[Any], missing: NDArray[np.bool_], reduction: Reduction
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Reduce an image by averages over the pixels that have values."""

    def down(plane: NDArray[Any]) -> NDArray[Any]:
        return reduction.finish(reduction.blocks_of(plane), scale=1.0 / reduction.block)

    if not missing.any():
        return down(image), np.zeros((reduction.height_px, reduction.width_px), bool)
    there = (~missing).astype(np.float32)
    share = down(there)
    gaps = share < 0.5
    each = np.s_[..., None] if image.ndim == 3 else np.s_[...]  # repeats a plane for each channel
    known = down(image * there[each]) / np.maximum(share, 0.5)[each]
    return np.where(gaps[each], down(image), known).astype(image.dtype), gaps


def _area_weights(length: int, size: int, factor: float) -> csr_array:
    """Return a sparse matrix (size, length): weights of pixels in cells of 1 / factor pixels."""
    from scipy.sparse import coo_array

    cells = np.arange(size)
    start = np.minimum(cells / factor, length - 1.0)  # the last cell may extend beyond the image
    end = np.minimum((cells + 1) / factor, float(length))
    rows, columns, shares = [], [], []
    for step in range(math.ceil(1.0 / factor) + 1):
        pixel = np.floor(start).astype(int) + step
        share = (np.minimum(pixel + 1, end) - np.maximum(pixel, start)) / (end - start)
        inside = share > 0.0
        rows.append(cells[inside])
        columns.append(pixel[inside])
        shares.append(share[inside].astype(np.float32))
    entries = np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns))
    return coo_array(entries, shape=(size, length)).tocsr()


def plan_reduction(width_px: int, height_px: int, max_long_side_px: int) -> Reduction:
    """Return the reduction of an image's longer side to a length."""
    long_side = max(width_px, height_px)
    factor = min(1.0, max_long_side_px / long_side)
    return Reduction(
        factor=factor,
        block=max(1, long_side // max_long_side_px),
        width_px=max(1, round(width_px * factor)),
        height_px=max(1, round(height_px * factor)),
    )


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
MIN_WHITE_SIGMAS = 40.0  # white of a picture without bright stars


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
        return _read_fits_light(file, max_long_side_px)
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
        fits = _read_fits(file)
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
        return _read_fits_light(file, max_long_side_px), channels
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
    planes_of: Callable[[ImageSamples, bool], Sequence[NDArray[Any]]],
    *,
    whole_mosaic: bool = False,
    for_display: bool = False,
    small: NDArray[np.uint8] | None = None,
) -> list[NDArray[Any]]:
    """Return reduced planes, computed from strips of the photo or of a smaller picture of it."""
    if file.format == "raw":
        halved = reduction.factor <= 0.5 and not whole_mosaic
        # Halved: one pixel per block of the colour filter
        scale = 0.5 if halved else 1.0
        decoded = decode_raw(file.path, half_size=halved, for_display=for_display)
        shape = (math.ceil(file.height_px * scale), math.ceil(file.width_px * scale))
        # LibRaw stretches non-square pixels and rotates slanted sensors
        if decoded.shape[:2] != shape:
            what = "is from a sensor with non-square pixels"
            raise FrameError(f"{file.path} {what}; give the camera's JPEG or a TIFF of it")
        whole = list(planes_of(ImageSamples(samples=decoded), True))
    else:
        divisor = 1 if small is None else round(file.width_px / small.shape[1])
        blocks = replace(reduction, block=reduction.block // divisor)
        scale = 1.0 / (divisor * blocks.block)
        picture = decode(file) if small is None else ImageSamples(samples=small)
        # Planes of all pixels would be much larger than the picture itself
        rows = blocks.block * math.ceil(_STRIP_ROWS / blocks.block)
        tops = range(0, len(picture.samples), rows)
        strips = (picture.rows(top, top + rows) for top in tops)
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


def _read_fits(file: PhotoFile) -> FitsImage:
    fits = read_fits_image(file.path)
    height, width = fits.missing.shape
    check_unchanged(file, width, height)
    return fits


def _read_fits_light(file: PhotoFile, max_long_side_px: int) -> LinearLight:
    fits = _read_fits(file)
    weights = np.array(LUMINANCE_WEIGHTS, np.float32)
    whole = LinearLight(
        light=fits.light @ weights if fits.light.ndim == 3 else fits.light,
        saturated=fits.saturated,
        factor=1.0,
        missing=fits.missing,
        full_scale=fits.full_scale,
    )
    return reduce_light(whole, max_long_side_px)


@cache
def linear_curve(full_scale: int, linear: bool = False) -> NDArray[np.float32]:
    """Return the linear light, 0 to 1, of every possible sample value."""
    value = np.arange(full_scale + 1) / full_scale
    if not linear:
        value = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return value.astype(np.float32)


def _strip_light(
    strip: ImageSamples, linear: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return luminance and clipped pixels of a strip at full resolution."""
    full_scale = int(np.iinfo(strip.samples.dtype).max)
    curve = linear_curve(full_scale, linear)
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


def _strip_channels(strip: ImageSamples, linear: bool) -> list[NDArray[np.float32]]:
    """Return the linear light of each channel of a strip at full resolution."""
    full_scale = int(np.iinfo(strip.samples.dtype).max)
    curve = linear_curve(full_scale, linear)
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


def _strip_rgb(strip: ImageSamples, _linear: bool) -> tuple[NDArray[np.uint8]]:
    """Return display colours; raw pictures are in display colours already."""
    samples = strip.samples if strip.samples.ndim == 3 else np.stack([strip.samples] * 3, -1)
    if samples.dtype == np.uint16:
        samples = (samples >> 8).astype(np.uint8)
    if strip.alpha is not None:
        opacity = strip.alpha.astype(np.float32) / np.iinfo(strip.alpha.dtype).max
        samples = (samples * opacity[..., None] + 0.5).astype(np.uint8)
    return (np.ascontiguousarray(samples),)
