"""Stamps: small squares of an image, cut out, added up, and measured under windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.types import BoolArray, BoolImage, FloatArray, FloatImage, IndexArray


def find_nearest_pixels(
    shape: tuple[int, ...], x: FloatArray, y: FloatArray
) -> tuple[IndexArray, IndexArray]:
    """Find rows and columns of the pixels nearest to positions, clipped to the image."""
    row = np.clip(np.rint(y), 0, shape[0] - 1).astype(np.intp)
    col = np.clip(np.rint(x), 0, shape[1] - 1).astype(np.intp)
    return row, col


def mark_first_of_each(places: FloatArray, nearer: float) -> BoolArray:
    """Mark positions, shape (N, 2), without an earlier one closer than a given distance."""
    keep = np.ones(len(places), bool)
    if len(places) > 1:
        for one, other in cKDTree(places).query_pairs(nearer):
            keep[max(one, other)] = False
    return keep


def measure_window_moments(
    stamps: FloatImage, x: FloatArray, y: FloatArray, sigma: FloatArray
) -> tuple[FloatArray, ...]:
    """Measure moments of light under round Gaussian windows at offsets from the stamp centres.

    Returns the sum (0 if it is not positive), the centroid relative to the window's centre (x, y),
    and the second central moments (xx, yy, xy), each of shape (N,).
    """
    half = stamps.shape[1] // 2
    offsets = np.arange(-half, half + 1)
    dx, dy = offsets - x[:, None], offsets - y[:, None]
    wx = np.exp(-0.5 * (dx / sigma[:, None]) ** 2)
    wy = np.exp(-0.5 * (dy / sigma[:, None]) ** 2)
    by_x = np.stack([wx, wx * dx, wx * dx * dx], axis=2).astype(np.float32)
    by_y = np.stack([wy, wy * dy, wy * dy * dy], axis=1).astype(np.float32)
    sums = (by_y @ stamps @ by_x).astype(np.float64)  # (N, power of y, power of x)
    total = sums[:, 0, 0]
    safe = np.where(total > 0.0, total, np.inf)
    mx, my = sums[:, 0, 1] / safe, sums[:, 1, 0] / safe
    xx, yy = sums[:, 0, 2] / safe - mx * mx, sums[:, 2, 0] / safe - my * my
    return np.maximum(total, 0.0), mx, my, xx, yy, sums[:, 1, 1] / safe - mx * my


def cut_stamps(
    image: NDArray[np.generic], row: IndexArray, col: IndexArray, half: int
) -> FloatImage:
    """Cut stamps around pixels; border pixels are replicated outside the image.

    `image` (h, w). `row`, `col` (N,): central pixels. `half`: half side of a stamp. Returns
    (N, 2 half + 1, 2 half + 1), with the type of the image.
    """
    h, w = image.shape
    offsets = np.arange(-half, half + 1)
    rows = np.clip(row[:, None] + offsets, 0, h - 1)
    cols = np.clip(col[:, None] + offsets, 0, w - 1)
    return np.asarray(image.ravel()[rows[:, :, None] * w + cols[:, None, :]])


def mask_inside_image(
    shape: tuple[int, ...], row: IndexArray, col: IndexArray, half: int
) -> BoolImage:
    """Mask stamp pixels that are inside the image, shape (N, 2 half + 1, 2 half + 1)."""
    h, w = shape
    offsets = np.arange(-half, half + 1)
    rows, cols = row[:, None] + offsets, col[:, None] + offsets
    return ((rows >= 0) & (rows < h))[:, :, None] & ((cols >= 0) & (cols < w))[:, None, :]


def sum_of_stamps(
    shape: tuple[int, ...], row: IndexArray, col: IndexArray, stamps: FloatImage
) -> FloatImage:
    """Add stamps into an image of the given shape; parts outside the image are ignored.

    `row`, `col` (N,): central pixels. `stamps` (N, n, n). Returns (h, w).
    """
    h, w = shape
    half = stamps.shape[1] // 2
    offsets = np.arange(-half, half + 1)
    rows, cols = row[:, None] + offsets, col[:, None] + offsets
    inside = mask_inside_image(shape, row, col, half)
    index = np.clip(rows, 0, h - 1)[:, :, None] * w + np.clip(cols, 0, w - 1)[:, None, :]
    total = np.zeros(h * w, np.float32)
    np.add.at(total, index.ravel(), np.where(inside, stamps, np.float32(0.0)).ravel())
    return total.reshape(h, w)
