"""What is bright in a frame and no star: hot pixels and cosmic rays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

HOT_ELECTRONS = 50.0  # the faintest; full well is the brightest
TRACK_ELECTRONS = (300.0, 6000.0)  # of a whole track
TRACK_PX = (0.3, 15.0)
TRACK_STEP_PX = 0.1


def add_hot_pixels(
    rng: np.random.Generator, electrons: FloatArray, count: int, well: float
) -> None:
    """Add charge to single pixels, from a little to a full well, log-uniformly; in place."""
    h, w = electrons.shape
    charge = np.exp(rng.uniform(np.log(HOT_ELECTRONS), np.log(well), count))
    np.add.at(electrons, (rng.integers(0, h, count), rng.integers(0, w, count)), charge)


def add_cosmic_rays(
    rng: np.random.Generator,
    electrons: FloatArray,
    count: int,
    track_px: tuple[float, float] = TRACK_PX,
) -> None:
    """Add straight tracks of one pixel's width, as particles leave them; in place."""
    h, w = electrons.shape
    for _ in range(count):
        length, angle = rng.uniform(*track_px), rng.uniform(0.0, np.pi)
        steps = np.arange(0.0, length, TRACK_STEP_PX)
        row = np.rint(rng.uniform(0, h) + steps * np.sin(angle)).astype(int)
        col = np.rint(rng.uniform(0, w) + steps * np.cos(angle)).astype(int)
        inside = (row >= 0) & (row < h) & (col >= 0) & (col < w)
        charge = np.exp(rng.uniform(*np.log(TRACK_ELECTRONS))) / steps.size
        np.add.at(electrons, (row[inside], col[inside]), charge)
