"""Tiles and previews show the photo where the formula says, whatever happens to its file."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from regengine.errors import FrameError
from regengine.photo.formats import read_photo_file
from regengine.review.photo_tiles import PhotoPyramids, level_size, max_zoom, read_level

TILE_PX = 512

WIDTH, HEIGHT = 1901, 1255  # odd, and no multiple of anything
SPOTS = [(200.0, 150.0), (1833.0, 77.0), (951.3, 1180.6), (1500.0, 640.25)]


def spots(sigma_px: float) -> NDArray[np.uint8]:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    light = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * sigma_px**2)) for a, b in SPOTS)
    grey = np.asarray(light) * 220.0
    return np.rint(np.stack([grey, 0.8 * grey, 0.5 * grey], axis=-1)).astype(np.uint8)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.uint8]:
    return spots(14.0)


def saved(folder: Path, photo: NDArray[np.uint8], suffix: str, **options: object) -> Path:
    path = folder / f"photo{suffix}"
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
    rows, columns = np.indices(part.shape)
    weight = np.where(part > 12.0, part, 0.0)
    return (
        float((columns * weight).sum() / weight.sum() + left),
        float((rows * weight).sum() / weight.sum() + top),
    )


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_lights_lie_on_every_level_where_the_formula_says(
    tmp_path: Path, photo: NDArray[np.uint8], suffix: str
) -> None:
    options = {"quality": 95, "subsampling": 0} if suffix == ".jpg" else {}
    header = read_photo_file(saved(tmp_path, photo, suffix, **options))
    top = max_zoom(WIDTH, HEIGHT)
    assert top == 2
    for z in range(top + 1):
        level = read_level(header, z)[z]
        assert level.shape[1::-1] == level_size(header, z)
        factor = 2.0 ** (z - top)
        for x, y in SPOTS[:1] + SPOTS[3:]:  # the others are cut by the photo's edge
            there = (x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5
            found = centre(level[..., 0].astype(float), *there, 50 * factor)
            assert found == pytest.approx(there, abs=0.06)


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_level_0_is_the_largest_that_fits_into_a_tile(width: int, height: int) -> None:
    top = max_zoom(width, height)
    longest = max(width, height)
    assert longest / 2**top <= TILE_PX
    assert top == 0 or longest / 2 ** (top - 1) > TILE_PX


def test_tiles_put_together_are_the_photo(tmp_path: Path) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = 127.0 + 60.0 * np.sin(0.17 * x + 1e-5 * x * y) + 60.0 * np.sin(0.11 * y)
    photo = np.rint(np.stack([waves, waves[:, ::-1], waves[::-1]], axis=-1)).astype(np.uint8)
    path = saved(tmp_path, photo, ".png")
    pyramids = PhotoPyramids()
    rows = [
        np.concatenate([opened(pyramids.tile(path, 2, x, y)) for x in range(4)], axis=1)
        for y in range(3)
    ]
    whole = np.concatenate(rows)
    assert whole.shape == (3 * TILE_PX, 4 * TILE_PX, 3)
    assert np.abs(whole[:HEIGHT, :WIDTH] - photo).mean() < 2.0  # 6 where it is a pixel off
    beyond = whole[:HEIGHT, WIDTH + 20 :]  # the edge, repeated
    assert np.abs(beyond - whole[:HEIGHT, WIDTH - 1 : WIDTH]).mean() < 3.0


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_preview_has_the_photos_edges(
    tmp_path: Path, photo: NDArray[np.uint8], suffix: str
) -> None:
    path = saved(tmp_path, photo, suffix)
    for size in (64, 700, 1024, 1900):
        preview = opened(PhotoPyramids().preview(path, size))
        assert preview.shape[:2] == (round(HEIGHT * size / WIDTH), size)
        across, down = preview.shape[1] / WIDTH, preview.shape[0] / HEIGHT
        for x, y in SPOTS[:1] + SPOTS[3:]:
            there = (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5
            found = centre(preview[..., 0], *there, 50 * across)
            assert found == pytest.approx(there, abs=0.12)
    assert opened(PhotoPyramids().preview(path, 2048)).shape[:2] == (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", [3, 6])
def test_the_orientation_turns_nothing(
    tmp_path: Path, photo: NDArray[np.uint8], orientation: int
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path, photo, ".jpg", exif=exif, quality=95)
    shown = opened(PhotoPyramids().tile(path, 0, 0, 0))
    x, y = (200.5 / 4 - 0.5, 150.5 / 4 - 0.5)
    assert centre(shown[..., 0], x, y, 12.0) == pytest.approx((x, y), abs=0.2)


def test_grey_and_deep_photos_are_shown(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    grey = photo[..., 0]
    deep = tmp_path / "deep.png"
    Image.fromarray(grey.astype(np.uint16) * 257).save(deep)
    for path in (saved(tmp_path, grey, ".jpg"), deep):
        shown = opened(PhotoPyramids().tile(path, 1, 0, 0))
        assert np.abs(shown[:, :, 0] - shown[:, :, 2]).max() == 0.0
        assert shown.max() > 200.0


@pytest.mark.parametrize(
    "tile",
    [(-1, 0, 0), (3, 0, 0), (2, 4, 0), (2, 0, 3), (2, -1, 0), (10**9, 0, 0), (-(10**9), 0, 0)],
)
def test_there_is_no_tile_beside_the_photo(
    tmp_path: Path, photo: NDArray[np.uint8], tile: tuple[int, int, int]
) -> None:
    path = saved(tmp_path, photo[:1000, :1601], ".png")
    with pytest.raises(LookupError, match="no tile"):
        PhotoPyramids().tile(path, *tile)


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


def test_a_file_that_changes_is_read_anew(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    path = saved(tmp_path, photo, ".png")
    pyramids = PhotoPyramids()
    before = opened(pyramids.preview(path, 256))
    Image.fromarray(255 - photo).save(path)
    os.utime(path, ns=(1, 1))
    assert np.abs(255 - before - opened(pyramids.preview(path, 256))).mean() < 3.0


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_damaged_photos_are_refused_in_a_sentence(
    tmp_path: Path, photo: NDArray[np.uint8], suffix: str
) -> None:
    path = saved(tmp_path, photo, suffix)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    pyramids = PhotoPyramids()
    with pytest.raises(FrameError, match="damaged or truncated"):
        pyramids.tile(path, 0, 0, 0)
    path.write_bytes(b"<html>")
    with pytest.raises(FrameError, match="not supported"):
        pyramids.preview(path, 256)
    path.unlink()
    with pytest.raises(FrameError, match="does not exist"):
        pyramids.preview(path, 256)
