"""Windows of maps: what they hold at each pixel's place, how far they reach, what is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyproj import Geod

from detectors.constants import EARTH_RADIUS_KM, SEMI_MAJOR_M
from detectors.constants import KM_PER_DEGREE as KM
from matchers.geometry.light_grid import LightGrid
from regengine import LightMap, open_light_map
from regengine.registration import windows
from regengine.registration.windows import MapWindows, find_footprint_window, find_window_around
from tests.world.maps import STEP, write_geotiff
from tests.world.towns import camera_over, ecef

Array = NDArray[np.float64]
WGS84 = Geod(ellps="WGS84")


@dataclass(frozen=True)
class Plane:
    """Values that tell east from north, by degrees from a map's corner; 3 at its other end."""

    west: float
    north: float
    wide: float = 2.0
    high: float = 2.0
    step: float = STEP

    def at(self, lon: Array, lat: Array) -> Array:
        """In any turn of the circle."""
        east = (np.asarray(lon) - self.west) % 360.0
        return 1.0 + (1.3 * east + 0.7 * (self.north - np.asarray(lat))) / self.wide

    def drawn(self, folder: Path) -> LightMap:
        lon = self.west + (np.arange(round(self.wide / self.step)) + 0.5) * self.step
        lat = self.north - (np.arange(round(self.high / self.step)) + 0.5) * self.step
        radiance = (10.0 ** self.at(lon[None], lat[:, None]) - 1.0).astype(np.float32)
        origin = {"west": self.west, "north": self.north, "step": self.step}
        return open_light_map([write_geotiff(folder / "plane.tif", radiance, **origin)])


GLOBE = Plane(-180.0, 90.0, 360.0, 180.0, 0.5)


def places(grid: LightGrid) -> tuple[Array, Array]:
    rows, cols = np.indices(grid.values.shape)
    return grid.lon0_deg + cols * grid.step_deg, grid.lat0_deg - rows * grid.step_deg


@pytest.mark.parametrize(
    ("west", "north"), [(9.0, 46.0), (179.0, 10.0), (-181.0, -20.0), (20.0, 71.0)]
)
def test_a_window_holds_the_plane_at_each_pixels_place(
    west: float, north: float, tmp_path: Path
) -> None:
    """In three resolutions and all levels of each; also across 180 degrees and far north."""
    plane = Plane(west, north)
    light_map = plane.drawn(tmp_path)
    lon, lat = np.array([west + 0.9, west + 1.1]), np.array([north - 0.9, north - 1.0])
    for step_km in (0.1, 1.0, 2.2):
        levels = find_window_around(light_map, lon, lat, 20.0, step_km)
        assert levels is not None
        step = levels[0].step_deg
        assert max(STEP, 0.5 * step_km / KM) <= step * 1.001
        assert step <= max(STEP, step_km / KM) * 1.001
        for k, grid in enumerate(levels):
            assert grid.step_deg == pytest.approx(step * 2**k)
            at_lon, at_lat = places(grid)
            drawn = plane.at(at_lon, at_lat)
            assert np.abs(grid.values - drawn).max() < 0.002
        # Each place has its margin, by the ellipsoid, and no window is far wider
        at_lon, at_lat = places(levels[0])
        for azimuth in (0.0, 90.0, 180.0, 270.0):
            far_lon, far_lat, _ = WGS84.fwd(lon, lat, [azimuth] * 2, [19.0e3] * 2)
            turned = at_lon.mean() + (far_lon - at_lon.mean() + 180.0) % 360.0 - 180.0
            assert (turned > at_lon.min() - step).all()
            assert (turned < at_lon.max() + step).all()
            assert (far_lat > at_lat.min() - step).all()
            assert (far_lat < at_lat.max() + step).all()
        assert np.ptp(at_lat) < 0.1 + 41.0 / KM + 3 * step
        assert np.ptp(at_lon) < 0.2 + 41.0 / KM / math.cos(math.radians(north)) + 3 * step


