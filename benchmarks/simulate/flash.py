"""A thundercloud lit from within: the towers of the cloud show in the light of the flash."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import blurred, fractal_tile
from benchmarks.simulate.sim_camera import SimCamera
from benchmarks.simulate.transients import FLASH_KM, FLASH_RGB


def storm_light(
    camera: SimCamera, brightness_nw: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Lightning somewhere on the visible ground, RGB, nW cm^-2 sr^-1, shape (3, height, width).

    Parameters
    ----------
    camera : SimCamera
    brightness_nw : float
        Of the brightest part; 0 for no lightning.
    rng : numpy.random.Generator
    """
    height, width = camera.height_px, camera.width_px
    light = np.zeros((3, height, width), np.float32)
    x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
    lon, lat, distance_m = camera.ground(x, y)
    if brightness_nw <= 0.0 or not np.isfinite(lon):
        return light
    cosine = float(camera.project(lon, lat)[3])
    tall = FLASH_KM * 1000.0 * camera.focal_px / float(distance_m)
    # The cloud lies flat on a tilted ground; its light is spread over a patch of that ground.
    flat = max(cosine, 0.25)
    turn = float(rng.uniform(0.0, 180.0))
    spot = np.zeros((height, width), np.float32)
    for _ in range(8):
        jitter = 0.5 * tall * rng.standard_normal(2) * (1.0, flat)
        size = max(tall * float(rng.uniform(0.1, 0.45)), 1.0)
        cv2.ellipse(
            spot,
            (round(x + jitter[0]), round(y + jitter[1])),
            (max(round(size), 1), max(round(size * flat), 1)),
            turn,
            0,
            360,
            float(rng.uniform(0.2, 1.0)),
            -1,
        )
    spot = blurred(spot, max(0.18 * tall, 1.0))
    tile = fractal_tile(rng, 256, 1.3)
    reach = max(int(4.0 * tall), 8)
    texture = np.ones((height, width), np.float32)
    left, top = max(int(x) - reach, 0), max(int(y) - reach, 0)
    right, bottom = min(int(x) + reach, width), min(int(y) + reach, height)
    if right > left and bottom > top:
        texture[top:bottom, left:right] = np.exp(
            0.6 * cv2.resize(tile, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        )
    for channel in range(3):
        light[channel] = np.float32(brightness_nw * FLASH_RGB[channel]) * spot * texture
    return light
