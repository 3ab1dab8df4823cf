"""Windows of maps, the index of the Earth, lit ground, and what is drawn over a photo."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod
from scipy.spatial import KDTree

from detectors.constants import EARTH_RADIUS_KM, SEMI_MAJOR_M
from detectors.constants import KM_PER_DEGREE as KM
from matchers.geometry.map_grid import MapGrid
from regengine import RasterMap, open_light_map
from regengine.errors import ConfigError
from regengine.maps.index.earth import (
    SIZES_KM,
    EarthIndex,
    read_earth_index,
    write_earth_index,
)
from regengine.maps.places import coast_lines
from regengine.registration import windows
from regengine.registration.overlay import (
    draw_coast,
    draw_graticule,
    draw_scale,
    find_visible_region,
    render_map,
)
from regengine.registration.windows import find_footprint_window, find_window_around
from tests.world.maps import STEP, write_geotiff
from tests.world.results import nadir_camera
from tests.world.runs import LIGHTS
from tests.world.towns import camera_over

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

    def drawn(self, folder: Path) -> RasterMap:
        lon = self.west + (np.arange(round(self.wide / self.step)) + 0.5) * self.step
        lat = self.north - (np.arange(round(self.high / self.step)) + 0.5) * self.step
        radiance = (10.0 ** self.at(lon[None], lat[:, None]) - 1.0).astype(np.float32)
        origin = {"west": self.west, "north": self.north, "step": self.step}
        return open_light_map([write_geotiff(folder / "plane.tif", radiance, **origin)])


def places(grid: MapGrid) -> tuple[Array, Array]:
    rows, cols = np.indices(grid.values.shape)
    return grid.lon0_deg + cols * grid.step_deg, grid.lat0_deg - rows * grid.step_deg


@pytest.mark.parametrize(("west", "north"), [(9.0, 46.0), (179.0, 10.0), (20.0, 71.0)])
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
            assert np.abs(grid.values - plane.at(*places(grid))).max() < 0.002
        # Each place has its margin, by the ellipsoid, and no window is far wider
        at_lon, at_lat = places(levels[0])
        for azimuth in (0.0, 90.0, 180.0, 270.0):
            far_lon, far_lat, _ = WGS84.fwd(lon, lat, [azimuth] * 2, [19.0e3] * 2)
            turned = at_lon.mean() + (far_lon - at_lon.mean() + 180.0) % 360.0 - 180.0
            for far, at in ((turned, at_lon), (far_lat, at_lat)):
                assert ((at.min() - step < far) & (far < at.max() + step)).all()
        assert np.ptp(at_lat) < 0.1 + 41.0 / KM + 3 * step
        assert np.ptp(at_lon) < 0.2 + 41.0 / KM / math.cos(math.radians(north)) + 3 * step


def test_ground_and_slant_distances_are_those_of_a_ray_and_a_sphere() -> None:
    """At the horizon, 70.1 degrees off nadir, both are those of a right triangle."""
    for high, off_nadir in ((350.0, 20.0), (420.0, 55.0), (420.0, 69.0), (350.0, 90.0)):
        turn = math.radians(off_nadir)
        for radius, found, which in (
            (EARTH_RADIUS_KM, windows.compute_slant_range_km(high, math.cos(turn)), 0),
            (SEMI_MAJOR_M / 1e3, windows.compute_ground_reach_km(high, off_nadir), 1),
        ):
            edge = radius / (radius + high)
            expected = (radius + high) * math.sqrt(1.0 - edge**2), radius * math.acos(edge)
            if off_nadir < 70.0:
                to_axis = [1.0, -2.0 * (radius + high) * math.cos(turn), high * (2 * radius + high)]
                near = float(np.roots(to_axis).min())
                depth = radius + high - near * math.cos(turn)
                expected = near, radius * math.atan2(near * math.sin(turn), depth)
            assert found == pytest.approx(expected[which], rel=1e-6)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda _: b"earth", "is not an index, or is damaged"),
        (lambda whole: whole[:200_000], "damaged"),
        (lambda whole: whole[:300_000] + b"!" + whole[300_001:], "damaged"),
    ],
)
def test_nothing_but_a_whole_index_of_that_map_is_read(
    spoil: Callable[[bytes], bytes], says: str, index_path: Path, tmp_path: Path
) -> None:
    path, other = tmp_path / "spoilt.idx", tmp_path / "other.tif"
    path.write_bytes(spoil(index_path.read_bytes()))
    with pytest.raises(ConfigError, match=says):
        read_earth_index(path, [LIGHTS])
    other.write_bytes(LIGHTS.read_bytes() + b"more")
    with pytest.raises(ConfigError, match=r"was made from .*\.tif, not from the map of"):
        read_earth_index(index_path, [other])


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


@pytest.fixture(scope="module")
def index_path(samples_index: EarthIndex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blind") / "samples.idx"
    write_earth_index(samples_index, [LIGHTS], path)
    return path


def test_a_file_gives_back_the_index(samples_index: EarthIndex, index_path: Path) -> None:
    read = read_earth_index(index_path, [LIGHTS])
    assert read.sizes_km == samples_index.sizes_km == SIZES_KM
    for size_km in SIZES_KM:
        again, level = read[size_km], samples_index[size_km]
        assert again.vectors == pytest.approx(level.vectors)
        assert again.contrast == pytest.approx(level.contrast)
        assert np.array_equal(again.patches.coefficients, level.patches.coefficients)
    empty = samples_index.where(lambda vectors: vectors[:, 0] > 9.0)
    with pytest.raises(ConfigError, match="too few lights"):
        write_earth_index(empty, [LIGHTS], index_path.with_name("empty.idx"))
    assert not index_path.with_name("empty.idx").exists()


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
    grid = MapGrid(values=values.astype(np.float32), lon0_deg=west, lat0_deg=north, step_deg=step)
    rendered = render_map(camera, grid)
    x, y = np.meshgrid(np.arange(256.0), np.arange(172.0))
    _, expected = camera.pixel_to_lonlat(x, y)
    seen = np.isfinite(rendered)
    assert seen.any()
    # To a quarter of what a pixel spans
    spans_deg = np.hypot(*np.gradient(expected))
    seen &= np.isfinite(spans_deg)
    assert (np.abs(rendered - expected)[seen] <= 0.25 * spans_deg[seen] + 1e-4 * step).all()


@pytest.mark.parametrize(("tilt_deg", "mirrored"), [(0.0, False), (45.0, True), (70.0, False)])
@pytest.mark.parametrize("k1", [0.0, -0.4])
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
    around = np.linspace(-40.0, 40.0, 20_000)
    round_degrees = []
    for text in {label.text for label in labels}:
        line = np.full(len(around), float(text[:-2]) * (-1.0 if text[-1] in "WS" else 1.0))
        parts = (line, 35.7 + around) if text[-1] in "EW" else (136.9 + 2.0 * around, line)
        round_degrees.append(np.column_stack(parts))
    fine = np.linspace(0.0, 1.0, 60)[:, None]
    coasts = [a + fine * (b - a) for line in coast_lines(*region[:4]) for a, b in pairwise(line)]
    for picture, lines in ((graticule, round_degrees), (coast, coasts)):
        there = np.stack(camera.lonlat_to_pixel(*np.concatenate(lines).T), axis=1)
        drawn = np.argwhere(picture.max(axis=2) > 60)[:, ::-1]
        assert len(drawn) > 100
        away, _ = KDTree(there[np.isfinite(there).all(axis=1)]).query(drawn)
        assert away.max() < 1.6


def test_the_scale_bar_is_as_long_as_it_says_and_the_arrow_points_north() -> None:
    """Straight down from 391.2 km with a focal length of 1,506.1 px, 20 km are 77 px."""
    picture = np.zeros((426, 640, 3), np.uint8)
    points = np.array([[5.0, 5.0], [630.0, 420.0], [600.0, 10.0]])
    rows, columns = draw_scale(picture, nadir_camera(), points) or (slice(0), slice(0))
    assert (rows.start, rows.stop, columns.start) == (366, 426, 0)  # the corner without a point
    bar = np.flatnonzero(picture[406, 60:, 0] > 200)
    assert np.ptp(bar) == pytest.approx(20.0 / 391.2 * 1506.1, abs=1.5)
    arrow = picture[rows, :60, 0] > 200
    assert set(np.flatnonzero(arrow.any(axis=0))) <= set(range(26, 45))
    assert arrow[:14].any()  # its letter is above
    assert np.flatnonzero(arrow[14:].any(axis=1)).size >= 30
    assert draw_scale(picture, nadir_camera(tilt_deg=150.0), points) is None
