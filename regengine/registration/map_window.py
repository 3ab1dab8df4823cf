"""The piece of the map that a look searches, read once and kept while it serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from detectors.constants import KM_PER_DEGREE, SEMI_MAJOR_M
from matchers.camera import Camera
from matchers.dense import DenseParameters
from matchers.earth import ecef_to_geodetic, great_circle_km
from matchers.footprint import visible_outline
from matchers.light_grid import LightGrid, filled, pyramid
from matchers.sparse import MapTowns, SparseParameters, map_towns
from regengine.errors import LightMapError
from regengine.lights.source import LightMapInfo
from regengine.registration.candidates import Look
from regengine.registration.lens_prior import is_telephoto

PYRAMID_LEVELS = 6
MAP_STEP_DEG = 1.0 / 240.0  # 15 arc seconds, the grid of the VIIRS products
REGIONAL_DEG = 120.0  # a map wider than this is not cut
RIM_PX = 4.0


class HasWindows(Protocol):
    """What the search needs of a night-light map."""

    @property
    def info(self) -> LightMapInfo:
        """What is known of the map, its bounds above all."""
        ...

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        """A window at (or just finer than) a resolution."""
        ...


class HasOverview(HasWindows, Protocol):
    """What the order of the search needs of it besides."""

    def overview(self, resolution_deg: float) -> LightGrid | None:
        """All of it at a coarse resolution; None where that would take long."""
        ...


def ground_sample_km(camera: Camera) -> float:
    """Size on the ground of a pixel that looks straight down."""
    _, _, height_m = ecef_to_geodetic(camera.position_ecef_m)
    return float(height_m) / 1e3 / camera.focal_px


def window_around(
    light_map: HasWindows,
    lon_deg: np.ndarray,
    lat_deg: np.ndarray,
    margin_km: float,
    step_km: float,
) -> tuple[LightGrid, ...] | None:
    """Pyramid of the window that holds some places."""
    middle = lon_deg[0]
    lon = middle + (lon_deg - middle + 180.0) % 360.0 - 180.0
    south = max(-89.9, float(lat_deg.min()) - margin_km / KM_PER_DEGREE)
    north = min(89.9, float(lat_deg.max()) + margin_km / KM_PER_DEGREE)
    shrink = max(0.15, np.cos(np.radians(max(abs(south), abs(north)))))
    margin_lon = margin_km / KM_PER_DEGREE / shrink
    west, east = float(lon.min()) - margin_lon, float(lon.max()) + margin_lon
    if east - west > 360.0:
        west, east = float(middle) - 180.0, float(middle) + 180.0
    resolution = max(MAP_STEP_DEG, step_km / KM_PER_DEGREE)
    west, south, east, north = clamped((west, south, east, north), light_map, resolution)
    if east <= west or north <= south:
        return None
    try:
        grid = light_map.window(west, south, east, north, resolution)
    except LightMapError as error:
        if error.code == "outside_map":
            return None
        raise
    return pyramid(filled(grid), PYRAMID_LEVELS)


def clamped(
    region: tuple[float, float, float, float], light_map: HasWindows, resolution_deg: float
) -> tuple[float, float, float, float]:
    """A region cut to a regional map and a rim of no data around it, which says where it ends."""
    west, south, east, north = region
    map_west, map_south, map_east, map_north = light_map.info.bounds
    if map_east - map_west > REGIONAL_DEG:
        return region
    rim = RIM_PX * resolution_deg
    turn = 360.0 * round(((west + east) - (map_west + map_east)) / 720.0)
    return (
        max(west, map_west + turn - rim),
        max(south, map_south - rim),
        min(east, map_east + turn + rim),
        min(north, map_north + rim),
    )


def footprint_window(
    light_map: HasWindows, camera: Camera, margin_km: float, step_km: float
) -> tuple[LightGrid, ...] | None:
    """Pyramid of the window that a camera sees; None for the sky or outside the map."""
    lon, lat = camera.pixel_to_lonlat(*visible_outline(camera, per_side=33))
    if len(lon) == 0:
        return None
    return window_around(light_map, lon, lat, margin_km, step_km)


# Window pixels are never smaller than map pixels
LEAST_SAMPLE_KM = 1.2 * MAP_STEP_DEG * KM_PER_DEGREE
# Telephoto frames are taken near nadir (400 mm: nadir to city 284 km median, 736 km p90): this
# far off nadir the ground lies 1,100 km away
TELE_OFF_NADIR_DEG = 65.0
# A frame within one city is told by its outline and its parks, not by single towns
TELE_SAMPLE_KM = 1.15
TELE_TEMPLATE_PX = (32, 64)
TELE_FINER = 1.2  # template pixels to one of the window
# Ground seen from farther off nadir (1,300 km away) is at the limb, without structure
FARTHEST_DEG = 67.0
FAR_ENOUGH_DEG = 60.0
# Tiles around boresights at the rim of the zone see this far beyond it
HALF_TILE_DEG = 12.0
# A window serves looks this far from where it was read
MARGIN_KM = 300.0
TOWNS_KM = 200.0
KEPT_WINDOWS = 24
# A window that is finer than wanted by so many octaves serves, too: what its pyramid has left
FINER_OCTAVES = 2
MOST_PIXELS = 50_000_000  # of all kept windows together: 200 MB
KEPT_TOWNS = 32
ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True)
class Held:
    """A window that was read: its resolution and reach, and around where.

    ``octave`` is how many times the map's pixels were doubled.
    """

    octave: int
    reach_km: float
    centre: tuple[float, float]
    levels: tuple[LightGrid, ...] | None

    def serves(self, octave: int, reach_km: float, lon: float, lat: float) -> bool:
        """Whether it holds what is wanted around another place, at its resolution or finer."""
        if not 0 <= octave - self.octave <= FINER_OCTAVES or reach_km > self.reach_km:
            return False
        return bool(great_circle_km(*self.centre, lon, lat) <= MARGIN_KM)


@dataclass(frozen=True, kw_only=True)
class HeldTowns:
    """Towns of the map for some focal length, and around where."""

    scale: int
    centre: tuple[float, float]
    towns: MapTowns


class SearchWindow:
    """Map windows for looks from neighbouring positions.

    light_map: The map.
    altitude_km: Height of the camera.
    """

    def __init__(self, light_map: HasWindows, altitude_km: float) -> None:
        self._map = light_map
        self.altitude_km = altitude_km
        self._held: list[Held] = []
        self._towns: list[HeldTowns] = []

    def slant_km(self, off_nadir_deg: float) -> float:
        """Distance to the ground along a ray of some off-nadir angle, at most the horizon's."""
        along_rad = ground_reach_km(self.altitude_km, off_nadir_deg) / (SEMI_MAJOR_M / 1e3)
        radius_km = SEMI_MAJOR_M / 1e3
        high_km = radius_km + self.altitude_km
        square = radius_km**2 + high_km**2 - 2.0 * radius_km * high_km * np.cos(along_rad)
        return float(np.sqrt(square))

    def levels(
        self, stored: Camera, look: Look, parameters: DenseParameters
    ) -> tuple[LightGrid, ...] | None:
        """Map pyramid around a look's position; None where the map holds none of it."""
        longest = max(stored.width_px, stored.height_px)
        sample_km = self.altitude_km / look.prior.focal_px * longest / parameters.template_px
        step_km = max(sample_km / 1.5, LEAST_SAMPLE_KM)
        if look.flat:
            # Ground farther off is seen coarser, and windows of whole cities are slow to read
            slant = self.slant_km(look.off_nadir_deg[0]) / self.altitude_km
            step_km = max(sample_km * slant / TELE_FINER, LEAST_SAMPLE_KM)
        farthest = min(parameters.max_off_nadir_deg, look.off_nadir_deg[1])
        half_tile = HALF_TILE_DEG if farthest < FAR_ENOUGH_DEG else 0.0
        reach_km = ground_reach_km(self.altitude_km, min(farthest + half_tile, FARTHEST_DEG))
        return self.around(look.prior.position_ecef_m, reach_km, step_km)

    def around(
        self, position_ecef_m: tuple[float, float, float], reach_km: float, step_km: float
    ) -> tuple[LightGrid, ...] | None:
        """Map pyramid around the nadir of a position; None where the map holds none of it."""
        lon, lat, _ = ecef_to_geodetic(position_ecef_m)
        # Maps are read at their own pixels or those doubled: in between nothing is to be had
        finest_km = self._map.info.resolution_deg * KM_PER_DEGREE
        octave = max(0, int(np.floor(np.log2(step_km / finest_km * (1.0 + ROUNDING)))))
        for held in self._held:
            if held.serves(octave, reach_km, float(lon), float(lat)):
                break
        else:
            levels = window_around(
                self._map,
                np.array([lon]),
                np.array([lat]),
                reach_km + MARGIN_KM,
                finest_km * 2.0**octave,
            )
            held = Held(
                octave=octave, reach_km=reach_km, centre=(float(lon), float(lat)), levels=levels
            )
        self._held = within_budget([held, *(o for o in self._held if o is not held)])
        return None if held.levels is None else held.levels[octave - held.octave :]

    def towns(
        self, levels: Sequence[LightGrid], camera: Camera, parameters: SparseParameters
    ) -> MapTowns:
        """Towns of the map as a camera of some focal length tells them apart."""
        lon, lat, _ = ecef_to_geodetic(camera.position_ecef_m)
        scale = round(20.0 * np.log(camera.focal_px))
        for known in self._towns:
            if known.scale == scale and great_circle_km(*known.centre, lon, lat) <= TOWNS_KM:
                return known.towns
        towns = map_towns(levels, camera, parameters)
        new = HeldTowns(scale=scale, centre=(float(lon), float(lat)), towns=towns)
        self._towns = [new, *self._towns[: KEPT_TOWNS - 1]]
        return towns


