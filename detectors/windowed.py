"""Blobs fitted by Gaussian windows that move and stretch until they sit on the blob."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray

# Small squares around places of an image, cut out and put back.


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


def inside_image(shape: tuple[int, ...], row: IndexArray, col: IndexArray, half: int) -> BoolImage:
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


HALF_STAMP_PX = 7
OFFSETS = np.arange(-HALF_STAMP_PX, HALF_STAMP_PX + 1)
RING = np.hypot(OFFSETS[:, None], OFFSETS[None, :]) >= 6.0
RING_PLACES = np.argwhere(RING)[:, ::-1].astype(np.float32) - HALF_STAMP_PX  # x, y
RING_SLOPES = RING_PLACES / (RING_PLACES**2).sum(axis=0)  # least squares, ring all around
RING_INDEX = np.flatnonzero(RING)
RING_PRODUCTS = np.stack(
    [RING_PLACES[:, 0] ** 2, RING_PLACES.prod(axis=1), RING_PLACES[:, 1] ** 2], axis=1
)
REGULAR = np.array([[1.0], [0.0], [1.0]], np.float32)  # keeps an empty ring solvable
PLANE_PASSES = 1
PASSES = 4
NARROWEST_SIGMA_PX, WIDEST_SIGMA_PX = 0.9, 3.0  # the stamp must hold more than two sigma
# The window may grow and shrink by this about the scale at which the blob was found
STRETCH = 1.7
NEIGHBOUR_ROUNDS = 2
LONGEST_AXIS = 1.8
# What surrounds a blob is judged by the darker quarter of its ring: the rest may hold neighbours
NORMAL_QUARTILE = 0.6745


@dataclass(frozen=True, kw_only=True)
class FittedBlobs:
    """Gaussians that fit blobs best, in pixels of the image they were fitted on.

    Attributes
    ----------
    x, y, flux : ndarray of float64, shape (N,)
        Centre and integral.
    moments : ndarray of float64, shape (N, 2, 2)
        Second central moments, order (x, y).
    settled : ndarray of bool, shape (N,)
        False where the window ran to the end of its leash.
    """

    x: FloatArray
    y: FloatArray
    flux: FloatArray
    moments: FloatArray
    settled: BoolImage


def fit_blobs(
    image: FloatImage, x: FloatArray, y: FloatArray, sigma_px: FloatArray, noise: FloatArray
) -> FittedBlobs:
    """Fit neighbouring blobs, each without the light of the others.

    At first all are fitted alone under windows of the guessed width; then, twice, each on the
    image less all the others as they were fitted before.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Light, background removed.
    x, y, sigma_px : ndarray of float64, shape (N,)
        First guesses of centre and sigma.
    noise : ndarray of float64, shape (N,)
        Sigma of a pixel of the image there.

    Returns
    -------
    FittedBlobs
    """
    col, row = np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
    stamps = cut_stamps(image, row, col, HALF_STAMP_PX)
    fitted = _fit(stamps, x - col, y - row, sigma_px, noise, stretch=1.0)
    for _ in range(NEIGHBOUR_ROUNDS):
        drawn = _drawn(fitted)
        others = sum_of_stamps(image.shape, row, col, drawn)
        neighbours = cut_stamps(others, row, col, HALF_STAMP_PX) - drawn
        fitted = _fit(stamps - neighbours, x - col, y - row, sigma_px, noise, stretch=STRETCH)
    return replace(fitted, x=fitted.x + col, y=fitted.y + row)


def draw_blobs(shape: tuple[int, ...], blobs: FittedBlobs) -> FloatImage:
    """The sum of Gaussian blobs as an image."""
    col = np.clip(np.rint(blobs.x), 0, shape[1] - 1).astype(np.intp)
    row = np.clip(np.rint(blobs.y), 0, shape[0] - 1).astype(np.intp)
    centred = replace(blobs, x=blobs.x - col, y=blobs.y - row)
    return sum_of_stamps(shape, row, col, _drawn(centred))


def _fit(
    stamps: FloatImage,
    x0: FloatArray,
    y0: FloatArray,
    sigma_px: FloatArray,
    noise: FloatArray,
    *,
    stretch: float,
) -> FittedBlobs:
    """Fit each stamp's blob; positions count from the middle of the stamp.

    Each pass moves a round Gaussian window to the windowed centroid (by twice the step, since the
    window itself pulls back half of it: SExtractor's XWIN_IMAGE) and gives it the blob's width:
    under a window of moments S a Gaussian blob of moments M shows (M^-1 + S^-1)^-1.

    References
    ----------
    Bernstein, G. M., Jarvis, M. (2002). Shapes and shears, stars and smears. AJ 123, 583-618.
    """
    above = stamps - _surroundings(stamps, noise)
    start = np.clip(sigma_px, NARROWEST_SIGMA_PX, WIDEST_SIGMA_PX)
    lowest, highest = start / stretch, np.minimum(start * stretch, WIDEST_SIGMA_PX)
    x, y, sigma = x0, y0, start
    seen = _windowed(above, x, y, sigma)
    for _ in range(PASSES):
        x = np.clip(x + 2.0 * seen.dx, x0 - start, x0 + start)
        y = np.clip(y + 2.0 * seen.dy, y0 - start, y0 + start)
        own = np.maximum(0.5 * (seen.xx + seen.yy), 1e-3)
        sigma = np.sqrt(1.0 / np.maximum(1.0 / own - 1.0 / sigma**2, 1e-3))
        sigma = np.clip(sigma, lowest, highest)
        seen = _windowed(above, x, y, sigma)
    moments = _moments_behind(seen, sigma, stretch)
    # A Gaussian blob's windowed sum is flux * sqrt(det S / det(S + M))
    widened = moments + (sigma**2)[:, None, None] * np.eye(2)
    flux = seen.total * np.sqrt(np.linalg.det(widened)) / sigma**2
    settled = (np.maximum(np.abs(x - x0), np.abs(y - y0)) < 0.99 * start) & (flux > 0.0)
    return FittedBlobs(x=x, y=y, flux=flux, moments=moments, settled=settled)


def _surroundings(stamps: FloatImage, noise: FloatArray) -> FloatImage:
    """The plane of light that each blob stands on, from the darker part of its ring."""
    ring = stamps.reshape(len(stamps), -1)[:, RING_INDEX]
    slopes = ring @ RING_SLOPES
    flat = ring - slopes @ RING_PLACES.T
    for _ in range(PLANE_PASSES):  # without what stands out: neighbours
        quarter, middle = _quantiles(flat)
        kept = (flat <= (2.0 * middle - quarter)[:, None]).astype(np.float32)
        xx, xy, yy = (kept @ RING_PRODUCTS).T + REGULAR
        x, y = ((kept * (flat - middle[:, None])) @ RING_PLACES).T
        change = np.stack([yy * x - xy * y, xx * y - xy * x], axis=1)
        slopes = slopes + change / (xx * yy - xy * xy)[:, None]
        flat = ring - slopes @ RING_PLACES.T
    quarter, middle = _quantiles(flat)
    level = np.minimum(quarter + NORMAL_QUARTILE * noise, middle).astype(np.float32)
    tilted = slopes[:, 0, None, None] * OFFSETS[None, None, :] + (
        slopes[:, 1, None, None] * OFFSETS[None, :, None]
    )
    return np.asarray(level[:, None, None] + tilted, np.float32)


def _quantiles(flat: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Lower quartile and median of each row."""
    count = flat.shape[1]
    ordered = np.partition(flat, (count // 4, count // 2), axis=1)
    return ordered[:, count // 4], ordered[:, count // 2]


@dataclass(frozen=True, kw_only=True)
class _Windowed:
    """Sum of a stamp under its window, centroid from the window's middle, central moments."""

    total: FloatArray
    dx: FloatArray
    dy: FloatArray
    xx: FloatArray
    yy: FloatArray
    xy: FloatArray


def _windowed(stamps: FloatImage, x: FloatArray, y: FloatArray, sigma: FloatArray) -> _Windowed:
    dx, dy = OFFSETS - x[:, None], OFFSETS - y[:, None]
    wx = np.exp(-0.5 * (dx / sigma[:, None]) ** 2)
    wy = np.exp(-0.5 * (dy / sigma[:, None]) ** 2)
    by_x = np.stack([wx, wx * dx, wx * dx * dx], axis=2).astype(np.float32)
    by_y = np.stack([wy, wy * dy, wy * dy * dy], axis=1).astype(np.float32)
    sums = (by_y @ stamps @ by_x).astype(np.float64)  # (N, power of y, power of x)
    total = sums[:, 0, 0]
    safe = np.where(total > 0.0, total, np.inf)
    mx, my = sums[:, 0, 1] / safe, sums[:, 1, 0] / safe
    return _Windowed(
        total=np.maximum(total, 0.0),
        dx=mx,
        dy=my,
        xx=sums[:, 0, 2] / safe - mx * mx,
        yy=sums[:, 2, 0] / safe - my * my,
        xy=sums[:, 1, 1] / safe - mx * my,
    )


def _moments_behind(seen: _Windowed, sigma: FloatArray, stretch: float) -> FloatArray:
    """Moments of the Gaussian blob behind windowed moments, shape (N, 2, 2)."""
    windowed = np.stack([seen.xx, seen.xy, seen.xy, seen.yy], axis=-1).reshape(-1, 2, 2)
    values, vectors = np.linalg.eigh(windowed)
    weight = 1.0 / sigma[:, None] ** 2
    # no axis beyond three windows, where the window would see nothing but a plateau
    axes = 1.0 / np.maximum(1.0 / np.maximum(values, 0.05) - weight, weight / 9.0)
    axes = np.minimum(axes, (LONGEST_AXIS * stretch * sigma[:, None]) ** 2)
    return np.asarray(np.einsum("nij,nj,nkj->nik", vectors, axes, vectors))


def _drawn(blobs: FittedBlobs) -> FloatImage:
    """Each blob on a stamp of its own, shape (N, 15, 15)."""
    inverse = np.linalg.inv(blobs.moments)
    dx, dy = OFFSETS - blobs.x[:, None], OFFSETS - blobs.y[:, None]
    exponent = (
        (inverse[:, 0, 0, None] * dx * dx)[:, None, :]
        + (inverse[:, 1, 1, None] * dy * dy)[:, :, None]
        + 2.0 * (inverse[:, 0, 1, None] * dy)[:, :, None] * dx[:, None, :]
    )
    peak = blobs.flux / (2.0 * np.pi * np.sqrt(np.linalg.det(blobs.moments)))
    shape = np.exp((-0.5 * exponent).astype(np.float32))
    return np.asarray(peak.astype(np.float32)[:, None, None] * shape)
