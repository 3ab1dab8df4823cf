"""Pictures as linear light and as colours, of every kind of file, by arithmetic of this file."""

from __future__ import annotations

import builtins
import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from regengine.errors import FrameError
from regengine.io.decoding import capture_stderr
from regengine.photo.formats import read_photo_file
from regengine.photo.frame import read_frame
from regengine.photo.image import (
    decode,
    plan_reduction,
    read_display_rgb,
    read_linear_channels,
    read_linear_light,
)
from tests.world.dng import WHITE, write_dng
from tests.world.tables import by_name

WHOLE = 100_000  # a long side that no test image has
SIZE = (48, 40)  # width, height
SHAPE = (60, 80)


def srgb_to_linear(value: Any) -> NDArray[np.float64]:
    """IEC 61966-2-1, 0 to 1."""
    value = np.asarray(value, float)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(rgb: Any) -> NDArray[np.float64]:
    return srgb_to_linear(rgb) @ np.array([0.2126, 0.7152, 0.0722])


# Colours of every kind of file -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A file of one colour, which is black in its right half where that is transparent."""

    name: str
    write: Callable[[Path], object]
    rgb: tuple[float, float, float]
    within: float = 1.0
    half: bool = False
    light: float | None = None  # where it is not that of the colour


def pillow(mode: str, colour: Any, **options: Any) -> Callable[[Path], object]:
    return lambda path: Image.new(mode, SIZE, colour).save(path, **options)


def palette(path: Path) -> None:
    image = Image.new("P", SIZE, 3)
    image.putpalette([0, 0, 0, 1, 1, 1, 2, 2, 2, 210, 110, 10] + [9] * 756)
    image.save(path)


