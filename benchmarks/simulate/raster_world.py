"""A world of lights drawn from a radiance map: lamps at random inside each of its pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.simulate.lamps import (
    COLD_WHITE,
    SODIUM,
    WARM_WHITE,
    Clusters,
    Lamps,
    Realisation,
    district_gain,
)
from benchmarks.simulate.noise import key_of, normal, uniform
from detectors.types import FloatArray

# Window reader: first row, first column, rows, columns of the raster -> radiance.
WindowReader = Callable[[int, int, int, int], NDArray[np.float32]]
# Longitudes and latitudes by the raster's grid -> those of the ground.
TruePlace = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]

KM_PER_DEGREE = 111.2
MOST_PATCHES = 1_000_000  # of a view; above it the faintest pixels are thinned out at random


@dataclass(frozen=True, kw_only=True)
class RasterWorld:
    """Lights whose places are the lit pixels of a radiance map."""

    # ``read(row, col, rows, cols)`` returns that window's radiance, nW cm^-2 sr^-1, float32
    read: WindowReader
    shape: tuple[int, int]  # rows and columns of the whole raster
    # west and north: outer corner of its first pixel, degrees
    west: float
    north: float
    step_deg: float
    # Ground of pixels' centres where the raster's own grid is off
    true_place: TruePlace | None = None

    @classmethod
    def from_raster(
        cls, radiance: ArrayLike, *, west: float, north: float, step_deg: float
    ) -> RasterWorld:
        """A world from an array of radiance, row 0 in the north."""
        values = np.asarray(radiance, np.float32)

        def read(row: int, col: int, rows: int, cols: int) -> NDArray[np.float32]:
            return values[row : row + rows, col : col + cols]

        height, width = values.shape
        return cls(read=read, shape=(height, width), west=west, north=north, step_deg=step_deg)

    @classmethod
    def from_file(
        cls,
        path: Path,
        radiance_of_value: ArrayLike | None = None,
        true_place: TruePlace | None = None,
    ) -> RasterWorld:
        """A world from a north-up raster file in EPSG:4326, read window by window."""
        import rasterio
        from rasterio.windows import Window

        table = None if radiance_of_value is None else np.asarray(radiance_of_value, np.float32)
        with rasterio.open(path) as source:
            transform, shape = source.transform, source.shape

        def read(row: int, col: int, rows: int, cols: int) -> NDArray[np.float32]:
            with rasterio.open(path) as source:
                values = source.read(1, window=Window(col, row, cols, rows))
            return values.astype(np.float32) if table is None else table[values]

        return cls(
            read=read,
            shape=shape,
            west=transform.c,
            north=transform.f,
            step_deg=transform.a,
            true_place=true_place,
        )

    def near(self, west: float, south: float, east: float, north: float) -> Clusters:
        """Lit pixels whose centres lie in a box of degrees (longitudes may pass 180)."""
        step, turn = self.step_deg, 360.0 * np.round(((west + east) / 2.0 - self._middle) / 360.0)
        rows, cols = self.shape
        top = int(np.clip(np.floor((self.north - north) / step), 0, rows))
        bottom = int(np.clip(np.ceil((self.north - south) / step), 0, rows))
        left = int(np.clip(np.floor((west - turn - self.west) / step), 0, cols))
        right = int(np.clip(np.ceil((east - turn - self.west) / step), 0, cols))
        if bottom <= top or right <= left:
            return _no_clusters()
        window = self.read(top, left, bottom - top, right - left)
        row, col = np.nonzero(window > 0.0)
        radiance = window[row, col].astype(np.float64)
        row, col = row + top, col + left
        cell = row.astype(np.int64) * cols + col
        if len(cell) > MOST_PATCHES:
            keep, boost = _thinned(radiance, key_of(cell))
            row, col, cell, radiance = row[keep], col[keep], cell[keep], boost[keep]
        lon = np.asarray(self.west + (col + 0.5) * step, float)
        lat = np.asarray(self.north - (row + 0.5) * step, float)
        size_km2 = (step * KM_PER_DEGREE) ** 2 * np.cos(np.radians(lat))
        if self.true_place is not None:
            lon, lat = self.true_place(lon, lat)
        return Clusters(
            key=key_of(cell),
            lon=lon,
            lat=lat,
            power=radiance * size_km2,
            radius_m=np.full(len(cell), 282.0 * step * KM_PER_DEGREE),
            row=cell,
        )

    @property
    def _middle(self) -> float:
        return self.west + 0.5 * self.shape[1] * self.step_deg

    def scatter(
        self, clusters: Clusters, counts: NDArray[np.int64], realisation: Realisation
    ) -> Lamps:
        """Lamps at random in the pixels, so many in each (see :class:`lamps.World`).

        Gains are drawn for towns of about 8 km and districts of about a kilometre; faint single
        pixels are lit in one realisation and dark in another.
        """
        step = self.step_deg
        # Faint pixels come and go (the median lit one has about 0.4 nW km^2), bright ones stay.
        chance = realisation.gone_fraction * np.minimum(0.4 / clusters.power, 1.5)
        gone = uniform(clusters.key, 900 + realisation.number) < chance
        counts = np.where(gone, 0, counts)
        which = np.repeat(np.arange(len(counts)), counts)
        number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        key = key_of(clusters.key[which], number, realisation.number)
        town = key_of(np.floor(clusters.lon * 11.0), np.floor(clusters.lat * 14.0))
        gain = np.exp(realisation.gain_sigma * normal(town, 950 + realisation.number))
        power = (clusters.power * np.clip(gain, 0.3, 3.0) / np.maximum(counts, 1))[which]
        lon = clusters.lon[which] + step * (uniform(key, 1) - 0.5)
        lat = clusters.lat[which] + step * (uniform(key, 2) - 0.5)
        power = power * -np.log(uniform(key, 6))
        power *= district_gain(lon, lat, realisation, common_sigma=0.0)
        sodium = (0.2 + 0.75 * uniform(town, 11))[which]
        draw = uniform(key, 12)
        colour = np.where(draw > sodium + 0.6 * (1.0 - sodium), COLD_WHITE, WARM_WHITE)
        return Lamps(
            lon=lon,
            lat=lat,
            power=power,
            colour=np.where(draw < sodium, SODIUM, colour).astype(np.uint8),
        )


def _thinned(radiance: FloatArray, key: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], FloatArray]:
    """Keep brighter pixels with a greater chance; those kept stand for the rest."""
    chance = radiance / radiance.mean()
    for _ in range(4):  # the brightest saturate at 1; share what is left among the others
        chance = np.minimum(chance * MOST_PATCHES / max(float(chance.sum()), 1e-9), 1.0)
    return uniform(key, 70) < chance, radiance / chance


def _no_clusters() -> Clusters:
    nothing = np.zeros(0)
    return Clusters(
        key=nothing.astype(np.uint64),
        lon=nothing,
        lat=nothing,
        power=nothing,
        radius_m=nothing,
        row=nothing.astype(np.int64),
    )
