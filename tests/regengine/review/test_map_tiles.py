"""Tiles of the light map show its lights where Web Mercator has them."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from regengine import LightMap, open_light_map
from regengine.errors import LightMapError
from regengine.review import map_tiles
from regengine.review.map_tiles import MapTiles

STEP = 0.05


def write_map(
    path: Path, radiance: NDArray[np.float32], west: float, north: float, step: float = STEP
) -> LightMap:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="float32",
        count=1,
        height=radiance.shape[0],
        width=radiance.shape[1],
        crs="EPSG:4326",
        transform=Affine(step, 0.0, west, 0.0, -step, north),
        nodata=-999.0,
    ) as dataset:
        dataset.write(radiance, 1)
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


@pytest.fixture(scope="module")
def one_town(tmp_path_factory: pytest.TempPathFactory) -> tuple[LightMap, float, float]:
    """A town of 0.2 degrees in a dark land of 24 by 16 degrees."""
    radiance = np.zeros((320, 480), np.float32)
    y, x = np.mgrid[:320, :480]
    radiance += 60.0 * np.exp(-((x - 250.0) ** 2 + (y - 97.0) ** 2) / (2 * 2.0**2))
    lights = write_map(tmp_path_factory.mktemp("map") / "town.tif", radiance, 30.0, 70.0)
    return lights, 30.0 + 250.5 * STEP, 70.0 - 97.5 * STEP


@pytest.mark.parametrize("z", [3, 5, 8])
def test_a_town_lies_where_web_mercator_has_it(
    one_town: tuple[LightMap, float, float], z: int
) -> None:
    lights, lon, lat = one_town
    x, y = in_tiles(lon, lat, z)
    grey, there = shown(MapTiles(lights).tile(z, int(x), int(y)))
    assert there[int(y % 1 * 256), int(x % 1 * 256)]
    rows, columns = np.indices(grey.shape)
    weight = np.where(grey > 0.3 * grey.max(), grey, 0.0)
    found = [(axis * weight).sum() / weight.sum() + 0.5 for axis in (columns, rows)]
    assert found == pytest.approx([x % 1 * 256, y % 1 * 256], abs=0.6)


def test_grey_is_the_logarithm_on_a_fixed_scale(tmp_path: Path) -> None:
    for radiance in (0.0, 9.0, 30.0, 5000.0):
        lights = write_map(tmp_path / f"{radiance}.tif", np.full((80, 80), radiance, "f4"), 0, 4)
        grey, there = shown(MapTiles(lights).tile(8, 129, 126))
        assert there.all()
        expected = min(255.0, 255.0 * math.log10(1 + radiance) / 3.0)
        assert np.abs(grey - expected).max() <= 0.51


def test_there_is_no_light_where_the_map_ends(tmp_path: Path) -> None:
    radiance = np.full((100, 100), 20.0, np.float32)
    radiance[:, 60:] = -999.0  # no data
    tiles = MapTiles(write_map(tmp_path / "part.tif", radiance, 0.0, 5.0))
    grey, there = shown(tiles.tile(6, 32, 31))  # 0 to 5.6 degrees east and north
    column, edge = 256 / 5.625 * 3.0, in_tiles(0.0, 5.0, 6)[1] % 1 * 256
    assert not there[:, math.ceil(column) + 2 :].any()
    assert there[math.ceil(edge) + 2 :, : int(column) - 2].all()
    assert not there[: int(edge) - 2].any()
    assert (grey[~there] == 0).all()
    assert not shown(tiles.tile(6, 0, 0))[1].any()


def test_maps_join_across_the_antimeridian(tmp_path: Path) -> None:
    radiance = np.full((200, 200), 20.0, np.float32)
    tiles = MapTiles(write_map(tmp_path / "fiji.tif", radiance, 175.0, 5.0))
    for column in (0, 63):
        grey, there = shown(tiles.tile(6, column, 31))
        edge = slice(0, 200) if column == 0 else slice(56, 256)
        assert there[40:-2, edge].all()
        assert np.ptp(grey[40:-2, edge]) <= 1.0


def test_a_map_without_overviews_is_read_piece_by_piece(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).gamma(1.0, 12.0, (700, 900)).astype(np.float32)
    lights = write_map(tmp_path / "noise.tif", noise, -20.0, 30.0)
    whole, there = shown(MapTiles(lights).tile(3, 3, 3))
    pieced, there_too = shown(MapTiles(lights, max_pixels=20_000).tile(3, 3, 3))
    assert (there != there_too).mean() < 0.02
    both = there & there_too
    assert both.mean() > 0.1
    # Other filters, the same light
    assert whole[both].mean() == pytest.approx(pieced[both].mean(), rel=0.01)
    assert np.corrcoef(whole[both], pieced[both])[0, 1] > 0.7


@given(st.integers(-(2**70), 2**70), st.integers(-5, 2**30), st.integers(-5, 2**30))
def test_any_other_address_is_no_tile(
    one_town: tuple[LightMap, float, float], z: int, x: int, y: int
) -> None:
    if 0 <= z <= map_tiles.MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z:
        z = -1
    with pytest.raises(LookupError, match="no tile"):
        MapTiles(one_town[0]).tile(z, x, y)


def test_a_map_cut_short_is_an_error_and_no_darkness(tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    noise = np.random.default_rng(3).gamma(1.0, 12.0, (400, 400)).astype(np.float32)
    lights = write_map(path, noise, 0.0, 20.0)
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(LightMapError, match="truncated"):
        MapTiles(lights).tile(4, 8, 7)
