"""GeoTIFF maps: place, validity and meaning of their pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from light_map_makers import STEP, blob, centroid, ones, radiance_of, whole, write_geotiff
from pyproj import Transformer
from rasterio.enums import ColorInterp

from regengine.errors import LightMapError
from regengine.lights import open_light_map
from regengine.lights.radiance import display_saturation, display_table


@pytest.mark.parametrize(("row", "col"), [(17, 29), (30.4, 21.7)])
def test_a_light_lies_where_its_pixels_centre_is(tmp_path: Path, row: float, col: float) -> None:
    path = write_geotiff(tmp_path / "m.tif", blob(60, 50, row, col), west=135.0, north=35.0)
    lon, lat = centroid(whole(open_light_map([path])))
    assert lon == pytest.approx(135.0 + (col + 0.5) * STEP, abs=0.01 * STEP)
    assert lat == pytest.approx(35.0 - (row + 0.5) * STEP, abs=0.01 * STEP)


def test_a_stored_tie_point_of_a_point_raster_is_a_centre(tmp_path: Path) -> None:
    """Written tag by tag with Pillow, so that no GDAL code decides what the tie point means."""
    from PIL import Image
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tie_lon, tie_lat = 20.0, 40.0
    for raster_type, shift in ((1, 0.5), (2, 0.0)):  # 1 = PixelIsArea, 2 = PixelIsPoint
        tags = ImageFileDirectory_v2()
        tags[33550] = (STEP, STEP, 0.0)  # ModelPixelScale
        tags.tagtype[33550] = 12
        tags[33922] = (0.0, 0.0, 0.0, tie_lon, tie_lat, 0.0)  # ModelTiepoint of pixel (0, 0)
        tags.tagtype[33922] = 12
        keys = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, raster_type, 2048, 0, 1, 4326)
        tags[34735] = keys  # GeoKeyDirectory: geographic, raster type, EPSG:4326
        tags.tagtype[34735] = 3
        path = tmp_path / f"type{raster_type}.tif"
        Image.fromarray(blob(40, 40, 12, 9)).save(path, tiffinfo=tags)
        lon, lat = centroid(whole(open_light_map([path])))
        assert lon == pytest.approx(tie_lon + (9 + shift) * STEP, abs=0.01 * STEP)
        assert lat == pytest.approx(tie_lat - (12 + shift) * STEP, abs=0.01 * STEP)


def test_a_grid_offset_by_half_a_pixel_keeps_its_offset(tmp_path: Path) -> None:
    """EOG's composites begin at -180.00208: the first pixel's centre is at -180."""
    west, north = 28.0 - STEP / 2, 5.0 + STEP / 2
    path = write_geotiff(tmp_path / "eog.tif", blob(40, 40, 11, 23), west=west, north=north)
    lon, lat = centroid(whole(open_light_map([path])))
    assert (lon, lat) == pytest.approx((28.0 + 23 * STEP, 5.0 - 11 * STEP), abs=0.01 * STEP)


@pytest.mark.parametrize(
    ("crs", "lon", "lat", "pixel_m"),
    [
        ("EPSG:32654", 139.7, 35.6, 500.0),  # UTM
        ("EPSG:3035", 23.7, 61.5, 460.0),  # Lambert equal area, 13° off its axis: turned
        ("EPSG:3857", 2.35, 48.86, 611.5),
        ("EPSG:32760", 179.2, -17.0, 450.0),
    ],
)
def test_other_coordinate_systems_are_placed_to_a_twentieth_of_a_pixel(
    tmp_path: Path, crs: str, lon: float, lat: float, pixel_m: float
) -> None:
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    transform = Affine(pixel_m, 0.0, x - 41.3 * pixel_m, 0.0, -pixel_m, y + 52.8 * pixel_m)
    # The place is 41.3 pixels from the western edge: at column 40.8, centres at integers.
    light = blob(100, 90, 52.3, 40.8, sigma=3.0)
    path = write_geotiff(tmp_path / "m.tif", light, crs=crs, transform=transform)
    light_map = open_light_map([path])
    assert light_map.info.crs == crs
    found = centroid(light_map.window(lon - 0.12, lat - 0.1, lon + 0.12, lat + 0.1, 0.001))
    pixel_deg = pixel_m / 111_320.0
    assert found[1] == pytest.approx(lat, abs=0.05 * pixel_deg)
    assert found[0] == pytest.approx(lon, abs=0.05 * pixel_deg / np.cos(np.radians(lat)))


@pytest.mark.parametrize(
    "transform",
    [
        Affine(STEP, 0, 30.0, 0, STEP, 10.0),  # south-up
        Affine(2 * STEP, 0, 30.0, 0, -STEP, 10.0),  # oblong pixels
        Affine(0.94 * STEP, 0.34 * STEP, 30.0, 0.34 * STEP, -0.94 * STEP, 10.0),  # turned by 20°
    ],
)
def test_grids_that_are_not_north_up_and_square_are_straightened(
    tmp_path: Path, transform: Affine
) -> None:
    path = write_geotiff(tmp_path / "m.tif", blob(80, 80, 37.2, 44.6, 3.0), transform=transform)
    grid = whole(open_light_map([path]))
    lon = transform.c + transform.a * 45.1 + transform.b * 37.7
    lat = transform.f + transform.d * 45.1 + transform.e * 37.7
    assert centroid(grid) == pytest.approx((lon, lat), abs=0.05 * STEP)


def test_scale_and_offset_are_applied(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "VNP46A4.tif", np.full((20, 20), 123, np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.1,), (1.0,)
    assert radiance_of(whole(open_light_map([path]))) == pytest.approx(13.3, rel=1e-4)


def test_a_grey_picture_is_a_display_product(tmp_path: Path) -> None:
    samples = np.arange(256, dtype=np.uint8).reshape(16, 16)
    light_map = open_light_map([write_geotiff(tmp_path / "BlackMarble_2016.tif", samples)])
    assert light_map.info.kind == "display"
    assert light_map.info.saturation == pytest.approx(display_saturation())
    assert (light_map.info.product, light_map.info.date) == ("Black Marble", "2016")
    grid = whole(light_map)
    assert grid.values.ravel() == pytest.approx(display_table())
    assert grid.saturation == pytest.approx(display_saturation())


def test_a_colour_picture_gives_its_lights_and_its_opacity(tmp_path: Path) -> None:
    rgba = np.zeros((4, 20, 20), np.uint8)
    rgba[:3] = np.array([8, 16, 40], np.uint8)[:, None, None]  # moonlit sea
    rgba[:3, 10, 10] = 255
    rgba[3, :, 5:] = 255
    path = write_geotiff(tmp_path / "m.tif", rgba)
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = (
            ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha,
        )  # fmt: skip
    grid = whole(open_light_map([path]))
    assert grid.valid is not None
    assert grid.valid.mean() == pytest.approx(0.75)
    assert np.argwhere(grid.values > 0.0).tolist() == [[10, 10]]
    assert radiance_of(grid)[10, 10] > 20.0


def test_a_colour_picture_without_opacity_is_all_valid(tmp_path: Path) -> None:
    light_map = open_light_map([write_geotiff(tmp_path / "m.tif", np.zeros((3, 9, 9), np.uint8))])
    assert whole(light_map).valid is None


def test_classes_become_the_radiance_that_is_named(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "c.tif", np.array([[0, 5], [6, 13]], np.uint8))
    light_map = open_light_map([path], classes={5: 1.4, 6: 2.7, 13: 134.0})
    assert light_map.info.kind == "radiance"
    assert light_map.info.saturation is None
    assert radiance_of(whole(light_map)).ravel() == pytest.approx([0, 1.4, 2.7, 134], rel=1e-4)


def test_a_file_beside_the_map_says_what_it_is(tmp_path: Path) -> None:
    bands = np.stack([np.zeros((5, 5), np.uint8), np.full((5, 5), 6, np.uint8)])
    path = write_geotiff(tmp_path / "c.tif", bands)
    path.with_suffix(".toml").write_text(
        'product = "My map"\ndate = "2021"\nband = 2\nnodata = 255\n[classes]\n6 = 2.7\n'
    )
    light_map = open_light_map([path])
    assert (light_map.info.product, light_map.info.date) == ("My map", "2021")
    assert radiance_of(whole(light_map)) == pytest.approx(2.7, rel=1e-4)


@pytest.mark.parametrize(
    "text",
    ["product = ", "colour = 1", 'classes = "5"', "[classes]\n300 = 1.0", "[classes]\n5 = -1.0",
     "[classes]\nfive = 1.0", "band = 'two'"],
)  # fmt: skip
def test_a_wrong_file_beside_the_map_is_named(tmp_path: Path, text: str) -> None:
    path = write_geotiff(tmp_path / "c.tif", ones())
    path.with_suffix(".toml").write_text(text)
    with pytest.raises(LightMapError, match=r"c\.toml does not describe a map"):
        open_light_map([path])


def test_the_band_of_radiance_is_chosen_by_name(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "m.tif", np.stack([ones() + 90.0, ones()]))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("stray", "avg_rad")
    assert radiance_of(whole(open_light_map([path]))) == pytest.approx(3.0, rel=1e-4)


def test_a_band_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "m.tif", ones())
    path.with_suffix(".toml").write_text("band = 4")
    with pytest.raises(LightMapError, match="no band 4"):
        open_light_map([path])


def test_counts_of_observations_are_refused(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "SVDNB_npp_20160101-20160131.cf_cvg.tif", ones())
    with pytest.raises(LightMapError, match=r"counts of observations.*avg_rad"):
        open_light_map([path])


@pytest.mark.parametrize("name", ["F101992.v4b.tif", "m.tif"])
def test_dmsp_is_known_by_name_or_by_its_thirty_arcseconds(tmp_path: Path, name: str) -> None:
    samples = np.array([[0, 10], [63, 63]], np.uint8)
    light_map = open_light_map([write_geotiff(tmp_path / name, samples, step=1.0 / 120.0)])
    assert "DMSP" in light_map.info.product
    assert light_map.info.kind == "display"
    grid = whole(light_map)
    assert grid.values[1, 0] == pytest.approx(light_map.info.saturation)
    assert grid.saturation == pytest.approx(light_map.info.saturation)


def test_dmsp_as_floats_with_gaps(tmp_path: Path) -> None:
    samples = np.array([[np.nan, 10.0], [63.0, -3.4e38]], np.float32)
    path = write_geotiff(tmp_path / "DMSP_1992.tif", samples, step=1 / 120, nodata=-3.4e38)
    grid = whole(open_light_map([path]))
    assert grid.valid is not None
    assert grid.valid.tolist() == [[False, True], [True, False]]


def test_a_folder_of_maps_is_one_map(tmp_path: Path) -> None:
    write_geotiff(tmp_path / "west.tif", ones(), west=0.0)
    write_geotiff(tmp_path / "east.tif", ones(), west=30 * STEP)
    light_map = open_light_map([tmp_path])
    assert light_map.info.bounds == pytest.approx((0.0, -20 * STEP, 60 * STEP, 0.0))
    assert whole(light_map).valid is None
