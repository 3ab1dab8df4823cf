"""Linear light by known arithmetic: every expected value here is computed in this file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from regengine.photo.decode import plan_reduction, read_strips
from regengine.photo.formats import PhotoFile
from regengine.photo.image import read_display_rgb, read_linear_light

WHOLE = 100_000  # a long side that no test image has


def srgb_to_linear(value: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """IEC 61966-2-1, 0 to 1."""
    value = np.asarray(value, float)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return srgb_to_linear(rgb) @ np.array([0.2126, 0.7152, 0.0722])


def exact_area_mean(image: NDArray[np.float64], factor: float, shape: tuple[int, int]):
    """Area averages by running sums, independent of OpenCV."""

    def along(axis_image: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        length = axis_image.shape[0]
        edges = np.minimum(np.arange(size + 1) / factor, length)
        total = np.concatenate([np.zeros((1, axis_image.shape[1])), np.cumsum(axis_image, axis=0)])
        low = np.minimum(edges.astype(int), length - 1)
        at = total[low] + (edges - low)[:, None] * axis_image[low]
        return np.diff(at, axis=0) / np.diff(edges)[:, None]

    return along(along(image, shape[0]).T, shape[1]).T


def save(folder: Path, samples: NDArray[np.uint8], name: str = "image.png") -> Path:
    path = folder / name
    Image.fromarray(samples).save(path)
    return path


@pytest.mark.parametrize("extension", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_keep_their_low_byte(tmp_path: Path, extension: str, channels: int) -> None:
    shape = (48, 64, 3) if channels == 3 else (48, 64)
    samples = np.random.default_rng(2).integers(0, 65536, shape, dtype=np.uint16)
    path = tmp_path / f"image.{extension}"
    assert cv2.imwrite(str(path), samples[..., ::-1] if channels == 3 else samples)
    result = read_linear_light(path, max_long_side_px=WHOLE)
    value = samples / 65535.0
    expected = luminance(value) if channels == 3 else srgb_to_linear(value)
    np.testing.assert_allclose(result.light, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["jpg", "png", "tif"])
def test_orientation_leaves_the_pixels_as_stored(
    tmp_path: Path, orientation: int, extension: str
) -> None:
    samples = np.zeros((64, 96), np.uint8)
    samples[8:16, 16:24] = 200  # not symmetric under any turn or mirroring
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"image.{extension}"
    Image.fromarray(samples).save(path, exif=exif)
    light = read_linear_light(path, max_long_side_px=WHOLE).light
    assert light.shape == (64, 96)
    np.testing.assert_allclose(light, srgb_to_linear(samples / 255.0), atol=2e-3)
    rgb, _ = read_display_rgb(path, WHOLE)
    np.testing.assert_allclose(rgb[..., 0], samples, atol=2)


@given(width=st.integers(33, 400), height=st.integers(33, 400), max_side=st.integers(10, 450))
def test_reduction_is_the_exact_area_mean(width: int, height: int, max_side: int) -> None:
    image = np.random.default_rng(width * height).random((height, width)).astype(np.float32)
    plan = plan_reduction(width, height, max_side)
    rows = plan.strip_rows
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


def test_a_lamp_keeps_its_flux_and_place_through_the_file(tmp_path: Path) -> None:
    samples = np.zeros((1200, 1700), np.uint8)
    samples[300, 1201] = 255
    samples[301:303, 1200:1203] = 255
    path = save(tmp_path, samples)
    result = read_linear_light(path, max_long_side_px=500)
    factor = 500 / 1700
    assert result.factor == factor
    assert result.light.shape == (round(1200 * factor), 500)
    assert result.light.sum() / factor**2 == pytest.approx(7.0, rel=1e-3)
    assert result.saturated.sum() / factor**2 == pytest.approx(7.0, rel=1e-3)
    rows, columns = np.indices(result.light.shape)
    weights = result.light / result.light.sum()
    x = (1201.0 * 7) / 7
    y = (300.0 + 3 * 301.0 + 3 * 302.0) / 7
    assert (weights * columns).sum() == pytest.approx((x + 0.5) * factor - 0.5, abs=0.35)
    assert (weights * rows).sum() == pytest.approx((y + 0.5) * factor - 0.5, abs=0.35)


@pytest.mark.parametrize("name", ["image.png", "image.tif", "deep.png", "deep.tif"])
def test_strips_make_up_the_whole(tmp_path: Path, name: str) -> None:
    deep = name.startswith("deep")
    samples = np.random.default_rng(4).integers(0, 65536 if deep else 256, (101, 77, 3))
    samples = samples.astype(np.uint16 if deep else np.uint8)
    path = tmp_path / name
    assert cv2.imwrite(str(path), samples[..., ::-1])
    header = PhotoFile(
        path=path,
        format="png" if name.endswith("png") else "tiff",
        width_px=77,
        height_px=101,
        deep=deep,
    )
    for rows in (7, 101, 500):
        strips = [strip.samples for strip in read_strips(header, rows)]
        np.testing.assert_array_equal(np.concatenate(strips), samples)
        assert [len(strip) for strip in strips] == [rows] * (101 // rows) + (
            [101 % rows] if 101 % rows else []
        )


@pytest.mark.parametrize(("width", "height"), [(640, 432), (643, 431)])
def test_a_small_jpeg_shows_the_same_in_the_same_place(
    tmp_path: Path, width: int, height: int
) -> None:
    y, x = np.mgrid[:height, :width]
    bump = np.exp(-((x - 0.7 * width) ** 2 + (y - 0.3 * height) ** 2) / (2.0 * 20.0**2))
    path = tmp_path / "image.jpg"
    Image.fromarray((20.0 + 200.0 * bump).astype(np.uint8)).save(path, quality=95)
    whole = read_linear_light(path, max_long_side_px=150)
    small = read_linear_light(path, max_long_side_px=150, small_jpeg=True)
    assert small.factor == whole.factor
    assert small.light.shape == whole.light.shape
    np.testing.assert_allclose(small.light, whole.light, atol=0.01)
