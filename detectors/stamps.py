"""Small squares around places of an image: cut out, put back, and summed under windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.types import BoolArray, BoolImage, FloatArray, FloatImage, IndexArray


def find_nearest_pixels(
    shape: tuple[int, ...], x: FloatArray, y: FloatArray
) -> tuple[IndexArray, IndexArray]:
    """Rows and columns of the pixels nearest to places; those outside an image are on its rim."""
    row = np.clip(np.rint(y), 0, shape[0] - 1).astype(np.intp)
    col = np.clip(np.rint(x), 0, shape[1] - 1).astype(np.intp)
    return row, col


def mark_first_of_each(places: FloatArray, nearer: float) -> BoolArray:
    """Places, shape (N, 2), without an earlier one nearer than that."""
    keep = np.ones(len(places), bool)
    if len(places) > 1:
        for one, other in cKDTree(places).query_pairs(nearer):
            keep[max(one, other)] = False
    return keep


def measure_window_moments(
    stamps: FloatImage, x: FloatArray, y: FloatArray, sigma: FloatArray
) -> tuple[FloatArray, ...]:
    """Light under round Gaussian windows about places counted from the stamps' middles.

    Its sum (0 where it is not positive), its centroid from the window's middle (x, y), and its
    second central moments (xx, yy, xy), each of shape (N,).
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
    """Squares around pixels; the image goes on beyond its border as it ends.

    `image` (h, w); `row`, `col` (N,): middle pixels; `half`: pixels from the middle to the side.
    Gives (N, 2 half + 1, 2 half + 1): of the image's type.
    """
    h, w = image.shape
    offsets = np.arange(-half, half + 1)
    rows = np.clip(row[:, None] + offsets, 0, h - 1)
    cols = np.clip(col[:, None] + offsets, 0, w - 1)
    return np.asarray(image.ravel()[rows[:, :, None] * w + cols[:, None, :]])


def mask_inside_image(
    shape: tuple[int, ...], row: IndexArray, col: IndexArray, half: int
) -> BoolImage:
    """Which pixels of squares around pixels lie in the image, shape (N, 2 half + 1, 2 half + 1)."""
    h, w = shape
    offsets = np.arange(-half, half + 1)
    rows, cols = row[:, None] + offsets, col[:, None] + offsets
    return ((rows >= 0) & (rows < h))[:, :, None] & ((cols >= 0) & (cols < w))[:, None, :]


def sum_of_stamps(
    shape: tuple[int, ...], row: IndexArray, col: IndexArray, stamps: FloatImage
) -> FloatImage:
    """Stamps added up where they lie; what lies beyond the image is left out.

    `row`, `col` (N,): middle pixels; `stamps` (N, n, n). Gives (h, w).
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
