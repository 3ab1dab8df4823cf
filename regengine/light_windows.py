"""Windows of a night-light map that suit a camera."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.footprint import visible_outline
from matchers.light_grid import LightGrid
from matchers.pyramid import filled, pyramid
from regengine.errors import LightMapError
from regengine.lights.source import LightMapInfo

PYRAMID_LEVELS = 6
MAP_STEP_DEG = 1.0 / 240.0  # 15 arc seconds, the grid of the VIIRS products
KM_PER_DEG = 111.2
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
    """Pyramid of the window that holds some places.

    Parameters
    ----------
    light_map : HasWindows
        The map.
    lon_deg, lat_deg : ndarray
        Places; they may straddle the antimeridian.
    margin_km : float
        Added on all sides.
    step_km : float
        Wanted pixel size; never finer than the VIIRS grid.

    Returns
    -------
    tuple of LightGrid or None
        Finest level first; None where the map holds nothing of it.
    """
    middle = lon_deg[0]
    lon = middle + (lon_deg - middle + 180.0) % 360.0 - 180.0
    south = max(-89.9, float(lat_deg.min()) - margin_km / KM_PER_DEG)
    north = min(89.9, float(lat_deg.max()) + margin_km / KM_PER_DEG)
    shrink = max(0.15, np.cos(np.radians(max(abs(south), abs(north)))))
    margin_lon = margin_km / KM_PER_DEG / shrink
    west, east = float(lon.min()) - margin_lon, float(lon.max()) + margin_lon
    if east - west > 360.0:
        west, east = float(middle) - 180.0, float(middle) + 180.0
    resolution = max(MAP_STEP_DEG, step_km / KM_PER_DEG)
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
    """A region cut to a regional map and a rim of no data around it, which says where it ends.

    Parameters
    ----------
    region : tuple of float
        West, south, east, north, degrees; in any turn of longitude.
    light_map : HasWindows
        The map; one that goes round the Earth leaves the region as it is.
    resolution_deg : float
        Pixel size of the window.

    Returns
    -------
    tuple of float
        East may lie west of west where nothing is left.
    """
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
