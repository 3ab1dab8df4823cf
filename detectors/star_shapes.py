"""The shape of a star's light: how much of it lies in a pixel or two, and its second moments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.point_spread import PointSpread
from detectors.types import FloatArray

FloatImage = NDArray[np.float32]
WINDOW = 1.5  # of the moments' window, over the star's own width
LEAST_SIGMA_PX = 0.25


def narrow_light(alone: FloatImage, half: int) -> tuple[FloatArray, FloatArray]:
    """Best single pixel or pair of pixels, over the root of their number; and what is around it.

    The light around is that of the other pixels of the middle 5 x 5.
    """
    c = half
    core = alone[:, c - 2 : c + 3, c - 2 : c + 3].astype(float)
    middle = core[:, 1:4, 1:4]
    shifts = ((0, 1), (1, 0), (1, 1), (1, -1))
    sums = [middle] + [middle + core[:, 1 + i : 4 + i, 1 + j : 4 + j] for i, j in shifts]
    counts = np.array([1.0, 2.0, 2.0, 2.0, 2.0])
    best = np.stack([one.max(axis=(1, 2)) for one in sums], axis=1)
    which = np.argmax(best / np.sqrt(counts), axis=1)
    light = np.take_along_axis(best, which[:, None], axis=1)[:, 0]
    return light / np.sqrt(counts[which]), core.sum(axis=(1, 2)) - light


def moments_of_stars(
    alone: FloatImage, x: FloatArray, y: FloatArray, psf: PointSpread, half: int
) -> FloatArray:
    """Second moments behind a Gaussian window somewhat wider than the star, shape (N, 2, 2).

    Under a window of moments S a Gaussian of moments M shows (M^-1 + S^-1)^-1.
    """
    offsets = np.arange(-half, half + 1)
    dx = (offsets - x[:, None])[:, None, :]
    dy = (offsets - y[:, None])[:, :, None]
    trail = np.array(psf.trail_px)
    own = psf.sigma_px**2 * np.eye(2) + np.outer(trail, trail) / 12.0
    window = np.linalg.inv(WINDOW**2 * own)
    exponent = window[0, 0] * dx**2 + window[1, 1] * dy**2 + 2.0 * window[0, 1] * dx * dy
    light = alone * np.exp((-0.5 * exponent).astype(np.float32))
    total = light.sum(axis=(1, 2), dtype=float)
    total = np.where(total > 0.0, total, np.inf)
    xx = (light * dx**2).sum(axis=(1, 2)) / total
    yy = (light * dy**2).sum(axis=(1, 2)) / total
    xy = (light * dx * dy).sum(axis=(1, 2)) / total
    seen = np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2)
    values, vectors = np.linalg.eigh(seen)
    seen = np.einsum("nij,nj,nkj->nik", vectors, np.maximum(values, LEAST_SIGMA_PX**2), vectors)
    values, vectors = np.linalg.eigh(np.linalg.inv(seen) - window)
    most = (8.0 * WINDOW) ** 2 * np.trace(own)
    values = np.clip(1.0 / np.maximum(values, 1.0 / most), LEAST_SIGMA_PX**2, most)
    return np.asarray(np.einsum("nij,nj,nkj->nik", vectors, values, vectors))
