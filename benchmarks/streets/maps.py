"""Roads of cities, and their maps as a registration asks for them: as they are, or moved."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window
from scipy import ndimage

from benchmarks.arrays import FloatArray
from matchers.geometry.map_grid import MapGrid
from regengine.errors import MapError
from regengine.io.gdal import open_gdal_session
from regengine.maps.streets import draw_streets

CITIES = ("paris", "osaka", "nagoya", "tokyo")
CLASSES = (
    *("motorway", "trunk", "primary", "secondary", "tertiary"),
    *("minor", "service", "pedestrian"),
)
KM_PER_DEG = 111.32  # of longitude at the equator; of latitude within 0.6 %


@dataclass(frozen=True, kw_only=True)
class Roads:
    """Lines on the ground: the vertices of all, one after another."""

    xy: FloatArray  # (n, 2): longitude and latitude, or metres
    starts: NDArray[np.int64]  # (m + 1,): first vertex of each line, and the number of vertices
    classes: NDArray[np.int64]  # (m,): index into `CLASSES`

    def take(self, lines: NDArray[np.bool_] | NDArray[np.int64]) -> Roads:
        """Some of the lines."""
        chosen = np.flatnonzero(lines) if lines.dtype == bool else lines
        counts = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(counts)])
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
        return Roads(
            xy=self.xy[np.repeat(self.starts[chosen], counts) + within],
            starts=starts,
            classes=self.classes[chosen],
        )

    def lengths(self) -> FloatArray:
        """Length of each line, in the unit of its vertices."""
        along = self._along()
        return along[self.starts[1:] - 1] - along[self.starts[:-1]]

    def _along(self) -> FloatArray:
        """Length up to each vertex, all lines joined."""
        step = np.hypot(*np.diff(self.xy, axis=0).T)
        step[self.starts[1:-1] - 1] = 0.0  # from the end of a line to the next one's beginning
        return np.concatenate([[0.0], np.cumsum(step)])

    def points_at(
        self, line: NDArray[np.int64], distance: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Points (k, 2) so far along lines, and the unit vectors (k, 2) along the road there."""
        along = self._along()
        reach = np.clip(along[self.starts[line]] + distance, 0.0, along[self.starts[line + 1] - 1])
        vertex = np.searchsorted(along, reach, side="right") - 1
        vertex = np.clip(vertex, self.starts[line], self.starts[line + 1] - 2)
        vector = self.xy[vertex + 1] - self.xy[vertex]
        length = np.maximum(np.hypot(*vector.T), 1e-9)[:, None]
        share = (reach - along[vertex])[:, None] / length
        return self.xy[vertex] + share * vector, vector / length


@dataclass(frozen=True, kw_only=True)
class City:
    """A city's roads, longitude and latitude, without tunnels."""

    name: str
    roads: Roads
    bounds: tuple[float, float, float, float]  # west, south, east, north, degrees
    boxes: FloatArray  # (m, 4): the same of each line

    def near(self, west: float, south: float, east: float, north: float) -> Roads:
        box = self.boxes
        hit = (box[:, 0] < east) & (box[:, 2] > west) & (box[:, 1] < north) & (box[:, 3] > south)
        return self.roads.take(hit)


@lru_cache(maxsize=4)
def read_city(real: Path, name: str) -> City:
    """Read the roads of one of `CITIES` from the folder of real data."""
    frame = geopandas.read_parquet(real / "streets" / f"{name}_streets.parquet")
    number = {name: index for index, name in enumerate(CLASSES)}
    kept = frame["class"].isin(CLASSES) & (frame["brunnel"] != "tunnel")
    lines = frame.geometry[kept].to_numpy()
    parts, owner = shapely.get_parts(lines, return_index=True)
    xy, index = shapely.get_coordinates(parts, return_index=True)
    starts = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=len(parts)))])
    west, south, east, north = frame.total_bounds
    return City(
        name=name,
        roads=Roads(
            xy=xy,
            starts=starts,
            classes=frame["class"][kept].map(number).to_numpy(np.int64)[owner],
        ),
        bounds=(west, south, east, north),
        boxes=shapely.bounds(parts),
    )


