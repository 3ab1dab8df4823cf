"""Pictures of the review and references made of tiles and blocks, by the formulas of both."""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image

from regengine import RasterMap, open_light_map
from regengine.maps.build import plan_grid, write_reference
from regengine.maps.opening import open_references
from regengine.maps.reference import PixelGrid
from regengine.maps.services import TileSet
from regengine.pages.review.map_tiles import MapTiles
from regengine.pages.review.routes_pictures import encode_photo, read_photo
from tests.world.maps import blob

WIDTH, HEIGHT = 1901, 1255  # odd, and no multiple of anything
SPOTS = [(200.0, 150.0), (1500.0, 640.25)]
SUFFIX = pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])


# Photos ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    light = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 14.0**2)) for a, b in SPOTS)
    grey = np.asarray(light) * 220.0
    return np.rint(np.stack([grey, 0.8 * grey, 0.5 * grey], axis=-1)).astype(np.uint8)


def saved(folder: Path, photo: NDArray[Any], suffix: str, **options: object) -> Path:
    path = folder / f"photo{suffix}"
    options = {"quality": 95, "subsampling": 0} | options if suffix == ".jpg" else options
    Image.fromarray(photo).save(path, **options)  # type: ignore[arg-type]
    return path


def opened(jpeg: bytes) -> NDArray[np.float64]:
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return np.asarray(image.convert("RGB"), float)


def centre(grey: NDArray[np.float64], x: float, y: float, reach: float) -> tuple[float, float]:
    """Centre of the light around a pixel."""
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    part = grey[top : int(y + reach) + 1, left : int(x + reach) + 1]
    weight = np.where(part > 12.0, part, 0.0)
    rows, columns = np.indices(part.shape)
    return tuple(  # type: ignore[return-value]
        float((axis * weight).sum() / weight.sum() + start)
        for axis, start in ((columns, left), (rows, top))
    )


@SUFFIX
def test_lights_of_reduced_photos_lie_where_the_formula_says(
    tmp_path: Path, photo: NDArray[np.uint8], suffix: str
) -> None:
    path = saved(tmp_path, photo, suffix)
    for long_side_px in (WIDTH, 951, 640, 237):
        small = read_photo(path, long_side_px)
        across, down = small.shape[1] / WIDTH, small.shape[0] / HEIGHT
        assert across == pytest.approx(long_side_px / WIDTH, rel=0.01)
        for x, y in SPOTS:
            there = (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5
            found = centre(small[..., 0].astype(float), *there, 50 * across)
            assert found == pytest.approx(there, abs=0.06)


@SUFFIX
def test_the_whole_photo_is_sent_as_it_is_stored(
    tmp_path: Path, photo: NDArray[np.uint8], suffix: str
) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # a browser would turn it
    path = saved(tmp_path, photo, suffix, exif=turned)
    if suffix == ".jpg":  # bytes that fill up may stand before any marker
        jpeg = path.read_bytes()
        path.write_bytes(jpeg[:2] + b"\xff\xff" + jpeg[2:])
    sent = encode_photo(path)
    with Image.open(io.BytesIO(sent)) as image:
        assert (image.size, dict(image.getexif())) == ((WIDTH, HEIGHT), {})
    assert np.abs(opened(sent) - photo).mean() < 2.0  # 6 where it is a pixel off


# Maps --------------------------------------------------------------------------------------------

STEP = 0.05


def write_map(path: Path, radiance: NDArray[Any], west: float, north: float) -> RasterMap:
    height, width = radiance.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype="float32", count=1, height=height, width=width,
        crs="EPSG:4326", transform=Affine(STEP, 0.0, west, 0.0, -STEP, north), nodata=-999.0,
    ) as dataset:  # fmt: skip
        dataset.write(radiance.astype(np.float32), 1)
        dataset.update_tags(units="nW cm-2 sr-1")
    return open_light_map([path])


def shown(png: bytes) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.size) == ("PNG", (256, 256))
        pixels = np.asarray(image.convert("LA"), float)
    return pixels[..., 0], pixels[..., 1] > 0


def in_tiles(lon: float, lat: float, z: int) -> tuple[float, float]:
    """Web Mercator by its definition (OGC 07-057r7, annex E.4), counted in tiles."""
    y = math.log(math.tan(math.pi / 4 + math.radians(lat) / 2))
    return (lon / 360 + 0.5) * 2**z, (0.5 - y / (2 * math.pi)) * 2**z


@pytest.mark.parametrize("z", [3, 8])
def test_a_town_lies_where_web_mercator_has_it(tmp_path: Path, z: int) -> None:
    """A town of 0.2 degrees in a dark land of 24 by 16 degrees."""
    y, x = np.mgrid[:320, :480]
    radiance = 60.0 * np.exp(-((x - 250.0) ** 2 + (y - 97.0) ** 2) / (2 * 2.0**2))
    lights = write_map(tmp_path / "town.tif", radiance, 30.0, 70.0)
    x, y = in_tiles(30.0 + 250.5 * STEP, 70.0 - 97.5 * STEP, z)
    grey, there = shown(MapTiles(lights).tile(z, int(x), int(y)))
    assert there[int(y % 1 * 256), int(x % 1 * 256)]
    rows, columns = np.indices(grey.shape)
    weight = np.where(grey > 0.3 * grey.max(), grey, 0.0)
    found = [(axis * weight).sum() / weight.sum() + 0.5 for axis in (columns, rows)]
    assert found == pytest.approx([x % 1 * 256, y % 1 * 256], abs=0.6)


