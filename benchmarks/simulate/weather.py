"""Clouds over the lights and the sky above the limb, on the pixels of a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import GroundNoise, fractal_tile
from benchmarks.simulate.scene import CloudLayer
from benchmarks.simulate.sim_camera import SimCamera

FloatArray = NDArray[np.float64]
ImageArray = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class ViewGrid:
    """What a coarse grid of pixels sees; brought to full size by bilinear interpolation.

    Attributes
    ----------
    x, y : ndarray, shape (rows, cols)
        Pixels of the grid.
    lon, lat : ndarray, shape (rows, cols)
        Ground, degrees; NaN for the sky.
    cosine : ndarray, shape (rows, cols)
        Of the angle between the ground's vertical and the camera; NaN for the sky.
    perigee_m : ndarray, shape (rows, cols)
        Least height along the sight; below 0 for ground.
    """

    x: FloatArray
    y: FloatArray
    lon: FloatArray
    lat: FloatArray
    cosine: FloatArray
    perigee_m: FloatArray

    def full_size(self, values: FloatArray, width: int, height: int) -> ImageArray:
        """Bilinear interpolation of values on the grid, shape (height, width)."""
        step_x, step_y = self.x[0, 1] - self.x[0, 0], self.y[1, 0] - self.y[0, 0]
        column = (np.arange(width, dtype=np.float32) - self.x[0, 0]) / step_x
        row = (np.arange(height, dtype=np.float32) - self.y[0, 0]) / step_y
        map_x, map_y = np.meshgrid(column.astype(np.float32), row.astype(np.float32))
        return np.asarray(
            cv2.remap(values.astype(np.float32), map_x, map_y, cv2.INTER_LINEAR), dtype=np.float32
        )


def view_grid(camera: SimCamera, points: int = 30_000) -> ViewGrid:
    """Ground and sky on about so many pixels, evenly spaced and covering the picture."""
    aspect = camera.width_px / camera.height_px
    cols = max(int(np.sqrt(points * aspect)), 2)
    rows = max(int(np.sqrt(points / aspect)), 2)
    x, y = np.meshgrid(
        np.linspace(-0.5, camera.width_px - 0.5, cols),
        np.linspace(-0.5, camera.height_px - 0.5, rows),
    )
    lon, lat, _ = camera.ground(x, y)
    seen = np.isfinite(lon)
    cosine = np.full(lon.shape, np.nan)
    cosine[seen] = camera.project(lon[seen], lat[seen])[3]
    return ViewGrid(x=x, y=y, lon=lon, lat=lat, cosine=cosine, perigee_m=camera.perigee_m(x, y))


@lru_cache(maxsize=2)
def _cloud_tile(variant: int) -> NDArray[np.float32]:
    return fractal_tile(np.random.default_rng([77, variant]), 1024, 1.55)


def cloud_depth(layer: CloudLayer, view: ViewGrid, rng: np.random.Generator) -> FloatArray:
    """Optical depth of a cloud layer along the sight, on the view's grid.

    Parameters
    ----------
    layer : CloudLayer
    view : ViewGrid
    rng : numpy.random.Generator
        Where the layer lies.

    Returns
    -------
    ndarray, shape (rows, cols)
        0 where it is clear or sky.
    """
    ground = np.isfinite(view.lon)
    noise = GroundNoise(
        tile=_cloud_tile(int(rng.integers(2))),
        spacing_km=layer.scale_km / 250.0,
        lat0_deg=float(view.lat[ground].mean()) if ground.any() else 0.0,
        turn_deg=float(rng.uniform(0.0, 360.0)),
    )
    offset = rng.uniform(-20.0, 20.0, 2)
    if not ground.any() or layer.coverage <= 0.0:
        return np.zeros(view.lon.shape)
    value = noise.at(np.nan_to_num(view.lon) + offset[0], np.nan_to_num(view.lat) + offset[1])
    # The share is of the picture's ground; fields of cloud thicken from their edges inwards.
    threshold = np.quantile(value[ground], 1.0 - min(layer.coverage, 1.0))
    thick = np.clip((value - threshold) / 0.9, 0.0, 1.5)
    cosine = np.nan_to_num(view.cosine)
    # Near the horizon the grid is too coarse for clouds: they dissolve into haze.
    near = np.clip((cosine - 0.10) / 0.12, 0.0, 1.0)
    return np.asarray(layer.optical_depth * thick * near / np.clip(cosine, 0.3, 1.0))


def limb_light(perigee_m: ImageArray, airglow_nw: float) -> NDArray[np.float32]:
    """Light of the airglow and of the lit air at the limb, shape (3, height, width), RGB.

    The green layer of atomic oxygen lies near 95 km, a faint red one near 250 km.
    """
    height_km = perigee_m / 1000.0
    above = height_km > 0.0
    layer = np.exp(-0.5 * ((height_km - 93.0) / 5.0) ** 2)
    # Below its tangent height a thin shell is crossed twice, ever less obliquely.
    depth_km = np.maximum(93.0 - height_km, 0.0)
    below = 0.35 / np.sqrt(1.0 + depth_km / 3.0) * (height_km <= 93.0)
    # The far half of the shell is hidden where the ground ends the sight.
    green = airglow_nw * (layer + np.where(above, below, 0.5 * below))
    red = 0.12 * airglow_nw * np.exp(-0.5 * ((height_km - 230.0) / 70.0) ** 2) * above
    haze = 0.8 * airglow_nw * np.exp(-np.abs(height_km) / 9.0)
    colour = np.stack(
        [0.35 * green + red + 0.7 * haze, green + 0.6 * haze, 0.25 * green + 0.5 * haze]
    )
    return np.asarray(colour, dtype=np.float32)


def star_light(
    camera: SimCamera, perigee_m: ImageArray, per_square_degree: float, rng: np.random.Generator
) -> ImageArray:
    """Stars at random in the sky part of the picture, nW cm^-2 sr^-1, one pixel each."""
    height, width = perigee_m.shape
    square_degrees = height * width * np.degrees(1.0 / camera.focal_px) ** 2
    count = rng.poisson(per_square_degree * square_degrees)
    row, column = rng.integers(0, height, count), rng.integers(0, width, count)
    bright = 8.0 * (1.0 - rng.random(count)) ** -1.1  # ten times the stars at a tenth the light
    image = np.zeros((height, width), np.float32)
    np.add.at(image, (row, column), np.minimum(bright, 2000.0).astype(np.float32))
    image[perigee_m < 8_000.0] = 0.0
    return image
