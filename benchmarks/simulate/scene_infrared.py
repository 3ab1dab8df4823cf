"""What a colour sensor without its infrared filter makes of light in four bands.

A colour camera's pixels all see the near infrared: the red ones best from 0.7 to 0.8 um, where the
dyes of the green and the blue ones still absorb, all of them alike beyond. The window before the
camera most often holds a filter, so that two bands can be told apart: a blue one passes blue and
near infrared (red pixels measure the infrared), a red one red and near infrared (blue ones do).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import blurred

ImageArray = NDArray[np.float32]

# Filters: their share, and least and most of what red, green and blue pixels see through them of
# the visible light; gels leak
FILTERS = (
    (0.25, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    (0.35, (0.0, 0.2, 0.8), (0.1, 0.6, 1.0)),
    (0.40, (0.7, 0.02, 0.0), (1.0, 0.15, 0.08)),
)
# Of the near infrared by red, green and blue pixels, against their best visible light
LEAST_INFRARED, MOST_INFRARED = (0.7, 0.35, 0.3), (1.3, 0.9, 0.9)
# Of stray light just beyond the visible, where red pixels see best
LEAST_VEIL, MOST_VEIL = (0.8, 0.3, 0.05), (1.0, 0.75, 0.5)
# Colour matrices that make honest colours of visible light draw its channels apart
CROSSTALK = ((1.7, -0.5, -0.2), (-0.3, 1.6, -0.3), (-0.1, -0.6, 1.7))


def unfiltered(light: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Light as a camera without infrared filter records and balances it.

    Parameters
    ----------
    light : ndarray of float32, shape (height, width, 4)
        Linear red, green, blue and near infrared.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32, shape (height, width, 3)
        Linear red, green and blue.
    """
    chosen = int(rng.choice(len(FILTERS), p=[share for share, _, _ in FILTERS]))
    visible = rng.uniform(FILTERS[chosen][1], FILTERS[chosen][2])
    sense = rng.uniform(LEAST_INFRARED, MOST_INFRARED)
    sense.sort()
    sense = sense[::-1]
    infra = light[..., 3]
    # Lenses bend it less than visible light: where one is sharp the other is not
    unsharp = float(np.exp(rng.uniform(np.log(0.2), np.log(1.2))))
    seen = light[..., :3]
    if rng.random() < 0.5:
        infra = blurred(infra, unsharp)
    else:
        seen = np.stack([blurred(seen[..., band], unsharp) for band in range(3)], axis=-1)
    mixed = seen * visible + infra[..., None] * sense
    rgb = np.asarray(mixed, np.float32)
    if rng.random() < 0.75:  # coatings reflect it, most where they end
        veil = rng.uniform(LEAST_VEIL, MOST_VEIL) * rng.uniform(0.05, 0.8)
        rgb += np.float32(veil * np.quantile(rgb, 0.9))
    return _balanced(rgb, rng) * _shading(rgb.shape[:2], rng)


def _balanced(rgb: ImageArray, rng: np.random.Generator) -> ImageArray:
    """White balance and colour matrix of a camera that takes all of it for visible light."""
    mode = rng.random()
    if mode < 0.6:  # evens out the means, as most automatic ones do
        white, evened = rgb.mean(axis=(0, 1)), rng.uniform(0.85, 1.05)
    elif mode < 0.9:  # makes what is brightest white
        level = rgb.mean(axis=2)
        white = rgb[level >= np.quantile(level, 0.97)].mean(axis=0)
        evened = rng.uniform(0.8, 1.0)
    else:  # set for daylight: all is red, brown or pink
        white, evened = rgb.mean(axis=(0, 1)), rng.uniform(0.0, 0.6)
    gains = (white.mean() / np.maximum(white, 1e-6)) ** evened * np.exp(
        rng.normal((0.02, 0.0, 0.02), 0.03)
    )
    matrix = np.eye(3) + rng.uniform(0.0, 0.8) * (np.array(CROSSTALK) - np.eye(3))
    return np.maximum((rgb * gains) @ matrix.T, 0.0).astype(np.float32)


def _shading(shape: tuple[int, int], rng: np.random.Generator) -> ImageArray:
    """Rims bluer or redder than the middle: the table against it was made for visible light."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot(columns - 0.5 * width, rows - 0.5 * height) / (0.5 * max(height, width))
    rim = rng.normal((-0.08, 0.0, 0.06), 0.05).astype(np.float32)
    return np.asarray(np.exp(cv2.multiply(away, away)[..., None] * rim), np.float32)
