"""Starlight on the pixels: single stars, their trails, the Milky Way."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import blurred, fractal_tile

ImageArray = NDArray[np.float32]
FloatArray = NDArray[np.float64]


def star_field(
    rng: np.random.Generator,
    width: int,
    height: int,
    number: int,
    trail: FloatArray | None = None,
    band: ImageArray | None = None,
) -> ImageArray:
    """Stars as points or as trails, shape (height, width, 3).

    Parameters
    ----------
    rng : numpy.random.Generator
    width, height : int
    number : int
        Of stars; ten times as many have a fifth to a hundredth of the light.
    trail : ndarray, shape (n, 2), optional
        Steps in x and y that every star makes in the exposure, pixels.
    band : ndarray of float32, shape (height, width), optional
        Where there are more of them.
    """
    x, y = rng.uniform(0, width, number), rng.uniform(0, height, number)
    if band is not None:
        more = rng.random(number) < 0.15 + band[y.astype(int), x.astype(int)]
        x, y = x[more], y[more]
    flux = np.minimum((1.0 - rng.random(len(x))) ** (-1.0 / rng.uniform(0.5, 1.4)), 400.0)
    # Stars are nearly white, but a single pixel of a mosaic sensor catches one colour of them
    warm = rng.normal(0.1, rng.uniform(0.15, 0.8), len(x))
    colour = np.stack([np.exp(0.7 * warm), np.ones_like(warm), np.exp(-warm)], axis=1)
    size = rng.uniform(0.35, 0.9)
    image = np.zeros((height, width, 3), np.float32)
    for step in np.zeros((1, 2)) if trail is None else trail:
        add_points(image, x + step[0], y + step[1], flux[:, None] * colour)
    for channel in range(3):
        image[..., channel] = cv2.GaussianBlur(image[..., channel], (0, 0), size)
    return image


def add_points(image: ImageArray, x: FloatArray, y: FloatArray, light: FloatArray) -> None:
    """Add points of light to a picture between its pixels, in place; light has shape (n, 3)."""
    height, width = image.shape[:2]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for down in (0, 1):
        for right in (0, 1):
            column, row = left + right, top + down
            share = (1.0 - np.abs(x - column)) * (1.0 - np.abs(y - row))
            seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            weight = (share[:, None] * light)[seen].astype(np.float32)
            np.add.at(image, (row[seen], column[seen]), weight)


def milky_way(rng: np.random.Generator, width: int, height: int) -> ImageArray:
    """A ragged band with dark lanes, 0 to about 1, shape (height, width)."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    turn, size = rng.uniform(0.0, np.pi), float(max(width, height))
    across = (np.cos(turn) * (columns - width * rng.random())) / size
    across = across + np.sin(turn) * (rows - height * rng.random()) / size
    rough, lanes = (
        cv2.resize(fractal_tile(rng, 256, slope), (width, height), interpolation=cv2.INTER_CUBIC)
        for slope in (1.5, 1.3)
    )
    thick = rng.uniform(0.06, 0.2)
    band = np.exp(-0.5 * ((across + 0.03 * rough) / thick) ** 2) * np.exp(0.35 * rough - 0.35)
    dark = np.exp(-0.5 * ((across + 0.04 * lanes) / (0.25 * thick)) ** 2)
    return blurred(np.clip(band * (1.0 - 0.6 * dark), 0.0, 1.5).astype(np.float32), 1.5)
