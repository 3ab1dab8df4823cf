"""Windows of maps, the index of the Earth, lit ground, and what is drawn over a photo."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod, Transformer
from rasterio.windows import Window
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from detectors.constants import EARTH_RADIUS_KM, SEMI_MAJOR_M
from detectors.constants import KM_PER_DEGREE as KM
from matchers.geometry.camera import Camera
from matchers.geometry.earth import great_circle_km, surface_to_lonlat
from matchers.geometry.light_grid import LightGrid
from regengine import LightMap, open_light_map
from regengine.errors import ConfigError, LightMapError
from regengine.places import coast_lines
from regengine.registration import windows
from regengine.registration.index.earth import (
    SIZES_KM,
    EarthIndex,
    build_earth_index,
    build_level,
    read_earth_index,
    write_earth_index,
)
from regengine.registration.overlay import (
    draw_coast,
    draw_contours,
    draw_graticule,
    draw_overlay,
    draw_towns,
    find_visible_region,
    render_map,
)
from regengine.registration.windows import MapWindows, find_footprint_window, find_window_around
from tests.world.maps import STEP, write_geotiff
from tests.world.results import nadir_camera, proposal
from tests.world.runs import LIGHTS
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
    for lon, lat, wide in ((around, 60.0, 360.0), (around[:1], 89.0, 60.0)):
        levels = find_window_around(light_map, lon, np.full(len(lon), lat), 500.0, 50.0)
        assert levels is not None
        at_lon, at_lat = places(levels[0])
        assert np.ptp(at_lon) == pytest.approx(wide, abs=1.01)
        assert at_lat.max() == pytest.approx(min(lat + 500.0 / KM, 89.75), abs=0.51)
        assert at_lat.min() == pytest.approx(lat - 500.0 / KM, abs=0.51)
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


@pytest.fixture(scope="session")
def lights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the samples' map: its middle, a quarter as wide and high."""
    path = tmp_path_factory.mktemp("part") / "lights.tif"
    with rasterio.open(LIGHTS) as source:
        width, height = source.width // 4, source.height // 4
        window = Window(3 * width // 2, 3 * height // 2, width, height)
        step = source.res[0]
        west, north = source.bounds.left, source.bounds.top
        profile = source.profile | {"width": width, "height": height}
        place = west + step * window.col_off, north - step * window.row_off
        profile["transform"] = Affine(step, 0.0, place[0], 0.0, -step, place[1])
        with rasterio.open(path, "w", **profile) as part:
            part.write(source.read(window=window))
            part.update_tags(**source.tags())
    return path


@pytest.fixture(scope="session")
def index(lights: Path) -> EarthIndex:
    return build_earth_index(open_light_map([lights]))


@pytest.fixture(scope="session")
def index_path(index: EarthIndex, lights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blind") / "samples.idx"
    write_earth_index(index, [lights], path)
    return path


# A kilometre from borders of strips and pieces, on both sides of the antimeridian, far north
TOWNS = np.array(
    [
        [0.01, -0.01],
        [19.99, 2.01],
        [19.99, 40.3],
        [-179.98, 10.0],
        [179.9, 10.6],
        [33.3, 67.0],
        [-70.1, -53.2],
    ]
)
SIGMA_KM = 2.5


class TownsOnly:
    """A map of some round towns, drawn for each window."""

    info = SimpleNamespace(bounds=(-180.0, -90.0, 180.0, 90.0), resolution_deg=1 / 240)

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        near = (TOWNS[:, 1] > south - 1) & (TOWNS[:, 1] < north + 1)
        middle = 0.5 * (west + east)
        turned = middle + (TOWNS[:, 0] - middle + 180.0) % 360.0 - 180.0
        near &= (turned > west - 1) & (turned < east + 1)
        if not near.any():
            raise LightMapError("nothing there", code="outside_map")
        step = resolution_deg * 0.9
        lon = np.arange(west + step / 2, east, step)
        lat = np.arange(north - step / 2, south, -step)
        values = np.zeros((len(lat), len(lon)), np.float32)
        for town_lon, town_lat in zip(turned[near], TOWNS[near, 1], strict=True):
            dx = (lon - town_lon) * 111.195 * np.cos(np.radians(town_lat))
            dy = (lat - town_lat) * 111.195
            values += np.exp(-0.5 * (dx[None] ** 2 + dy[:, None] ** 2) / SIGMA_KM**2)
        return LightGrid(
            values=values, valid=None, lon0_deg=float(lon[0]), lat0_deg=float(lat[0]), step_deg=step
        )


def test_each_town_is_found_once_where_it_is() -> None:
    calls: list[tuple[int, int]] = []
    level = build_level(TownsOnly(), 2.6, lambda done, total: calls.append((done, total)))
    found = np.stack(surface_to_lonlat(level.vectors), axis=1)
    assert calls[-1][0] == calls[-1][1] == len(calls)
    assert len(found) == len(TOWNS)
    lon, lat = found[:, None, 0], found[:, None, 1]
    apart = great_circle_km(lon, lat, TOWNS[None, :, 0], TOWNS[None, :, 1])
    assert sorted(apart.argmin(axis=1)) == list(range(len(TOWNS)))
    assert apart.min(axis=1).max() < 0.8  # of pixels of 2.6 km
    assert (np.abs(found[:, 0]) <= 180.0).all()


def test_a_file_gives_back_the_index(index: EarthIndex, index_path: Path, lights: Path) -> None:
    read = read_earth_index(index_path, [lights])
    assert read.sizes_km == index.sizes_km == SIZES_KM
    for size_km in index.sizes_km:
        assert read[size_km].vectors == pytest.approx(index[size_km].vectors)
        assert read[size_km].contrast == pytest.approx(index[size_km].contrast)
        patches = index[size_km].patches
        assert np.array_equal(read[size_km].patches.coefficients, patches.coefficients)
    empty = index.within((10.0, 0.0, 20.0, 5.0))
    with pytest.raises(ConfigError, match="too few lights"):
        write_earth_index(empty, [lights], index_path.with_name("empty.idx"))
    assert not index_path.with_name("empty.idx").exists()


def other_format(path: Path, **attributes: Any) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs.update(attributes)


def flip_bit(path: Path, share: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 0x10
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (Path.unlink, "the index does not exist: make it again"),
        (lambda path: path.write_text("earth"), "is not an index, or is damaged"),
        (lambda path: other_format(path, format="another"), "not an index of the Earth's lights"),
        (lambda path: other_format(path, format_version=3), "format 3, and this program reads 4"),
        (lambda path: other_format(path, format_version=5), "format 5, and this program reads 4"),
        *((lambda path, at=at: os.truncate(path, at), "damaged") for at in (20_000, 200_000)),
        *((lambda path, at=at: flip_bit(path, at), "damaged") for at in (0.3, 0.6, 0.9)),
    ],
)
def test_nothing_but_a_whole_index_is_read(
    spoil: Callable[[Path], Any], says: str, index_path: Path, tmp_path: Path, lights: Path
) -> None:
    spoilt = shutil.copy(index_path, tmp_path / "spoilt.idx")
    spoil(spoilt)
    with pytest.raises(ConfigError, match=says):
        read_earth_index(spoilt, [lights])


def test_an_index_of_another_map_is_not_read(
    index_path: Path, tmp_path: Path, lights: Path
) -> None:
    other = tmp_path / "other.tif"
    other.write_bytes(lights.read_bytes() + b"more")
    with pytest.raises(ConfigError, match=r"was made from lights\.tif, not from the map of"):
        read_earth_index(index_path, [other])


def test_bounds_may_cross_the_antimeridian(index: EarthIndex) -> None:
    everything = index.within((100.0, -60.0, 100.0 + 200.0, 60.0))
    assert len(everything[2.6].vectors) == len(index[2.6].vectors)


CONTOURS = ((0, 110, 200), (0, 200, 255), (255, 0, 230))  # blues and magenta: no street lamp is
POINT = 90, 255, 90


TOWN = (136.95, 35.72)


def grid_around(camera: Camera, step_deg: float = 0.004) -> LightGrid:
    """Map with one round town at TOWN."""
    west, south, east, north, _ = find_visible_region(camera)
    lon = np.arange(west, east + step_deg, step_deg)
    lat = np.arange(north, south - step_deg, -step_deg)
    east_km = (lon - TOWN[0]) * 111.2 * np.cos(np.radians(TOWN[1]))
    north_km = (lat - TOWN[1]) * 111.2
    values = 2.0 * np.exp(-0.5 * (east_km[None] ** 2 + north_km[:, None] ** 2) / 2.5**2)
    return LightGrid(
        values=values.astype(np.float32), lon0_deg=lon[0], lat0_deg=lat[0], step_deg=step_deg
    )


def coloured(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Row and column of pixels of a colour, however thinned by antialiasing."""
    reference = np.array(colour, float) / np.linalg.norm(colour)
    strength = picture.astype(float) @ reference
    total = np.linalg.norm(picture.astype(float), axis=2)
    return np.argwhere((strength > 80.0) & (strength > 0.985 * total))


@settings(max_examples=15)
@given(
    lon=st.floats(-180, 179.9),
    lat=st.floats(-52, 52),
    tilt_deg=st.floats(-60, 60),
    mirrored=st.booleans(),
)
def test_rendering_samples_the_map_at_the_place_of_each_pixel(
    lon: float, lat: float, tilt_deg: float, mirrored: bool
) -> None:
    camera = nadir_camera(lon, lat, tilt_deg=tilt_deg).scaled(0.4, 256, 172)
    camera = replace(camera, mirrored=mirrored)
    region = find_visible_region(camera)
    west, south, east, north, _ = region
    step = (east - west) / 300
    rows = int((north - south) / step) + 2
    # A plane in latitude is sampled without error by linear interpolation.
    values = np.repeat((north - step * np.arange(rows))[:, None], 302, axis=1)
    grid = LightGrid(values=values.astype(np.float32), lon0_deg=west, lat0_deg=north, step_deg=step)
    rendered = render_map(camera, grid)
    x, y = np.meshgrid(np.arange(256.0), np.arange(172.0))
    _, expected = camera.pixel_to_lonlat(x, y)
    seen = np.isfinite(rendered)
    assert seen.any()
    # To a quarter of what a pixel spans
    spans_deg = np.hypot(*np.gradient(expected))
    seen &= np.isfinite(spans_deg)
    assert (np.abs(rendered - expected)[seen] <= 0.25 * spans_deg[seen] + 1e-4 * step).all()


def test_beyond_the_limb_the_map_is_sky() -> None:
    camera = nadir_camera(tilt_deg=68.0)
    rendered = render_map(camera, grid_around(nadir_camera()))
    assert np.isnan(rendered[0]).all()
    assert np.isfinite(rendered[-1]).all()


def test_contours_surround_the_town_and_points_are_drawn_without_a_map() -> None:
    camera = nadir_camera()
    picture = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    without = draw_overlay(proposal(), picture, 1.0, None)
    assert len(coloured(without, POINT)) > 60
    draw_contours(picture, render_map(camera, grid_around(camera)))
    drawn = coloured(picture, CONTOURS[-1])
    x, y = camera.lonlat_to_pixel(*TOWN)
    assert len(drawn) > 8
    assert drawn[:, ::-1].mean(axis=0) == pytest.approx([float(x), float(y)], abs=0.7)


def rays_ecef(camera: Camera, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unit vectors that pixels look along, (n, 3); the lens by a table of r (1 + k1 r^2).

    NaN near and beyond the largest radius, where a pixel is any angle wide.
    """
    if camera.mirrored:
        x = camera.width_px - 1.0 - x
    offset = (np.stack([x, y], axis=-1) - camera.principal_point) / camera.focal_px
    bent, k1 = np.hypot(*offset.T), camera.distortion[0]
    table = np.linspace(0.0, 2.0 if k1 >= 0.0 else np.sqrt(-1.0 / (3.0 * k1)), 20_000)
    reached = table * (1.0 + k1 * table**2)
    straight = np.interp(bent, reached, table)
    straight[bent > 0.95 * reached[-1]] = np.nan
    local = np.column_stack([offset * (straight / np.maximum(bent, 1e-12))[:, None], bent**0])
    local /= np.linalg.norm(local, axis=1, keepdims=True)
    return Rotation.from_quat(camera.quaternion).apply(local)


def seen_lines(camera: Camera, lines: list[np.ndarray]) -> np.ndarray:
    """Unit vectors towards lines (lon, lat) of the ground that the Earth does not hide, (n, 3)."""
    fine = np.linspace(0.0, 1.0, 60)[:, None]
    places = np.concatenate([a + fine * (b - a) for line in lines for a, b in pairwise(line)])
    to_ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    ground = np.stack(to_ecef.transform(*places.T, np.zeros(len(places))), axis=-1)
    # The Earth hides what lies beyond the plane in which rays touch it
    axes = np.array([6_378_137.0, 6_378_137.0, 6_356_752.3142])
    near = (ground / axes) @ (np.array(camera.position_ecef_m) / axes) > 1.0
    towards = ground[near] - camera.position_ecef_m
    return towards / np.linalg.norm(towards, axis=1, keepdims=True)


@pytest.mark.parametrize(("tilt_deg", "mirrored"), [(0.0, False), (45.0, True), (70.0, False)])
@pytest.mark.parametrize("k1", [0.0, -0.15, -0.4, -0.8])
def test_every_drawn_pixel_shows_the_coast_or_a_round_degree(
    k1: float, tilt_deg: float, mirrored: bool
) -> None:
    """Nothing is drawn in the sky, nor where a lens lays what it cannot see into the picture."""
    lens = {"focal_px": 527.0, "distortion": (k1, 0.0, 0.0, 0.0, 0.0), "mirrored": mirrored}
    camera = replace(nadir_camera(tilt_deg=tilt_deg), **lens)
    region = find_visible_region(camera)
    graticule, coast = (np.zeros((426, 640, 3), np.uint8) for _ in range(2))
    labels = draw_graticule(graticule, camera, region)
    draw_coast(coast, camera, region)
    around = np.linspace(-40.0, 40.0, 400)
    round_degrees = []
    for text in {label.text for label in labels}:
        line = np.full(400, float(text[:-2]) * (-1.0 if text[-1] in "WS" else 1.0))
        parts = (line, 35.7 + around) if text[-1] in "EW" else (136.9 + 2.0 * around, line)
        round_degrees.append(np.column_stack(parts))
    for picture, lines in ((graticule, round_degrees), (coast, coast_lines(*region[:4]))):
        y, x = (part.astype(float) for part in np.nonzero(picture.max(axis=2) > 60))
        rays, right, below = (
            rays_ecef(camera, x + dx, y + dy) for dx, dy in ((0, 0), (1, 0), (0, 1))
        )
        pixel = np.linalg.norm([right - rays, below - rays], axis=2).max(axis=0)
        judged = np.isfinite(pixel)
        assert np.count_nonzero(judged) > 100
        away, _ = KDTree(seen_lines(camera, lines)).query(rays[judged])
        assert (away / pixel[judged]).max() < 1.6


def test_towns_are_named_where_they_are_the_larger_first() -> None:
    camera = nadir_camera(136.9, 35.17)
    picture = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    labels = draw_towns(picture, camera, find_visible_region(camera))
    assert labels[0].text == "Nagoya"
    x, y = camera.lonlat_to_pixel(136.906, 35.181)
    assert (labels[0].x, labels[0].y) == pytest.approx((float(x), float(y)), abs=8.0)
    at = np.array([(one.x, one.y) for one in labels])
    apart = np.linalg.norm(at[:, None] - at[None], axis=2)[np.triu_indices(len(at), 1)]
    assert apart.min() >= 0.06 * camera.width_px
    assert picture.any()
    assert find_visible_region(nadir_camera(tilt_deg=120.0)) is None


@pytest.mark.parametrize("lon", [179.9, -179.9])
def test_the_coast_on_both_sides_of_the_antimeridian(lon: float) -> None:
    """Rabi and Taveuni lie on either side of it."""
    camera = nadir_camera(lon, -16.7)
    picture = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    draw_coast(picture, camera, find_visible_region(camera))
    for place in ((179.88, -16.62), (-179.88, -16.79)):
        x, y = (int(v) for v in camera.lonlat_to_pixel(*place))
        assert picture[y - 40 : y + 41, x - 40 : x + 41].any()
