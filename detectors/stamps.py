"""Small squares around places of an image, cut out and put back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
IndexArray = NDArray[np.intp]


def cut_stamps(
    image: NDArray[np.generic], row: IndexArray, col: IndexArray, half: int
) -> FloatImage:
    """Squares around pixels; the image goes on beyond its border as it ends.

    Parameters
    ----------
    image : ndarray, shape (h, w)
    row, col : ndarray of int, shape (N,)
        Middle pixels.
    half : int
        Pixels from the middle to the side.

    Returns
    -------
    ndarray, shape (N, 2 half + 1, 2 half + 1)
        Of the image's type.
    """
    h, w = image.shape
    offsets = np.arange(-half, half + 1)
    rows = np.clip(row[:, None] + offsets, 0, h - 1)
    cols = np.clip(col[:, None] + offsets, 0, w - 1)
    return np.asarray(image.ravel()[rows[:, :, None] * w + cols[:, None, :]])


def inside_image(
    shape: tuple[int, ...], row: IndexArray, col: IndexArray, half: int
) -> NDArray[np.bool_]:
    """Which pixels of squares around pixels lie in the image, shape (N, 2 half + 1, 2 half + 1)."""
    h, w = shape
    offsets = np.arange(-half, half + 1)
    rows, cols = row[:, None] + offsets, col[:, None] + offsets
    return ((rows >= 0) & (rows < h))[:, :, None] & ((cols >= 0) & (cols < w))[:, None, :]


def sum_of_stamps(
    shape: tuple[int, ...], row: IndexArray, col: IndexArray, stamps: FloatImage
) -> FloatImage:
    """Stamps added up where they lie; what lies beyond the image is left out.

    Parameters
    ----------
    shape : tuple of int
        Of the image.
    row, col : ndarray of int, shape (N,)
        Middle pixels.
    stamps : ndarray of float32, shape (N, n, n)

    Returns
    -------
    ndarray of float32, shape (h, w)
    """
    h, w = shape
    half = stamps.shape[1] // 2
    offsets = np.arange(-half, half + 1)
    rows, cols = row[:, None] + offsets, col[:, None] + offsets
    inside = inside_image(shape, row, col, half)
    index = np.clip(rows, 0, h - 1)[:, :, None] * w + np.clip(cols, 0, w - 1)[:, None, :]
    total = np.zeros(h * w, np.float32)
    np.add.at(total, index.ravel(), np.where(inside, stamps, np.float32(0.0)).ravel())
    return total.reshape(h, w)
