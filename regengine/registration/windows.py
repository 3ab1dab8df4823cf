"""Cut the windows of the map that a camera sees, or that lie around a place."""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import copy
from threading import Lock

import numpy as np

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE, SEMI_MAJOR_M
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from matchers.geometry.footprint import trace_visible_outline
from matchers.geometry.light_grid import LightGrid, fill_missing, make_pyramid
from regengine.errors import LightMapError
from regengine.maps.reference import LightMap

MAP_STEP_DEG = 1.0 / 240.0  # 15 arc seconds, the grid of the VIIRS products
# Window pixels are never smaller than map pixels
MIN_SAMPLE_KM = 1.2 * MAP_STEP_DEG * KM_PER_DEGREE
REGIONAL_DEG = 120.0  # a map wider than this is not cut
# Ground seen from farther off nadir (1,300 km away) is at the limb, without structure
FARTHEST_DEG = 67.0


Pyramid = tuple[LightGrid, ...]
# Position (ECEF, metres), distance to the farthest ground and sample, kilometres
WindowRequest = tuple[FloatArray, float, float]
# How often the map's pixels were doubled, how far it reaches, around which longitude and latitude
Window = tuple[int, float, float, float]


def compute_ground_sample_km(camera: Camera) -> float:
    """Ground sample of a pixel at nadir, in kilometres."""
    return float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3 / camera.focal_px


def find_footprint_window(
    light_map: LightMap,
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
    light_map: LightMap,
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
    try:
        grid = light_map.window(west, south, east, north, resolution)
    except LightMapError as error:
        if error.code == "outside_map":
            return None
        raise
    return make_pyramid(fill_missing(grid), 6)


class MapWindows:
    """Map pyramids around neighbouring places, kept while they serve."""

    margin_km = 300.0  # a window serves places this far from where it was read
    max_octaves = 2  # and one that is finer by so many octaves, by what its pyramid has left
    max_windows = 24
    max_pixels = 50_000_000  # of all kept windows together: 200 MB

    def __init__(self, light_map: LightMap) -> None:
        self._map, self._finest_km = light_map, light_map.info.resolution_deg * KM_PER_DEGREE
        # What was read, for this and its copies
        self._read: dict[Window, Pyramid | None] = {}
        self._reading = Lock()
        self._kept: tuple[Window, ...] = ()
        self._asked: list[tuple[WindowRequest, Window]] = []

    def around(self, wanted: WindowRequest) -> Pyramid | None:
        """Read the map pyramid around the nadir of a position; None outside the map."""
        octave, window = self._choose(wanted)
        coarser, far_km, lon, lat = window
        with self._reading:
            if window not in self._read:
                margin_km, step_km = far_km + self.margin_km, self._finest_km * 2.0**coarser
                nadir = np.array([lon]), np.array([lat])
                levels = find_window_around(self._map, *nadir, margin_km, step_km)
                self._read[window] = levels
            levels = self._read[window]
        self._asked.append((wanted, window))
        self._keep(window)
        return None if levels is None else levels[octave - coarser :]

    def copy(self, foreseen: Iterable[WindowRequest]) -> MapWindows:
        """Copy them as they will be after some requests, for work ahead of these."""
        ahead = copy(self)
        ahead._asked = []
        for wanted in foreseen:
            ahead._keep(ahead._choose(wanted)[1])
        return ahead

    def follow(self, ahead: MapWindows) -> bool:
        """Repeat the requests to a copy; return whether they give the same windows here.

        Pixels of a window depend a little on where it was read, so results depend on the order.
        """
        for wanted, window in ahead._asked:
            if self._choose(wanted)[1] != window:
                return False
            before = self._kept
            self._keep(window)
            if given_up := set(before) - set(self._kept):
                with self._reading:
                    for one in given_up:
                        self._read.pop(one, None)
        return True

    def _choose(self, wanted: WindowRequest) -> tuple[int, Window]:
        """The octave of a request, and the window that serves it."""
        position_ecef_m, reach_km, step_km = wanted
        lon, lat, _ = (float(value) for value in ecef_to_geodetic(position_ecef_m))
        # Maps are read at their own pixels or those doubled: in between nothing is to be had
        octave = max(0, int(np.floor(np.log2(step_km / self._finest_km) + 1e-6)))
        for window in self._kept:
            coarser, far_km, at_lon, at_lat = window
            serves = 0 <= octave - coarser <= self.max_octaves and reach_km <= far_km
            if serves and great_circle_km(at_lon, at_lat, lon, lat) <= self.margin_km:
                return octave, window
        return octave, (octave, reach_km, lon, lat)

    def _keep(self, window: Window) -> None:
        """Put a window first, and give up the last ones if they are too many or too large."""
        kept = (window, *(other for other in self._kept if other != window))[: self.max_windows]
        read = (self._read.get(one) or () for one in kept)
        pixels = np.cumsum([sum(grid.values.size for grid in levels) for levels in read])
        self._kept = kept[: max(1, int((pixels <= self.max_pixels).sum()))]


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