def test_a_regional_map_is_cut_where_it_ends_and_a_rim_without_data_says_so(tmp_path: Path) -> None:
    plane = Plane(178.5, 72.0)
    light_map = plane.drawn(tmp_path)
    for lon in (179.4, -180.6):
        levels = find_window_around(light_map, np.array([lon]), np.array([71.1]), 400.0, 1.0)
        assert levels is not None
        grid = levels[0]
        at_lon, at_lat = places(grid)
        half, rim = 0.5 * grid.step_deg, 6.0 * grid.step_deg
        turn = at_lon.mean() - 179.5
        assert turn == pytest.approx(lon - 179.4, abs=0.01)
        inside = (np.abs(at_lon - turn - 179.5) < 1.0) & (np.abs(at_lat - 71.0) < 1.0)
        assert grid.valid is not None
        assert (grid.valid == inside).mean() > 0.99
        beyond = [
            *(178.5 - (at_lon.min() - half - turn), at_lon.max() + half - turn - 180.5),
            *(70.0 - (at_lat.min() - half), at_lat.max() + half - 72.0),
        ]
        assert 2.0 * grid.step_deg < min(beyond)
        assert max(beyond) < rim
        drawn = plane.at(at_lon, at_lat)
        assert np.abs(grid.values - drawn)[grid.valid].max() < 0.002
        mean = float(grid.values[grid.valid].mean())
        assert grid.values[~grid.valid] == pytest.approx(mean, abs=1e-3)
    for lon, lat in ((170.0, 71.0), (-175.0, 71.0), (179.5, 60.0), (179.5, 80.0)):
        assert find_window_around(light_map, np.array([lon]), np.array([lat]), 20.0, 1.0) is None


@pytest.mark.parametrize(("wide", "cut"), [(120.0, True), (120.5, False)])
def test_a_map_of_a_third_of_the_globe_is_regional(wide: float, cut: bool, tmp_path: Path) -> None:
    light_map = Plane(0.0, 30.0, wide, 30.0, 0.5).drawn(tmp_path)
    levels = find_window_around(light_map, np.array([1.0]), np.array([15.0]), 2000.0, 50.0)
    assert levels is not None
    assert (levels[0].lon0_deg > -3.0) == cut
    assert (levels[0].lon0_deg < -16.0) != cut


def test_windows_reach_over_poles_and_around_the_globe_but_once(tmp_path: Path) -> None:
    light_map = GLOBE.drawn(tmp_path)
    around = np.array([0.0, 90.0, 179.9, -179.9, -90.0])
    for lon, lat, wide in (
        (around, np.full(5, 60.0), 360.0),
        (around[:1], around[:1] * 0 + 89, 60.0),
    ):
        levels = find_window_around(light_map, lon, lat, 500.0, 50.0)
        assert levels is not None
        at_lon, at_lat = places(levels[0])
        assert np.ptp(at_lon) == pytest.approx(wide, abs=1.01)
        assert at_lat.max() == pytest.approx(min(lat[0] + 500.0 / KM, 89.75), abs=0.51)
        assert at_lat.min() == pytest.approx(lat[0] - 500.0 / KM, abs=0.51)
    finer = Plane(9.0, 46.0, 1.0, 1.0, STEP / 2.0).drawn(tmp_path)
    levels = find_window_around(finer, np.array([9.5]), np.array([45.5]), 10.0, 0.1)
    assert levels is not None
    assert levels[0].step_deg == pytest.approx(STEP)


class Counted:
    """A map that counts how often it is read."""

    def __init__(self, light_map: LightMap) -> None:
        self.info, self.read, self.reads = light_map.info, light_map.window, 0

    def window(self, *asked: float) -> LightGrid:
        self.reads += 1
        return self.read(*asked)


