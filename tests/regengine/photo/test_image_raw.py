"""Raw files, made here: an uncompressed DNG whose sensor values are known."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regengine.errors import FrameError
from regengine.photo.formats import read_photo_file
from regengine.photo.frame import read_frame
from regengine.photo.image import read_display_rgb, read_linear_light
from tests.world.dng import WHITE, write_dng


@pytest.fixture
def dng(tmp_path: Path) -> Path:
    pytest.importorskip("rawpy", reason="rawpy (extra raw) is not installed")
    sensor = np.full((120, 160), WHITE // 4, np.uint16)
    sensor[40:48, 60:68] = WHITE
    return write_dng(tmp_path / "iss030e001.dng", sensor, orientation=6)


def test_raw_is_linear_unturned_and_not_brightened(dng: Path) -> None:
    for max_side, shape in ((1000, (120, 160)), (80, (60, 80)), (40, (30, 40))):
        result = read_linear_light(dng, max_long_side_px=max_side)
        assert result.light.shape == shape
        assert result.factor == shape[1] / 160
        assert result.light[2, 2] == pytest.approx(0.25, abs=1e-3)
        assert result.saturated[2, 2] == 0.0
        y, x = (int((44 + 0.5) * result.factor), int((64 + 0.5) * result.factor))
        assert result.light[y, x] == pytest.approx(1.0, abs=0.01)
        assert result.saturated[y, x] == pytest.approx(1.0)


def test_half_size_keeps_places(dng: Path) -> None:
    result = read_linear_light(dng, max_long_side_px=80)
    rows, columns = np.nonzero(result.saturated > 0.5)
    # Rows 40 to 47, columns 60 to 67 of the sensor: centre (63.5, 43.5).
    assert columns.mean() == pytest.approx((63.5 + 0.5) * 0.5 - 0.5)
    assert rows.mean() == pytest.approx((43.5 + 0.5) * 0.5 - 0.5)


def test_raw_for_display(tmp_path: Path) -> None:
    pytest.importorskip("rawpy", reason="rawpy (extra raw) is not installed")
    ramp = np.linspace(0, WHITE, 160).astype(np.uint16)
    path = write_dng(tmp_path / "photo.dng", np.tile(ramp, (120, 1)), orientation=6)
    rgb, factor = read_display_rgb(path, 80)
    assert (rgb.shape, rgb.dtype, factor) == ((60, 80, 3), np.uint8, 0.5)
    assert rgb[30, 5].max() < rgb[30, 40].min() < rgb[30, 75].min()
    assert rgb[30, 40].min() > 140  # half of the light, on a display's curve


def test_the_sensors_rim_does_not_change_the_pitch(dng: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("regengine.photo.formats.raw_size", lambda path: (4284, 2844))
    frame = read_frame(dng)
    assert frame.pixel_pitch_um == pytest.approx(36_000 / 4256)
    assert not frame.may_be_cropped


def test_dng_without_its_extension_is_still_raw(dng: Path) -> None:
    renamed = dng.rename(dng.with_suffix(".tif"))
    assert read_photo_file(renamed).format == "raw"


def test_damaged_raw(dng: Path) -> None:
    dng.write_bytes(dng.read_bytes()[:2000])
    with pytest.raises(FrameError, match=r"iss030e001\.dng is damaged or truncated"):
        read_linear_light(dng, max_long_side_px=80)


def test_without_rawpy_the_command_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    path = write_dng(tmp_path / "photo.nef", np.zeros((64, 64), np.uint16))
    genuine = builtins.__import__

    def refuse(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "rawpy":
            raise ImportError(name, name=name)
        return genuine(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(FrameError, match=r"pip install 'regengine\[raw\]'") as caught:
        read_frame(path)
    assert str(path) in str(caught.value)
    assert caught.value.code == "raw_support_missing"
