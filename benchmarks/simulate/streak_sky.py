"""The sky behind streaks: its slope, the lens's dark corners, and clouds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import fractal_tile

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SkySettings:
    """Ranges that are drawn from uniformly (electrons: log-uniformly)."""

    electrons: tuple[float, float] = (20.0, 500.0)
    gradient: tuple[float, float] = (0.0, 0.6)  # from side to side
    vignetting: tuple[float, float] = (0.0, 0.45)  # loss in the corners
    cloudy: float = 0.2  # share of frames
    cloud_light: tuple[float, float] = (0.15, 1.5)  # brightest cloud over the sky
    cloud_opacity: tuple[float, float] = (0.1, 0.8)


@dataclass(frozen=True, kw_only=True)
class Sky:
    """A sky, each of shape (h, w).

    Attributes
    ----------
    electrons : ndarray of float64
        Light of sky and clouds.
    passed : ndarray of float64
        Share of the light of stars and streaks that arrives.
    cloudy : bool
    """

    electrons: FloatArray
    passed: FloatArray
    cloudy: bool


def draw_sky(rng: np.random.Generator, width: int, height: int, settings: SkySettings) -> Sky:
    """Draw a sky."""
    x = (np.arange(width) / width - 0.5)[None, :]
    y = (np.arange(height) / height - 0.5)[:, None]
    level = np.exp(rng.uniform(*np.log(settings.electrons)))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    bow = 0.5 * np.exp(-0.5 * ((along - rng.uniform(-0.4, 0.4)) / 0.15) ** 2)
    light = 1.0 + rng.uniform(*settings.gradient) * (along + bow)
    aspect = height / width
    corner2 = (x**2 + (y * aspect) ** 2) / (0.25 * (1.0 + aspect**2))  # 1 in the corners
    lens = 1.0 - rng.uniform(*settings.vignetting) * corner2
    passed = lens
    cloudy = bool(rng.random() < settings.cloudy)
    if cloudy:
        cloud = _clouds(rng, width, height)
        light = light + rng.uniform(*settings.cloud_light) * cloud
        passed = lens * (1.0 - rng.uniform(*settings.cloud_opacity) * cloud)
    return Sky(electrons=level * light * lens, passed=np.asarray(passed), cloudy=cloudy)


def _clouds(rng: np.random.Generator, width: int, height: int) -> FloatArray:
    """How thick the clouds are, 0 to 1: fractal, with edges, sometimes drawn out by the wind."""
    size = 1024
    tile = fractal_tile(rng, size, rng.uniform(1.3, 1.9))
    step = rng.uniform(0.4, 1.0) * size / max(width, height)  # samples of the tile a pixel
    stretch = rng.uniform(1.0, 4.0)
    turn = rng.uniform(0.0, np.pi)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    u = (np.cos(turn) * x + np.sin(turn) * y) * step / stretch
    v = (np.cos(turn) * y - np.sin(turn) * x) * step
    field = cv2.remap(
        tile,
        (u % size).astype(np.float32),
        (v % size).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    # Samples of the tile are wider than pixels in large frames: no creases between them
    field = cv2.GaussianBlur(field, (0, 0), max(1.5, stretch / step))
    low, high = np.quantile(field[::8, ::8], [rng.uniform(0.1, 0.6), 0.99])
    return np.asarray(np.clip((field - low) / (high - low), 0.0, 1.0) ** 0.8, dtype=np.float64)
