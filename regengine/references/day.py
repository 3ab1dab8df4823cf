"""Read day maps of the Earth as red light, which daytime photos are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from matchers.geometry.light_grid import LightGrid
from regengine.references.opening import open_references
from regengine.references.reference import LightMap


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
