"""Tiles and previews of photos for the review page, rendered on request with bounded memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.io.decoding import raise_as_frame_error
from regengine.photo.formats import PhotoFile, read_photo_file
from regengine.photo.image import open_picture, read_display_rgb

TILE_PX = 512
MAX_BYTES = 250_000_000  # a photo of 45 megapixels with all its levels takes 180 MB
MAX_FILES = 1000

FileKey = tuple[Path, int, int]  # with modification time (ns) and size
Picture = NDArray[np.uint8]  # (h, w) grey or (h, w, 3) red, green, blue, as displayed


def max_zoom(width_px: int, height_px: int) -> int:
    """Pyramid level of a photo's full size: level 0 fits into one tile."""
    return max(0, math.ceil(math.log2(max(width_px, height_px) / TILE_PX)))


def level_size(file: PhotoFile, z: int) -> tuple[int, int]:
    """Width and height of a level: its last pixels may extend beyond the photo."""
    factor = 2 ** (max_zoom(file.width_px, file.height_px) - z)
    return -(-file.width_px // factor), -(-file.height_px // factor)


class PhotoPyramids:
    """Image pyramids of photos, with a cache of the most recent ones; thread-safe.

    Decoded levels in the cache have at most `MAX_BYTES`. The most recent level is kept even if it
    is larger.
    """

    def __init__(self) -> None:
        self._levels: OrderedDict[tuple[FileKey, int], Picture] = OrderedDict()
        self._lock = Lock()

    def tile(self, path: Path, z: int, x: int, y: int) -> bytes:
        """One tile of a photo as stored: the EXIF orientation is not applied."""
        key, file = _read_file(path)
        left, top = x * TILE_PX, y * TILE_PX
        has_level = 0 <= z <= max_zoom(file.width_px, file.height_px)
        width, height = level_size(file, z) if has_level else (0, 0)
        if not (0 <= left < width and 0 <= top < height):
            raise LookupError(f"The photo has no tile {z}/{x}/{y}.")
        part = self._level(key, file, z)[top : top + TILE_PX, left : left + TILE_PX]
        missing = [(0, TILE_PX - part.shape[0]), (0, TILE_PX - part.shape[1]), (0, 0)]
        return _encode_jpeg(np.pad(part, missing[: part.ndim], "edge"))

    def preview(self, path: Path, long_side_px: int) -> bytes:
        """A reduced copy of the whole photo."""
        key, file = _read_file(path)
        longest = max(file.width_px, file.height_px)
        top = max_zoom(file.width_px, file.height_px)
        z = next((z for z in range(top) if longest * 2.0 ** (z - top) >= long_side_px), top)
        level = self._level(key, file, z)
        scale = min(1.0, long_side_px / longest)
        size = max(1, round(file.width_px * scale)), max(1, round(file.height_px * scale))
        edges = file.width_px * 2.0 ** (z - top), file.height_px * 2.0 ** (z - top)
        if level.shape[1::-1] == edges != size:
            # Three to ten times faster, and most photos' sides are multiples of 8
            level = np.asarray(cv2.resize(level, size, interpolation=cv2.INTER_AREA), np.uint8)
        elif level.shape[1::-1] != size:
            from PIL import Image

            # From the upper left corner to the end of the photo
            box, image = (0.0, 0.0, *edges), Image.fromarray(level)
            level = np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box))
        return _encode_jpeg(level)

    def _level(self, key: FileKey, file: PhotoFile, z: int) -> Picture:
        with self._lock:  # one photo is decoded at a time: that takes up to 7 bytes a pixel
            levels = self._levels
            finer = min((level for of, level in levels if of == key and level >= z), default=None)
            if finer is None:
                levels.update({(key, k): made for k, made in read_level(file, z).items()})
            elif finer > z:
                levels[key, z] = halve_picture(levels[key, finer], finer - z)
            levels.move_to_end((key, z))
            while len(levels) > 1 and sum(one.nbytes for one in levels.values()) > MAX_BYTES:
                levels.popitem(last=False)
            return levels[key, z]


_header_of = lru_cache(maxsize=MAX_FILES)(lambda key: read_photo_file(key[0]))


def _read_file(path: Path) -> tuple[FileKey, PhotoFile]:
    try:
        status = path.stat()
        key = (path, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError):
        key = (path, 0, -1)  # reading the header raises the error
    return key, _header_of(key)


def _encode_jpeg(picture: Picture) -> bytes:
    # Lamps are small and coloured: no chroma subsampling
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        90,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    samples = picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., ::-1])
    return bytes(cv2.imencode(".jpg", samples, options)[1])


def read_level(file: PhotoFile, z: int) -> dict[int, Picture]:
    """Decode a photo for one level of its pyramid."""
    top = max_zoom(file.width_px, file.height_px)
    # A JPEG's cosine transform decodes to 1/2, 1/4 and 1/8 of its size, on the same grid
    finest, decoded = max(z, top - 3), None
    if file.format == "jpeg":
        decoded = _decode_scaled_jpeg(file, top - finest)
    elif file.format == "raw" and z < top and not (file.width_px % 2 or file.height_px % 2):
        # Without demosaicing interpolation, four times faster
        half_px = max(file.width_px, file.height_px) // 2
        finest, decoded = top - 1, read_display_rgb(file, half_px)[0]
    if decoded is None:
        finest = top
        decoded = read_display_rgb(file, max(file.width_px, file.height_px))[0]
    return {finest: decoded, z: halve_picture(decoded, finest - z)}


def halve_picture(picture: Picture, times: int) -> Picture:
    """Halve a picture repeatedly; each pixel is the mean of four."""
    for _ in range(times):
        height, width = picture.shape[:2]
        even = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        size = (width + 1) // 2, (height + 1) // 2
        picture = np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)
    return picture


def _decode_scaled_jpeg(file: PhotoFile, halvings: int) -> Picture | None:
    """Decode a JPEG at a fraction of its size; None if its colours need conversion."""
    from PIL import Image

    with (
        raise_as_frame_error(file.path),
        open_picture(file) as stream,
        Image.open(stream, formats=["JPEG"]) as image,
    ):
        if image.mode not in ("RGB", "L"):
            return None
        # Pillow chooses the fraction whose sides are at least those requested: rounded down
        sides = file.width_px >> halvings, file.height_px >> halvings
        image.draft(image.mode, (max(sides[0], 1), max(sides[1], 1)))
        whole = 2**halvings
        if image.size != (-(-file.width_px // whole), -(-file.height_px // whole)):
            return None
        return np.array(image)
