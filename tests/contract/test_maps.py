"""MAPS: how a raster is written, where its lights lie, what they are, what is valid, or why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import ColorInterp

import regengine as rg
from tests.world.maps import (
    COLLECTIONS,
    STEP,
    blob,
    centroid,
    ones,
    radiance_of,
    whole,
    write_geotiff,
    write_netcdf,
    write_vnp46,
)
from tests.world.program import run
from tests.world.tables import by_name

RED, GREEN, BLUE = ColorInterp.red, ColorInterp.green, ColorInterp.blue
GREY, ALPHA, UNSAID = ColorInterp.gray, ColorInterp.alpha, ColorInterp.undefined
TILE = 10.0 / 240  # pixels of tiles with a tenth of the true number a side
# The curve of docs/methods/lights.md: grey levels of Black Marble as radiance
GREY_NW = -6.6 * np.log1p(-np.minimum(np.arange(256.0), 253.0) / 256.0)


@dataclass(frozen=True, kw_only=True)
class Map:
    """A raster of samples, how it is written, and what it says: of a light, all, or what is not."""

    name: str
    samples: NDArray[Any]
    how: dict[str, Any] = field(default_factory=dict)
    file: str = "m.tif"
    write: Callable[..., object] = write_geotiff
    lonlat: tuple[float, float] = (0.0, 0.0)
    within_deg: float = 0.01 * STEP
    nw: NDArray[Any] | float = 3.0
    kind: str = "radiance"
    hidden: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((20, 30), bool))

    def open(self, folder: Path) -> rg.RasterMap:
        self.write(folder / self.file, self.samples, **self.how)
        return rg.open_light_map([folder / self.file])


# Where a light lies ------------------------------------------------------------------------------


def lit(row: float, col: float, shape: tuple[int, int] = (90, 100)) -> NDArray[np.float32]:
    """A light at a fractional row and column, centres at integers."""
    return blob(*shape, row, col, sigma=3.0)


def in_metres(crs: str, lon: float, lat: float, pixel_m: float) -> Map:
    """The place is 41.3 pixels from the western edge: at column 40.8, centres at integers."""
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    place = Affine(pixel_m, 0.0, x - 41.3 * pixel_m, 0.0, -pixel_m, y + 52.8 * pixel_m)
    return Map(
        name=crs, samples=lit(52.3, 40.8), lonlat=(lon, lat),
        within_deg=0.05 * pixel_m / 111_320.0, how={"crs": crs, "transform": place},
    )  # fmt: skip


def turned(name: str, place: Affine) -> Map:
    return Map(
        name=name, samples=lit(37.2, 44.6), lonlat=place @ (45.1, 37.7), within_deg=0.05 * STEP,
        how={"transform": place},
    )  # fmt: skip


def tile_of(collection: int, name: str, data_set: str, group: str = "VIIRS_Grid_DNB_2d") -> Map:
    """Of the tile h31v05, whose corner is 130 degrees east, 40 degrees north."""
    light = lit(100.3, 57.8, (240, 240))
    return Map(
        name=f"{name}, collection {collection}", file=f"{name}.h31v05.00{collection}.2024.h5",
        samples=light if collection == 2 else np.rint(10.0 * light).astype(np.uint16),
        lonlat=(130.0 + 58.3 * TILE, 40.0 - 100.8 * TILE), within_deg=0.05 * TILE,
        how={"group": group, "data_set": data_set, "attributes": COLLECTIONS[collection]},
        write=write_vnp46,
    )  # fmt: skip


def part_of(name: str, file: str = "VNP46A4.A2013001.h02v05.002.h5", **how: Any) -> Map:
    """Of 153.5 to 150 W, 32 to 35.5 N, at 75 arcsec: a part of the tile h02v05."""
    return Map(
        name=f"a part of a tile, by {name}", file=file, write=write_vnp46,
        samples=lit(100.3, 57.8, (168, 168)), within_deg=0.001,
        lonlat=(-153.5 + 58.3 / 48.0, 35.5 - 100.8 / 48.0),
        how={"corners": (-153.5, 35.5, -150.0, 32.0), **how},
    )  # fmt: skip


PLACED = (
    Map(name="between pixels", samples=lit(30.4, 21.7), how={"west": 135.0, "north": 35.0},
           lonlat=(135.0 + 22.2 * STEP, 35.0 - 30.9 * STEP)),
    # EOG's composites begin at -180.00208: the first pixel's centre is at -180
    Map(name="a grid half a pixel off", samples=lit(11, 23),
           how={"west": 28.0 - STEP / 2, "north": 5.0 + STEP / 2},
           lonlat=(28.0 + 23 * STEP, 5.0 - 11 * STEP)),
    Map(name="longitudes to 360", samples=lit(20, 30), how={"west": 200.0, "north": 10.0},
           lonlat=(200.0 + 30.5 * STEP, 10 - 20.5 * STEP)),
    Map(name="netCDF", file="viirs_2019.nc", samples=lit(17, 31), write=write_netcdf,
           lonlat=(70.0 + 31.5 * STEP, 20.0 - 17.5 * STEP)),
    in_metres("EPSG:32654", 139.7, 35.6, 500.0),  # UTM
    in_metres("EPSG:32760", 179.2, -17.0, 450.0),  # across the antimeridian
    in_metres("EPSG:3035", 23.7, 61.5, 460.0),  # Lambert equal area, 13° off its axis: turned
    turned("rows from the south", Affine(STEP, 0, 30.0, 0, STEP, 10.0)),
    turned("turned by 20°", Affine(0.94 * STEP, 0.34 * STEP, 30, 0.34 * STEP, -0.94 * STEP, 10)),
    tile_of(1, "VNP46A4.A2019001", "NearNadir_Composite_Snow_Free"),
    tile_of(2, "VNP46A4.A2020001", "AllAngle_Composite_Snow_Free"),
    tile_of(2, "VNP46A3.A2020061", "OffNadir_Composite_Snow_Free", "A_Name_Of_The_Future"),
    part_of("arrays"),
    part_of("structure", told=("structure",)),
    part_of("attributes", told=("attributes",)),
    part_of("all", told=("arrays", "structure", "attributes")),
    part_of("arrays of corners, and structure", told=("arrays", "structure"), shift_px=0.0),
    part_of("arrays, of another tile's name", file="VJ146A1.A2024001.h31v05.002.h5"),
    replace(
        part_of("arrays from the south", corners=(-153.5, 32.0, -150.0, 35.5)),
        lonlat=(-153.5 + 58.3 / 48.0, 32.0 + 100.8 / 48.0),
    ),
)  # fmt: skip


@pytest.mark.parametrize("row", PLACED, ids=by_name)
def test_a_light_lies_where_its_pixels_centre_is(tmp_path: Path, row: Map) -> None:
    grid = whole(row.open(tmp_path))
    lon, lat = centroid(grid)
    stretch = 1.0 / np.cos(np.radians(lat))
    assert lat == pytest.approx(row.lonlat[1], abs=row.within_deg)
    assert lon == pytest.approx(row.lonlat[0], abs=row.within_deg * stretch)
    loss = 0.06 if row.within_deg > 0.01 * STEP else 0.004
    brightest = row.samples.max() / (10.0 if row.samples.dtype == np.uint16 else 1.0)
    assert radiance_of(grid).max() == pytest.approx(brightest, rel=loss)


# What the samples are ----------------------------------------------------------------------------


def level(value: float, dtype: type = np.float32) -> NDArray[Any]:
    return np.full((20, 30), value, dtype)


def coloured(red: int, green: int, blue: int, grey: int) -> Map:
    """Blue over red is moonlight, which is taken off; below 4 nothing is left."""
    return Map(
        name=f"colour {red},{green},{blue}", kind="display", nw=float(GREY_NW[grey]),
        samples=np.broadcast_to(np.uint8([red, green, blue])[:, None, None], (3, 20, 30)),
    )  # fmt: skip


GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16)
VALUED = (
    *(
        Map(name=f"in {unit}", samples=level(stored), how={"about": {"units": (unit,)}})
        for unit, stored in (("", 3.0), ("W cm-2 sr-1", 3e-9), ("µW/cm²/sr", 3e-3))
    ),
    Map(
        name="scale in a unit", samples=level(123, np.uint16), nw=133.0,
        how={"about": {"scales": (1e-3,), "offsets": (0.01,), "units": ("µW/cm²/sr",)}},
    ),
    Map(
        name="the band that is named", samples=np.stack([level(93.0), level(3.0)]),
        how={"about": {"descriptions": ("stray", "avg_rad")}},
    ),
    Map(
        name="white is zero", samples=GREYS, nw=GREY_NW[::-1].reshape(16, 16), kind="display",
        how={"photometric": "miniswhite"},
    ),
    coloured(200, 200, 200, 197),  # 200 - 1.3 * 2, cut to a whole number
    coloured(255, 120, 40, 151),  # 0.299 R + 0.587 G + 0.114 B, and no blue
    coloured(6, 6, 6, 0),  # 3.4, less than 4
    coloured(60, 60, 90, 17),  # 63.42 - 1.3 * 32 - 0.4 * 15, which is no more than 4
    Map(
        name="tile with an offset", file="x.h31v05.h5", samples=level(10, np.uint16), nw=1.5,
        write=write_vnp46,
        how={"attributes": {**COLLECTIONS[1], "add_offset": 0.5}, "corners": (130, 40, 133, 38)},
    ),
    Map(
        name="the last month of a netCDF", file="m.nc", write=write_netcdf,
        samples=np.stack([level(9.0), level(3.0)]),
    ),
)  # fmt: skip


@pytest.mark.parametrize("row", VALUED, ids=by_name)
def test_samples_stand_for_a_radiance(tmp_path: Path, row: Map) -> None:
    light_map = row.open(tmp_path)
    grid = whole(light_map)
    assert light_map.info.kind == row.kind
    assert grid.valid is None
    np.testing.assert_allclose(radiance_of(grid), np.broadcast_to(row.nw, grid.values.shape), 2e-4)
    top = float(np.log10(1.0 + GREY_NW[250])) if row.kind == "display" else None
    assert light_map.info.saturation == (top and pytest.approx(top, abs=1e-6))


# What is valid -----------------------------------------------------------------------------------


HIDDEN = np.zeros((20, 30), bool)
HIDDEN[4:9, 5:12] = True
LEFT = np.broadcast_to(np.arange(30) < 3, (20, 30))
ROUND = np.hypot(*(np.mgrid[:60, :60] - 30)) > 25
SHADES = (2.0 + 0.01 * np.mgrid[:60, :60][0]).astype(np.float32)
CORNER = np.arange(600).reshape(20, 30) == 0
NORTH = np.broadcast_to(np.arange(240)[:, None] < 120, (240, 240))


def filled(fill: float, name: str, **how: Any) -> Map:
    samples = np.where(HIDDEN, np.float32(fill), np.float32(3.0))
    samples[15, 15] = -0.5  # noise below zero is darkness
    return Map(name=name, samples=samples, hidden=HIDDEN, how=how)


def zeros_inside(count: int) -> NDArray[np.float32]:
    samples = np.where(ROUND, 0.0, SHADES).astype(np.float32)
    samples[28:32, 28:32].flat[:count] = 0.0
    return samples


MASKED = (
    filled(-3.4e38, "fill as declared", nodata=-3.4e38),
    filled(np.nan, "NaN"),
    filled(0.0, "zero as declared", nodata=0.0),
    Map(
        name="fill of scaled integers", samples=np.where(CORNER, 65535, 30).astype(np.uint16),
        hidden=CORNER,
    ),
    Map(name="a mask inside", samples=ones(), hidden=LEFT, how={"mask": np.uint8(255 * ~LEFT)}),
    Map(name="zeros around a clip", samples=zeros_inside(3), hidden=zeros_inside(3) == 0),
    Map(name="as many zeros inside", samples=zeros_inside(0) * (SHADES > 2.3), how={},
           hidden=zeros_inside(0) * (SHADES > 2.3) == 0),
    Map(name="no data in a palette", samples=np.where(LEFT, 7, 9).astype(np.uint8), hidden=LEFT,
           how={"photometric": "palette", "nodata": 7,
                "colours": {7: (1, 2, 3, 255), 9: (200, 100, 50, 255)}}),
    Map(name="nothing but zeros", samples=0.0 * ones(), hidden=HIDDEN & False),
    *(
        Map(
            name=f"tile of {np.dtype(kind).name}, {attributes}", file="x.h15v00.h5", hidden=NORTH,
            samples=np.where(NORTH, fill, 40).astype(kind), write=write_vnp46,
            how={"attributes": attributes},
        )
        for kind, fill, attributes in (
            (np.uint16, 65535, COLLECTIONS[1]),
            (np.uint16, 65535, {"scale_factor": 0.1}),
            (np.int16, -32768, {"scale_factor": 0.01}),
            (np.uint8, 7, {"_FillValue": np.uint8([7])}),
            (np.float32, np.nan, {}),
        )
    ),
    Map(
        name="undeclared fill of signed integers", hidden=CORNER,
        samples=np.where(CORNER, -32768, 30).astype(np.int16), how={"about": {"scales": (0.01,)}},
    ),
)  # fmt: skip


@pytest.mark.parametrize("row", MASKED, ids=by_name)
def test_what_has_no_data_is_dark_and_not_valid(tmp_path: Path, row: Map) -> None:
    grid = whole(row.open(tmp_path))
    valid = np.ones(row.hidden.shape, bool) if grid.valid is None else grid.valid
    np.testing.assert_array_equal(~valid, row.hidden)
    assert (grid.values[~valid] == 0.0).all()
    if row.samples.shape == (20, 30) and row.samples[15, 15] < 0.0:
        assert grid.values[15, 15] == 0.0


def valid_share(kind: str, path: Path) -> float:
    (told,) = run("maps", "info", path, "--kind", kind, "--json").records
    return float(told["valid_fraction"])


@pytest.mark.parametrize(
    ("dtype", "count", "top", "last"),
    [("uint8", 2, 255, ALPHA), ("uint8", 4, 255, UNSAID), ("uint16", 2, 65535, UNSAID)],
)
def test_a_band_of_opacity_is_no_data_where_it_is_transparent(
    tmp_path: Path, dtype: str, count: int, top: int, last: ColorInterp
) -> None:
    bands = np.full((count, 120, 120), 100, dtype)
    bands[-1] = top
    bands[-1, :, :40] = 0
    utm = Affine(500.0, 0.0, 470_000.0, 0.0, -500.0, 5_500_000.0)
    how: dict[str, Any] = {"crs": "EPSG:32632", "transform": utm}
    shown = (RED, GREEN, BLUE) if count == 4 else (GREY,)
    path = write_geotiff(tmp_path / "m.tif", bands, **how, nodata=0, shown_as=(*shown, last))
    for kind in ("lights", "day") if dtype == "uint8" else ("lights",):
        assert valid_share(kind, path) == pytest.approx(2 / 3, abs=0.02)
    if count == 4:  # near infrared is no opacity, and dark over water
        bands[-1, :, 40:] = 90
        write_geotiff(path, bands, **how, photometric="RGB", alpha="unspecified")
        assert valid_share("day", path) > 0.98


# Windows -----------------------------------------------------------------------------------------

WORLD_STEP = 0.5  # a coarse world of 720 by 360 pixels stands for the fine one
WORLD = np.random.default_rng(6).gamma(0.5, 8.0, (360, 720)).astype(np.float32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> rg.RasterMap:
    path = tmp_path_factory.mktemp("world") / "world.tif"
    return rg.open_light_map([write_geotiff(path, WORLD, west=-180.0, north=90.0, step=WORLD_STEP)])


@given(
    west=st.floats(-540.0, 540.0), width=st.floats(0.3, 170.0),
    south=st.floats(-95.0, 85.0), height=st.floats(0.3, 170.0),
)  # fmt: skip
def test_any_window_holds_the_worlds_pixels_at_their_places(
    world: rg.RasterMap, west: float, width: float, south: float, height: float
) -> None:
    """Also across the antimeridian and over the poles; not a pixel more than needed."""
    north = south + height
    if min(north, 90.0) <= max(south, -90.0):
        return
    grid = world.window(west, south, west + width, north, WORLD_STEP)
    rows, cols = np.indices(grid.values.shape)
    lon, lat = grid.lon0_deg + cols * grid.step_deg, grid.lat0_deg - rows * grid.step_deg
    col = np.floor((lon + 180.0) / WORLD_STEP).astype(int) % 720
    row = np.floor((90.0 - lat) / WORLD_STEP).astype(int)
    assert (grid.step_deg, grid.valid) == (WORLD_STEP, None)
    np.testing.assert_allclose(grid.values, np.log10(1.0 + WORLD)[row, col], atol=1e-6)
    assert lon.min() - 0.25 <= west + 1e-6 < lon.min() + 0.25 + 1e-6
    assert lon.max() + 0.25 >= west + width - 1e-6 > lon.max() - 0.25 - 2e-6
    assert lat.min() - 0.25 <= max(south, -90.0) + 1e-6 < lat.min() + 0.25 + 1e-6
    assert lat.max() + 0.25 >= min(north, 90.0) - 1e-6 > lat.max() - 0.25 - 2e-6


def test_beyond_the_edge_is_dark_and_not_valid_and_where_nothing_is_that_is_told(
    tmp_path: Path,
) -> None:
    samples = np.full((30, 30), 9.0, np.float32)
    light_map = rg.open_light_map([write_geotiff(tmp_path / "m.tif", samples)])
    grid = light_map.window(-10 * STEP, -35 * STEP, 10 * STEP, 5 * STEP, STEP)
    expected = np.zeros((40, 20), bool)
    expected[5:35, 10:] = True
    np.testing.assert_array_equal(grid.valid, expected)
    np.testing.assert_allclose(grid.values, expected, atol=1e-6)
    samples[:20] = np.nan
    light_map = rg.open_light_map([write_geotiff(tmp_path / "n.tif", samples)])
    with pytest.raises(rg.MapError) as caught:
        light_map.window(0.0, -10 * STEP, 20 * STEP, 0.0, STEP)
    assert caught.value.code == "outside_map"
    assert light_map.window(0.0, -30 * STEP, 20 * STEP, 0.0, STEP).valid is not None


def test_of_several_maps_one_counts_at_each_place(tmp_path: Path) -> None:
    """The finer before the coarser, radiance before pictures, of equals the first given."""

    def at(row: int, *paths: Path) -> float:
        grid = rg.open_light_map(list(paths)).window(0.0, -80 * STEP, 80 * STEP, 0.0, STEP)
        return float(radiance_of(grid)[row, row])

    low, high = (
        write_geotiff(tmp_path / f"{nw}.tif", np.full((40, 40), nw, np.float32)) for nw in (1, 9)
    )
    coarse = write_geotiff(tmp_path / "coarse.tif", np.full((10, 10), 2.0, np.float32),
                           step=16 * STEP)  # fmt: skip
    picture = write_geotiff(tmp_path / "picture.tif", np.full((90, 90), 200, np.uint8))
    assert at(20, high, low) == pytest.approx(9.0, rel=1e-4)
    assert at(20, low, high) == pytest.approx(1.0, rel=1e-4)
    for paths in ((coarse, high), (high, coarse)):
        assert (at(20, *paths), at(60, *paths)) == pytest.approx((9.0, 2.0), rel=1e-4)
    for paths in ((high, picture), (picture, high)):
        assert (at(20, *paths), at(60, *paths)) == pytest.approx((9.0, GREY_NW[200]), rel=1e-4)


def test_a_folder_of_tiles_is_one_map_and_the_latest_counts(tmp_path: Path) -> None:
    for name, nw in (("2020001.h31", 1.0), ("2020001.h32", 2.0), ("2019001.h31", 9.0)):
        path = tmp_path / f"VNP46A4.A{name}v05.002.1.h5"
        write_vnp46(path, np.full((240, 240), nw, np.float32))
    light_map = rg.open_light_map([tmp_path])
    assert light_map.info.bounds == pytest.approx((130.0, 30.0, 150.0, 40.0))
    grid = light_map.window(139.0, 34.0, 141.0, 36.0, TILE)
    assert grid.valid is None
    half = grid.values.shape[1] // 2
    assert radiance_of(grid)[:, :half] == pytest.approx(1.0, rel=1e-4)
    assert radiance_of(grid)[:, half:] == pytest.approx(2.0, rel=1e-4)


# What a file is told to be, or why it is none ----------------------------------------------------


def bytes_of(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def raster(samples: NDArray[Any], **how: Any) -> Callable[[Path], object]:
    return lambda path: write_geotiff(path, samples, **how)


def tile(samples: NDArray[Any], **how: Any) -> Callable[[Path], object]:
    return lambda path: write_vnp46(path, samples, **how)


def of_other_file(path: Path) -> None:
    """A stranger's map could name any file of the one who opens it."""
    private = path.with_name("private")
    private.write_bytes(bytes(range(65, 91)) * 100)
    with h5py.File(path, "w") as file:
        lat, lon = (file.create_dataset(axis, data=0.1 * np.arange(40)) for axis in ("lat", "lon"))
        values = file.create_dataset(
            "AllAngle_Composite_Snow_Free", (40, 40), "u1", external=[(str(private), 0, 1600)]
        )
        for place, axis, units in ((0, lat, b"degrees_north"), (1, lon, b"degrees_east")):
            axis.make_scale()
            axis.attrs["units"] = np.bytes_(units)
            values.dims[place].attach_scale(axis)


