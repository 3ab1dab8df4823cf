"""The steps of the comparison, each against what is known of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from regengine import open_light_map
from regengine.collection.radiometry import comparison
from regengine.collection.radiometry.cells import (
    MIN_CELLS,
    MapCells,
    PhotoCells,
    PhotoLight,
    air_mass,
    average_photo_cells,
    remove_hot_pixels,
    select_cells_in_view,
)
from regengine.collection.radiometry.comparison import (
    Pair,
    blur_by_width,
    blur_cells,
    compare,
    match_blurs,
)
from regengine.collection.radiometry.gain import (
    glog,
)
from regengine.exchange.export.format import LeftOutError
from regengine.exchange.export.frame import ExportPoint
from regengine.exchange.export.warp import MapGrid
from tests.world.results import nadir_camera


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
        cells = average_photo_cells(photo, camera, points, grid, samples)
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
    cells = average_photo_cells(photo, camera, points, grid, 4)
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
    cells = select_cells_in_view(camera, open_light_map([tmp_path / "map.tif"]))
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
    drawn = blur_by_width(image, np.ones_like(image), wide, 1.0)
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
    photo = blur_cells(photo, ones, (0.8, 0.8))
    own = float(np.hypot(0.8, sigma))
    radiance = blur_cells(lamps.astype(np.float32), ones, (own, own))
    nothing = np.zeros_like(ones)
    of_map, of_photo = match_blurs(Pair(0.01 * photo, radiance, ones, 1.0), nothing, 0.0, None)
    assert of_map == pytest.approx(sigma, abs=0.2)
    assert of_photo == pytest.approx(0.0, abs=0.3)
    back = match_blurs(Pair(radiance, photo, ones, 1.0), nothing, 0.0, None)
    assert back == pytest.approx((0.0, sigma), abs=0.3)


def all_counting(
    radiance: np.ndarray, light: np.ndarray, north: float = 45.0
) -> tuple[MapCells, PhotoCells]:
    """Cells of a map and of a photo that are known, seen and unsaturated everywhere."""
    shape = radiance.shape
    zero, one = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    cells = MapCells(
        grid=MapGrid("EPSG:4326", 10.0, north, 1 / 240, shape[1], shape[0]),
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
    return cells, photo


def test_where_lights_are_all_over_the_darkest_cells_tell_background_and_noise() -> None:
    rng = np.random.default_rng(2)
    shape = (60, 80)
    dim = rng.random(shape) < 0.1
    radiance = np.where(dim, 2.0, 20.0).astype(np.float32)
    light = 0.05 + 0.01 * radiance + 0.004 * rng.standard_normal(shape)
    cells, photo = all_counting(radiance, light)
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
    found = remove_hot_pixels(light)
    assert np.abs(found - lamps)[[20, 80, 80], [100, 20, 19]].max() < 0.06
    assert np.array_equal(found[25:70, 30:90], lamps[25:70, 30:90])


# ---- photo and map, blurred alike


def gauss(image: np.ndarray, down: float, across: float) -> np.ndarray:
    """Scipy's Gaussian over what there is, as wide as OpenCV makes it."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image.astype(float), (down, across), mode="constant"))


def random_pair(stretch: float = 1.4) -> Pair:
    rng = np.random.default_rng(6)
    luminance = rng.exponential(size=(60, 70)).astype(np.float32)
    weight = (rng.random((60, 70)) < 0.8).astype(np.float32)
    weight[:, :9] = 0.0
    return Pair(luminance, 3.0 * luminance, weight, stretch)


def test_a_mean_is_of_the_cells_that_count() -> None:
    pair = random_pair()
    found = blur_cells(pair.luminance, pair.weight, (1.5, 2.1))
    share = gauss(pair.weight, 1.5, 2.1)
    expected = gauss(pair.luminance * pair.weight, 1.5, 2.1) / np.maximum(share, 1e-9)
    assert found[share > 0.01] == pytest.approx(expected[share > 0.01], rel=0.01)
    assert not found[:, 0].any()  # where hardly any counts
    assert np.array_equal(
        blur_cells(pair.luminance, 0 * pair.weight + 1, (0.1, 0.14)), pair.luminance
    )


def test_fine_structure_is_what_a_blur_of_a_cell_and_a_half_takes() -> None:
    pair = random_pair()
    counts = pair.weight > 0.0
    smooth = blur_cells(pair.luminance, pair.weight, (1.5, 1.5 * 1.4))
    rest = (pair.luminance - smooth)[counts].astype(float)
    expected = np.sqrt(np.mean(rest**2) / np.var(pair.luminance[counts].astype(float)))
    assert comparison.fine_share(pair.luminance, pair) == pytest.approx(expected, rel=1e-5)
    assert comparison.fine_share(np.full((60, 70), 2.0, np.float32), pair) == 0.0
    broad = blur_cells(pair.luminance, np.ones_like(pair.weight), (6.0, 8.4))
    assert comparison.fine_share(broad, pair) < 0.3 * expected