def test_windows_are_kept_while_they_serve_and_so_many_at_most(tmp_path: Path) -> None:
    light_map = Counted(GLOBE.drawn(tmp_path))
    kept = MapWindows(light_map)
    finest_km = 0.5 * KM

    def reads(lon: float, lat: float, reach_km: float = 900.0, octave: float = 0.0) -> int:
        before = light_map.reads
        levels = kept.around(ecef(lon, lat, 400e3), reach_km, finest_km * 2.0**octave)
        assert levels is not None
        assert levels[0].step_deg == pytest.approx(0.5 * 2.0 ** math.floor(max(octave, 0.0)))
        at_lon, at_lat = places(levels[0])
        drawn = GLOBE.at(at_lon, at_lat)
        smooth = np.abs((at_lon + 180.0) % 360.0 - 180.0) < 170.0
        assert np.abs(levels[0].values - drawn)[smooth].max() < 1e-3
        for azimuth in (0.0, 90.0, 180.0, 270.0):
            far_lon, far_lat, _ = WGS84.fwd(lon, lat, azimuth, 0.97e3 * reach_km)
            assert at_lon.min() - 2 < far_lon < at_lon.max() + 2
            assert at_lat.min() - 2 < far_lat < at_lat.max() + 2
        return light_map.reads - before

    assert [reads(10.0, 20.0), reads(10.0, 20.0), reads(10.0, 20.0, 899.0)] == [1, 0, 0]
    assert [reads(10.0, 22.6), reads(10.0, 22.8)] == [0, 1]  # 290 and 312 km
    assert [reads(10.0, 20.0, octave=o) for o in (0.9, 1.5, 2.9, 3.0)] == [0, 0, 0, 1]
    assert reads(10.0, 20.0, 901.0) == 1
    assert reads(10.0, 20.0, 901.0, -1.0) == 0
    far = [(-100.0 + 9.0 * k, -30.0) for k in range(23)]
    assert [reads(*one, 200.0) for one in far] == [1] * 23
    assert reads(10.0, 20.0, 901.0) == 0  # the 24th, now the first again
    assert reads(100.0, 50.0, 200.0) == 1
    assert [reads(*far[0], 200.0), reads(*far[-1], 200.0)] == [1, 0]
    kept.max_pixels = 2000
    assert [reads(-50.0, 50.0), reads(50.0, 50.0), reads(50.0, 50.0), reads(-50.0, 50.0)] == [
        *(1, 1, 0, 1)
    ]
    regional = MapWindows(Plane(0.0, 30.0, 20.0, 30.0, 0.5).drawn(tmp_path))
    assert regional.around(ecef(100.0, -40.0, 400e3), 500.0, 60.0) is None


def test_ground_and_slant_distances_are_those_of_a_ray_and_a_sphere() -> None:
    def ray(radius: float, high: float, off_nadir: float) -> tuple[float, float]:
        """Along the ray, and over the ground, to where it meets the sphere, or its horizon."""
        sine, cosine = math.sin(off_nadir), math.cos(off_nadir)
        along = np.roots([1.0, -2.0 * (radius + high) * cosine, high * (2.0 * radius + high)])
        if off_nadir >= math.pi / 2 or np.iscomplexobj(along):
            edge = radius / (radius + high)
            return (radius + high) * math.sqrt(1.0 - edge**2), radius * math.acos(edge)
        near = float(along.min())
        return near, radius * math.atan2(near * sine, radius + high - near * cosine)

    for high in (350.0, 420.0):
        for off_nadir in (0.0, 20.0, 55.0, 67.0, 69.0, 75.0, 90.0, 120.0):
            turn = math.radians(off_nadir)
            assert windows.compute_slant_range_km(high, math.cos(turn)) == pytest.approx(
                ray(EARTH_RADIUS_KM, high, turn)[0], rel=1e-6
            )
            assert windows.compute_ground_reach_km(high, off_nadir) == pytest.approx(
                ray(SEMI_MAJOR_M / 1e3, high, turn)[1], rel=1e-6, abs=1e-9
            )


def test_a_footprints_window_holds_what_the_camera_sees(tmp_path: Path) -> None:
    light_map: Any = Plane(5.0, 50.0, 10.0, 10.0, 1 / 60).drawn(tmp_path)
    camera = camera_over(10.0, 45.0, off_nadir=30.0, azimuth=90.0, focal_px=800.0)
    assert windows.compute_ground_sample_km(camera) == pytest.approx(410.0 / 800.0, rel=1e-6)
    levels = find_footprint_window(light_map, camera, 30.0, 2.0)
    assert levels is not None
    lon, lat = camera.pixel_to_lonlat([0.0, 299.0, 0.0, 299.0], [0.0, 0.0, 199.0, 199.0])
    at_lon, at_lat = places(levels[0])
    margin = 30.0 / KM
    assert at_lat.max() - lat.max() == pytest.approx(margin, abs=0.06)
    assert lat.min() - at_lat.min() == pytest.approx(margin, abs=0.06)
    assert at_lon.max() - lon.max() == pytest.approx(
        margin / math.cos(math.radians(45.5)), abs=0.06
    )
    sky = camera_over(10.0, 45.0, off_nadir=120.0, focal_px=800.0)
    assert find_footprint_window(light_map, sky, 30.0, 2.0) is None
