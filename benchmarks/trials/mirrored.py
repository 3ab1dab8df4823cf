"""A map and a camera in the mirror: a control that looks like the Earth and is not.

A flipped picture of a mirrored map is what a camera would see that is mirrored with it, so that is
the true camera of such a trial. It stands where the element set does not have the station, but for
places near the mirror.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.simulate.camera import SimCamera
from matchers.geometry.light_grid import LightGrid
from regengine.references.reference import LightMapInfo
from regengine.registration.index.earth import (
    EarthIndex,
    build_earth_index,
    index_in_memory,
    read_earth_index,
    write_earth_index,
)
from regengine.registration.windows import REGIONAL_DEG, NightLights

if TYPE_CHECKING:
    from benchmarks.trials.source import Trial

# Trials from this seed on are photographs of cities, drawn as those from 0 on
FIRST_MIRRORED = 10_000_000
# Europe falls upon Europe, Asia upon America
WORLD_MERIDIAN_DEG = 15.0


@dataclass(frozen=True, kw_only=True)
class MirroredMap:
    """A map mirrored in longitude: about its middle, if it is of a region."""

    original: NightLights

    @property
    def info(self) -> LightMapInfo:
        """The original's."""
        return self.original.info

    @property
    def meridian_deg(self) -> float:
        """Longitude of the mirror."""
        west, _, east, _ = self.info.bounds
        return WORLD_MERIDIAN_DEG if east - west > REGIONAL_DEG else 0.5 * (west + east)

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        """A window at (or just finer than) a resolution."""
        twice = 2.0 * self.meridian_deg
        grid = self.original.window(twice - east, south, twice - west, north, resolution_deg)
        return self._mirrored(grid)

    def overview(self, resolution_deg: float) -> LightGrid | None:
        """All of it at a coarse resolution; None where that would take long."""
        grid = self.original.overview(resolution_deg)
        return None if grid is None else self._mirrored(grid)

    def _mirrored(self, grid: LightGrid) -> LightGrid:
        last_deg = grid.lon0_deg + (grid.values.shape[1] - 1) * grid.step_deg
        return replace(
            grid,
            values=np.ascontiguousarray(grid.values[:, ::-1]),
            valid=None if grid.valid is None else np.ascontiguousarray(grid.valid[:, ::-1]),
            lon0_deg=2.0 * self.meridian_deg - last_deg,
        )


def index_of(mirrored: MirroredMap, lights: Path, file: Path) -> EarthIndex:
    """Index of a map in the mirror; a large map's is kept in a file."""
    found = index_in_memory(mirrored)
    if found is None and not file.exists():
        write_earth_index(build_earth_index(mirrored), [lights], file)
    return read_earth_index(file, [lights]) if found is None else found


def in_the_mirror(camera: SimCamera, meridian_deg: float) -> SimCamera:
    """The camera that sees in the mirrored world what this one sees in the true one."""
    turn = np.radians(2.0 * meridian_deg)
    mirror = np.array(
        [[np.cos(turn), np.sin(turn), 0.0], [np.sin(turn), -np.cos(turn), 0.0], [0.0, 0.0, 1.0]]
    )
    return replace(
        camera,
        lon_deg=(2.0 * meridian_deg - camera.lon_deg + 180.0) % 360.0 - 180.0,
        axes=mirror @ camera.axes @ np.diag([-1.0, 1.0, 1.0]),
        principal_x=camera.width_px - 1.0 - camera.principal_x,
        mirrored=not camera.mirrored,
    )


def against_the_mirror(trial: Trial, meridian_deg: float) -> Trial:
    """A trial that is to be registered on the mirrored map."""
    return replace(
        trial,
        seed=trial.seed + FIRST_MIRRORED,
        kind="mirrored_map",
        camera=in_the_mirror(trial.camera, meridian_deg),
        registrable=False,
    )
