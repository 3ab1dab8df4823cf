"""GeoTIFFs and folders that cannot be used, each met with one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from light_map_makers import STEP, ones, whole, write_geotiff

from regengine.errors import LightMapError
from regengine.lights import open_light_map


@pytest.mark.parametrize(
    ("crs", "transform"),
    [(None, Affine(STEP, 0, 0, 0, -STEP, 0)), ("EPSG:4326", Affine.identity())],
)
def test_a_map_without_position_is_refused(
    tmp_path: Path, crs: str | None, transform: Affine, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.tif"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning) if transform.is_identity else _no():
        write_geotiff(path, ones(), crs=crs, transform=transform)
    with pytest.raises(LightMapError, match=r"m\.tif has no coordinate system.*gdal_translate"):
        open_light_map([path])
    assert capfd.readouterr().err == ""


class _no:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("kept", [0.3, 0.95])
@pytest.mark.parametrize("layout", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}])
def test_a_truncated_map_is_refused(
    tmp_path: Path, kept: float, layout: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    path = tmp_path / "m.tif"
    write_geotiff(path, rng.random((256, 256)).astype(np.float32), **layout)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(LightMapError, match=r"m\.tif .*(cut short|damaged).*get it again"):
        open_light_map([path])
    assert capfd.readouterr().err == ""


def test_damage_inside_a_map_is_told_when_it_is_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / "m.tif"
    write_geotiff(path, rng.random((256, 256)).astype(np.float32), compress="deflate")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(bytes(content))
    with pytest.raises(LightMapError, match=r"m\.tif cannot be read: it is damaged"):
        whole(open_light_map([path]))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("m.tif", b"lon,lat,light\n1,2,3\n", "is no night-light map, whatever its name says"),
        ("m.tif", b"", "is no night-light map"),
        ("m.tif", b"II*\0" + bytes(40), "cannot be opened as GTiff"),
        ("m.tif.gz", b"\x1f\x8b\x08\0\0\0\0\0\0", "is compressed: unpack it first"),
        ("m.zip", b"PK\x03\x04rest", "is a zip archive"),
        ("earth.png", b"\x89PNG\r\n\x1a\n", "does not say where it lies"),
        ("earth.jpg", b"\xff\xd8\xff\xe0rest", "does not say where it lies"),
        ("m.hdf", b"\x0e\x03\x13\x01rest", "is HDF4"),
    ],
)
def test_other_files_are_told_apart(
    tmp_path: Path, name: str, content: bytes, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LightMapError, match=sentence) as caught:
        open_light_map([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_missing_map_and_no_map_are_named(tmp_path: Path) -> None:
    with pytest.raises(LightMapError, match=r"nowhere\.tif does not exist"):
        open_light_map([tmp_path / "nowhere.tif"])
    with pytest.raises(LightMapError, match="No night-light map was given"):
        open_light_map([])


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LightMapError, match="holds no night-light map"):
        open_light_map([tmp_path])


@pytest.mark.real
def test_the_real_file_without_crs_is_refused(real_data: Path) -> None:
    with pytest.raises(LightMapError, match="has no coordinate system"):
        open_light_map([real_data / "lights" / "samples" / "EOG_VIIRS_201204_mumbai.tif"])


def test_a_map_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_geotiff(tmp_path / "m.tif", ones())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(LightMapError, match=r"m\.tif cannot be opened \(Permission denied\)"):
        open_light_map([path])


def test_a_map_that_vanishes_is_told(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "m.tif", ones())
    light_map = open_light_map([path])
    path.unlink()
    with pytest.raises(LightMapError, match=r"m\.tif does not exist"):
        whole(light_map)
