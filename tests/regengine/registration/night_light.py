"""Linear light of a made-up night: three towns on a dim slope."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matchers.photo_light import LightImage
from regengine.photo.image import LinearLight
from regengine.registration.preparation import lights_of_photo

TOWNS = ((100, 80), (300, 200), (220, 60))


def linear(light: NDArray[np.float32], clipped: NDArray[np.bool_] | None = None) -> LinearLight:
    saturated = np.zeros_like(light) if clipped is None else clipped.astype(np.float32)
    return LinearLight(light=light, saturated=saturated, factor=0.5)


def night(seed: int = 0) -> NDArray[np.float32]:
    """A dim slope with noise, and three towns."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:300, :450].astype(np.float32)
    light = 0.02 + 2e-5 * x + rng.normal(0.0, 0.001, x.shape)
    for px, py in TOWNS:
        light += 0.4 * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2) / 3.0**2)
    return light.astype(np.float32)


def images_of(light: LinearLight, sample_km: float = 0.5) -> tuple[LightImage, LightImage]:
    lights = lights_of_photo(light, sample_km)
    return lights.sharp, lights.hazy
