"""Cut the windows of the map that a camera sees, or that lie around a place."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE, SEMI_MAJOR_M
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.footprint import trace_visible_outline
from matchers.geometry.map_grid import MapGrid, fill_missing, make_pyramid
from regengine.maps.reference import RasterMap
from regengine.orbit.propagation import CameraPosition

MAP_STEP_DEG = 1.0 / 240.0  # 15 arc seconds, the grid of the VIIRS products
REGIONAL_DEG = 120.0  # a map wider than this is not cut
# Ground seen from farther off nadir (1,300 km away) is at the limb, without structure
FARTHEST_DEG = 67.0


Pyramid = tuple[MapGrid, ...]


def compute_ground_sample_km(camera: Camera) -> float:
    """Ground sample of a pixel at nadir, in kilometres."""
    return float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3 / camera.focal_px


def find_footprint_window(
    light_map: RasterMap,
    camera: Camera,
    margin_km: float,
    step_km: float,
    finest_deg: float = MAP_STEP_DEG,
) -> Pyramid | None:
    """Pyramid of the window that a camera sees; None for the sky or outside the map."""
    lon, lat = camera.pixel_to_lonlat(*trace_visible_outline(camera, per_side=33))
    if not len(lon):
        return None
    return find_window_around(light_map, lon, lat, margin_km, step_km, finest_deg)


def find_window_around(
    light_map: RasterMap,
    lon_deg: FloatArray,
    lat_deg: FloatArray,
    margin_km: float,
    step_km: float,
    finest_deg: float = MAP_STEP_DEG,
) -> Pyramid | None:
    """Read the pyramid of a window that contains some places; None outside the map.

    It is cut to a regional map and a rim of no data around it, which says where it ends.
    """
    middle = lon_deg[0]
    lon = middle + (lon_deg - middle + 180.0) % 360.0 - 180.0
    south = max(-89.9, float(lat_deg.min()) - margin_km / KM_PER_DEGREE)
    north = min(89.9, float(lat_deg.max()) + margin_km / KM_PER_DEGREE)
    shrink = max(0.15, np.cos(np.radians(max(abs(south), abs(north)))))
    margin_lon = margin_km / KM_PER_DEGREE / shrink
    west, east = float(lon.min()) - margin_lon, float(lon.max()) + margin_lon
    if east - west > 360.0:
        west = round(float(middle), 6) - 180.0
        east = west + 360.0
    resolution = max(finest_deg, step_km / KM_PER_DEGREE)
    map_west, map_south, map_east, map_north = light_map.info.bounds
    if map_east - map_west <= REGIONAL_DEG:
        rim = 4.0 * resolution
        turn = 360.0 * round(((west + east) - (map_west + map_east)) / 720.0)
        west, east = max(west, map_west + turn - rim), min(east, map_east + turn + rim)
        south, north = max(south, map_south - rim), min(north, map_north + rim)
        if east <= west or north <= south:
            return None
    grid = light_map.find_window(west, south, east, north, resolution)
    return None if grid is None else make_pyramid(fill_missing(grid), 6)


class MapWindows:
    """Map pyramids around places, kept while there is room.

    Each lies around a cell of a grid of places and depends on what is asked for alone, neither on
    the order of requests nor on what is kept. The likeliest place is in the middle of its cell.
    """

    cell_km = 400.0  # by eye
    max_pixels = 50_000_000  # of all kept windows together: 200 MB

    def __init__(self, light_map: RasterMap, likeliest: CameraPosition) -> None:
        self._map, self._likeliest = light_map, likeliest
        reach_km = compute_ground_reach_km(likeliest.altitude_km, FARTHEST_DEG)
        self._margin_km = reach_km + 0.75 * self.cell_km  # to the corners of the cell
        # By octave, and row and column of the cell; the last used at the end
        self._kept: dict[tuple[int, int, int], Pyramid | None] = {}

    def around(self, position_ecef_m: ArrayLike, step_km: float) -> Pyramid | None:
        """Read the map pyramid around the nadir of a position; None outside the map."""
        lon, lat, _ = (float(value) for value in ecef_to_geodetic(position_ecef_m))
        cell_deg = self.cell_km / KM_PER_DEGREE
        row = round((lat - self._likeliest.lat) / cell_deg)
        middle_lat = self._likeliest.lat + row * cell_deg
        columns = max(1, round(360.0 / cell_deg * math.cos(math.radians(middle_lat))))
        column = round((lon - self._likeliest.lon) / 360.0 * columns) % columns
        middle_lon = self._likeliest.lon + 360.0 / columns * column
        # Maps are read at their own pixels or those doubled: in between nothing is to be had. Every
        # second octave is read, and the next one is in its pyramid
        finest_km = max(self._map.info.resolution_deg, MAP_STEP_DEG) * KM_PER_DEGREE
        octave = max(0, math.floor(math.log2(step_km / finest_km) + 1e-6))
        window = octave // 2, row, column
        if window in self._kept:
            levels = self._kept.pop(window)
        else:
            middle = np.array([middle_lon]), np.array([middle_lat])
            read_km = finest_km * 4.0 ** window[0]
            levels = find_window_around(self._map, *middle, self._margin_km, read_km)
        self._kept[window] = levels
        pixels = [sum(grid.values.size for grid in one or ()) for one in self._kept.values()]
        while sum(pixels) > self.max_pixels and len(pixels) > 1:
            del self._kept[next(iter(self._kept))], pixels[0]
        return levels and (levels[octave % 2 :] or levels)


def compute_slant_range_km(altitude_km: float, off_nadir_cosine: float) -> float:
    """Distance to the ground of a sphere along a ray from a height, at most the horizon's."""
    high_km = EARTH_RADIUS_KM + altitude_km
    horizon_sq = max(0.0, high_km**2 - EARTH_RADIUS_KM**2)
    down_km = max(high_km * off_nadir_cosine, math.sqrt(horizon_sq))
    return down_km - math.sqrt(max(0.0, down_km**2 - horizon_sq))


def compute_ground_reach_km(altitude_km: float, off_nadir_deg: float) -> float:
    """Distance along the ground from the nadir to where a ray of some off-nadir angle lands."""
    radius_km = SEMI_MAJOR_M / 1e3
    ratio = (radius_km + altitude_km) / radius_km
    sine = ratio * np.sin(np.radians(off_nadir_deg))
    if off_nadir_deg >= 90.0 or sine >= 1.0:
        return float(radius_km * np.arccos(1.0 / ratio))
    return float(radius_km * (np.arcsin(sine) - np.radians(off_nadir_deg)))
