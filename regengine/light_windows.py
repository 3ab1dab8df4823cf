"""Windows of a night-light map that suit a camera."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from matchers.footprint import visible_ground
from matchers.light_grid import LightGrid
from matchers.view import filled, pyramid
from regengine.errors import LightMapError

PYRAMID_LEVELS = 6
MAP_STEP_DEG = 1.0 / 240.0  # 15 arc seconds, the grid of the VIIRS products
KM_PER_DEG = 111.2


class HasWindows(Protocol):
    """What the search needs of a night-light map."""

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        """A window at (or just finer than) a resolution."""
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
    try:
        grid = light_map.window(west, south, east, north, resolution)
    except LightMapError as error:
        if error.code == "outside_map":
            return None
        raise
    return pyramid(filled(grid), PYRAMID_LEVELS)


def footprint_window(
    light_map: HasWindows, camera: Camera, margin_km: float, step_km: float
) -> tuple[LightGrid, ...] | None:
    """Pyramid of the window that a camera sees; None for the sky or outside the map."""
    lon, lat = visible_ground(camera, per_side=17)
    if len(lon) < 2:
        return None
    return window_around(light_map, lon, lat, margin_km, step_km)
