"""Roads of a city as the simulators need them, and points along them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.arrays import FloatArray

CITIES = ("paris", "osaka", "nagoya", "tokyo")
CLASSES = (
    "motorway", "trunk", "primary", "secondary", "tertiary", "minor", "service", "pedestrian",
)  # fmt: skip
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
        """The lines that reach into a box."""
        box = self.boxes
        hit = (box[:, 0] < east) & (box[:, 2] > west) & (box[:, 1] < north) & (box[:, 3] > south)
        return self.roads.take(hit)


@lru_cache(maxsize=4)
def read_city(real: Path, name: str) -> City:
    """Read the roads of one of `CITIES` from the folder of real data."""
    import geopandas

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


def draw_grid_city(seed: int, lon: float = -87.65, lat: float = 41.88) -> City:
    """A city of regular blocks like Chicago's, 100 by 200 m, with avenues and few diagonals.

    Blocks jitter by some metres, some streets are interrupted by parks and railways.
    """
    rng = np.random.default_rng([seed, 41])
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
