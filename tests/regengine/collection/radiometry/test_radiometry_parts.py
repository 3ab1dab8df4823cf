"""The steps of the comparison, each against what is known of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from regengine import open_light_map
from regengine.collection.radiometry.cells import (
    MapCells,
    PhotoCells,
    PhotoLight,
    air_mass,
    cells_in_view,
    photo_cells,
    without_hot_pixels,
)
from regengine.collection.radiometry.comparison import (
    Pair,
    blurred,
    blurred_by,
    compare,
    matched_blurs,
)
from regengine.collection.radiometry.gain import (
    glog,
)
from regengine.exchange.export.frame import ExportPoint
from regengine.exchange.export.warp import MapGrid
from tests.example_results import nadir_camera


def test_noise_and_scatter_are_alike_on_the_scale() -> None:
    rng = np.random.default_rng(1)
    true = np.array([0.0, 1.0, 10.0, 1000.0])[:, None]
    seen = true * np.exp(0.3 * rng.standard_normal((4, 20000))) + 0.5 * rng.standard_normal(20000)
    spread = (glog(seen, 0.5 / 0.3) - glog(true, 0.5 / 0.3)).std(axis=1)
    assert spread == pytest.approx(np.full(4, 0.3), rel=0.1)


def test_air_mass_is_that_of_the_tables() -> None:
    """Kasten and Young's table II: 1 in the zenith, 1.994 at 60, 5.59 at 80 degrees."""
    angles = np.radians([0.0, 60.0, 80.0])
    assert air_mass(np.cos(angles)) == pytest.approx([1.0, 1.994, 5.59], rel=2e-3)


def test_cells_have_the_mean_luminance_of_their_ground() -> None:
    """A photo whose luminance is a plane on the ground: each cell has that of its middle."""
    camera = nadir_camera(10.0, 45.0, tilt_deg=20.0)
    y, x = np.mgrid[: camera.height_px, : camera.width_px].astype(float)
    lon, lat = camera.pixel_to_lonlat(x, y)
    plane = (0.2 + 0.1 * (lon - 10.0) + 0.05 * (lat - 46.0)).astype(np.float32)
    photo = PhotoLight(
        light=plane,
        saturated=np.zeros_like(plane),
        counts=np.ones(plane.shape, bool),
        camera=camera,
        linear_by="srgb",
    )
    grid = MapGrid("EPSG:4326", float(np.nanmin(lon)), float(np.nanmax(lat)), 1 / 240, 500, 300)
    points = (ExportPoint(x=300.0, y=200.0, lon=float(lon[200, 300]), lat=float(lat[200, 300])),)
    for samples in (2, 4):
        cells = photo_cells(photo, camera, points, grid, samples)
        seen = cells.seen == 1.0
        assert 10_000 < seen.sum() < seen.size
        row, column = np.nonzero(seen)
        middle_lon, middle_lat = grid.lonlat(column.astype(float), row.astype(float))
        expected = 0.2 + 0.1 * (middle_lon - 10.0) + 0.05 * (middle_lat - 46.0)
        assert np.abs(cells.luminance[seen] - expected).max() < 2e-4
        assert np.nanmax(cells.air_mass) > 1.0
        # Beyond its edge the photo shows nothing, and no cell there has light
        assert not cells.luminance[cells.seen == 0.0].any()


def test_pixels_weigh_with_the_ground_that_they_cover() -> None:
    """One bright pixel: luminance times area of all cells is that of the pixel's ground."""
    camera = nadir_camera(10.0, 45.0)
    light = np.zeros((camera.height_px, camera.width_px), np.float32)
    light[200, 300] = 1.0
    photo = PhotoLight(
        light=light,
        saturated=np.zeros_like(light),
        counts=np.ones(light.shape, bool),
        camera=camera,
        linear_by="srgb",
    )
    lon, lat = camera.pixel_to_lonlat(
        [300.0, 299.5, 300.5, 300.0, 300.0], [200.0, 200.0, 200.0, 199.5, 200.5]
    )
    pixel_deg2 = abs((lon[2] - lon[1]) * (lat[4] - lat[3]))
    step = 1 / 240
    grid = MapGrid(
        "EPSG:4326", float(lon[0]) - 8.3 * step, float(lat[0]) + 8.7 * step, step, 17, 17
    )
    points = (ExportPoint(x=300.0, y=200.0, lon=float(lon[0]), lat=float(lat[0])),)
    cells = photo_cells(photo, camera, points, grid, 4)
    assert cells.luminance.sum() * step**2 == pytest.approx(pixel_deg2, rel=0.1)


def write_map(path: Path, radiance: np.ndarray, west: float, north: float, step: float) -> None:
    height, width = radiance.shape
    place = Affine(step, 0, west, 0, -step, north)
    profile = {"width": width, "height": height, "count": 1, "dtype": "float32"}
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:4326", transform=place, **profile
    ) as target:
        target.write(radiance.astype(np.float32), 1)


