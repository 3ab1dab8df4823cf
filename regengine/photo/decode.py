"""Decode images in strips of rows, and reduce them by area averages.

Strips keep the memory for large photos small.
"""

from __future__ import annotations

import io
import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from regengine.errors import FrameError
from regengine.io.decoding import capture_stderr, raise_as_frame_error
from regengine.io.gdal import open_gdal_session
from regengine.io.regular import open_regular
from regengine.photo.formats import TIFF_EXTRA_SAMPLES, TIFF_PHOTOMETRIC, PhotoFile

if TYPE_CHECKING:
    from PIL import Image
    from rasterio import DatasetReader
    from scipy.sparse import csr_array

_WHITE_IS_ZERO = 0  # PhotometricInterpretation (TIFF 6.0)
# Of one strip or tile, which is decoded as a whole: it can be a picture of 45 megapixels in 16 bits
MAX_BLOCK_BYTES = 500_000_000
_STRIP_ROWS = 256  # rows per strip: 12 MB of a 45-megapixel colour photo
_END_OF_IMAGE, _TAIL_BYTES = b"\xff\xd9", 4096  # some programs append data after the end
_DEPTHS = (10, 12, 14)  # bits of the cameras' A/D converters
_PREMULTIPLIED = 1  # ExtraSamples (TIFF 6.0): colours are premultiplied by alpha


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Some full rows of an image.

    ``samples`` has shape (rows, width) for grey or (rows, width, 3) for red, green, blue and
    dtype uint8 or uint16; ``alpha`` has shape (rows, width) and the same dtype, or is None.
    """

    samples: NDArray[Any]
    alpha: NDArray[Any] | None = None


def read_strips(file: PhotoFile, rows: int) -> Iterator[Strip]:
    """Yield the rows of a JPEG, PNG or TIFF from top to bottom, as stored.

    Pillow decodes JPEG and 8-bit PNG: it handles Adobe's inverted CMYK and fails if data is
    missing. GDAL decodes TIFF and 16-bit PNG, because Pillow drops the low byte of colours.
    """
    if file.format == "tiff" or file.deep:
        return _gdal_strips(file, rows)
    return _pillow_strips(file, rows)


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
    seen = []
    for bits in (b"\x55", b"\xaa"):
        with Image.open(io.BytesIO(data + 64 * bits + _END_OF_IMAGE), formats=["JPEG"]) as image:
            seen.append(np.asarray(image))
    return io.BytesIO(data + _END_OF_IMAGE if np.array_equal(seen[0], seen[1]) else data)


def check_unchanged(file: PhotoFile, width_px: int, height_px: int) -> None:
    """Raise FrameError if a picture has another size than when its file was read."""
    if (width_px, height_px) != (file.width_px, file.height_px):
        raise FrameError(
            f"{file.path} changed while it was read (from {file.width_px} x {file.height_px} to "
            f"{width_px} x {height_px} pixels); try again"
        )


def _pillow_strips(file: PhotoFile, rows: int) -> Iterator[Strip]:
    from PIL import Image

    with raise_as_frame_error(file.path):
        stream = open_picture(file)
    with stream:
        with raise_as_frame_error(file.path):
            image: Image.Image = Image.open(stream, formats=[file.format.upper()])
        check_unchanged(file, *image.size)
        with raise_as_frame_error(file.path):
            image.load()  # fails if data is missing, without grey filling
        for top in range(0, image.height, rows):
            with raise_as_frame_error(file.path):
                rows_there = (0, top, image.width, min(top + rows, image.height))
                strip = _pillow_strip(image.crop(rows_there))
            yield strip


def _pillow_strip(strip: Image.Image) -> Strip:
    """Return grey or RGB samples of a JPEG or 8-bit PNG of mode 1, L, LA, P, RGB, RGBA or CMYK."""
    if strip.mode in ("1", "L") and "transparency" not in strip.info:
        return Strip(samples=np.asarray(strip.convert("L")))
    if strip.mode in ("LA", "RGBA") or "transparency" in strip.info:
        samples = np.asarray(strip.convert("RGBA"))
        return Strip(samples=samples[..., :3], alpha=samples[..., 3])
    if strip.mode == "RGB":
        return Strip(samples=np.asarray(strip))
    return Strip(samples=np.asarray(strip.convert("RGB")))  # palette, CMYK


def _gdal_strips(file: PhotoFile, rows: int) -> Iterator[Strip]:
    import rasterio
    from rasterio.windows import Window

    # Absolute: GDAL would treat a relative path in a folder "http:" as a web address
    place = file.path.absolute()
    with open_gdal_session():
        with raise_as_frame_error(file.path), capture_stderr():
            source = rasterio.open(place, driver="PNG" if file.format == "png" else "GTiff")
        with source:
            with raise_as_frame_error(file.path):
                check_unchanged(file, source.width, source.height)
                _check_blocks(file, source)
                layout = _layout(file, source)
                if source.dtypes[0] == "uint16" and layout.bits == 16 and not layout.white_is_zero:
                    found = place.stat()
                    with capture_stderr():
                        bits = _count_bits_used(
                            place, source.driver, found.st_mtime_ns, found.st_size
                        )
                    layout = replace(layout, bits=bits)
            for top in range(0, source.height, rows):
                window = Window(0, top, source.width, min(rows, source.height - top))
                with (
                    raise_as_frame_error(file.path),
                    capture_stderr(),
                ):  # libtiff reports offsets beyond the end of the file
                    bands = source.read(list(layout.bands), window=window)
                yield _gdal_strip(bands, layout)


@lru_cache(maxsize=64)
def _count_bits_used(path: Path, driver: str, modified_ns: int, size: int) -> int:
    """Return the bits that 16-bit samples use: cameras of 10, 12 or 14 bits fill the lower ones.

    A smaller depth is only assumed if the greatest sample is in the upper half of its range, which
    holds for nearly all photos of lights. A darker picture keeps its 16 bits.
    """
    import rasterio
    from rasterio.enums import ColorInterp
    from rasterio.windows import Window

    with rasterio.open(path, driver=driver) as source:
        bands = [
            number
            for number, meaning in enumerate(source.colorinterp, start=1)
            if meaning != ColorInterp.alpha
        ]
        greatest = 0
        for top in range(0, source.height, _STRIP_ROWS):
            rows = min(_STRIP_ROWS, source.height - top)
            window = Window(0, top, source.width, rows)
            greatest = max(greatest, int(source.read(bands, window=window).max()))
    bits = next((bits for bits in _DEPTHS if 2 ** (bits - 1) <= greatest < 2**bits), 16)
    if bits != 16:
        logging.getLogger("regengine").warning(
            "%s: read as %d bits in 16, since its largest sample is %d", path, bits, greatest
        )
    return bits


def _check_blocks(file: PhotoFile, source: DatasetReader) -> None:
    """Raise FrameError if a strip or tile, which is decoded as a whole, is too large."""
    rows, columns = source.block_shapes[0]
    # A block of a TIFF contains all bands unless they are stored one after the other
    size = rows * columns * source.count * np.dtype(source.dtypes[0]).itemsize
    if size > MAX_BLOCK_BYTES:
        raise FrameError(
            f"{file.path} is stored in blocks of {columns} x {rows} pixels, {size / 1e6:.0f} MB "
            "each; save it as a TIFF with strips or tiles, or as a PNG",
            code="too_large",
        )


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Colour layout of a GDAL image: bands (from 1) of the colours, and then of alpha if any."""

    bands: tuple[int, ...]
    colours: Literal["grey", "palette", "rgb", "cmyk"]
    bits: int
    white_is_zero: bool = False
    palette: NDArray[np.uint8] | None = None


