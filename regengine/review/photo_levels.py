"""One level of a photo's pyramid, read from its file at the least cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regengine.decoding import decoding
from regengine.image import read_display_rgb
from regengine.image_header import ImageHeader

if TYPE_CHECKING:
    from PIL import Image

TILE_PX = 512
# A JPEG's own cosine transform gives 1/2, 1/4 and 1/8 of its size, on the same grid
MOST_HALVINGS = 3
STRIP_ROWS = 256

Picture = NDArray[np.uint8]  # (h, w) grey or (h, w, 3) red, green, blue, as displayed


def max_zoom(width_px: int, height_px: int) -> int:
    """Level of a photo at its full size: level 0 is the one that fits into one tile."""
    return max(0, math.ceil(math.log2(max(width_px, height_px) / TILE_PX)))


def level_size(header: ImageHeader, z: int) -> tuple[int, int]:
    """Width and height of a level: its last pixels may reach beyond the photo."""
    factor = 2 ** (max_zoom(header.width_px, header.height_px) - z)
    return -(-header.width_px // factor), -(-header.height_px // factor)


def read_level(header: ImageHeader, z: int) -> dict[int, Picture]:
    """Decode a photo for one level of its pyramid.

    Parameters
    ----------
    header : ImageHeader
        Of the photo.
    z : int
        Level, 0 to `max_zoom`.

    Returns
    -------
    dict of int to ndarray of uint8
        The level, and the finer one that was decoded on the way, if any. A pixel (x, y) of the
        photo as stored lies at ((x + 0.5) f - 0.5, (y + 0.5) f - 0.5) with f = 2^(z - max_zoom).

    Raises
    ------
    FrameError
        The photo is damaged or cut short.
    """
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
    """A picture at half its size, so many times; each pixel the mean of four.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w) or (h, w, 3)
        An odd last row or column counts twice.
    times : int
        How often.

    Returns
    -------
    ndarray of uint8
        Sides rounded up.
    """
    import cv2

    for _ in range(times):
        height, width = picture.shape[:2]
        even = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        size = (width + 1) // 2, (height + 1) // 2
        picture = _bytes_of(cv2.resize(even, size, interpolation=cv2.INTER_AREA))
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


def _bytes_of(picture: Any) -> Picture:
    return np.asarray(picture, np.uint8)