LOW = np.full((40, 60), 7, np.uint8)
DMSP = np.arange(64, dtype=np.uint8).reshape(8, 8)
NO_MAPS: tuple[tuple[str, Callable[[Path], object], str], ...] = (
    ("gone.tif", lambda path: None, "does not exist"),
    ("m.tif", bytes_of(b"lon,lat,light\n1,2,3\n"), "is not a night-light map, despite its name"),
    ("m.tif", bytes_of(b"II*\0" + bytes(40)), "cannot be opened as GTiff"),
    ("m.tif.gz", bytes_of(b"\x1f\x8b\x08" + bytes(7)), "is compressed: unpack it first"),
    ("earth.png", bytes_of(b"\x89PNG\r\n\x1a\n"), "is a picture without coordinate system"),
    ("plain.tif", raster(ones(), crs=None), "no coordinate system"),
    ("pole.tif", raster(ones(), north=90.0 + 2.5 * STEP), "has a position off the Earth"),
    ("SVDNB_npp_20190101-20190131.cf_cvg.tif", raster(ones()), "counts of observations"),
    ("F182013.stable_lights.tif", raster(LOW), "DMSP digital numbers, not radiances"),
    ("night.tif", raster(DMSP, step=1 / 120), "values up to 63 on pixels of 30 arcsec"),
    ("p.tif", raster(np.stack([LOW] * 2), photometric="palette", colours={7: (1, 2, 3, 255)}),
     "gdal_translate -b 1 -expand rgb p.tif"),
    ("two.nc", lambda path: write_netcdf(path, ones(), ones()),
     "two.nc has 2 variables: extract the radiance"),
    ("o.nc", of_other_file, "refers to other files for its values"),
    *(
        (f"{n}.h02v05.h5", tile(np.ones((n, n), np.float32), **how), sentence)
        for n, how, sentence in (
            (480, {"told": ()}, "does not say where its 480 x 480 pixels are"),
            (481, {"told": ("attributes",)}, "does not say where its 481 x 481 pixels are"),
            (482, {"corners": (-154, 36, -150, 30)}, "or they are not square"),
            (483, {"corners": (-154, 32, -150, 36), "told": ("arrays", "structure")},
             "contradicts itself"),
            (484, {"corners": (-154, 96, -150, 92)}, "has a position off the Earth"),
        )
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "write", "sentence"), NO_MAPS, ids=[f"{row[0]}: {row[2]}"[:50] for row in NO_MAPS]
)
def test_a_file_that_is_no_map_is_one_sentence(
    tmp_path: Path, name: str, write: Callable[[Path], object], sentence: str,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write(tmp_path / name)
    for words in (("info",), ("build", "--out", tmp_path / "out.tif")):
        said = run("maps", words[0], tmp_path / name, *words[1:])
        assert (said.code, said.out, said.err.count("\n")) == (3, "", 1)
        assert sentence in said.err
        assert name in said.err
    assert not (tmp_path / "out.tif").exists()
    assert capfd.readouterr().err == ""


NOISE = np.random.default_rng(2).random((256, 256)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "write", "share"),
    [
        ("strips.tif", write_geotiff, 0.95),
        ("VNP46A4.A2020001.h31v05.002.1.h5", write_vnp46, 0.5),
        ("m.nc", write_netcdf, 0.0002),
    ],
)
def test_a_truncated_map_is_refused(
    tmp_path: Path, name: str, write: Callable[..., object], share: float,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write(tmp_path / name, NOISE)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(rg.MapError, match=re.escape(name)):
        rg.open_light_map([tmp_path / name])
    assert capfd.readouterr().err == ""
