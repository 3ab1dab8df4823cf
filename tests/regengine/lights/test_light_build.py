"""The built map: what is in the file, and that it is there whole or not at all."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import pytest
import rasterio
from light_map_makers import STEP, write_geotiff

from regengine.errors import ConfigError, LightMapError
from regengine.lights import LightMap, open_light_map
from regengine.lights.build import BuildOptions, build_map
from regengine.lights.radiance import display_saturation

SIZE = 1100


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> LightMap:
    samples = np.random.default_rng(7).gamma(0.3, 10.0, (SIZE, SIZE)).astype(np.float32)
    samples[:64, :96] = np.nan
    path = tmp_path_factory.mktemp("source") / "SVDNB_npp_20190101-20190131.avg_rad.tif"
    write_geotiff(path, samples, west=100.0, north=40.0)
    return open_light_map([path])


@pytest.fixture(scope="module")
def built(source: LightMap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "earth.tif"
    steps: list[tuple[int, int]] = []
    build_map(source, out, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1] == (SIZE + 3 & ~3) ** 2  # padded to overviews of 4
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    return out


def test_the_file_is_a_cloud_optimised_geotiff_that_says_what_it_is(built: Path) -> None:
    with rasterio.open(built) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.dtypes == ("uint16",)
        assert dataset.nodata == 65535
        assert dataset.scales == (1e-4,)
        assert dataset.crs.to_epsg() == 4326
        assert dataset.overviews(1) == [2, 4]
        tags = dataset.tags()
    assert tags["REGENGINE_FORMAT"] == "night-lights 1"
    assert tags["UNITS"] == "log10(1 + L / 1 nW cm-2 sr-1)"
    assert tags["KIND"] == "radiance"
    assert tags["DATE"] == "2019-01"
    assert "SATURATION_CODE" not in tags
    assert tags["SOURCES"] == "SVDNB_npp_20190101-20190131.avg_rad.tif"
    assert tags["AREA_OR_POINT"] == "Area"


def test_it_reads_as_its_source_does(source: LightMap, built: Path) -> None:
    light_map = open_light_map([built])
    assert light_map.info.kind == "radiance"
    assert light_map.info.date == "2019-01"
    box = (100.0, 36.0, 104.0, 40.0)
    for factor in (1, 2, 4, 8, 16):
        one = source.window(*box, factor * STEP)
        two = light_map.window(*box, factor * STEP)
        assert two.step_deg == pytest.approx(one.step_deg)
        assert (two.lon0_deg, two.lat0_deg) == pytest.approx((one.lon0_deg, one.lat0_deg))
        # GDAL takes an overview pixel with one valid pixel in it, we want half of them
        both = one.valid & two.valid
        assert both.mean() > 0.97
        # half a code in each pixel, half a code more in each of the overviews
        np.testing.assert_allclose(one.values[both], two.values[both], atol=2.1e-4)


def test_overviews_are_read_instead_of_pixels(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    light_map = open_light_map([built])
    asked: list[tuple[int, int]] = []
    read = type(light_map.sources[0]).read

    def spy(self, row, col, rows, cols, factor=1):  # type: ignore[no-untyped-def]
        asked.append((factor, rows * cols))
        return read(self, row, col, rows, cols, factor)

    monkeypatch.setattr(type(light_map.sources[0]), "read", spy)
    grid = light_map.window(101.0, 37.0, 103.0, 39.0, 4 * STEP)
    assert asked == [(4, grid.values.size)]


def test_parts_options_and_overwriting(source: LightMap, tmp_path: Path) -> None:
    out = tmp_path / "part.tif"
    options = BuildOptions(product="Mine", date="1999", region=(101.0, 38.0, 102.0, 39.0))
    build_map(source, out, options)
    info = open_light_map([out]).info
    assert (info.product, info.date) == ("Mine", "1999")
    assert info.bounds == pytest.approx((101.0, 38.0, 102.0, 39.0))
    before = out.read_bytes()
    with pytest.raises(ConfigError, match=r"part\.tif exists already.*--force"):
        build_map(source, out, options)
    assert out.read_bytes() == before
    build_map(source, out, BuildOptions(region=(100.5, 37.0, 101.0, 37.5), overwrite=True))
    assert open_light_map([out]).info.product == "VIIRS DNB composite"


def test_a_region_across_the_antimeridian(tmp_path: Path) -> None:
    samples = np.zeros((60, 720), np.uint8)
    samples[:, :3] = 100
    samples[:, -3:] = 200
    path = write_geotiff(tmp_path / "w.tif", samples, west=-180.0, north=20.0, step=0.5)
    out = tmp_path / "dateline.tif"
    build_map(open_light_map([path]), out, BuildOptions(region=(178.0, 0.0, 182.0, 10.0)))
    built_map = open_light_map([out])
    assert built_map.info.bounds == pytest.approx((178.0, 0.0, 182.0, 10.0))
    box = (177.9, 1.0, 182.1, 9.0, 0.5)
    expected = open_light_map([path]).window(*box)
    got = built_map.window(*box)
    assert got.valid is not None
    np.testing.assert_allclose(got.values[got.valid], expected.values[got.valid], atol=1e-4)


def test_pictures_keep_their_saturation(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "m.tif", np.full((40, 40), 255, np.uint8))
    build_map(open_light_map([path]), tmp_path / "out.tif")
    light_map = open_light_map([tmp_path / "out.tif"])
    assert light_map.info.kind == "display"
    assert light_map.info.saturation == pytest.approx(display_saturation(), abs=1e-4)
    grid = light_map.window(0.0, -0.1, 0.1, 0.0, STEP)
    assert grid.saturation == pytest.approx(display_saturation(), abs=1e-4)


def test_a_picture_of_classes_is_recognised(tmp_path: Path) -> None:
    samples = np.random.default_rng(8).integers(5, 14, (200, 200)).astype(np.uint8)
    path = write_geotiff(tmp_path / "c.tif", samples)
    with pytest.raises(ConfigError, match=r"c\.tif .*looks like a map of classes.*--classes"):
        build_map(open_light_map([path]), tmp_path / "out.tif")
    build_map(open_light_map([path], classes={5: 1.4, 13: 134.0}), tmp_path / "out.tif")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_region_outside_is_told(source: LightMap, tmp_path: Path) -> None:
    with pytest.raises(LightMapError) as caught:
        build_map(source, tmp_path / "out.tif", BuildOptions(region=(0.0, 0.0, 1.0, 1.0)))
    assert caught.value.code == "outside_map"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_or_no_folder_is_told(
    source: LightMap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "nowhere" / "out.tif", tmp_path / "file" / "out.tif"):
        with pytest.raises(LightMapError, match=r"out\.tif cannot be written.*folder exists"):
            build_map(source, out)
    assert capfd.readouterr().err == ""


def test_a_full_disk_leaves_nothing_behind(
    source: LightMap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Files may not grow beyond a limit, whether reached in the first or the second pass."""
    out = tmp_path / "out.tif"
    out.write_bytes(b"the map of before")
    full_size = 3_000_000  # random pixels hardly compress: about 2.9 MB
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (20_000, full_size // 2, full_size - 200_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(LightMapError, match=r"out\.tif cannot be written.*has room"):
                build_map(source, out, BuildOptions(overwrite=True))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [path.name for path in tmp_path.iterdir()] == ["out.tif"]
        assert out.read_bytes() == b"the map of before"
    assert capfd.readouterr().err == ""


def test_a_rename_that_is_refused_leaves_nothing_behind(
    source: LightMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(LightMapError, match=r"out\.tif cannot be written \(.*Permission denied"):
        build_map(source, tmp_path / "out.tif")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_source_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "m.tif"
    samples = np.random.default_rng(9).random((600, 600)).astype(np.float32)
    write_geotiff(path, samples, compress="deflate")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = bytes(5000)
    path.write_bytes(bytes(content))
    with pytest.raises(LightMapError, match=r"m\.tif cannot be read: it is damaged"):
        build_map(open_light_map([path]), tmp_path / "out.tif")
    assert [each.name for each in tmp_path.iterdir()] == ["m.tif"]


def test_a_map_of_another_format_version_is_refused(built: Path, tmp_path: Path) -> None:
    path = tmp_path / "future.tif"
    tags = {"REGENGINE_FORMAT": "night-lights 9"}
    write_geotiff(path, np.zeros((9, 9), np.uint16), tags=tags)
    with pytest.raises(LightMapError, match=r"future\.tif was built by another version.*again"):
        open_light_map([path])
