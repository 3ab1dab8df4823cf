"""Street maps as a registration asks for them, moved, mirrored or as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from rasterio.enums import Resampling
from rasterio.windows import Window

from benchmarks.streets.city import CITIES, CLASSES, City
from matchers.geometry.light_grid import LightGrid
from regengine.errors import LightMapError
from regengine.io.gdal import open_gdal_session
from regengine.references.streets import draw_streets

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class CityStreets:
    """A built street map, its middle laid somewhere else, or mirrored east to west."""

    path: Path  # a file of `draw_streets`
    file_bounds: Bounds  # west, south, east, north of the file
    # Where its middle lies instead, longitude and latitude; lengths there are kept
    at: tuple[float, float] | None = None
    mirrored: bool = False  # east is west

    @classmethod
    def open(cls, path: Path) -> CityStreets:
        """A map as it is."""
        with rasterio.open(path) as dataset:
            return cls(path=path, file_bounds=tuple(dataset.bounds))

    def laid_at(self, other: CityStreets) -> CityStreets:
        """The same streets where another map lies."""
        west, south, east, north = other.bounds
        return replace(self, at=((west + east) / 2.0, (south + north) / 2.0))

    @property
    def bounds(self) -> Bounds:
        """West, south, east, north of where it lies."""
        west, south, east, north = self.file_bounds
        lon, lat, stretch = self._moved
        half_lon, half_lat = stretch * (east - west) / 2.0, (north - south) / 2.0
        return lon - half_lon, lat - half_lat, lon + half_lon, lat + half_lat

    @property
    def _moved(self) -> tuple[float, float, float]:
        """Longitude and latitude of its middle, and degrees of longitude there for one here."""
        west, south, east, north = self.file_bounds
        lon, lat = (west + east) / 2.0, (south + north) / 2.0
        if self.at is None:
            return lon, lat, 1.0
        return *self.at, math.cos(math.radians(lat)) / math.cos(math.radians(self.at[1]))

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid | None:
        """Lamp density at a power of two of the file's pixels; not valid where nothing is known."""
        lon, lat, stretch = self._moved
        left, low, right, top = self.file_bounds
        with open_gdal_session(), rasterio.open(self.path) as dataset:
            step = dataset.res[0]
            factor = 2 ** max(0, math.floor(math.log2(1.0001 * resolution_deg / step)))
            step *= factor
            # Whole pixels of where it lies, counted from its middle
            first = math.floor((west - lon) / step), math.floor((lat - north) / step)
            last = math.ceil((east - lon) / step), math.ceil((lat - south) / step)
            cols, rows = last[0] - first[0], last[1] - first[1]
            begin, end = first[0], last[0]
            if self.mirrored:
                begin, end = -last[0], -first[0]
            # Pixels of the file's full size; the window may reach beyond it
            middle = (left + right) / 2.0 - left, top - (low + top) / 2.0
            col = (middle[0] / step + begin / stretch) * factor
            row = (middle[1] / step + first[1]) * factor
            window = Window(col, row, (end - begin) / stretch * factor, rows * factor)
            codes = dataset.read(
                1,
                window=window,
                out_shape=(rows, cols),
                boundless=True,
                fill_value=255,
                resampling=Resampling.average,
            )
        if self.mirrored:
            codes = codes[:, ::-1]
        valid = codes != 255
        if not valid.any():
            return None
        return LightGrid(
            values=np.where(valid, codes, 0).astype(np.float32) / 100.0,
            valid=None if valid.all() else valid,
            lon0_deg=lon + (first[0] + 0.5) * step,
            lat0_deg=lat - (first[1] + 0.5) * step,
            step_deg=step,
        )


def build_maps(real: Path, folder: Path) -> dict[str, CityStreets]:
    """Maps of the four cities, kept in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CITIES:
        if not (folder / f"{name}.tif").exists():
            draw_streets([real / "streets" / f"{name}_streets.parquet"], folder / f"{name}.tif")
    return {name: CityStreets.open(folder / f"{name}.tif") for name in CITIES}


def build_map_of(city: City, folder: Path) -> CityStreets:
    """The map of a city that is not in the real data, kept in a folder."""
    out = folder / f"{city.name}.tif"
    if not out.exists():
        roads = folder / f"{city.name}.parquet"
        owner = np.repeat(np.arange(len(city.roads.classes)), np.diff(city.roads.starts))
        geopandas.GeoDataFrame(
            {"class": [CLASSES[one] for one in city.roads.classes]},
            geometry=shapely.linestrings(city.roads.xy, indices=owner),
            crs="EPSG:4326",
        ).to_parquet(roads)
        draw_streets([roads], out)
    return CityStreets.open(out)


class NoLights:
    """A map of night lights without any: what streets do alone."""

    info: Any = SimpleNamespace(
        bounds=(100.0, 0.0, 101.0, 1.0), resolution_deg=1.0 / 240.0, product="none", paths=()
    )

    def window(self, *_: float) -> LightGrid:
        """Nothing anywhere."""
        raise LightMapError("there are no lights", code="outside_map")

    def overview(self, resolution_deg: float) -> LightGrid | None:
        """None."""
        return None
