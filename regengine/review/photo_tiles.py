"""Tiles and previews of photos for the review page, made on the fly, with bounded memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from regengine.io.decoding import decoding
from regengine.photo.formats import ImageHeader, read_image_header
from regengine.photo.image import read_display_rgb

if TYPE_CHECKING:
    from PIL import Image

TILE_PX = 512
# A JPEG's own cosine transform gives 1/2, 1/4 and 1/8 of its size, on the same grid
MOST_HALVINGS = 3
STRIP_ROWS = 256
MOST_BYTES = 250_000_000  # a photo of 45 megapixels with all its levels takes 180 MB
MOST_HEADERS = 1000
JPEG_QUALITY = 90
# Decoding takes up to 7 bytes a pixel until it is done, beside what is kept
DECODED_AT_ONCE = 2
LOCKS = 16
LITTLE_SMALLER = 0.7  # than this, no pixel is left out by interpolation between two

FileKey = tuple[Path, int, int]  # with time of change (ns) and size
Picture = NDArray[np.uint8]  # (h, w) grey or (h, w, 3) red, green, blue, as displayed


def max_zoom(width_px: int, height_px: int) -> int:
    """Level of a photo at its full size: level 0 is the one that fits into one tile."""
    return max(0, math.ceil(math.log2(max(width_px, height_px) / TILE_PX)))


def level_size(header: ImageHeader, z: int) -> tuple[int, int]:
    """Width and height of a level: its last pixels may reach beyond the photo."""
    factor = 2 ** (max_zoom(header.width_px, header.height_px) - z)
    return -(-header.width_px // factor), -(-header.height_px // factor)


class PhotoPyramids:
    """Levels of photos, the most recent ones kept; may be asked by many threads at once.

    ``most_bytes`` is of decoded levels kept. The level asked for last is kept, even if it is
    larger.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._levels: OrderedDict[tuple[FileKey, int], Picture] = OrderedDict()
        self._lock = Lock()
        self._photo_locks = [Lock() for _ in range(LOCKS)]
        self._decoders = BoundedSemaphore(DECODED_AT_ONCE)

    def tile(self, path: Path, z: int, x: int, y: int) -> bytes:
        """One tile of a photo as stored: the EXIF orientation turns nothing."""
        key, header = self._header(path)
        if not _has_tile(header, z, x, y):
            raise LookupError(f"The photo has no tile {z}/{x}/{y}.")
        left, top = x * TILE_PX, y * TILE_PX
        part = self._level(key, header, z)[top : top + TILE_PX, left : left + TILE_PX]
        missing = [(0, TILE_PX - part.shape[0]), (0, TILE_PX - part.shape[1]), (0, 0)]
        return _jpeg(np.pad(part, missing[: part.ndim], "edge"))

    def preview(self, path: Path, long_side_px: int) -> bytes:
        """All of a photo, small."""
        key, header = self._header(path)
        longest = max(header.width_px, header.height_px)
        top = max_zoom(header.width_px, header.height_px)
        z = next((z for z in range(top) if longest * 2.0 ** (z - top) >= long_side_px), top)
        level = self._level(key, header, z)
        scale = min(1.0, long_side_px / longest)
        size = max(1, round(header.width_px * scale)), max(1, round(header.height_px * scale))
        edges = header.width_px * 2.0 ** (z - top), header.height_px * 2.0 ** (z - top)
        return _jpeg(_resized(level, edges, size))

    @property
    def kept_bytes(self) -> int:
        """Bytes of decoded levels that are kept now."""
        return self._bytes

    def _header(self, path: Path) -> tuple[FileKey, ImageHeader]:
        try:
            status = path.stat()
            key = (path, status.st_mtime_ns, status.st_size)
        except (OSError, ValueError):
            key = (path, 0, -1)  # reading the header says what is wrong
        return key, _header_of(key)

    def _level(self, key: FileKey, header: ImageHeader, z: int) -> Picture:
        # One thread decodes a photo, the others that want it wait
        with self._photo_locks[hash(key) % LOCKS]:
            with self._lock:
                kept = {level: picture for (k, level), picture in self._levels.items() if k == key}
                if z in kept:
                    self._levels.move_to_end((key, z))
                    return kept[z]
            finer = min((level for level in kept if level > z), default=None)
            if finer is None:
                width, height = level_size(header, z)
                self._make_room(3 * width * height)
                with self._decoders:
                    made = read_level(header, z)
            else:
                made = {z: halved(kept[finer], finer - z)}
            self._keep(key, made)
            return made[z]

    def _keep(self, key: FileKey, made: dict[int, Picture]) -> None:
        with self._lock:
            for z, picture in made.items():
                self._levels[key, z] = picture
                self._bytes += picture.nbytes
            while self._bytes > self._most_bytes and len(self._levels) > 1:
                self._drop_oldest()

    def _make_room(self, wanted: int) -> None:
        """Let go before decoding: that takes twice as much as what is kept of it."""
        with self._lock:
            while self._levels and self._bytes + wanted > self._most_bytes:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._bytes -= self._levels.popitem(last=False)[1].nbytes


