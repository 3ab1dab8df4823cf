"""Small pictures that a page holds itself."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

THUMBNAIL_PX = 240  # twice the height at which it is shown, for dense screens: some 8 kB each
THUMBNAIL_QUALITY = 78


def thumbnail_jpeg(rgb: NDArray[Any]) -> bytes:
    """A small JPEG of a picture.

    Parameters
    ----------
    rgb : ndarray, shape (h, w, 3)
        Red, green, blue as displayed: uint8, or floats of 0 to 1.

    Returns
    -------
    bytes
        Its longer side has `THUMBNAIL_PX` pixels.
    """
    import cv2

    height, width = rgb.shape[:2]
    scale = THUMBNAIL_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    if small.dtype != np.uint8:
        small = np.rint(255.0 * np.clip(small, 0.0, 1.0)).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY]
    return bytes(cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), quality)[1])


def data_address(jpeg: bytes) -> str:
    """A JPEG as the address of an image element."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
