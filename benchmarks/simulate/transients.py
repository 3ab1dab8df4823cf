"""Lights of one night that no map knows: fishing fleets, gas flares and lightning."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.noise import blurred
from detectors.types import FloatArray

ImageArray = NDArray[np.float32]

BOAT_RGB = (0.80, 1.05, 1.10)  # metal-halide lamps over the water
BOAT_POWER = 2.0  # nW cm^-2 sr^-1 km^2, as a village
FLEET_KM = 15.0
FLARE_RGB = (1.9, 0.9, 0.25)  # a flame of 1,800 K
FLARE_POWER = 15.0  # nW cm^-2 sr^-1 km^2, as a small town out of one point
FIELD_KM = 40.0
FLASH_RGB = (0.85, 0.90, 1.20)
FLASH_KM = 25.0  # a thundercloud lit from within


def boat_light(camera: SimCamera, boats: int, rng: np.random.Generator) -> ImageArray:
    """Fishing boats in up to three fleets anywhere on the visible ground."""
    if boats <= 0:
        return np.zeros((3, camera.height_px, camera.width_px), np.float32)
    fleet = rng.integers(0, 3, boats)
    centre_x = rng.uniform(0, camera.width_px, 3)[fleet]
    centre_y = rng.uniform(0, camera.height_px, 3)[fleet]
    spread_px = _spread_px(camera, FLEET_KM)
    x = centre_x + spread_px * rng.standard_normal(boats)
    y = centre_y + spread_px * rng.standard_normal(boats)
    return _points(camera, x, y, BOAT_POWER * rng.exponential(1.0, boats), BOAT_RGB)


def flare_light(camera: SimCamera, flares: int, rng: np.random.Generator) -> ImageArray:
    """Gas flares in one field on the visible ground, RGB as above."""
    if flares <= 0:
        return np.zeros((3, camera.height_px, camera.width_px), np.float32)
    spread_px = _spread_px(camera, FIELD_KM)
    x = rng.uniform(0, camera.width_px) + spread_px * rng.standard_normal(flares)
    y = rng.uniform(0, camera.height_px) + spread_px * rng.standard_normal(flares)
    power = FLARE_POWER * np.exp(0.8 * rng.standard_normal(flares))
    return _points(camera, x, y, power, FLARE_RGB)


def _spread_px(camera: SimCamera, km: float) -> float:
    """Pixels that a distance on the ground below takes."""
    return km / (camera.height_m / 1000.0 / camera.focal_px)


def _points(
    camera: SimCamera,
    x: FloatArray,
    y: FloatArray,
    power: FloatArray,
    rgb: tuple[float, float, float],
) -> ImageArray:
    """Light of single lamps at places in the image; those on the sky or outside have none."""
    height, width = camera.height_px, camera.width_px
    light = np.zeros((3, height, width), np.float32)
    _, _, distance_m = camera.ground(x, y)
    strength = power * (camera.focal_px / (distance_m / 1000.0)) ** 2
    column, row = np.round(x).astype(int), np.round(y).astype(int)
    seen = np.isfinite(distance_m) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    for channel in range(3):
        np.add.at(
            light[channel],
            (row[seen], column[seen]),
            (rgb[channel] * strength[seen]).astype(np.float32),
        )
    return light


def flash_light(camera: SimCamera, brightness_nw: float, rng: np.random.Generator) -> ImageArray:
    """A thundercloud lit by lightning somewhere on the visible ground, RGB as above."""
    height, width = camera.height_px, camera.width_px
    light = np.zeros((3, height, width), np.float32)
    if brightness_nw <= 0.0:
        return light
    x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
    lon, _, distance_m = camera.ground(x, y)
    if not np.isfinite(lon):
        return light
    radius_px = FLASH_KM * 1000.0 * camera.focal_px / float(distance_m)
    spot = np.zeros((height, width), np.float32)
    for _ in range(6):
        jitter_x, jitter_y = radius_px * 0.6 * rng.standard_normal(2)
        size = max(round(radius_px * rng.uniform(0.2, 0.6)), 1)
        cv2.circle(spot, (round(x + jitter_x), round(y + jitter_y)), size, 1.0, -1)
    spot = blurred(spot, max(0.25 * radius_px, 1.0))
    for channel in range(3):
        light[channel] = np.float32(brightness_nw * FLASH_RGB[channel]) * spot
    return light