def test_there_is_no_light_where_the_map_ends_and_maps_join_at_the_antimeridian(
    tmp_path: Path,
) -> None:
    radiance = np.full((100, 100), 20.0)
    radiance[:, 60:] = -999.0  # no data
    tiles = MapTiles(write_map(tmp_path / "part.tif", radiance, 0.0, 5.0))
    grey, there = shown(tiles.tile(6, 32, 31))  # 0 to 5.6 degrees east and north
    column, edge = 256 / 5.625 * 3.0, in_tiles(0.0, 5.0, 6)[1] % 1 * 256
    assert not there[:, math.ceil(column) + 2 :].any()
    assert there[math.ceil(edge) + 2 :, : int(column) - 2].all()
    assert not there[: int(edge) - 2].any()
    assert (grey[~there] == 0).all()
    for outside in ((-1, 0, 0), (3, 8, 0), (3, 0, -1), (23, 0, 0)):
        with pytest.raises(LookupError, match="no tile"):
            tiles.tile(*outside)
    tiles = MapTiles(write_map(tmp_path / "fiji.tif", np.full((200, 200), 20.0), 175.0, 5.0))
    for column, edge in ((0, slice(0, 200)), (63, slice(56, 256))):
        grey, there = shown(tiles.tile(6, column, 31))
        assert there[40:-2, edge].all()
        assert np.ptp(grey[40:-2, edge]) <= 1.0


# References block by block -----------------------------------------------------------------------

ZOOM, SIZE = 6, 256
PARIS = (2.2, 48.8, 2.45, 48.92)
STREETS_STEP = 1.0 / 9000.0  # 12.4 m


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where maps and tiles go."""
    for name in ("data", "cache"):
        monkeypatch.setenv(f"REGENGINE_{name.upper()}", str(tmp_path / name))


@pytest.mark.parametrize(("lon", "lat"), [(2.35, 68.9), (179.99, -17.0)])
def test_a_light_of_a_tile_is_placed(tmp_path: Path, lon: float, lat: float) -> None:
    """To a twentieth of a pixel, also where it shines over 180 degrees."""
    box = (lon - 0.5, lat - 0.5, lon + 0.5, lat + 0.5)
    tiles = TileSet(
        kind="lights", template="https://maps.test/{z}/{x}/{y}.png", level=ZOOM, bounds=box
    )
    col, row = (SIZE * one for one in in_tiles(lon, lat, ZOOM))
    for x, y in tiles.wanted:
        path = tiles.path_of((x, y))
        path.parent.mkdir(parents=True, exist_ok=True)
        left = x * SIZE - (SIZE * 2**ZOOM if x * SIZE > col + SIZE * 2**5 else 0)
        left += SIZE * 2**ZOOM if x * SIZE < col - SIZE * 2**5 else 0
        grey = 2.5 * blob(SIZE, SIZE, row - y * SIZE - 0.5, col - left - 0.5)
        Image.fromarray(grey.astype(np.uint8)).convert("RGB").save(path)
    assert tiles.missing() == []
    out, grid = tmp_path / "m.tif", tiles.grid
    write_reference("lights", out, grid.bounds, grid.step_deg, tiles.read_block, tiles.tags)
    light_map = open_light_map([out])
    assert (light_map.info.kind, light_map.info.product) == ("display", "maps.test")
    window = light_map.window(*box, grid.step_deg)
    rows, cols = np.indices(window.values.shape)
    weight = window.values / window.values.sum()
    found = (
        window.lon0_deg + (cols * weight).sum() * window.step_deg,
        window.lat0_deg - (rows * weight).sum() * window.step_deg,
    )
    assert found == pytest.approx((lon, lat), abs=0.05 * window.step_deg)


def lamps(block: PixelGrid) -> np.ndarray:
    """Two of three columns covered, density by the place alone."""
    row = np.arange(block.rows) + round((PARIS[3] - block.north) / block.step_deg)
    col = np.arange(block.cols) + round((block.west - PARIS[0]) / block.step_deg)
    codes = ((row[:, None] // 8 + col // 8) % 200).astype(np.uint8)
    codes[:, col % 24 >= 16] = 255
    return codes


def test_streets_are_a_cog_and_read_as_they_were_written(tmp_path: Path) -> None:
    out, told = tmp_path / "paris.tif", []
    write_reference("streets", out, PARIS, STREETS_STEP, lamps, {}, lambda *done: told.append(done))
    grid = plan_grid(PARIS, STREETS_STEP)
    with rasterio.open(out) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (dataset.nodata, dataset.scales) == (255, (0.01,))
        assert dataset.overviews(1) == [2, 4, 8]
        assert (dataset.bounds.left, dataset.bounds.top) == pytest.approx((2.2, 48.92))
        codes = dataset.read(1)
        halves = dataset.read(1, out_shape=(grid.rows // 8, grid.cols // 8))
    np.testing.assert_array_equal(codes, lamps(grid))
    assert (halves == 255).mean() == pytest.approx(1 / 3, abs=0.01)
    np.testing.assert_array_equal(halves[:, :2], codes[::8, [0, 8]][: len(halves)])
    assert told[-1] == (codes.size, codes.size)
    streets = pickle.loads(pickle.dumps(open_references("streets", [out])))
    window = streets.window(2.25, 48.82, 2.3, 48.85, STREETS_STEP)
    assert not streets.reaching((20.0, 48.82, 20.3, 48.85))
    assert (window.saturation, window.step_deg) == (None, pytest.approx(STREETS_STEP))
    there = codes[630:900, 450:900]  # 0.05 degrees from the west, 0.07 to 0.1 from the north
    np.testing.assert_allclose(window.values, np.where(there < 255, 0.01 * there, 0.0), atol=1e-6)
    np.testing.assert_array_equal(window.valid, there < 255)
    assert (streets[0].sigma_m, streets[0].pixel_m) == (5.0, pytest.approx(111_195 / 9000))
