"""The lights that one photograph can show: the map's, and those new or gone since."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.light_map import visible_bounds
from benchmarks.simulate.noise import GroundNoise, fractal_tile, key_of, normal, uniform
from benchmarks.simulate.worlds import (
    Clusters,
    Lamps,
    RasterWorld,
    Realisation,
    World,
    find_chances,
)
from detectors.types import FloatArray

TILE_DEG = 2.0  # the map is asked for in rows of tiles that the picture may show
MAX_PATCHES = 500_000  # of a picture; beyond, the faintest are thinned out at random
CHANGE_KM = 0.5  # sampling of the fields by which lights come and go: patches of some km
MOVE_DEG = 0.06  # a new light stands about so far from an old one like it
BRIGHT = 2.0  # nW cm^-2 sr^-1 km^2 of a patch: centres of towns do not come and go


@dataclass(frozen=True)
class SeenWorld:
    """A world of lights as far as one camera can see it."""

    base: World  # as on the map
    camera: SimCamera
    changed_share: float  # share of the patches that are gone, or new and on no map: half each
    seed: int  # of the changes

    @cached_property
    def mapped(self) -> Clusters:
        """Patches of the map that may be in the picture."""
        bounds = visible_bounds(self.camera)
        parts = [] if bounds is None else [self.base.near(*box) for box in self._boxes(bounds)]
        found = join_patches(parts) if parts else self.base.near(0.0, 0.0, -1.0, -1.0)
        return thin_patches(found, MAX_PATCHES)

    @cached_property
    def shown(self) -> Clusters:
        """Patches that shine in the photograph."""
        clusters = self.mapped
        if self.changed_share <= 0.0 or not len(clusters.key):
            return clusters
        less_if_bright = np.minimum(BRIGHT / np.maximum(clusters.power, 1e-6), 1.0)
        half = 0.5 * self.changed_share * less_if_bright
        gone, copied = (
            change_field(self.seed, n, clusters.lon, clusters.lat) < ndtri(half) for n in (1, 2)
        )
        new = clusters.take(copied)
        # Neighbours move together: a new suburb looks like one.
        block = key_of(np.floor(new.lon * 20.0), np.floor(new.lat * 20.0), self.seed)
        shift_lon, shift_lat = (MOVE_DEG * normal(block, n) for n in (33, 34))
        lon, lat = new.lon + shift_lon, new.lat + shift_lat
        new = replace(new, key=key_of(new.key, self.seed), lon=lon, lat=lat)
        return join_patches([clusters.take(~gone), new])

    def near(self, west: float, south: float, east: float, north: float) -> Clusters:
        """All that shines: the camera's view is the only box that is ever asked for."""
        return self.shown

    def scatter(
        self, clusters: Clusters, counts: NDArray[np.int64], realisation: Realisation
    ) -> Lamps:
        """Lamps of patches, as the world scatters them; those of a map's pixels along streets.

        A map's pixel is a square of even light, which tele lenses would show as one: its lamps are
        spread beyond its borders, and thinned out between streets of some hundred metres' spacing.
        """
        lamps = self.base.scatter(clusters, counts, realisation)
        if not isinstance(self.base, RasterWorld) or not len(lamps.lon):
            return lamps
        number = np.arange(len(lamps.lon))
        key = key_of(number, self.seed, len(number))
        spread = 0.4 * self.base.step_deg
        lon, lat = lamps.lon + spread * normal(key, 41), lamps.lat + spread * normal(key, 42)
        return replace(lamps, lon=lon, lat=lat, power=lamps.power * street_gain(lon, lat))

    def _boxes(
        self, bounds: tuple[float, float, float, float]
    ) -> list[tuple[float, float, float, float]]:
        """Boxes of degrees, side by side, that cover what the picture shows of its bounds."""
        west, south, east, north = bounds
        edges_lon = np.linspace(west, east, max(int(np.ceil((east - west) / TILE_DEG)), 1) + 1)
        edges_lat = np.linspace(south, north, max(int(np.ceil((north - south) / TILE_DEG)), 1) + 1)
        lon, lat = np.meshgrid(
            0.5 * (edges_lon[1:] + edges_lon[:-1]), 0.5 * (edges_lat[1:] + edges_lat[:-1])
        )
        x, y, distance, _ = self.camera.project(lon, lat)
        half_m = 0.75 * 111e3 * max(edges_lon[1] - edges_lon[0], edges_lat[1] - edges_lat[0])
        reach = 1.3 * half_m * self.camera.focal_px / np.maximum(distance - half_m, 2e5) + 8.0
        shown = (x > -reach) & (x < self.camera.width_px + reach)
        shown &= (y > -reach) & (y < self.camera.height_px + reach)
        # Behind the horizon or the camera, but perhaps with a near corner in the picture.
        shown |= np.isnan(x)
        boxes = []
        for row, kept in enumerate(shown):
            columns = np.flatnonzero(kept)
            if len(columns):
                first, last = int(columns[0]), int(columns[-1]) + 1
                west, east = edges_lon[[first, last]].tolist()
                south, north = edges_lat[[row, row + 1]].tolist()
                boxes.append((west, south, east, north))
        return boxes


