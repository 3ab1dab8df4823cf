"""FITS images: which array is read, what its samples mean, and what is no image."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from regengine.errors import FrameError
from regengine.photo.formats import read_photo_file
from regengine.photo.frame import read_frame
from regengine.photo.image import read_linear_channels, read_linear_light

SHAPE = (60, 80)


def counts(seed: int = 0, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A sky of 1000 counts with a noise of 10, and a bright place at x = 50, y = 7."""
    image = np.random.default_rng(seed).normal(1000.0, 10.0, shape)
    image[7, 50] += 5000.0
    return image


def written(path: Path, *hdus: Any) -> Path:
    fits.HDUList(list(hdus)).writeto(path, output_verify="silentfix")
    return path


def light_of(path: Path, side: int = 500) -> np.ndarray:
    picture = read_linear_light(path, max_long_side_px=side)
    return picture.light * picture.full_scale


def unsigned(values: np.ndarray) -> fits.PrimaryHDU:
    return fits.PrimaryHDU(values.astype(np.uint16))  # astropy writes BZERO = 32768


def scaled(values: np.ndarray) -> fits.PrimaryHDU:
    hdu = fits.PrimaryHDU(values.copy())
    hdu.scale("int16", bscale=0.5, bzero=2000.0)
    return hdu


KINDS = {
    "float32": lambda v: fits.PrimaryHDU(v.astype(np.float32)),
    "float64": lambda v: fits.PrimaryHDU(v),
    "int16": lambda v: fits.PrimaryHDU(v.astype(np.int16)),
    "uint16": unsigned,
    "int32": lambda v: fits.PrimaryHDU(v.astype(np.int32)),
    "int64": lambda v: fits.PrimaryHDU(v.astype(np.int64)),
    "scaled": scaled,
    "plane": lambda v: fits.PrimaryHDU(v.astype(np.float32)[None, None]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_the_files_and_row_nought_comes_first(tmp_path: Path, kind: str) -> None:
    values = counts()
    path = written(tmp_path / "a.fits", KINDS[kind](values))
    header = read_photo_file(path)
    assert (header.format, header.width_px, header.height_px) == ("fits", 80, 60)
    picture = read_linear_light(path, max_long_side_px=500)
    assert picture.missing is None
    assert picture.light.dtype == np.float32
    assert picture.light.max() <= 1.0
    assert np.unravel_index(picture.light.argmax(), SHAPE) == (7, 50)
    np.testing.assert_allclose(picture.light * picture.full_scale, values, atol=1.001)


def test_colours_by_planes_and_by_pixels(tmp_path: Path) -> None:
    red, green, blue = counts(1), counts(2), counts(3)
    grey = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    for name, axis in (("planes", 0), ("pixels", -1)):
        cube = np.stack([red, green, blue], axis=axis).astype(np.float32)
        path = written(tmp_path / f"{name}.fits", fits.PrimaryHDU(cube))
        np.testing.assert_allclose(light_of(path), grey, rtol=1e-5)
        channels, factor = read_linear_channels(path, max_long_side_px=500)
        assert (channels.shape, factor) == ((*SHAPE, 3), 1.0)


def test_the_first_image_of_several_hdus(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column(name="a", format="J", array=[1, 2])])
    path = written(
        tmp_path / "a.fits",
        fits.PrimaryHDU(),
        table,
        fits.ImageHDU(np.zeros(50, np.float32)),
        fits.ImageHDU(np.zeros((7, 40, 40), np.float32)),
        fits.ImageHDU(counts().astype(np.float32), name="SCI"),
        fits.ImageHDU(np.ones((40, 40), np.float32), name="WHT"),
    )
    np.testing.assert_allclose(light_of(path), counts(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1", "GZIP_2"])
def test_compressed_hdus(tmp_path: Path, kind: str) -> None:
    values = counts()
    whole = fits.CompImageHDU(values.astype(np.uint16), compression_type=kind)
    path = written(tmp_path / "a.fits.fz", fits.PrimaryHDU(), whole)
    np.testing.assert_allclose(light_of(path), np.floor(values), atol=1e-3)
    assert read_frame(path).width_px == 80


def test_what_is_packed_by_wavelets_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    fits.CompImageHDU(counts(), compression_type="HCOMPRESS_1").writeto(path)
    with pytest.raises(
        FrameError, match="compressed by HCOMPRESS, which is not supported: unpack it"
    ):
        read_linear_light(path, max_long_side_px=1000)


def test_compressed_floats_keep_their_gaps(tmp_path: Path) -> None:
    values = counts().astype(np.float32)
    values[20:30, 10:20] = np.nan
    hdu = fits.CompImageHDU(values, compression_type="RICE_1", quantize_level=16.0)
    path = written(tmp_path / "a.fits", fits.PrimaryHDU(), hdu)
    picture = read_linear_light(path, max_long_side_px=500)
    assert np.array_equal(picture.missing, np.isnan(values))
    there = ~np.isnan(values)
    np.testing.assert_allclose((picture.light * picture.full_scale)[there], values[there], atol=1.0)


def test_gzip_whatever_it_is_called(tmp_path: Path) -> None:
    plain = written(tmp_path / "a.fits", unsigned(counts()))
    packed = tmp_path / "b.dat"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(light_of(packed), light_of(plain))


def test_missing_values_are_masked_and_never_averaged_in(tmp_path: Path) -> None:
    values = np.full((64, 64), 100.0, np.float32)
    values[:, 32:] = 300.0
    values[:20, :20] = np.nan
    values[40, 40] = np.inf
    values[50, 50] = -1e30
    values += np.random.default_rng(0).normal(0.0, 0.01, values.shape).astype(np.float32)
    path = written(tmp_path / "a.fits", fits.PrimaryHDU(values))
    whole = read_linear_light(path, max_long_side_px=64)
    assert whole.missing.sum() == 402
    assert np.isfinite(whole.light).all()
    half = read_linear_light(path, max_long_side_px=24)
    assert half.missing[:7, :7].all()
    assert not half.missing[9:, 9:].any()
    kept = (half.light * half.full_scale)[~half.missing]
    assert np.abs(kept[:, None] - [100.0, 300.0]).min(axis=1).max() < 0.1 or kept.min() > 99.9


def test_saturate_says_where_light_is_clipped(tmp_path: Path) -> None:
    hdu = fits.PrimaryHDU(counts().astype(np.float32))
    hdu.header["SATURATE"] = 3000.0
    picture = read_linear_light(written(tmp_path / "a.fits", hdu), max_long_side_px=500)
    assert np.argwhere(picture.saturated > 0.5).tolist() == [[7, 50]]
    hdu.header["SATURATE"] = "unknown"
    picture = read_linear_light(written(tmp_path / "b.fits", hdu), max_long_side_px=500)
    assert not picture.saturated.any()


def test_the_header_tells_time_exposure_and_lens(tmp_path: Path) -> None:
    primary = fits.PrimaryHDU()
    primary.header.update({"INSTRUME": "Camera 7", "EXPTIME": 12.5})
    image = fits.ImageHDU(counts().astype(np.float32))
    image.header.update({"DATE-OBS": "2021-03-04T05:06:07.250", "FOCALLEN": 135.0})
    frame = read_frame(written(tmp_path / "a.fits", primary, image))
    assert frame.time_utc == datetime(2021, 3, 4, 5, 6, 7, 250_000, UTC)
    assert (frame.exposure_s, frame.focal_mm, frame.camera_body) == (12.5, 135.0, "Camera 7")


@pytest.mark.parametrize(
    ("cards", "wanted"),
    [
        ({"DATE-OBS": "2021-03-04", "TIME-OBS": "05:06:07"}, datetime(2021, 3, 4, 5, 6, 7)),
        ({"DATE-OBS": "2021-03-04", "MJD-OBS": 59277.25}, datetime(2021, 3, 4, 6)),
        ({"DATE-OBS": "26/07/102"}, None),
        ({"DATE-OBS": "2021-03-04"}, None),
        ({"DATE-OBS": "2021-03-04T05:06:07", "TIMESYS": "TAI"}, None),
        ({"MJD-OBS": 1e12}, None),
        ({"EXPTIME": "long", "MJD-OBS": "?"}, None),
    ],
)
def test_times_that_are_none_are_left_out(
    tmp_path: Path, cards: dict[str, Any], wanted: datetime | None
) -> None:
    hdu = fits.PrimaryHDU(counts().astype(np.float32))
    hdu.header.update(cards)
    frame = read_frame(written(tmp_path / "a.fits", hdu))
    assert frame.time_utc == (None if wanted is None else wanted.replace(tzinfo=UTC))
    assert frame.exposure_s is None


def refused(path: Path) -> str:
    def look_then_read() -> None:
        read_photo_file(path)
        read_linear_light(path, max_long_side_px=500)

    with pytest.raises(FrameError) as caught:
        look_then_read()
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    assert "; " in text
    return text


def test_what_is_no_image_is_one_sentence(tmp_path: Path) -> None:
    cube = fits.PrimaryHDU(np.zeros((5, 40, 50), np.float32))
    assert "50 x 40 x 5" in refused(written(tmp_path / "cube.fits", cube))
    table = fits.BinTableHDU.from_columns([fits.Column(name="a", format="J", array=[1, 2])])
    tables = written(tmp_path / "table.fits", fits.PrimaryHDU(), table)
    assert "no data" in refused(tables)
    void = fits.PrimaryHDU(np.full(SHAPE, np.nan, np.float32))
    assert "without any value" in refused(written(tmp_path / "void.fits", void))
    narrow = fits.PrimaryHDU(np.zeros((400, 1), np.float32))
    assert "1 x 400 pixels" in refused(written(tmp_path / "narrow.fits", narrow))
