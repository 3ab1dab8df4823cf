"""A decoy: the same photo searched for along the same track over another longitude of the map.

Nothing there can be right, so what is found tells how easily the search is deceived, without
anybody's labels: target-decoy competition.

References
----------
Elias, J. E., Gygi, S. P. (2007). Target-decoy search strategy for increased confidence in
large-scale protein identifications by mass spectrometry. Nature Methods 4, 207-214.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from detectors.types import FloatArray
from matchers.asterisms import unit
from matchers.camera import Camera
from matchers.level_ground import EARTH_RADIUS_KM
from matchers.light_grid import LightGrid
from matchers.pose import with_attitude
from regengine.lights.source import LightMapInfo
from regengine.orbit.propagation import CameraPosition
from regengine.orbit.rotation import turn_about_pole
from regengine.registration.index.earth import EarthIndex, EarthLevel
from regengine.registration.map_window import FARTHEST_DEG, HasOverview, ground_reach_km
from regengine.registration.search import ANYWHERE, Search

# So far apart nothing is in sight from both, to 52 degrees of latitude
TURNS_DEG = np.arange(75.0, 286.0, 15.0)
WHOLE_DEG = 359.0


@dataclass(frozen=True, kw_only=True)
class TurnedMap:
    """A map of the whole Earth whose lights lie so much farther west than they do."""

    light_map: HasOverview
    turn_deg: float

    @property
    def info(self) -> LightMapInfo:
        """Of the map itself."""
        return self.light_map.info

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        """The window that lies farther east."""
        turn = self.turn_deg
        grid = self.light_map.window(west + turn, south, east + turn, north, resolution_deg)
        return replace(grid, lon0_deg=grid.lon0_deg - turn)

    def overview(self, resolution_deg: float) -> LightGrid | None:
        """As of the map."""
        grid = self.light_map.overview(resolution_deg)
        return None if grid is None else replace(grid, lon0_deg=grid.lon0_deg - self.turn_deg)


@dataclass(frozen=True, kw_only=True, eq=False)
class TurnedIndex(EarthIndex):
    """The index of such a map; only what is cut out of it is turned."""

    turn_rad: float

    def around(self, places: FloatArray, reach_rad: float) -> EarthIndex:
        """What lies farther east of some places, taken there."""
        near = super().around(turn_about_pole(places, self.turn_rad), reach_rad)

        def turned(level: float) -> EarthLevel:
            figures = near.levels[level]
            vectors = turn_about_pole(figures.vectors, -self.turn_rad)
            figures = replace(figures, vectors=vectors, point_tree=cKDTree(vectors))
            return EarthLevel(figures, near.patches[level])

        return EarthIndex.of(near.levels, turned)


def is_whole(light_map: HasOverview) -> bool:
    """Whether a map reaches around the Earth."""
    west, _, east, _ = light_map.info.bounds
    return east - west >= WHOLE_DEG


def decoy_of(search: Search) -> tuple[Search, float] | None:
    """A search that must find nothing, and the turn of its map in degrees.

    None where the track is not known, and without the index of a map of the whole Earth.
    """
    position, index = search.told or search.position, search.aids.index
    if index is None or position.source == ANYWHERE or not is_whole(search.light_map):
        return None
    turn_deg = turn_for(position, index)
    turned = TurnedIndex(
        levels=index.levels, patches=index.patches, turn_rad=float(np.radians(turn_deg))
    )
    aids = replace(search.aids, index=turned, neighbours=None, elsewhere=False)
    light_map = TurnedMap(light_map=search.light_map, turn_deg=turn_deg)
    return search.anew(position=position, light_map=light_map, aids=aids, told=None), turn_deg


def turn_for(position: CameraPosition, index: EarthIndex) -> float:
    """The turn, degrees, under which most nearly as many towns lie in sight as really do."""
    towns = index.levels[max(index.levels)].vectors
    nadir = unit(position.position_ecef_m[None])
    reach_rad = ground_reach_km(position.altitude_km, FARTHEST_DEG) / EARTH_RADIUS_KM
    cosine = 1.0 - 0.5 * reach_rad**2
    there = turn_about_pole(nadir, np.radians(TURNS_DEG))
    own = 1.0 + float((towns @ nadir[0] > cosine).sum())
    counts = 1.0 + (towns @ there.T > cosine).sum(axis=0)
    return float(TURNS_DEG[np.abs(np.log(counts / own)).argmin()])


def turned_back(camera: Camera, turn_deg: float) -> Camera:
    """A camera that was found on a turned map, where it would be on the map itself."""
    turn_rad = np.radians(turn_deg)
    x, y, z = turn_about_pole(camera.position_ecef_m, turn_rad).tolist()
    axes = turn_about_pole(camera.matrix.T, turn_rad).T
    return with_attitude(replace(camera, position_ecef_m=(x, y, z)), axes)
