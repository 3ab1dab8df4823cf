"""Nights that are drawn: cloud, lamps and flashes, as linear red, green and blue."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FLASH_RGB = (0.86, 0.93, 1.0)
SODIUM_RGB = (1.0, 0.55, 0.12)
FloatImage = NDArray[np.float32]


def ground(height: int, width: int, *, seed: int = 0) -> FloatImage:
    """Dark ground with faint structure that can be recognised in a neighbour, and sodium lamps."""
    rng = np.random.default_rng(seed)
    lumps = sum(
        cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), px) * px for px in (2, 6, 15)
    )
    light = (0.008 + 0.004 * np.clip(lumps, -1.5, 3.0))[..., None] * np.ones(3)
    for x, y in rng.uniform((6, 6), (width - 6, height - 6), (60, 2)):
        add_blob(light, x, y, 1.2, float(rng.uniform(0.1, 0.5)), SODIUM_RGB)
    return np.clip(light + rng.normal(0.0, 4e-4, light.shape), 0.0, 1.0).astype(np.float32)


def add_blob(
    light: NDArray[np.floating],
    x: float,
    y: float,
    sigma: float,
    peak: float,
    colour: tuple[float, float, float] = FLASH_RGB,
) -> None:
    """Add a Gaussian of light, in place."""
    rows, cols = np.arange(light.shape[0])[:, None], np.arange(light.shape[1])
    blob = peak * np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2.0 * sigma**2))
    light += blob[..., None] * np.array(colour)