@lru_cache(maxsize=MOST_HEADERS)
def _header_of(key: FileKey) -> ImageHeader:
    return read_image_header(key[0])


def _has_tile(header: ImageHeader, z: int, x: int, y: int) -> bool:
    if not 0 <= z <= max_zoom(header.width_px, header.height_px):
        return False
    width, height = level_size(header, z)
    return 0 <= x * TILE_PX < width and 0 <= y * TILE_PX < height


def _resized(level: Picture, edges: tuple[float, float], size: tuple[int, int]) -> Picture:
    """A level at a smaller size, from its left and upper edge to where the photo ends in it."""
    if level.shape[1::-1] == size:
        return level
    if level.shape[1::-1] == edges:
        import cv2

        # Three to ten times faster, and most photos' sides are multiples of 8
        little = size[0] > LITTLE_SMALLER * edges[0]
        how = cv2.INTER_LINEAR if little else cv2.INTER_AREA
        return np.asarray(cv2.resize(level, size, interpolation=how), np.uint8)
    from PIL import Image

    image = Image.fromarray(level)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=(0.0, 0.0, *edges)))


def _jpeg(picture: Picture) -> bytes:
    import cv2

    # Lamps are small and coloured: no colour is averaged over pixels
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    samples = picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., ::-1])
    return bytes(cv2.imencode(".jpg", samples, options)[1])


def read_level(header: ImageHeader, z: int) -> dict[int, Picture]:
    """Decode a photo for one level of its pyramid."""
    top = max_zoom(header.width_px, header.height_px)
    finest, decoded = max(z, top - MOST_HALVINGS), None
    if header.format == "jpeg":
        decoded = _scaled_jpeg(header, top - finest)
    elif header.format == "raw" and z < top:
        finest, decoded = top - 1, _halved_raw(header)
    if decoded is None:
        finest = top
        decoded = read_display_rgb(header.path, max(header.width_px, header.height_px))[0]
    return {finest: decoded, z: halved(decoded, finest - z)}


def halved(picture: Picture, times: int) -> Picture:
    """A picture at half its size, so many times; each pixel the mean of four."""
    import cv2

    for _ in range(times):
        height, width = picture.shape[:2]
        even = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        size = (width + 1) // 2, (height + 1) // 2
        picture = np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)
    return picture


def _scaled_jpeg(header: ImageHeader, halvings: int) -> Picture | None:
    """A JPEG decoded at a fraction of its size; None where its colours are not plain."""
    from PIL import Image

    with decoding(header.path), Image.open(header.path, formats=["JPEG"]) as image:
        if image.mode not in ("RGB", "L"):
            return None
        # Pillow takes the fraction whose sides are at least those asked for: rounded down
        sides = header.width_px >> halvings, header.height_px >> halvings
        image.draft(image.mode, (max(sides[0], 1), max(sides[1], 1)))
        whole = 2**halvings
        if image.size != (-(-header.width_px // whole), -(-header.height_px // whole)):
            return None
        return _rows_of(image)


def _rows_of(image: Image.Image) -> Picture:
    """A picture as an array; in strips, for at once it would be in memory three times."""
    channels = () if image.mode == "L" else (len(image.mode),)
    pixels = np.empty((image.height, image.width, *channels), np.uint8)
    image.load()
    for top in range(0, image.height, STRIP_ROWS):
        below = min(top + STRIP_ROWS, image.height)
        pixels[top:below] = np.asarray(image.crop((0, top, image.width, below)))
    return pixels


def _halved_raw(header: ImageHeader) -> Picture | None:
    """A raw file without interpolation of its colours, four times faster; None for odd sides."""
    if header.width_px % 2 or header.height_px % 2:
        return None
    return read_display_rgb(header.path, max(header.width_px, header.height_px) // 2)[0]
