"""Colours of every kind of file, against colours worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image, features
from rasterio.enums import ColorInterp

from regengine.errors import FrameError
from regengine.io.gdal import open_gdal_session
from regengine.photo.frame import read_frame
from regengine.photo.image import read_display_rgb, read_linear_light

SIZE = (48, 40)  # width, height


def rgb_of(path: Path) -> tuple[int, ...]:
    """Colour of an image that has one colour."""
    rgb, _ = read_display_rgb(path, 1000)
    assert rgb.shape == (SIZE[1], SIZE[0], 3)
    assert np.ptp(rgb.reshape(-1, 3), axis=0).max() <= 2
    return tuple(int(value) for value in rgb[20, 24])


def light_of(path: Path) -> float:
    return float(read_linear_light(path, max_long_side_px=1000).light[20, 24])


@pytest.mark.parametrize("extension", ["jpg", "png", "tif"])
def test_rgb_and_grey(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"image.{extension}"
    Image.new("RGB", SIZE, (200, 120, 40)).save(path)
    assert rgb_of(path) == pytest.approx((200, 120, 40), abs=2)
    Image.new("L", SIZE, 90).save(path)
    assert rgb_of(path) == pytest.approx((90, 90, 90), abs=1)


@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_cmyk(tmp_path: Path, extension: str) -> None:
    # Pillow writes CMYK JPEG the way Adobe does, inverted; TIFF holds ink as such.
    cyan, magenta, yellow, black = 51, 102, 153, 25
    path = tmp_path / f"image.{extension}"
    options: dict[str, Any] = {"quality": 100} if extension == "jpg" else {}
    Image.new("CMYK", SIZE, (cyan, magenta, yellow, black)).save(path, **options)
    paper = (255 - black) / 255
    expected = [(255 - ink) * paper for ink in (cyan, magenta, yellow)]
    assert rgb_of(path) == pytest.approx(expected, abs=3)


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_palette(tmp_path: Path, extension: str) -> None:
    image = Image.new("P", SIZE, 3)
    image.putpalette([0, 0, 0, 1, 1, 1, 2, 2, 2, 210, 110, 10] + [9] * 756)
    image.save(tmp_path / f"image.{extension}")
    assert rgb_of(tmp_path / f"image.{extension}") == pytest.approx((210, 110, 10), abs=1)


def test_white_is_zero(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    for dtype, full in ((np.uint8, 255), (np.uint16, 65535)):
        samples = np.full((SIZE[1], SIZE[0]), full // 5, dtype)
        tifffile.imwrite(path, samples, photometric="miniswhite")
        assert rgb_of(path) == pytest.approx((204, 204, 204), abs=1)


@pytest.mark.parametrize("extension", ["png", "tif"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_parts_are_dark(tmp_path: Path, extension: str, mode: str) -> None:
    path = tmp_path / f"image.{extension}"
    image = Image.new(mode, SIZE, (255, 255, 255, 0) if mode == "RGBA" else (255, 0))
    image.paste((255, 255, 255, 128) if mode == "RGBA" else (255, 128), (0, 0, 24, 40))
    image.save(path)
    result = read_linear_light(path, max_long_side_px=1000)
    np.testing.assert_allclose(result.light[:, :24], 128 / 255, rtol=1e-5)
    np.testing.assert_allclose(result.saturated[:, :24], 128 / 255, rtol=1e-5)
    assert not result.light[:, 24:].any()
    assert not result.saturated[:, 24:].any()
    rgb, _ = read_display_rgb(path, 1000)
    assert rgb[0, 0].tolist() == [128, 128, 128]
    assert rgb[0, 40].tolist() == [0, 0, 0]


def test_transparent_parts_of_a_palette_are_dark(tmp_path: Path) -> None:
    image = Image.new("P", SIZE, 3)
    image.putpalette([0, 0, 0, 1, 1, 1, 2, 2, 2, 255, 255, 255] + [255] * 756)
    image.paste(9, (24, 0, *SIZE))
    image.save(tmp_path / "image.png", transparency=9)
    bands = np.full((2, SIZE[1], SIZE[0]), 3, np.uint8)
    bands[1] = 255
    bands[1, :, 24:] = 0
    with open_gdal_session(), rasterio.open(
        tmp_path / "image.tif", "w", driver="GTiff", dtype="uint8", count=2, height=SIZE[1],
        width=SIZE[0], photometric="palette", alpha="yes",
    ) as file:  # fmt: skip
        file.write(bands)
        file.write_colormap(1, {3: (255, 255, 255, 255)})
        file.colorinterp = (ColorInterp.palette, ColorInterp.alpha)
    for name in ("image.png", "image.tif"):
        rgb, _ = read_display_rgb(tmp_path / name, 1000)
        assert (rgb[0, 0].tolist(), rgb[0, 40].tolist()) == ([255] * 3, [0] * 3), name


def test_sixteen_bit_alpha(tmp_path: Path) -> None:
    for name in ("image.png", "image.tif"):
        samples = np.full((SIZE[1], SIZE[0], 4), 65535, np.uint16)
        samples[..., 3] = 13107
        if name.endswith("png"):
            assert cv2.imwrite(str(tmp_path / name), samples)
        else:
            tifffile.imwrite(
                tmp_path / name, samples, photometric="rgb", extrasamples=["unassalpha"]
            )
        assert light_of(tmp_path / name) == pytest.approx(0.2, abs=1e-4)


def test_progressive_jpeg_and_compressed_tiff(tmp_path: Path) -> None:
    image = Image.new("RGB", SIZE, (200, 120, 40))
    image.save(tmp_path / "image.jpg", progressive=True)
    assert rgb_of(tmp_path / "image.jpg") == pytest.approx((200, 120, 40), abs=2)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        image.save(tmp_path / "image.tif", compression=compression)
        assert rgb_of(tmp_path / "image.tif") == pytest.approx((200, 120, 40), abs=4)


@pytest.mark.parametrize(
    ("samples", "photometric", "words"),
    [
        (np.ones((40, 48), np.float32), "minisblack", "samples of type float32"),
        (np.ones((40, 48), np.int16), "minisblack", "samples of type int16"),
        (np.ones((40, 48), np.complex64), "minisblack", "samples of type complex64"),
        (np.ones((40, 48, 3), np.uint16), "cielab", "3 channels that are neither grey"),
    ],
)
def test_kinds_that_are_not_read(
    tmp_path: Path, samples: np.ndarray, photometric: str, words: str
) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, samples, photometric=photometric)
    with pytest.raises(FrameError, match=words) as caught:
        read_linear_light(path, max_long_side_px=100)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("extension", ["webp", "avif"])
def test_pictures_of_the_web_are_read_with_what_the_camera_wrote(
    tmp_path: Path, extension: str
) -> None:
    if not features.check(extension):
        pytest.skip(f"this Pillow reads no {extension}")
    path = tmp_path / f"night.{extension}"
    picture = Image.new("RGB", SIZE, (200, 120, 40))
    exif = Image.Exif()
    exif[0x0110] = "NIKON D5"
    exif.get_ifd(0x8769)[0x920A] = 50.0  # focal length
    picture.save(path, quality=100, exif=exif)
    assert rgb_of(path) == pytest.approx((200, 120, 40), abs=4)
    frame = read_frame(path)
    assert (frame.width_px, frame.height_px) == SIZE
    assert (frame.camera_body, frame.focal_mm) == ("NIKON D5", 50.0)
    cut = tmp_path / f"cut.{extension}"
    cut.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FrameError, match="damaged or truncated"):
        light_of(cut)