@lru_cache(maxsize=2)
def _change_noise(number: int) -> GroundNoise:
    tile = fractal_tile(np.random.default_rng([43, number]), 1024, 0.9)
    ranked = ndtri((np.argsort(np.argsort(tile, axis=None)) + 0.5) / tile.size)
    return GroundNoise(
        tile=ranked.reshape(tile.shape).astype(np.float32),
        spacing_km=CHANGE_KM,
        lat0_deg=40.0,
        turn_deg=17.0 * number,
    )


def change_field(seed: int, number: int, lon_deg: FloatArray, lat_deg: FloatArray) -> FloatArray:
    """A standard normal field over the ground, whose low parts are lights gone or new."""
    shift = np.random.default_rng([seed, 45, number]).uniform(0.0, 10.0, 2)
    return _change_noise(number).at(lon_deg + shift[0], lat_deg + shift[1])


@lru_cache(maxsize=1)
def _streets() -> tuple[GroundNoise, GroundNoise]:
    tiles = [fractal_tile(np.random.default_rng([44, n]), 1024, 1.1) for n in (1, 2)]
    return tuple(  # type: ignore[return-value]
        GroundNoise(tile=tile, spacing_km=0.04, lat0_deg=40.0, turn_deg=23.0 + 40.0 * n)
        for n, tile in enumerate(tiles)
    )


def street_gain(lon_deg: FloatArray, lat_deg: FloatArray) -> FloatArray:
    """Factors of about unit mean: high along the lines where a smooth random field is nought."""
    wide, fine = _streets()
    main = np.exp(-np.abs(wide.at(lon_deg, lat_deg)) / 0.10)
    side = np.exp(-np.abs(fine.at(lon_deg, lat_deg)) / 0.25)
    return np.asarray((0.25 + 3.0 * main + 1.2 * side) / 0.73)


def join_patches(parts: list[Clusters]) -> Clusters:
    """Patches of several tables in one; a patch on the border of two boxes counts once."""
    columns = [vars(part) for part in parts]
    joined = Clusters(**{n: np.concatenate([part[n] for part in columns]) for n in columns[0]})
    return joined.take(np.sort(np.unique(joined.key, return_index=True)[1]))


def thin_patches(clusters: Clusters, most: int) -> Clusters:
    """Keep brighter patches with a greater chance; those kept stand for the rest."""
    if len(clusters.key) <= most:
        return clusters
    chance = find_chances(clusters.power, most)
    keep = uniform(clusters.key, 71) < chance
    kept = clusters.take(keep)
    return replace(kept, power=kept.power / chance[keep])


# Where the lights of product B truly stand: its blocks lie up to two pixels off the ground.

TABLE = Path(__file__).with_name("world_shift.npz")
CELL_DEG = 0.5
WEST, NORTH = -25.0, 65.0
ROWS, COLS = 250, 410
UNIT_PX = 0.02  # of the stored whole numbers; a pixel has 15 arc seconds
STEP_DEG = 1.0 / 240.0


@lru_cache(maxsize=1)
def stored_shift() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Measured shifts east and north of every cell, pixels, shape (250, 410)."""
    with np.load(TABLE, allow_pickle=False) as table:
        east, north = (table[name].astype(np.float32) * UNIT_PX for name in ("east", "north"))
    return east, north


def true_place(lon_deg: FloatArray, lat_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ground under places of product B."""
    east, north = stored_shift()
    row = np.clip(((NORTH - lat_deg) / CELL_DEG).astype(int), 0, ROWS - 1)
    col = np.clip(((lon_deg - WEST) / CELL_DEG).astype(int), 0, COLS - 1)
    return lon_deg + STEP_DEG * east[row, col], lat_deg + STEP_DEG * north[row, col]