def _layout(file: PhotoFile, source: DatasetReader) -> _Layout:
    from rasterio.enums import ColorInterp as Band

    meaning = source.colorinterp
    if not set(source.dtypes) <= {"uint8", "uint16"}:
        raise _make_unsupported_error(file, f"samples of type {source.dtypes[0]}")
    bits = int(source.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", np.iinfo(source.dtypes[0]).bits))
    extra = file.tiff_tags.get(TIFF_EXTRA_SAMPLES)
    premultiplied = extra == _PREMULTIPLIED or extra == (_PREMULTIPLIED,)
    has_alpha = Band.alpha in meaning and not premultiplied
    alpha = (meaning.index(Band.alpha) + 1,) if has_alpha else ()
    if file.tiff_tags.get(TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:  # GDAL reports a palette for it
        return _Layout(bands=(1, *alpha), colours="grey", bits=bits, white_is_zero=True)
    if meaning[:3] == (Band.red, Band.green, Band.blue):
        return _Layout(bands=(1, 2, 3, *alpha), colours="rgb", bits=bits)
    if meaning[:4] == (Band.cyan, Band.magenta, Band.yellow, Band.black):
        return _Layout(bands=(1, 2, 3, 4, *alpha), colours="cmyk", bits=bits)
    if meaning[0] == Band.palette and bits <= 8:
        palette = np.zeros((256, 3), np.uint8)
        for index, colour in source.colormap(1).items():
            palette[index] = colour[:3]
        return _Layout(bands=(1, *alpha), colours="palette", bits=8, palette=palette)
    if meaning[0] == Band.gray:
        return _Layout(bands=(1, *alpha), colours="grey", bits=bits)
    many = f"{len(meaning)} channels that are" if len(meaning) > 1 else "one channel that is"
    raise _make_unsupported_error(file, f"{many} neither grey, a palette, RGB nor CMYK")


def _make_unsupported_error(file: PhotoFile, what: str) -> FrameError:
    return FrameError(
        f"{file.path} has {what}, which is not supported; save it as an 8- or 16-bit grey or RGB "
        "TIFF, PNG or JPEG"
    )


def _gdal_strip(bands: NDArray[Any], layout: _Layout) -> Strip:
    if layout.palette is not None:
        alpha = bands[1] if len(bands) > 1 else None
        return Strip(samples=layout.palette[bands[0]], alpha=alpha)
    full_scale = int(np.iinfo(bands.dtype).max)
    if 2**layout.bits - 1 != full_scale:  # such as 12 bits in 16
        scaled = bands.astype(np.uint32) * full_scale // (2**layout.bits - 1)
        bands = np.minimum(scaled, full_scale).astype(bands.dtype)  # alpha may use all 16 bits
    if layout.colours == "cmyk":  # ink absorbs the light of the paper
        paper = (full_scale - bands[:4]).astype(np.uint32)
        light = ((paper[:3] * paper[3] + full_scale // 2) // full_scale).astype(bands.dtype)
        alpha = bands[4] if len(bands) > 4 else None
        return Strip(samples=np.moveaxis(light, 0, -1), alpha=alpha)
    if layout.colours == "rgb":
        alpha = bands[3] if len(bands) > 3 else None
        return Strip(samples=np.moveaxis(bands[:3], 0, -1), alpha=alpha)
    grey = full_scale - bands[0] if layout.white_is_zero else bands[0]
    return Strip(samples=grey, alpha=bands[1] if len(bands) > 1 else None)


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

    @property
    def strip_rows(self) -> int:
        """Number of rows of a strip, a multiple of the block (the last strip may have fewer)."""
        return self.block * math.ceil(_STRIP_ROWS / self.block)

    def blocks_of(self, strip: NDArray[Any]) -> NDArray[Any]:
        """Return the block means of one strip; edge pixels are repeated to fill the last blocks."""
        if self.block == 1:
            return strip
        import cv2

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
        result = np.stack(
            [
                (across @ (down @ planes[..., i].astype(np.float32)).T).T
                for i in range(planes.shape[-1])
            ],
            axis=-1,
        )
        if image.dtype == np.uint8:
            result = (result + 0.5).astype(np.uint8)
        return np.ascontiguousarray(result if image.ndim == 3 else result[..., 0])


def reduce_around_gaps(
    image: NDArray[Any], missing: NDArray[np.bool_], reduction: Reduction
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Reduce an image by averages over the pixels that have values."""

    def down(plane: NDArray[Any]) -> NDArray[Any]:
        return reduction.finish(reduction.blocks_of(plane), scale=1.0 / reduction.block)

    def for_all(plane: NDArray[Any]) -> NDArray[Any]:
        """Repeat a plane for each channel of the image."""
        return plane if image.ndim == 2 else plane[..., None]

    if not missing.any():
        return down(image), np.zeros((reduction.height_px, reduction.width_px), bool)
    there = (~missing).astype(np.float32)
    share = down(there)
    gaps = share < 0.5
    known = down(image * for_all(there)) / for_all(np.maximum(share, 0.5))
    return np.where(for_all(gaps), down(image), known).astype(image.dtype), gaps


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
    if max_long_side_px < 1:
        raise ValueError(f"max_long_side_px must be 1 or more, not {max_long_side_px}")
    long_side = max(width_px, height_px)
    factor = min(1.0, max_long_side_px / long_side)
    return Reduction(
        factor=factor,
        block=max(1, long_side // max_long_side_px),
        width_px=max(1, round(width_px * factor)),
        height_px=max(1, round(height_px * factor)),
    )
