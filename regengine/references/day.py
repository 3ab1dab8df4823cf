"""Pictures of the Earth by day as what a photo by day is compared with: red light."""

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
    """How the sea is told by its colour, and drawn.

    The sea floor that is painted into Blue Marble would be found in photos as coasts are. Its codes
    go from (3, 7, 20) over the deep to (26, 71, 130) over shelves, while land is never as much
    bluer than red.

    Attributes
    ----------
    blue_over_red, max_red : float
        The sea has so much more blue than red, and at most so much red, codes.
    sea_colour : tuple of float
        What is drawn of it, red to blue.
    painted_deg : float
        Pictures as fine as this show no painted floor but true water.
    """

    blue_over_red: float = 12.0
    max_red: float = 60.0
    sea_colour: tuple[float, float, float] = (16.0, 35.0, 77.0)
    painted_deg: float = 1e-3


SEA = SeaParams()


class DayMap(LightMap):
    """Red light of pictures by day, 0 to 1 as displayed, the same all over the sea."""

    def bands(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        """All bands of a region, codes, see `LightMap.window`."""
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
        """Red light of a region, see `LightMap.window`."""
        grid = self.bands(west, south, east, north, resolution_deg)
        return replace(grid, values=grid.values[0] / np.float32(255.0))


def open_day_map(paths: Sequence[Path | str]) -> DayMap:
    """Open pictures by day: files or folders of them; see `open_references`."""
    return DayMap(open_references("day", paths))


day_map_of = lru_cache(maxsize=4)(open_day_map)  # of a run, opened once per process