def test_large_cells_have_the_mean_radiance_not_that_of_its_logarithm(tmp_path: Path) -> None:
    """A wide camera: several pixels of the map a cell, of which one in nine shines."""
    camera = replace(nadir_camera(10.0, 45.0), focal_px=300.0)
    radiance = np.full((1200, 1600), 0.01)
    radiance[::3, ::3] = 90.0
    write_map(tmp_path / "map.tif", radiance, 6.6, 47.5, 1 / 240)
    cells = cells_in_view(camera, open_light_map([tmp_path / "map.tif"]))
    factor = round(cells.grid.resolution * 240)
    assert factor >= 3
    known = cells.known
    assert 0.4 < known.mean() < 0.9
    assert cells.radiance_nw[known].mean() == pytest.approx(10.0, rel=0.05)
    assert not cells.radiance_nw[:, -1].any()
    assert not cells.saturated.any()


def test_a_blur_of_changing_width_has_the_width_asked_for() -> None:
    """Points of light: their spread after the blur is the sigma at their place."""
    image = np.zeros((121, 241), np.float32)
    image[60, 60] = image[60, 180] = 1.0
    sigma = np.where(np.arange(241) < 120, np.float32(1.5), np.float32(4.0))
    wide = np.broadcast_to(sigma, image.shape).astype(np.float32)
    drawn = blurred_by(image, np.ones_like(image), wide, 1.0)
    for column, expected in ((60, 1.5), (180, 4.0)):
        part = drawn[:, column - 40 : column + 41].astype(float)
        rows = np.arange(121) - 60.0
        assert (part.sum(axis=1) @ rows**2 / part.sum()) ** 0.5 == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("sigma", [0.0, 1.2, 2.2])
def test_the_blur_of_the_map_is_measured(sigma: float) -> None:
    """Lamps that differ by chance between photo and map, the map blurred by a known width."""
    rng = np.random.default_rng(3)
    lamps = np.where(rng.random((300, 300)) < 0.02, rng.exponential(20.0, (300, 300)), 0.0)
    ones = np.ones_like(lamps, np.float32)
    photo = (lamps * np.exp(0.4 * rng.standard_normal(lamps.shape))).astype(np.float32)
    photo = blurred(photo, ones, (0.8, 0.8))
    own = float(np.hypot(0.8, sigma))
    radiance = blurred(lamps.astype(np.float32), ones, (own, own))
    nothing = np.zeros_like(ones)
    of_map, of_photo = matched_blurs(Pair(0.01 * photo, radiance, ones, 1.0), nothing, 0.0, None)
    assert of_map == pytest.approx(sigma, abs=0.2)
    assert of_photo == pytest.approx(0.0, abs=0.3)
    back = matched_blurs(Pair(radiance, photo, ones, 1.0), nothing, 0.0, None)
    assert back == pytest.approx((0.0, sigma), abs=0.3)


def test_where_lights_are_all_over_the_darkest_cells_tell_background_and_noise() -> None:
    rng = np.random.default_rng(2)
    shape = (60, 80)
    dim = rng.random(shape) < 0.1
    radiance = np.where(dim, 2.0, 20.0).astype(np.float32)
    light = 0.05 + 0.01 * radiance + 0.004 * rng.standard_normal(shape)
    zero, one = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    cells = MapCells(
        grid=MapGrid("EPSG:4326", 10.0, 45.0, 1 / 240, shape[1], shape[0]),
        radiance_nw=radiance,
        known=np.ones(shape, bool),
        saturated=np.zeros(shape, bool),
        map_step_deg=1 / 240,
        photo_pixel_deg=1 / 240,
    )
    photo = PhotoCells(
        luminance=light.astype(np.float32),
        seen=one,
        saturated=zero,
        pixel_cells=zero,
        radius_sq=zero,
        air_mass=one,
        sigma_m=zero,
    )
    found = compare(cells, photo, 0.0)
    assert found.judged.all()
    assert found.background == pytest.approx(np.full(shape, 0.07), abs=1e-3)
    assert found.noise == pytest.approx(np.full(shape, 0.004), rel=0.15)
    assert np.median(found.light[~dim]) == pytest.approx(0.18, abs=2e-3)


def test_hot_pixels_go_and_lamps_stay() -> None:
    y, x = np.mgrid[:100, :120]
    rng = np.random.default_rng(5)
    light = (0.002 + 0.0004 * rng.standard_normal(x.shape)).astype(np.float32)
    for row, column in ((30, 40), (60, 80)):
        light += 0.3 * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 0.7**2))
    lamps = light.copy()
    light[20, 100] += 0.3
    light[80, 20] += 0.3
    light[80, 19] += 0.05  # what JPEG makes of it
    found = without_hot_pixels(light)
    assert np.abs(found - lamps)[[20, 80, 80], [100, 20, 19]].max() < 0.06
    assert np.array_equal(found[25:70, 30:90], lamps[25:70, 30:90])
