"""An invented land: coasts, mountains, rivers, and where people would live on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from benchmarks.arrays import FloatArray
from benchmarks.simulate.noise import (
    KM_PER_DEGREE,
    GroundNoise,
    UintArray,
    bilinear,
    fractal_tile,
    key_of,
)

GRID_KM = 1.4  # of the tables below; coasts are interpolated between its points


@dataclass(frozen=True, kw_only=True)
class Region:
    """The box in which a land is invented, degrees."""

    west: float
    south: float
    size_deg: float

    @property
    def lat0_deg(self) -> float:
        return self.south + 0.5 * self.size_deg

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north)."""
        return self.west, self.south, self.west + self.size_deg, self.south + self.size_deg


@dataclass(frozen=True, kw_only=True)
class Land:
    """Height and population density over a region, on a regular grid of degrees."""

    region: Region
    step_deg: float  # spacing of the grid; row 0 is the southern edge, column 0 the western one.
    height: NDArray[np.float32]  # shape (n, n): Dimensionless; above 0 is land.
    density: NDArray[np.float32]  # shape (n, n): Relative number of people per area; 0 at sea.
    river: GroundNoise  # rivers run where it is nearly zero

    def is_land(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.bool_]:
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
    """Invent a land."""
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


@dataclass(frozen=True, kw_only=True)
class Places:
    """A table of towns and stretches of road."""

    # lon and lat: shape (n,): Centres, degrees
    lon: FloatArray
    lat: FloatArray
    power: FloatArray  # shape (n,): nW cm^-2 sr^-1 km^2
    # Shape (n,): Scale of a town's built-up area; half length of a stretch of road.
    radius_m: FloatArray
    angle_rad: FloatArray  # shape (n,): Direction of its streets, from east towards north
    is_road: NDArray[np.bool_]  # shape (n,)

    def keys(self, seed: int) -> UintArray:
        return key_of(seed, np.arange(len(self.lon)))


@dataclass(frozen=True, kw_only=True)
class PlaceParameters:
    """How a land is settled; the numbers make its map resemble Iberia and northern Italy."""

    # cities_per_mkm2 and villages_per_mkm2: per million square kilometres of the region, sea
    # included
    cities_per_mkm2: float = 90.0
    villages_per_mkm2: float = 27_000.0
    largest_power: float = 6.5e4  # of the largest city, nW cm^-2 sr^-1 km^2


def radius_of_power(power: FloatArray) -> FloatArray:
    """Scale of a town's built-up area in metres: larger towns are brighter per area."""
    # A village of 3 nW km^2 covers about two map pixels; a city of 5e4 has a scale of 13 km.
    return 320.0 * np.maximum(power, 0.5) ** 0.345


def settle(rng: np.random.Generator, land: Land, parameters: PlaceParameters) -> Places:
    """Draw the places of a land."""
    km2 = (land.region.size_deg * KM_PER_DEGREE) ** 2 * np.cos(np.radians(land.region.lat0_deg))
    n_cities = max(int(parameters.cities_per_mkm2 * km2 / 1e6), 6)
    n_villages = max(int(parameters.villages_per_mkm2 * km2 / 1e6), 50)
    city_lon, city_lat = _draw_positions(rng, land, n_cities, power=1.1)
    rank = np.arange(1, n_cities + 1)
    spread = np.exp(0.25 * rng.standard_normal(n_cities))
    city_power = np.maximum(parameters.largest_power / rank**1.05 * spread, 400.0)
    suburb = _suburbs(rng, city_lon, city_lat, city_power)
    village_lon, village_lat = _draw_positions(rng, land, n_villages, power=1.0)
    village_power = 0.9 * (1.0 - rng.random(n_villages)) ** -0.95
    village = np.stack([village_lon, village_lat, np.minimum(village_power, 900.0)])
    nodes = np.stack([city_lon, city_lat, city_power])
    large = village[:, village[2] > 25.0]
    road, roadside = _roads(rng, land, np.concatenate([nodes, large], axis=1))
    towns = np.concatenate([nodes, suburb, village, roadside], axis=1)
    towns = towns[:, land.is_land(towns[0], towns[1])]
    road = road[:, land.is_land(road[0], road[1])]
    is_road = np.arange(towns.shape[1] + road.shape[1]) >= towns.shape[1]
    return Places(
        lon=np.concatenate([towns[0], road[0]]),
        lat=np.concatenate([towns[1], road[1]]),
        power=np.concatenate([towns[2], road[2]]),
        radius_m=np.concatenate([radius_of_power(towns[2]), road[3]]),
        angle_rad=np.concatenate([rng.random(towns.shape[1]) * np.pi, road[4]]),
        is_road=is_road,
    )


