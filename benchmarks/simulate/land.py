"""An invented land: coasts, mountains, rivers, and where people would live on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from benchmarks.simulate.noise_field import KM_PER_DEGREE, GroundNoise, bilinear, fractal_tile

FloatArray = NDArray[np.float64]

GRID_KM = 1.4  # of the tables below; coasts are interpolated between its points


@dataclass(frozen=True, kw_only=True)
class Region:
    """The box in which a land is invented, degrees."""

    west: float
    south: float
    size_deg: float

    @property
    def lat0_deg(self) -> float:
        """Its middle latitude."""
        return self.south + 0.5 * self.size_deg

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north)."""
        return (
            self.west,
            self.south,
            self.west + self.size_deg,
            self.south + self.size_deg,
        )


@dataclass(frozen=True, kw_only=True)
class Land:
    """Height and population density over a region, on a regular grid of degrees.

    Attributes
    ----------
    region : Region
    step_deg : float
        Spacing of the grid; row 0 is the southern edge, column 0 the western one.
    height : ndarray of float32, shape (n, n)
        Dimensionless; above 0 is land.
    density : ndarray of float32, shape (n, n)
        Relative number of people per area; 0 at sea.
    river : GroundNoise
        Rivers run where it is nearly zero.
    """

    region: Region
    step_deg: float
    height: NDArray[np.float32]
    density: NDArray[np.float32]
    river: GroundNoise

    def is_land(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.bool_]:
        """Whether places lie on land."""
        return self._at(self.height, lon_deg, lat_deg) > 0.0

    def is_water(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.bool_]:
        """Whether places lie in the sea or a river (some hundred metres wide)."""
        river = np.abs(self.river.at(lon_deg, lat_deg)) < 0.004
        return ~self.is_land(lon_deg, lat_deg) | river

    def _at(self, table: NDArray[np.float32], lon: ArrayLike, lat: ArrayLike) -> FloatArray:
        column = (np.asarray(lon, float) - self.region.west) / self.step_deg
        row = (np.asarray(lat, float) - self.region.south) / self.step_deg
        return bilinear(table, column, row, cv2.BORDER_CONSTANT)


def draw_land(rng: np.random.Generator, region: Region) -> Land:
    """Invent a land.

    Parameters
    ----------
    rng : numpy.random.Generator
    region : Region

    Returns
    -------
    Land
        About half of the region, with its border at sea.
    """
    count = int(np.ceil(region.size_deg * KM_PER_DEGREE / GRID_KM))
    step_deg = region.size_deg / (count - 1)
    axis = np.linspace(-1.0, 1.0, count)
    height = _height(rng, axis, region)
    shore_km = ndimage.distance_transform_edt(height > 0.0) * GRID_KM
    people = fractal_tile(rng, count, 1.1)
    valleys = np.abs(fractal_tile(rng, count, 1.35))
    density = np.exp(1.0 * people) * (0.12 + np.exp(-((valleys / 0.15) ** 2)))
    density *= 1.0 + 4.0 * np.exp(-shore_km / 12.0)
    density *= np.exp(-((np.maximum(height - 0.9, 0.0) / 0.5) ** 2))  # few live on the mountains
    density[height <= 0.0] = 0.0
    river = GroundNoise(
        tile=fractal_tile(rng, 1024, 1.6),
        spacing_km=0.6,
        lat0_deg=region.lat0_deg,
        turn_deg=17.0,
    )
    return Land(
        region=region,
        step_deg=step_deg,
        height=height.astype(np.float32),
        density=density.astype(np.float32),
        river=river,
    )


def _height(rng: np.random.Generator, axis: FloatArray, region: Region) -> FloatArray:
    rough = fractal_tile(rng, len(axis), 1.5).astype(np.float64)
    # Shifted so that about half of the box is land, and sunk towards its border.
    border = np.hypot(axis[:, None], axis[None, :])
    return rough + 0.6 - 2.5 * border**4
