"""GeoTIFF maps: where they lie, what they hold, what is no data, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from light_map_makers import STEP, blob, centroid, ones, radiance_of, whole, write_geotiff
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import ColorInterp

from regengine import open_light_map
from regengine.errors import LightMapError
from regengine.references import open_references
from regengine.references.lights import display_table


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
    assert light_map.info.saturation == pytest.approx(np.log10(1.0 + 25.0), abs=0.01)  # 25 nW
    assert (light_map.info.product, light_map.info.date) == ("Black Marble", "2016")
    grid = whole(light_map)
    assert grid.values.ravel() == pytest.approx(display_table())
    assert grid.saturation == light_map.info.saturation


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
    assert grid.valid.mean() == pytest.approx(0.75)
    assert np.argwhere(grid.values > 0.0).tolist() == [[10, 10]]
    assert radiance_of(grid)[10, 10] > 20.0


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32632"])
@pytest.mark.parametrize("nodata", [None, 0])
@pytest.mark.parametrize("is_declared", [True, False])
@pytest.mark.parametrize(
    ("dtype", "count", "top"),
    [
        ("uint8", 2, 255), ("uint8", 4, 255), ("uint16", 2, 65535), ("int16", 2, 32767),
        ("float32", 2, 255),
    ],
)  # fmt: skip
def test_a_band_of_opacity_is_no_data_where_it_is_transparent(
    tmp_path: Path,
    dtype: str,
    count: int,
    top: int,
    is_declared: bool,
    nodata: int | None,
    crs: str,
) -> None:
    bands = np.full((count, 120, 120), 100, dtype)
    bands[-1] = top
    bands[-1, :, :40] = 0
    place = Affine(STEP, 0, 10, 0, -STEP, 50)
    if crs != "EPSG:4326":
        place = Affine(500.0, 0.0, 470_000.0, 0.0, -500.0, 5_500_000.0)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    shown = colours if count == 4 else (ColorInterp.gray,)
    path = tmp_path / "m.tif"
    with rasterio.open(
        path, "w", driver="GTiff", dtype=dtype, count=count, height=120, width=120, crs=crs,
        transform=place, nodata=nodata,
    ) as dataset:  # fmt: skip
        last = ColorInterp.alpha if is_declared else ColorInterp.undefined
        dataset.colorinterp = (*shown, last)
        dataset.write(bands)
    for kind in ("lights", "day") if dtype == "uint8" else ("lights",):
        references = open_references(kind, [path])
        grid = references.window(*references.bounds, references.info.resolution_deg)
        assert grid is not None
        assert grid.valid is not None
        assert grid.valid.mean() == pytest.approx(0.667, abs=0.02)


def test_a_second_band_that_is_no_opacity_hides_nothing(tmp_path: Path) -> None:
    """Near infrared behind red, green and blue is dark over water; counts lie behind radiance."""
    shown = np.full((4, 20, 30), 90, np.uint8)
    shown[3, :, :10] = 0
    path = write_geotiff(tmp_path / "rgbn.tif", shown, photometric="RGB", alpha="unspecified")
    (grid,) = (one.window(*one.bounds, STEP) for one in [open_references("day", [path])])
    assert grid is not None
    assert grid.valid is None
    path = write_geotiff(tmp_path / "counts.tif", np.stack([ones(), 0.0 * ones()]))
    assert whole(open_light_map([path])).valid is None


def write_palette(
    path: Path, indices: NDArray[np.uint8], colours: NDArray[np.uint8], absent: str, crs: str
) -> Path:
    """A GeoTIFF of a palette whose first ten columns are no data, in one of the ways of TIFF."""
    place = Affine(STEP, 0, 10, 0, -STEP, 50)
    if crs != "EPSG:4326":
        place = Affine(500.0, 0.0, 470_000.0, 0.0, -500.0, 5_500_000.0)
    hidden = np.full(indices.shape, 255, np.uint8)
    hidden[:, :10] = 0
    count = 2 if absent == "alpha" else 1
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=count, height=indices.shape[0],
        width=indices.shape[1], crs=crs, transform=place, photometric="palette",
        alpha="yes" if absent == "alpha" else "no", nodata=77 if absent == "entry" else None,
    ) as dataset:  # fmt: skip
        if absent == "entry":
            indices = np.where(hidden > 0, indices, np.uint8(77))
        dataset.write(indices, 1)
        dataset.write_colormap(1, {n: tuple(map(int, one)) for n, one in enumerate(colours)})
        if absent == "alpha":
            dataset.write(hidden, 2)
            dataset.colorinterp = (ColorInterp.palette, ColorInterp.alpha)
        if absent == "mask":
            dataset.write_mask(hidden)
    return path


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32632"])
@pytest.mark.parametrize("absent", ["", "entry", "mask", "alpha"])
@pytest.mark.parametrize("is_grey", [True, False])
def test_a_palette_is_read_as_its_colours_and_transparent_entries_as_no_data(
    tmp_path: Path, is_grey: bool, absent: str, crs: str
) -> None:
    """It is the same map as the picture whose colours were looked up before it was written."""
    rng = np.random.default_rng(5)
    indices = rng.integers(78, 256, (60, 60), np.uint8)
    level = np.arange(255, -1, -1, dtype=np.uint8)
    colours = np.stack([level, level if is_grey else np.roll(level, 90), level], axis=-1)
    paletted = write_palette(tmp_path / "p & 'q'.tif", indices, colours, absent, crs)
    shown = np.full((4, 60, 60), 255, np.uint8)
    shown[:3] = np.moveaxis(colours[indices], -1, 0)
    if absent:
        shown[3, :, :10] = 0
    with rasterio.open(paletted) as dataset:
        place = dataset.transform
    bands = shown[[0, 3]] if is_grey else shown
    plain = write_geotiff(
        tmp_path / "plain.tif", bands, crs=crs, transform=place, alpha="yes",
        photometric="minisblack" if is_grey else "rgb",
    )  # fmt: skip
    for kind in ("lights", "day"):
        one, other = (open_references(kind, [path]) for path in (paletted, plain))
        assert one.info.saturation == other.info.saturation
        grids = [maps.window(*maps.bounds, maps.info.resolution_deg) for maps in (one, other)]
        assert np.array_equal(*(grid.values for grid in grids)), kind
        assert np.array_equal(*(np.asarray(grid.valid) for grid in grids)), kind
        valid = grids[0].valid
        hidden = 0.0 if valid is None else 1.0 - valid.mean()
        assert hidden == pytest.approx(1 / 6 if absent else 0.0, abs=0.03)


def test_where_white_is_zero_a_map_is_read_as_it_is_shown(tmp_path: Path) -> None:
    samples = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = write_geotiff(tmp_path / "m.tif", samples, photometric="miniswhite")
    grid = whole(open_light_map([path]))
    assert grid.values.ravel() == pytest.approx(display_table()[::-1])


def test_a_palette_beside_a_band_of_no_known_meaning_is_refused(tmp_path: Path) -> None:
    bands = np.full((2, 20, 20), 9, np.uint8)
    path = write_geotiff(tmp_path / "m.tif", bands, photometric="palette")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {9: (1, 2, 3, 255)})
    for kind in ("lights", "day"):
        with pytest.raises(LightMapError, match=r"gdal_translate -b 1 -expand rgb m\.tif"):
            open_references(kind, [path])


@pytest.mark.parametrize(
    ("unit", "stored"),
    [
        ("nW/cm2/sr", 3.0),
        ("nanoWatts/cm^2/sr", 3.0),
        ("nW·cm⁻²·sr⁻¹", 3.0),
        ("W cm-2 sr-1", 3e-9),
        ("Watts/(m^2 sr)", 3e-5),
        ("µW/cm²/sr", 3e-3),
        ("mW sr-1 m-2", 3e-2),
        ("", 3.0),
        ("radiance", 3.0),
    ],
)
def test_radiance_is_read_in_the_unit_that_a_file_declares(
    tmp_path: Path, unit: str, stored: float
) -> None:
    path = write_geotiff(tmp_path / "m.tif", np.full((20, 30), stored, np.float32))
    with rasterio.open(path, "r+") as dataset:
        dataset.units = (unit,)
    assert radiance_of(whole(open_light_map([path]))) == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize(("factor", "unit"), [(1e-9, ""), (1e-5, ""), (1e-9, "radiance")])
def test_the_unit_of_a_map_without_one_light_is_doubted(
    tmp_path: Path, factor: float, unit: str
) -> None:
    light = (0.2 + blob(60, 50, 30, 20)) * factor
    path = write_geotiff(tmp_path / "m.tif", light.astype(np.float32))
    with rasterio.open(path, "r+") as dataset:
        dataset.units = (unit,)
    (doubt,) = open_light_map([path]).doubts
    assert re.search(r"m\.tif has .*unit.*, .* convert it once", doubt)
    write_geotiff(path, (0.2 + blob(60, 50, 30, 20)).astype(np.float32))
    assert open_light_map([path]).doubts == ()


def test_the_band_of_radiance_is_chosen_by_name(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "m.tif", np.stack([ones() + 90.0, ones()]))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("stray", "avg_rad")
    assert radiance_of(whole(open_light_map([path]))) == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize(
    ("fill", "profile"),
    [
        (-3.4e38, {"nodata": -3.4e38}),
        (-3.4028234663852886e38, {}),
        (np.nan, {"nodata": np.nan}),
        (np.nan, {}),
        (0.0, {"nodata": 0.0}),
        (-999.9, {"nodata": -999.9}),
    ],
)
def test_what_has_no_data_is_dark_and_not_valid(
    tmp_path: Path, fill: float, profile: dict[str, Any]
) -> None:
    samples = ones()
    samples[4:9, 5:12] = fill
    samples[15, 15] = -0.5
    grid = whole(open_light_map([write_geotiff(tmp_path / "m.tif", samples, **profile)]))
    assert np.count_nonzero(~grid.valid) == 5 * 7
    assert not grid.valid[4:9, 5:12].any()
    assert (grid.values[~grid.valid] == 0.0).all()
    assert grid.values[15, 15] == 0.0


def test_zeros_around_a_clip_are_no_data(tmp_path: Path) -> None:
    row, col = np.mgrid[:60, :60]
    outside = np.hypot(row - 30, col - 30) > 25
    samples = np.where(outside, 0.0, 2.0 + 0.01 * row).astype(np.float32)
    samples[30, 30:33] = 0.0  # a few dark pixels in the middle stay a clip's own
    grid = whole(open_light_map([write_geotiff(tmp_path / "PAR_BM_2019_01.tif", samples)]))
    assert not grid.valid[outside].any()
    assert grid.valid[~outside].mean() > 0.99


def test_no_data_of_a_projected_map_does_not_bleed_into_its_neighbours(tmp_path: Path) -> None:
    samples = np.full((60, 60), 3.0, np.float32)
    samples[:, 30:] = -3.4e38
    transform = Affine(500.0, 0.0, 500_000.0, 0.0, -500.0, 4_000_000.0)
    path = write_geotiff(
        tmp_path / "m.tif", samples, crs="EPSG:32654", transform=transform, nodata=-3.4e38
    )
    grid = whole(open_light_map([path]))
    assert grid.valid is not None
    assert radiance_of(grid)[grid.valid] == pytest.approx(3.0, rel=1e-4)


def test_outside_of_a_projected_map_without_nodata_is_not_valid(tmp_path: Path) -> None:
    transform = Affine(500.0, 0.0, 200_000.0, 0.0, -500.0, 6_000_000.0)  # meridians lean there
    path = write_geotiff(tmp_path / "m.tif", ones(200, 200), crs="EPSG:32654", transform=transform)
    grid = whole(open_light_map([path]))
    assert not grid.valid[0, 0]
    assert not grid.valid[-1, -1]
    assert 0.8 < grid.valid.mean() < 1.0


def test_the_fill_of_scaled_integers_is_known_undeclared(tmp_path: Path) -> None:
    samples = np.full((20, 20), 30, np.uint16)
    samples[0, 0] = 65535
    grid = whole(open_light_map([write_geotiff(tmp_path / "m.tif", samples)]))
    assert np.count_nonzero(~grid.valid) == 1


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(STEP, 0, 0, 0, -STEP, 0)),
        ("EPSG:3857", Affine(500.0, 0.0, 0.0, 0.0, -500.0, 0.0)),
    ],
)
def test_a_mask_inside_the_file_counts(tmp_path: Path, crs: str, transform: Affine) -> None:
    path = tmp_path / "m.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
        path, "w", driver="GTiff", dtype="float32", count=1, height=20, width=30,
        crs=crs, transform=transform,
    ) as dataset:  # fmt: skip
        dataset.write(ones(), 1)
        mask = np.full((20, 30), 255, np.uint8)
        mask[:, :3] = 0
        dataset.write_mask(mask)
    grid = whole(open_light_map([path]))
    assert grid.valid.mean() == pytest.approx(0.9, abs=0.01)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "date", "valid_share"),
    [
        ("PAR_BM_2019_01.tif", "2019-01", (0.7, 0.8)),
        ("EOG_VIIRS_2016_01_burundi.tif", "2016-01", (0.5, 0.6)),
        ("EOG_VIIRS_201401_vcmcfg_sao_tome.tif", "2014-01", (0.03, 0.06)),
    ],
)
def test_real_clips(
    real_data: Path, name: str, date: str, valid_share: tuple[float, float]
) -> None:
    light_map = open_light_map([real_data / "lights" / "samples" / name])
    grid = whole(light_map)
    assert light_map.info.date == date
    assert valid_share[0] < grid.valid.mean() < valid_share[1]
    assert 0.5 < grid.values.max() < 3.0


def test_clips_with_other_signs_of_no_data_keep_their_zeros(tmp_path: Path) -> None:
    """Zeros at sea in a clip that marks its outside by NaN; clips of zeros or without any."""
    samples = ones()
    samples[0, :] = np.nan
    samples[5:, 25:] = 0.0
    grid = whole(open_light_map([write_geotiff(tmp_path / "a.tif", samples)]))
    assert grid.valid[1:].all()
    for number, flat in enumerate((ones(), np.zeros((20, 30), np.float32))):
        path = write_geotiff(tmp_path / f"b{number}.tif", flat)
        assert whole(open_light_map([path])).valid is None


@pytest.mark.parametrize("kept", [0.3, 0.95])
@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}])
def test_a_truncated_map_is_refused(
    tmp_path: Path, kept: float, layout: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    path = tmp_path / "m.tif"
    write_geotiff(path, rng.random((256, 256)).astype(np.float32), **layout)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(LightMapError, match=r"m\.tif .*(truncated|damaged).*get it again"):
        open_light_map([path])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("m.tif", b"lon,lat,light\n1,2,3\n", "is not a night-light map, despite its name"),
        ("m.tif", b"", "is not a night-light map"),
        ("m.tif", b"II*\0" + bytes(40), "cannot be opened as GTiff"),
        ("m.tif.gz", b"\x1f\x8b\x08\0\0\0\0\0\0", "is compressed: unpack it first"),
        ("m.zip", b"PK\x03\x04rest", "is a zip archive"),
        ("earth.png", b"\x89PNG\r\n\x1a\n", "is a picture without coordinate system"),
        ("earth.jpg", b"\xff\xd8\xff\xe0rest", "is a picture without coordinate system"),
        ("m.hdf", b"\x0e\x03\x13\x01rest", "is HDF4"),
    ],
)
def test_other_files_are_told_apart(
    tmp_path: Path, name: str, content: bytes, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LightMapError, match=sentence) as caught:
        open_light_map([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_map_that_was_exchanged_is_read_anew(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "m.tif", ones())
    light_map = open_light_map([path])
    coarse = (*light_map.info.bounds, 2.0 * light_map.info.resolution_deg)
    for window in (whole(light_map), light_map.window(*coarse)):
        assert radiance_of(window) == pytest.approx(3.0, abs=1e-3)
    write_geotiff(tmp_path / "new.tif", 2.0 * ones(), compress="deflate").replace(path)
    for window in (whole(light_map), light_map.window(*coarse)):
        assert radiance_of(window) == pytest.approx(6.0, abs=1e-3)
    path.unlink()
    with pytest.raises(LightMapError, match="does not exist"):
        whole(light_map)