def dense_parameters(stored: Camera, look: Look, altitude_km: float) -> DenseParameters:
    """Dense search parameters that suit a look's scale."""
    parameters = DenseParameters()
    if not is_telephoto(replace(stored, focal_px=look.prior.focal_px)):
        return parameters
    longest = max(stored.width_px, stored.height_px)
    field_km = altitude_km / look.prior.focal_px * longest
    return replace(
        parameters,
        template_px=int(np.clip(field_km / TELE_SAMPLE_KM, *TELE_TEMPLATE_PX)),
        max_off_nadir_deg=TELE_OFF_NADIR_DEG,
    )


def within_budget(windows: Sequence[Held]) -> list[Held]:
    """The first of some windows, as many as memory is meant for; the very first in any case."""
    kept: list[Held] = []
    pixels = 0
    for held in windows[:KEPT_WINDOWS]:
        pixels += sum(level.values.size for level in held.levels or ())
        if kept and pixels > MOST_PIXELS:
            break
        kept.append(held)
    return kept


def ground_reach_km(altitude_km: float, off_nadir_deg: float) -> float:
    """Distance along the ground from the nadir to where a ray of some off-nadir angle lands."""
    radius_km = SEMI_MAJOR_M / 1e3
    ratio = (radius_km + altitude_km) / radius_km
    sine = ratio * np.sin(np.radians(off_nadir_deg))
    if off_nadir_deg >= 90.0 or sine >= 1.0:
        return float(radius_km * np.arccos(1.0 / ratio))
    return float(radius_km * (np.arcsin(sine) - np.radians(off_nadir_deg)))
