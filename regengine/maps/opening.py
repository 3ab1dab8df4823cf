"""Open references from given files or from the data folder, best first: the maps of a run.

Day maps are read as red light, which daytime photos are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from matchers.geometry.light_grid import LightGrid
from regengine.errors import LightMapError
from regengine.io.folders import data_folder
from regengine.maps.kinds import KindName
from regengine.maps.reference import LightMap, References


def open_references(kind: KindName, paths: Sequence[Path | str] | None = None) -> References:
    """Open references of one kind: files, or folders of them; best first.

    Measured radiance comes before images, and finer before clearly coarser maps; otherwise the
    given order is kept. So a clip of a city with radiance replaces its part of a world image.

    Parameters
    ----------
    kind : str
        "lights", "streets" or "day".
    paths : sequence of Path or str, optional
        Without them those of the data folder: ``<data>/<kind>/*.tif``.

    Raises
    ------
    LightMapError
        A file is missing, not of this kind, damaged or without coordinate system.
    """
    from regengine.maps.formats import open_files

    if paths is None:
        paths = sorted((data_folder() / kind).glob("*.tif"))
    found = [one for path in paths for one in open_files(kind, Path(path))]
    # Pixel sizes are compared in octaves: 15 arcsec, 16.2 (exports) and 20 (tiles) are equal
    found.sort(key=lambda one: (not one.measured, round(math.log2(one.grid.step_deg))))
    return References(found)


def open_light_map(paths: Sequence[Path | str]) -> LightMap:
    """Open night-light maps: GeoTIFF, built maps, VNP46, netCDF, or folders of those.

    For their order see `open_references`. Raises LightMapError if a file is missing, unknown,
    damaged or without coordinate system.
    """
    if not paths:
        raise LightMapError("No night-light map was given: name at least one.")
    return LightMap(open_references("lights", paths))


light_map_of = lru_cache(maxsize=4)(open_light_map)  # opened once per process


class RunMaps(Protocol):
    """Files of maps by their kind, from the inputs of a run or from a store."""

    @property
    def lights(self) -> tuple[Path, ...]:
        """Night-light maps."""

    @property
    def streets(self) -> tuple[Path, ...]:
        """Street maps."""

    @property
    def day(self) -> tuple[Path, ...]:
        """Day maps."""


@lru_cache(maxsize=4)
def street_maps_of(paths: tuple[Path, ...]) -> tuple[References, ...]:
    """Open the street maps of a run, each separately, once per process."""
    return tuple(References([one]) for one in open_references("streets", paths))


def map_of_kind(kind: str, maps: RunMaps) -> LightMap | None:
    """Open the map that photos of a ``reference_kind`` are registered on; None without one."""
    if kind == "day":
        return day_map_of(maps.day) if maps.day else None
    if kind == "streets":
        if not maps.streets:
            return None
        return LightMap(one for (one,) in street_maps_of(maps.streets))
    return light_map_of(maps.lights) if maps.lights else None


@dataclass(frozen=True, kw_only=True)
class SeaParams:
    """How the sea is classified by its colour, and drawn.

    Blue Marble has a painted sea floor, which would be matched with photos like a coast. Its codes
    range from (3, 7, 20) in deep water to (26, 71, 130) over shelves. Land never has such an excess
    of blue over red.

    Attributes
    ----------
    blue_over_red, max_red : float
        Minimum excess of blue over red, and maximum red, of the sea, codes.
    sea_colour : tuple of float
        Colour with which the sea is drawn, red to blue.
    painted_deg : float
        Maps as fine as this show true water, not a painted floor.
    """

    blue_over_red: float = 12.0
    max_red: float = 60.0
    sea_colour: tuple[float, float, float] = (16.0, 35.0, 77.0)
    painted_deg: float = 1e-3


SEA = SeaParams()


class DayMap(LightMap):
    """Red light of day maps, 0 to 1 as displayed, with a constant value over the sea."""

    def bands(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        """Read all bands of a region as codes, see `LightMap.window`."""
        grid = super().window(west, south, east, north, resolution_deg)
        bands = grid.values.reshape(-1, *grid.values.shape[-2:])
        if grid.step_deg > SEA.painted_deg:
            red, blue = bands[0], bands[-1]
            sea = (blue > red + SEA.blue_over_red) & (red < SEA.max_red)
            shades = np.asarray(SEA.sea_colour[: len(bands)], np.float32)[:, None, None]
            bands = np.where(sea, shades, bands)
        return replace(grid, values=bands)

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        """Read red light of a region, see `LightMap.window`."""
        grid = self.bands(west, south, east, north, resolution_deg)
        return replace(grid, values=grid.values[0] / np.float32(255.0))


def open_day_map(paths: Sequence[Path | str]) -> DayMap:
    """Open day maps: files or folders of them; see `open_references`."""
    return DayMap(open_references("day", paths))


day_map_of = lru_cache(maxsize=4)(open_day_map)  # opened once per process