def half_clear(mode: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        white = (255,) * (len(mode) - 1)
        image = Image.new(mode, SIZE, (*white, 0))
        image.paste((*white, 128), (0, 0, 24, 40))
        image.save(path)

    return write


def white_is_zero(dtype: type, full: int) -> Callable[[Path], object]:
    samples = np.full((SIZE[1], SIZE[0]), full // 5, dtype)
    return lambda path: tifffile.imwrite(path, samples, photometric="miniswhite")


BROWN = (200, 120, 40)
INK = (51, 102, 153, 25)
ON_PAPER = tuple((255 - one) * (255 - INK[3]) / 255 for one in INK[:3])
KINDS = (
    *(Kind(name=f"rgb.{end}", write=pillow("RGB", BROWN), rgb=BROWN, within=2)
      for end in ("jpg", "png", "tif")),
    *(Kind(name=f"grey.{end}", write=pillow("L", 90), rgb=(90,) * 3) for end in ("jpg", "tif")),
    Kind(name="lzw.tif", write=pillow("RGB", BROWN, compression="tiff_lzw"), rgb=BROWN, within=0),
    # Pillow writes CMYK JPEG the way Adobe does, inverted; TIFF holds ink as such
    Kind(name="ink.jpg", write=pillow("CMYK", INK, quality=100), rgb=ON_PAPER, within=3),
    Kind(name="ink.tif", write=pillow("CMYK", INK), rgb=ON_PAPER, within=3),
    *(Kind(name=f"palette.{end}", write=palette, rgb=(210, 110, 10)) for end in ("png", "tif")),
    Kind(name="white8.tif", write=white_is_zero(np.uint8, 255), rgb=(204,) * 3),
    Kind(name="white16.tif", write=white_is_zero(np.uint16, 65535), rgb=(204,) * 3),
    *(Kind(name=name, write=half_clear(name.partition(".")[0]), rgb=(128,) * 3, half=True,
           light=128 / 255) for name in ("RGBA.png", "LA.tif")),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("row", KINDS, ids=by_name)
def test_colours_and_light_are_those_of_the_file(tmp_path: Path, row: Kind) -> None:
    path = tmp_path / row.name
    row.write(path)
    rgb, factor = read_display_rgb(path, 1000)
    picture = read_linear_light(path, max_long_side_px=1000)
    channels, _ = read_linear_channels(path, max_long_side_px=1000)
    assert (rgb.shape, factor) == ((SIZE[1], SIZE[0], 3), 1.0)
    shown = rgb[:, :24] if row.half else rgb
    assert np.abs(shown - np.array(row.rgb)).max() <= row.within + 0.5
    if row.light is None:
        wanted = luminance(np.array(shown[20, 12]) / 255.0)
        assert picture.light[20, 12] == pytest.approx(wanted, abs=0.003)
        linear = srgb_to_linear(shown[20, 12] / 255.0)
        np.testing.assert_allclose(np.ravel(channels[20, 12]) + 0 * linear, linear, atol=0.004)
    else:
        assert picture.light[20, 12] == pytest.approx(row.light, rel=1e-4)
        assert picture.saturated[20, 12] == pytest.approx(row.light, rel=1e-4)
    if row.half:
        assert not rgb[:, 24:].any()
        assert not picture.light[:, 24:].any()
        assert not picture.saturated[:, 24:].any()


# Samples, sizes and places -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_keep_their_low_byte(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for shape in ((101, 77, 3), (101, 77)):
        samples = np.random.default_rng(2).integers(0, 65536, shape, dtype=np.uint16)
        assert cv2.imwrite(str(path), samples[..., ::-1] if len(shape) == 3 else samples)
        value = samples / 65535.0
        light = luminance(value) if len(shape) == 3 else srgb_to_linear(value)
        result = read_linear_light(path, max_long_side_px=WHOLE)
        np.testing.assert_allclose(result.light, light, rtol=1e-5, atol=1e-7)
        rgb, _ = read_display_rgb(path, WHOLE)
        shown = (samples >> 8).reshape(101, 77, -1)
        np.testing.assert_array_equal(rgb, np.broadcast_to(shown, rgb.shape))
        np.testing.assert_array_equal(decode(read_photo_file(path)).samples, samples)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_an_orientation_leaves_the_pixels_as_stored_and_light_is_clipped_from_252(
    tmp_path: Path, name: str
) -> None:
    samples = np.zeros((64, 96), np.uint8)
    samples[8:16, 16:24] = 200  # not symmetric under any turn or mirroring
    samples[40:48, 16:24], samples[40:48, 64:72] = 247, 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(samples).save(tmp_path / name, exif=exif, quality=100)
    picture = read_linear_light(tmp_path / name, max_long_side_px=WHOLE)
    np.testing.assert_allclose(picture.light, srgb_to_linear(samples / 255.0), atol=0.01)
    np.testing.assert_array_equal(picture.saturated, samples >= 252)
    rgb, _ = read_display_rgb(tmp_path / name, WHOLE)
    np.testing.assert_allclose(rgb[..., 0], samples, atol=2)


def exact_area_mean(
    image: NDArray[np.float64], factor: float, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Area averages by running sums, independent of OpenCV."""

    def along(axis_image: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        length = axis_image.shape[0]
        edges = np.minimum(np.arange(size + 1) / factor, length)
        total = np.concatenate([np.zeros((1, axis_image.shape[1])), np.cumsum(axis_image, axis=0)])
        low = np.minimum(edges.astype(int), length - 1)
        at = total[low] + (edges - low)[:, None] * axis_image[low]
        return np.diff(at, axis=0) / np.diff(edges)[:, None]

    return along(along(image, shape[0]).T, shape[1]).T


@given(width=st.integers(33, 400), height=st.integers(33, 400), max_side=st.integers(10, 450))
def test_reduction_is_the_exact_area_mean(width: int, height: int, max_side: int) -> None:
    image = np.random.default_rng(width * height).random((height, width)).astype(np.float32)
    plan = plan_reduction(width, height, max_side)
    rows = 7 * plan.block
    blocks = [plan.blocks_of(image[top : top + rows]) for top in range(0, height, rows)]
    result = plan.finish(np.concatenate(blocks), scale=1.0 / plan.block)
    assert max(result.shape) == min(max_side, max(width, height))
    assert plan.factor == min(1.0, max_side / max(width, height))
    padded = np.pad(image, ((0, -height % plan.block), (0, -width % plan.block)), mode="edge")
    grid = padded.reshape(padded.shape[0] // plan.block, plan.block, -1, plan.block)
    expected = exact_area_mean(
        grid.mean(axis=(1, 3), dtype=float), plan.factor * plan.block, result.shape
    )
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_web_pictures_are_read_and_what_is_no_picture_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "night.webp"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x920A] = 50.0  # focal length
    Image.new("RGB", SIZE, BROWN).save(path, quality=100, exif=exif)
    assert np.abs(read_display_rgb(path, 100)[0] - np.array(BROWN)).max() <= 4
    assert read_frame(path).focal_mm == 50.0
    path.write_bytes(path.read_bytes()[:-20])
    tifffile.imwrite(tmp_path / "float.tif", np.ones((40, 48), np.float32))
    lab = np.ones((40, 48, 3), np.uint16)
    tifffile.imwrite(tmp_path / "lab.tif", lab, photometric="cielab")
    for name, words in (
        ("night.webp", "damaged or truncated"),
        ("float.tif", "samples of type float32"),
        ("lab.tif", "3 channels that are neither grey"),
    ):
        with pytest.raises(FrameError, match=words) as told:
            read_linear_light(tmp_path / name, max_long_side_px=100)
        assert str(tmp_path / name) in str(told.value)


# FITS --------------------------------------------------------------------------------------------


def counts(seed: int = 0) -> NDArray[np.float64]:
    """A sky of 1000 counts with a noise of 10, and a bright place at x = 50, y = 7."""
    image = np.random.default_rng(seed).normal(1000.0, 10.0, SHAPE)
    image[7, 50] += 5000.0
    return image


def written(path: Path, *hdus: Any) -> Path:
    fits.HDUList(list(hdus)).writeto(path, output_verify="silentfix")
    return path


@pytest.mark.parametrize("kind", ["scaled", "packed", "planes"])
def test_samples_are_the_files_and_row_nought_comes_first(tmp_path: Path, kind: str) -> None:
    """In the first image of several units."""
    values = counts()
    unit = fits.ImageHDU(values.copy()[None, None])
    if kind == "scaled":
        unit = fits.ImageHDU(values.copy())
        unit.scale("int16", bscale=0.5, bzero=2000.0)
    elif kind == "packed":
        unit = fits.CompImageHDU(values.astype(np.uint16), compression_type="RICE_1")
    path = written(tmp_path / "a.fits", fits.PrimaryHDU(), unit, fits.ImageHDU(0 * values))
    path.write_bytes(gzip.compress(path.read_bytes()))
    header = read_photo_file(path)
    assert (header.format, header.width_px, header.height_px) == ("fits", 80, 60)
    picture = read_linear_light(path, max_long_side_px=500)
    assert np.unravel_index(picture.light.argmax(), SHAPE) == (7, 50)
    np.testing.assert_allclose(picture.light * picture.full_scale, values, atol=1.001)


def test_gaps_are_kept_and_never_averaged_in(tmp_path: Path) -> None:
    values = np.full((64, 64), 100.0, np.float32)
    values += np.random.default_rng(0).normal(0.0, 0.01, values.shape).astype(np.float32)
    values[:20, :20], values[40, 40], values[50, 50] = np.nan, np.inf, -1e30
    path = written(tmp_path / "b.fits", fits.PrimaryHDU(values))
    assert read_linear_light(path, max_long_side_px=64).missing.sum() == 402
    half = read_linear_light(path, max_long_side_px=24)
    assert half.missing[:7, :7].all()
    assert not half.missing[9:, 9:].any()
    kept = (half.light * half.full_scale)[~half.missing]
    assert kept == pytest.approx(100.0, abs=0.1)


# Raw ---------------------------------------------------------------------------------------------


@pytest.fixture
def dng(tmp_path: Path) -> Path:
    pytest.importorskip("rawpy", reason="rawpy (extra raw) is not installed")
    sensor = np.full((120, 160), WHITE // 4, np.uint16)
    sensor[40:48, 60:68] = WHITE
    return write_dng(tmp_path / "iss030e001.dng", sensor, orientation=6)


@pytest.mark.parametrize(("max_side", "factor"), [(1000, 1.0), (80, 0.5), (40, 0.25)])
def test_raw_is_linear_unturned_and_not_brightened(dng: Path, max_side: int, factor: float) -> None:
    """Rows 40 to 47, columns 60 to 67 of the sensor are white: centre (63.5, 43.5)."""
    result = read_linear_light(dng, max_long_side_px=max_side)
    assert (result.light.shape, result.factor) == ((120 * factor, 160 * factor), factor)
    assert result.light[2, 2] == pytest.approx(0.25, abs=1e-3)
    assert result.saturated[2, 2] == 0.0
    rows, columns = np.nonzero(result.saturated > 0.5)
    assert columns.mean() == pytest.approx(64.0 * factor - 0.5)
    assert rows.mean() == pytest.approx(44.0 * factor - 0.5)
    middle = int(44 * factor), int(64 * factor)
    assert result.light[middle] == pytest.approx(1.0, abs=0.01)
    assert result.saturated[middle] == pytest.approx(1.0)


def test_raw_that_cannot_be_read_is_told(dng: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = dng.read_bytes()
    dng.write_bytes(whole[:2000])
    with pytest.raises(FrameError, match=r"iss030e001\.dng is damaged or truncated"):
        read_linear_light(dng, max_long_side_px=80)
    dng.write_bytes(whole)
    genuine = builtins.__import__

    def refuse(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "rawpy":
            raise ModuleNotFoundError(name, name=name)
        return genuine(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(FrameError, match=r"pip install 'regengine\[raw\]'") as caught:
        read_frame(dng)
    assert str(dng) in str(caught.value)
    assert caught.value.code == "raw_support_missing"


def test_words_of_libraries_are_caught_and_later_ones_heard(capfd: Any) -> None:
    with capture_stderr() as said:
        os.write(2, b"within\n")
    os.write(2, b"after\n")
    assert (said, capfd.readouterr().err) == (["within"], "after\n")