def _draw_positions(
    rng: np.random.Generator, land: Land, count: int, power: float
) -> tuple[FloatArray, FloatArray]:
    """Positions drawn from the population density raised to a power."""
    weight = land.density.astype(np.float64).ravel() ** power
    weight[land.density.ravel() <= 0.0] = 0.0
    total = np.cumsum(weight)
    cell = np.searchsorted(total, rng.random(count) * total[-1])
    row, column = np.divmod(cell, land.density.shape[1])
    lon = land.region.west + (column + rng.random(count) - 0.5) * land.step_deg
    lat = land.region.south + (row + rng.random(count) - 0.5) * land.step_deg
    return lon, lat


def _suburbs(
    rng: np.random.Generator, lon: FloatArray, lat: FloatArray, power: FloatArray
) -> FloatArray:
    """Satellites about each city, denser and brighter near it: (lon, lat, power) rows."""
    counts = rng.poisson(1.1 * power**0.42)
    parent = np.repeat(np.arange(len(lon)), counts)
    scale_km = radius_of_power(power)[parent] / 1000.0
    distance = scale_km * (0.9 + rng.gamma(1.6, 1.5, len(parent)))
    # Suburbs line up along a few corridors rather than all around.
    corridor = rng.integers(0, 5, len(parent))
    spread = np.where(rng.random(len(parent)) < 0.6, 0.16, 1.5)
    start = rng.random(len(lon))[parent] * 2.0 * np.pi
    angle = start + corridor * 2.0 * np.pi / 5.0 + spread * rng.standard_normal(len(parent))
    share = 0.03 * np.exp(1.1 * rng.standard_normal(len(parent))) / (1.0 + distance / scale_km)
    suburb_lon = lon[parent] + distance * np.cos(angle) / (
        KM_PER_DEGREE * np.cos(np.radians(lat[parent]))
    )
    suburb_lat = lat[parent] + distance * np.sin(angle) / KM_PER_DEGREE
    return np.stack([suburb_lon, suburb_lat, np.clip(power[parent] * share, 2.0, 2500.0)])


def _roads(
    rng: np.random.Generator, land: Land, nodes: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Stretches (lon, lat, power, half length m, angle), and villages beside them as towns."""
    squeeze = np.cos(np.radians(land.region.lat0_deg))
    plane = np.stack([nodes[0] * squeeze, nodes[1]], axis=1) * KM_PER_DEGREE
    neighbours = cKDTree(plane).query(plane, k=min(4, len(plane)))[1][:, 1:]
    own = np.repeat(np.arange(len(plane)), neighbours.shape[1])
    pairs = np.unique(np.sort(np.stack([own, neighbours.ravel()]), axis=0), axis=1)
    length = np.linalg.norm(plane[pairs[0]] - plane[pairs[1]], axis=1)
    pairs, length = pairs[:, length < 160.0], length[length < 160.0]
    stretch_km = 3.0
    pieces = np.maximum(np.ceil(length / stretch_km).astype(np.int64), 1)
    edge = np.repeat(np.arange(len(length)), pieces)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    bend = 0.12 * rng.standard_normal(len(length)) * length
    wobble = rng.random((2, len(length))) * 2.0 * np.pi

    def point(part: FloatArray) -> FloatArray:
        start, end = plane[pairs[0][edge]], plane[pairs[1][edge]]
        across = np.stack([-(end - start)[:, 1], (end - start)[:, 0]], axis=1) / length[edge, None]
        sideways = bend[edge] * np.sin(np.pi * part) + np.sin(np.pi * part) * (
            1.5 * np.sin(length[edge] * part / 4.0 + wobble[0][edge])
            + 0.6 * np.sin(length[edge] * part / 1.3 + wobble[1][edge])
        )
        return np.asarray(start + (end - start) * part[:, None] + across * sideways[:, None])

    begin, finish = point(step / pieces[edge]), point((step + 1) / pieces[edge])
    middle, along = (begin + finish) / 2.0, finish - begin
    busy = np.minimum(nodes[2][pairs[0]], nodes[2][pairs[1]])[edge]
    power = 0.35 * busy**0.22 * np.exp(0.6 * rng.standard_normal(len(edge)))
    road_lon, road_lat = middle[:, 0] / KM_PER_DEGREE / squeeze, middle[:, 1] / KM_PER_DEGREE
    half_m, angle = 500.0 * np.linalg.norm(along, axis=1), np.arctan2(along[:, 1], along[:, 0])
    road = np.stack([road_lon, road_lat, power, half_m, angle])
    chosen = rng.random(len(edge)) < 0.33
    beside = 0.9 * (1.0 - rng.random(int(chosen.sum()))) ** -0.9
    roadside = np.stack([road[0, chosen], road[1, chosen], np.minimum(beside, 500.0)])
    return road, roadside
