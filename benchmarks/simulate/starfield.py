"""The truth of a frame of stars, and what is added to electrons point by point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray

HOT_ELECTRONS = 50.0  # the faintest; full well is the brightest


def add_hot_pixels(
    rng: np.random.Generator, electrons: FloatArray, count: int, well: float
) -> None:
    """Add charge to single pixels, from a little to a full well, log-uniformly; in place."""
    h, w = electrons.shape
    charge = np.exp(rng.uniform(np.log(HOT_ELECTRONS), np.log(well), count))
    np.add.at(electrons, (rng.integers(0, h, count), rng.integers(0, w, count)), charge)


def add_stamp(scene: FloatArray, stamp: FloatArray, row: int, col: int) -> None:
    """Add a square stamp about a pixel, as far as it lies inside; in place."""
    inside, own = overlap(scene.shape, stamp.shape[0] // 2, row, col)
    scene[inside] += stamp[own]


Window = tuple[slice, slice]


def overlap(shape: tuple[int, ...], half: int, row: int, col: int) -> tuple[Window, Window]:
    """Where a square about a pixel lies in a picture, and which part of the square that is."""
    inside, own = [], []
    for place, size in zip((row, col), shape, strict=True):
        first = max(0, place - half)
        last = max(first, min(size, place + half + 1))
        inside.append(slice(first, last))
        own.append(slice(first - place + half, last - place + half))
    return (inside[0], inside[1]), (own[0], own[1])


@dataclass(frozen=True, kw_only=True)
class Starfield:
    """A simulated frame and its truth."""

    light: NDArray[np.float32]  # shape (h, w): Linear light, 1 at full well
    saturated: NDArray[np.float32]  # shape (h, w): 1 where a pixel is full
    # x and y: shape (N,): Middle of each star, pixels
    x: FloatArray
    y: FloatArray
    flux: FloatArray  # shape (N,): In units of the image times square pixels
    peak_snr: FloatArray  # shape (N,): Brightest pixel over the noise of sky and read-out there
    # Shape (N, 2): Cramer-Rao bound of x and y: one sigma of the best unbiased centroid of the star
    # alone
    bound_px: FloatArray
    # Shape (N,): Inside the frame by three pixels, and no other star hides its maximum
    resolved: NDArray[np.bool_]
    fwhm_px: float  # of the profile
    trail_px: tuple[float, float] | None  # from end to end, x >= 0