def draw_grid_city(seed: int) -> City:
    """A city of regular blocks like Chicago's, 100 by 200 m, with avenues and few diagonals.

    Blocks jitter by some metres, some streets are interrupted by parks and railways.
    """
    rng = np.random.default_rng([seed, 41])
    lon, lat = -87.65, 41.88
    half_m, lines, classes = 30_000.0, [], []
    for axis, step in ((0, 201.2), (1, 100.6)):
        for number, at in enumerate(np.arange(-half_m, half_m, step)):
            every = 4 if axis == 0 else 8  # a section line every half a mile
            name = "secondary" if number % every == 0 else "minor"
            cuts = np.arange(-half_m, half_m, 201.2 if axis else 100.6)
            gone = rng.random(len(cuts)) < (0.0 if name == "secondary" else 0.12)
            at_m = at + rng.normal(0.0, 1.5)
            for begin, end in zip(cuts[:-1][~gone[:-1]], cuts[1:][~gone[:-1]], strict=True):
                ends = np.array([[at_m, begin], [at_m, end]])
                lines.append(ends if axis == 0 else ends[:, ::-1])
                classes.append(CLASSES.index(name))
    for _ in range(6):
        angle, away = rng.uniform(0.0, np.pi), rng.uniform(-8000.0, 8000.0)
        along = np.array([np.cos(angle), np.sin(angle)])
        lines.append(np.array([-along, along]) * half_m + away * along[::-1] * [-1, 1])
        classes.append(CLASSES.index("primary"))
    vertices = np.concatenate(lines)
    counts = np.array([len(line) for line in lines])
    starts = np.concatenate([[0], np.cumsum(counts)])
    scale = np.array([1000.0 * KM_PER_DEG * np.cos(np.radians(lat)), 1000.0 * KM_PER_DEG])
    xy = vertices / scale + [lon, lat]
    low = np.minimum.reduceat(xy, starts[:-1])
    high = np.maximum.reduceat(xy, starts[:-1])
    return City(
        name="grid",
        roads=Roads(xy=xy, starts=starts, classes=np.array(classes)),
        bounds=(*xy.min(axis=0), *xy.max(axis=0)),
        boxes=np.concatenate([low, high], axis=1),
    )


class SmoothField:
    """A random field of the plane, Gaussian with mean 0 and deviation 1, smooth over a length."""

    def __init__(
        self, rng: np.random.Generator, low: FloatArray, high: FloatArray, scale_m: float
    ) -> None:
        self._low, self._scale_m = low - 2.0 * scale_m, scale_m
        cols, rows = np.ceil((high - low) / scale_m).astype(int) + 5
        field = ndimage.gaussian_filter(rng.normal(size=(rows, cols)), 0.7, mode="wrap")
        self._values = (field - field.mean()) / max(field.std(), 1e-9)

    def at(self, xy: FloatArray) -> FloatArray:
        """Values at points (n, 2), metres."""
        place = (xy - self._low) / self._scale_m
        return np.asarray(
            ndimage.map_coordinates(self._values, place.T[::-1], order=1, mode="nearest")
        )


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
        with rasterio.open(path) as dataset:
            return cls(path=path, file_bounds=tuple(dataset.bounds))

    def laid_at(self, other: CityStreets) -> CityStreets:
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
    ) -> MapGrid | None:
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
            how = {"boundless": True, "fill_value": 255, "resampling": Resampling.average}
            codes = dataset.read(1, window=window, out_shape=(rows, cols), **how)
        if self.mirrored:
            codes = codes[:, ::-1]
        valid = codes != 255
        if not valid.any():
            return None
        return MapGrid(
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
        bounds=(100.0, 0.0, 101.0, 1.0), resolution_deg=1.0 / 240.0, title="none", paths=()
    )

    def window(self, *_: float) -> MapGrid:
        raise MapError("there are no lights", code="outside_map")

    def overview(self, resolution_deg: float) -> MapGrid | None:
        return None
