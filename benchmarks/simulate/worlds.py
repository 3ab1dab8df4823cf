"""Worlds of lights: made-up towns, or a map of a product, each with its lamps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.arrays import FloatArray
from benchmarks.simulate.land import Land, PlaceParameters, Places, Region, draw_land, settle
from benchmarks.simulate.noise import GroundNoise, UintArray, fractal_tile, key_of, normal, uniform

SODIUM, WARM_WHITE, COLD_WHITE = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Lamps:
    """Points of light."""

    # lon and lat: shape (n,): Degrees
    lon: FloatArray
    lat: FloatArray
    # Shape (n,): nW cm^-2 sr^-1 km^2: what the lamp adds to the sum of a radiance map's pixels
    # times their area
    power: FloatArray
    colour: NDArray[np.uint8]  # shape (n,): SODIUM, WARM_WHITE or COLD_WHITE


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Patches of light (towns, stretches of road, pixels of a map) in which lamps lie."""

    key: UintArray  # shape (n,): Identity, from which all that is random in the patch follows
    # lon and lat: shape (n,): Centre, degrees
    lon: FloatArray
    lat: FloatArray
    power: FloatArray  # shape (n,): Sum of its lamps, nW cm^-2 sr^-1 km^2
    radius_m: FloatArray  # shape (n,): Most of its lamps lie within
    row: NDArray[np.int64]  # shape (n,): Where the patch stands in its world's own table

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Clusters:
        return Clusters(**{name: column[chosen] for name, column in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class Realisation:
    """One state of the lights: the places stay, the lamps differ."""

    number: int  # two realisations of other numbers share places and nothing else
    # Spread of a place's gain, natural logarithm; gains stay within 0.3 to 3.
    gain_sigma: float = 0.45
    gone_fraction: float = 0.12  # share of the places that are dark here
    # Spread of the gains of districts of about a kilometre, natural logarithm
    district_sigma: float = 0.5


class World(Protocol):
    """A world of lights."""

    def near(self, west: float, south: float, east: float, north: float) -> Clusters: ...

    def scatter(
        self, clusters: Clusters, counts: NDArray[np.int64], realisation: Realisation
    ) -> Lamps:
        """Lamps of patches, so many in each; their powers add up to the patch's."""
        ...


@lru_cache(maxsize=8)
def _noise(number: int) -> GroundNoise:
    tile = fractal_tile(np.random.default_rng([40, number]), 512, 0.9)
    return GroundNoise(tile=tile, spacing_km=0.45, lat0_deg=40.0, turn_deg=31.0 * number)


def district_gain(
    lon_deg: FloatArray, lat_deg: FloatArray, realisation: Realisation, *, common_sigma: float
) -> FloatArray:
    """Factors of about unit mean that vary over districts of about a kilometre."""
    own = realisation.district_sigma
    spread = own * _noise(realisation.number).at(lon_deg, lat_deg)
    if common_sigma > 0.0:
        spread += common_sigma * _noise(0).at(lon_deg, lat_deg)
    return np.asarray(np.exp(spread - 0.5 * (common_sigma**2 + own**2)))


METRES_PER_DEGREE = 111_200.0


@dataclass(frozen=True, kw_only=True)
class TownWorld:
    """Towns and roads of an invented land, each with its own streets."""

    seed: int
    land: Land
    places: Places
    key: UintArray = field(repr=False)

    def near(self, west: float, south: float, east: float, north: float) -> Clusters:
        """Places whose centres lie in a box of degrees."""
        lon, lat = self.places.lon, self.places.lat
        row = np.flatnonzero((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north))
        columns = {n: getattr(self.places, n)[row] for n in ("lon", "lat", "power", "radius_m")}
        return Clusters(key=self.key[row], row=row, **columns)

    def scatter(
        self, clusters: Clusters, counts: NDArray[np.int64], realisation: Realisation
    ) -> Lamps:
        """Lamps of the places, so many in each."""
        # Villages come and go, cities stay.
        gone = realisation.gone_fraction * np.minimum(np.sqrt(20.0 / clusters.power), 1.5)
        which, key, power, colour = _spread_power(clusters, counts, realisation, gone, clusters.key)
        east, north, weight = _street_plan(
            key,
            clusters.key,
            which,
            clusters.radius_m,
            self.places.angle_rad[clusters.row],
            self.places.is_road[clusters.row],
        )
        lat = clusters.lat[which] + north / METRES_PER_DEGREE
        lon = clusters.lon[which] + east / (
            METRES_PER_DEGREE * np.cos(np.radians(clusters.lat[which]))
        )
        power = power * weight * district_gain(lon, lat, realisation, common_sigma=0.55)
        lit = ~self.land.is_water(lon, lat)
        return Lamps(lon=lon[lit], lat=lat[lit], power=power[lit], colour=colour[lit])


def _spread_power(
    clusters: Clusters,
    counts: NDArray[np.int64],
    realisation: Realisation,
    gone: FloatArray,
    town: UintArray,
) -> tuple[NDArray[np.int64], UintArray, FloatArray, NDArray[np.uint8]]:
    """Patch, key, even share of the power, and colour of each lamp; `gone`: chances to be dark."""
    counts = np.where(uniform(clusters.key, 900 + realisation.number) < gone, 0, counts)
    which = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    key = key_of(clusters.key[which], number, realisation.number)
    gain = np.exp(realisation.gain_sigma * normal(town, 950 + realisation.number))
    power = (clusters.power * np.clip(gain, 0.3, 3.0) / np.maximum(counts, 1))[which]
    sodium = (0.2 + 0.75 * uniform(town, 11))[which]
    draw = uniform(key, 12)
    colour = np.where(draw > sodium + 0.6 * (1.0 - sodium), COLD_WHITE, WARM_WHITE)
    return which, key, power, np.where(draw < sodium, SODIUM, colour).astype(np.uint8)


def draw_town_world(
    seed: int, region: Region, parameters: PlaceParameters | None = None
) -> TownWorld:
    """Invent a world of towns in a region."""
    rng = np.random.default_rng([seed, 1])
    land = draw_land(rng, region)
    places = settle(rng, land, parameters or PlaceParameters())
    return TownWorld(seed=seed, land=land, places=places, key=places.keys(seed))


def _street_plan(
    key: UintArray,
    place_key: UintArray,
    which: NDArray[np.int64],
    radius_m: FloatArray,
    angle_rad: FloatArray,
    is_road: NDArray[np.bool_],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """East and north of the place's centre in metres, and relative power, of each lamp."""
    scale = radius_m[which]
    kind = uniform(key, 1)
    bearing = 2.0 * np.pi * uniform(key, 2)
    reach = scale * np.sqrt(-np.log(uniform(key, 3))) * _lobes(bearing, place_key, which)
    x, y = _move_to_grid(key, reach * np.cos(bearing), reach * np.sin(bearing), place_key, which)
    arm = (kind > 0.70) & (kind < 0.88) & (scale > 900.0)
    if arm.any():
        x[arm], y[arm] = _place_on_arm(key[arm], place_key, which[arm], scale[arm])
    ring = (kind >= 0.88) & (kind < 0.90) & (scale > 3000.0)
    if ring.any():
        circle = scale[ring] * (1.0 + 0.08 * np.cos(3.0 * bearing[ring]))
        x[ring], y[ring] = circle * np.cos(bearing[ring]), circle * np.sin(bearing[ring])
    strip = is_road[which]
    if strip.any():
        x[strip] = scale[strip] * (2.0 * uniform(key[strip], 4) - 1.0)
        y[strip] = 25.0 * normal(key[strip], 5)
    turn = angle_rad[which]
    east = np.cos(turn) * x - np.sin(turn) * y
    north = np.sin(turn) * x + np.cos(turn) * y
    return east, north, -np.log(uniform(key, 6))


def _lobes(bearing: FloatArray, place_key: UintArray, which: NDArray[np.int64]) -> FloatArray:
    """Towns are not round: how far they reach in a direction."""
    lobes = np.ones_like(bearing)
    for order, stream in ((1, 20), (2, 22), (3, 24)):
        size = 0.30 * uniform(place_key, stream)[which]
        phase = 2.0 * np.pi * uniform(place_key, stream + 1)[which]
        lobes += size * np.cos(order * bearing - phase)
    return np.asarray(np.maximum(lobes, 0.2))


def _move_to_grid(
    key: UintArray,
    x: FloatArray,
    y: FloatArray,
    place_key: UintArray,
    which: NDArray[np.int64],
) -> tuple[FloatArray, FloatArray]:
    """Move most lamps to the nearest street of a grid; every sixth street is an avenue."""
    spacing = (110.0 + 160.0 * uniform(place_key, 30))[which]
    draw = uniform(key, 7)
    spacing = np.where(draw < 0.30, 6.0 * spacing, spacing)
    along_x = uniform(key, 8) < 0.5
    snapped_x = np.where(along_x, x, np.round(x / spacing) * spacing)
    snapped_y = np.where(along_x, np.round(y / spacing) * spacing, y)
    loose = draw > 0.85
    return np.where(loose, x, snapped_x), np.where(loose, y, snapped_y)


def _place_on_arm(
    key: UintArray, place_key: UintArray, which: NDArray[np.int64], scale: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Lamps of the arterial roads that leave the town, gently curved."""
    arms = 3 + (5.0 * uniform(place_key, 31)[which]).astype(np.int64)
    arm = (arms * uniform(key, 9)).astype(np.int64)
    arm_key = key_of(place_key[which], arm)
    distance = -1.1 * scale * np.log(uniform(key, 10))
    heading = 2.0 * np.pi * (arm + 0.5 * uniform(arm_key, 1)) / arms
    heading = heading + 0.35 * (uniform(arm_key, 2) - 0.5) * distance / scale
    sideways = 15.0 * normal(key, 11)
    return (
        distance * np.cos(heading) - sideways * np.sin(heading),
        distance * np.sin(heading) + sideways * np.cos(heading),
    )


# Window reader: first row, first column, rows, columns of the raster -> radiance.
WindowReader = Callable[[int, int, int, int], NDArray[np.float32]]
# Longitudes and latitudes by the raster's grid -> those of the ground.
TruePlace = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]

KM_PER_DEGREE = 111.2
MAX_PATCHES = 1_000_000  # of a view; above it the faintest pixels are thinned out at random


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
        step, (rows, cols) = self.step_deg, self.shape
        middle = self.west + 0.5 * cols * step
        turn = 360.0 * np.round(((west + east) / 2.0 - middle) / 360.0)
        top = int(np.clip(np.floor((self.north - north) / step), 0, rows))
        bottom = int(np.clip(np.ceil((self.north - south) / step), 0, rows))
        left = int(np.clip(np.floor((west - turn - self.west) / step), 0, cols))
        right = int(np.clip(np.ceil((east - turn - self.west) / step), 0, cols))
        if bottom <= top or right <= left:
            columns = dict.fromkeys(("lon", "lat", "power", "radius_m"), np.zeros(0))
            return Clusters(key=np.zeros(0, np.uint64), row=np.zeros(0, np.int64), **columns)
        window = self.read(top, left, bottom - top, right - left)
        row, col = np.nonzero(window > 0.0)
        radiance = window[row, col].astype(np.float64)
        row, col = row + top, col + left
        cell = row.astype(np.int64) * cols + col
        if len(cell) > MAX_PATCHES:
            chance = find_chances(radiance, MAX_PATCHES)
            keep = uniform(key_of(cell), 70) < chance
            row, col, cell, radiance = row[keep], col[keep], cell[keep], (radiance / chance)[keep]
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

    def scatter(
        self, clusters: Clusters, counts: NDArray[np.int64], realisation: Realisation
    ) -> Lamps:
        """Lamps at random in the pixels, so many in each.

        Gains are drawn for towns of about 8 km and districts of about a kilometre; faint single
        pixels are lit in one realisation and dark in another.
        """
        # Faint pixels come and go (the median lit one has about 0.4 nW km^2), bright ones stay.
        gone = realisation.gone_fraction * np.minimum(0.4 / clusters.power, 1.5)
        town = key_of(np.floor(clusters.lon * 11.0), np.floor(clusters.lat * 14.0))
        which, key, power, colour = _spread_power(clusters, counts, realisation, gone, town)
        lon = clusters.lon[which] + self.step_deg * (uniform(key, 1) - 0.5)
        lat = clusters.lat[which] + self.step_deg * (uniform(key, 2) - 0.5)
        power = power * -np.log(uniform(key, 6))
        power *= district_gain(lon, lat, realisation, common_sigma=0.0)
        return Lamps(lon=lon, lat=lat, power=power, colour=colour)


def find_chances(light: FloatArray, most: int) -> FloatArray:
    """Chances by which about so many are kept, brighter ones sooner; those stand for the rest."""
    chance = light / light.mean()
    for _ in range(4):  # the brightest saturate at 1; share what is left among the others
        chance = np.minimum(chance * most / float(chance.sum()), 1.0)
    return np.asarray(chance)
