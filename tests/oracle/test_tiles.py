"""Pictures of the review: pyramids of photos and tiles of maps, by the formulas of both."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from regengine import LightMap, open_light_map
from regengine.errors import FrameError
from regengine.photo.formats import read_photo_file
from regengine.review.map_tiles import MapTiles
from regengine.review.photo_tiles import PhotoPyramids, level_size, max_zoom, read_level

TILE_PX = 512
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
def test_lights_lie_on_every_level_where_the_formula_says(
    tmp_path: Path, photo: NDArray[np.uint8], suffix: str
) -> None:
    header = read_photo_file(saved(tmp_path, photo, suffix))
    top = max_zoom(WIDTH, HEIGHT)
    assert top == 2
    for z in range(top + 1):
        factor = 2 ** (top - z)
        level = read_level(header, z)[z]
        assert level.shape[1::-1] == level_size(header, z)
        assert level_size(header, z) == (-(-WIDTH // factor), -(-HEIGHT // factor))
        for x, y in SPOTS:
            there = (x + 0.5) / factor - 0.5, (y + 0.5) / factor - 0.5
            found = centre(level[..., 0].astype(float), *there, 50 / factor)
            assert found == pytest.approx(there, abs=0.06)


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_level_0_is_the_largest_that_fits_into_a_tile(width: int, height: int) -> None:
    top, longest = max_zoom(width, height), max(width, height)
    assert longest / 2**top <= TILE_PX
    assert top == 0 or longest / 2 ** (top - 1) > TILE_PX


def test_tiles_put_together_are_the_photo(tmp_path: Path) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = 127.0 + 60.0 * np.sin(0.17 * x + 1e-5 * x * y) + 60.0 * np.sin(0.11 * y)
    photo = np.rint(np.stack([waves, waves[:, ::-1], waves[::-1]], axis=-1)).astype(np.uint8)
    path, pyramids = saved(tmp_path, photo, ".png"), PhotoPyramids()
    rows = [
        np.concatenate([opened(pyramids.tile(path, 2, x, y)) for x in range(4)], axis=1)
        for y in range(3)
    ]
    whole = np.concatenate(rows)
    assert whole.shape == (3 * TILE_PX, 4 * TILE_PX, 3)
    assert np.abs(whole[:HEIGHT, :WIDTH] - photo).mean() < 2.0  # 6 where it is a pixel off
    for tile in ((-1, 0, 0), (3, 0, 0), (2, 4, 0), (2, 0, 3), (2, -1, 0), (10**9, 0, 0)):
        with pytest.raises(LookupError, match="no tile"):
            pyramids.tile(path, *tile)
    beyond = whole[:HEIGHT, WIDTH + 20 :]  # the edge, repeated
    assert np.abs(beyond - whole[:HEIGHT, WIDTH - 1 : WIDTH]).mean() < 3.0


@SUFFIX
def test_a_preview_has_the_photos_edges(
    tmp_path: Path, photo: NDArray[np.uint8], suffix: str
) -> None:
    path = saved(tmp_path, photo, suffix)
    for size in (64, 700, 1024, 1900):
        preview = opened(PhotoPyramids().preview(path, size))
        assert preview.shape[:2] == (round(HEIGHT * size / WIDTH), size)
        across, down = preview.shape[1] / WIDTH, preview.shape[0] / HEIGHT
        for x, y in SPOTS:
            there = (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5
            found = centre(preview[..., 0], *there, 50 * across)
            assert found == pytest.approx(there, abs=0.12)
    assert opened(PhotoPyramids().preview(path, 2048)).shape[:2] == (HEIGHT, WIDTH)


def test_the_orientation_turns_nothing_and_deep_photos_are_shown(
    tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    exif = Image.Exif()
    exif[274] = 6
    shown = opened(PhotoPyramids().tile(saved(tmp_path, photo, ".jpg", exif=exif), 0, 0, 0))
    x, y = (200.5 / 4 - 0.5, 150.5 / 4 - 0.5)
    assert centre(shown[..., 0], x, y, 12.0) == pytest.approx((x, y), abs=0.2)
    deep = saved(tmp_path, photo[..., 0].astype(np.uint16) * 257, ".png")
    assert opened(PhotoPyramids().tile(deep, 1, 0, 0)).max() > 200.0


def test_what_is_kept_is_bounded_and_the_last_photo_stays(
    tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    paths = [tmp_path / f"{n}.jpg" for n in range(6)]
    for n, path in enumerate(paths):
        Image.fromarray(np.roll(photo, 40 * n, axis=1)).save(path)
    most = 10_000_000  # the photo alone takes 7 MB
    pyramids = PhotoPyramids(most_bytes=most)
    for path in paths * 2:
        for z in (2, 1, 0):
            pyramids.tile(path, z, 0, 0)
        assert 7_000_000 < pyramids.kept_bytes <= most
    tiny = PhotoPyramids(most_bytes=1)
    tiny.tile(paths[0], 2, 0, 0)
    assert tiny.kept_bytes == photo.nbytes


def test_a_file_that_changes_is_read_anew_and_a_damaged_one_refused(
    tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    path, pyramids = saved(tmp_path, photo, ".png"), PhotoPyramids()
    before = opened(pyramids.preview(path, 256))
    Image.fromarray(255 - photo).save(path)
    os.utime(path, ns=(1, 1))
    assert np.abs(255 - before - opened(pyramids.preview(path, 256))).mean() < 3.0
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FrameError, match="damaged or truncated"):
        pyramids.tile(path, 0, 0, 0)
    path.unlink()
    with pytest.raises(FrameError, match="does not exist"):
        pyramids.preview(path, 256)


# Maps --------------------------------------------------------------------------------------------

STEP = 0.05


def write_map(path: Path, radiance: NDArray[Any], west: float, north: float) -> LightMap:
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


def test_grey_is_the_logarithm_on_a_fixed_scale(tmp_path: Path) -> None:
    for radiance in (0.0, 1.0, 9.0, 30.0, 5000.0):
        lights = write_map(tmp_path / f"{radiance}.tif", np.full((80, 80), radiance), 0.0, 4.0)
        for kind, white in (("lights", 3.0), ("streets", 0.6), ("day", 1.0)):
            grey, there = shown(MapTiles(lights, kind).tile(8, 129, 126))
            assert there.all()
            expected = min(255.0, 255.0 * math.log10(1 + radiance) / white)
            assert np.abs(grey - expected).max() <= 0.51


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


def test_a_map_without_overviews_is_read_piece_by_piece(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).gamma(1.0, 12.0, (700, 900))
    lights = write_map(tmp_path / "noise.tif", noise, -20.0, 30.0)
    whole, there = shown(MapTiles(lights).tile(3, 3, 3))
    pieced, there_too = shown(MapTiles(lights, max_pixels=20_000).tile(3, 3, 3))
    assert (there != there_too).mean() < 0.02
    both = there & there_too
    assert both.mean() > 0.1
    # Other filters, the same light
    assert whole[both].mean() == pytest.approx(pieced[both].mean(), rel=0.01)
    assert np.corrcoef(whole[both], pieced[both])[0, 1] > 0.7