def all_alike(
    shape: tuple[int, int] = (60, 80), north: float = 45.0
) -> tuple[MapCells, PhotoCells]:
    """Every cell counts; lights here and there, alike in photo and map."""
    rng = np.random.default_rng(4)
    radiance = np.where(rng.random(shape) < 0.03, 50.0, 0.0).astype(np.float32)
    return all_counting(radiance, 0.05 + 0.01 * radiance, north)


@pytest.mark.parametrize(
    ("name", "within", "beyond"),
    [("seen", 0.99, 0.9899), ("pixel_cells", 3.0, 3.001)],
)
def test_cells_are_judged_up_to_their_limits(name: str, within: float, beyond: float) -> None:
    cells, photo = all_alike()
    values = getattr(photo, name).copy()
    values[10, 10], values[20, 20] = within, beyond
    found = compare(cells, replace(photo, **{name: values.astype(np.float32)}), 0.0)
    assert np.argwhere(~found.judged).tolist() == [[20, 20]]
    assert np.array_equal(found.usable, found.judged)
    assert (found.light[20, 20], found.radiance_nw[20, 20]) == (0.0, 0.0)


def test_saturated_cells_are_judged_and_not_used_and_say_where() -> None:
    cells, photo = all_alike()
    clipped = np.zeros(cells.known.shape, np.float32)
    clipped[5, 5], clipped[6, 6] = 0.002, 0.0021
    full = cells.saturated.copy()
    full[7, 8] = True
    unknown = cells.known.copy()
    unknown[9, 9] = False
    found = compare(
        replace(cells, saturated=full, known=unknown), replace(photo, saturated=clipped), 0.0
    )
    assert np.argwhere(found.photo_full).tolist() == [[6, 6]]
    assert np.argwhere(found.map_full).tolist() == [[7, 8]]
    assert np.argwhere(~found.judged).tolist() == [[9, 9]]
    assert np.argwhere(~found.usable).tolist() == [[6, 6], [7, 8], [9, 9]]


def test_too_few_cells_are_none() -> None:
    cells, photo = all_alike((20, 20))
    for count in (MIN_CELLS, MIN_CELLS - 1):
        seen = (np.arange(400) < count).reshape(20, 20).astype(np.float32)
        if count == MIN_CELLS:
            assert compare(cells, replace(photo, seen=seen), 0.0).usable.sum() == count
        else:
            with pytest.raises(LeftOutError, match="too few cells"):
                compare(cells, replace(photo, seen=seen), 0.0)


def test_blurs_are_told_in_metres_and_both_are_as_unsure_of_their_place() -> None:
    """A cell of a 240th of a degree is 463 m; at 60 north it is half as wide as it is high."""
    cells, photo = all_alike(north=60.0 + 30 / 240)
    point = np.zeros(cells.known.shape, np.float32)
    point[30, 40] = 1000.0
    sigma_m = np.full(point.shape, 926.6, np.float32)
    cells = replace(cells, radiance_nw=point)
    photo = replace(photo, luminance=0.01 * point, sigma_m=sigma_m)
    found = compare(cells, photo, 1389.9)
    assert (found.map_sigma_m, found.photo_sigma_m) == (pytest.approx(1389.9), 0.0)
    assert found.blur_cells == pytest.approx(np.hypot(2.0, 3.0), rel=1e-3)
    assert found.sigma_cells == pytest.approx(np.full(point.shape, 2.0), rel=1e-3)
    row, col = np.mgrid[0:60, 0:80] - np.array([30, 40])[:, None, None]
    for image, sigma in ((found.radiance_nw, 2.0), (found.light, np.hypot(2.0, 3.0))):
        light = np.where(np.hypot(row, col / 2) < 3.5 * sigma, image, 0.0).astype(float)
        down = np.sqrt((light * row**2).sum() / light.sum())
        across = np.sqrt((light * col**2).sum() / light.sum())
        assert down == pytest.approx(sigma, rel=0.06)
        assert across / down == pytest.approx(2.0, rel=0.06)


def test_the_pixels_of_the_photo_blur_the_map_by_seven_tenths_of_one() -> None:
    cells, photo = all_alike(north=30 / 240)
    point = np.zeros(cells.known.shape, np.float32)
    point[30, 40] = 1000.0
    pixels = np.full(point.shape, 2.5, np.float32)
    found = compare(
        replace(cells, radiance_nw=point),
        replace(photo, luminance=0.01 * point, pixel_cells=pixels),
        0.0,
    )
    row = np.arange(60) - 30.0
    light = found.radiance_nw.astype(float).sum(axis=1)
    assert np.sqrt((light * row**2).sum() / light.sum()) == pytest.approx(0.7 * 2.5, rel=0.03)
    assert found.light[30, 40] == pytest.approx(10.0, rel=0.01)
