"""What of a GeoTIFF is no data, and what is only dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from light_map_makers import STEP, ones, radiance_of, whole, write_geotiff

from regengine.lights import open_light_map


@pytest.mark.parametrize(
    ("fill", "profile"),
    [
        (-3.4e38, {"nodata": -3.4e38}),
        (-3.4028234663852886e38, {}),
        (np.nan, {"nodata": np.nan}),
        (np.nan, {}),
        (0.0, {"nodata": 0.0}),
        (-999.9, {"nodata": -999.9}),
    ],
)
def test_what_has_no_data_is_dark_and_not_valid(
    tmp_path: Path, fill: float, profile: dict[str, Any]
) -> None:
    samples = ones()
    samples[4:9, 5:12] = fill
    samples[15, 15] = -0.5
    grid = whole(open_light_map([write_geotiff(tmp_path / "m.tif", samples, **profile)]))
    assert grid.valid is not None
    assert np.count_nonzero(~grid.valid) == 5 * 7
    assert not grid.valid[4:9, 5:12].any()
    assert (grid.values[~grid.valid] == 0.0).all()
    assert grid.values[15, 15] == 0.0


def test_zeros_around_a_clip_are_no_data(tmp_path: Path) -> None:
    row, col = np.mgrid[:60, :60]
    outside = np.hypot(row - 30, col - 30) > 25
    samples = np.where(outside, 0.0, 2.0 + 0.01 * row).astype(np.float32)
    samples[30, 30:33] = 0.0  # a few dark pixels in the middle stay a clip's own
    grid = whole(open_light_map([write_geotiff(tmp_path / "PAR_BM_2019_01.tif", samples)]))
    assert grid.valid is not None
    assert not grid.valid[outside].any()
    assert grid.valid[~outside].mean() > 0.99


def test_zeros_between_the_lights_of_a_masked_composite_are_dark(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    samples = np.where(rng.random((80, 80)) < 0.2, 5.0, 0.0).astype(np.float32)
    grid = whole(open_light_map([write_geotiff(tmp_path / "m.tif", samples)]))
    assert grid.valid is None


def test_no_data_of_a_projected_map_does_not_bleed_into_its_neighbours(tmp_path: Path) -> None:
    samples = np.full((60, 60), 3.0, np.float32)
    samples[:, 30:] = -3.4e38
    transform = Affine(500.0, 0.0, 500_000.0, 0.0, -500.0, 4_000_000.0)
    path = write_geotiff(
        tmp_path / "m.tif", samples, crs="EPSG:32654", transform=transform, nodata=-3.4e38
    )
    grid = whole(open_light_map([path]))
    assert grid.valid is not None
    assert radiance_of(grid)[grid.valid] == pytest.approx(3.0, rel=1e-4)


def test_outside_of_a_projected_map_without_nodata_is_not_valid(tmp_path: Path) -> None:
    transform = Affine(500.0, 0.0, 200_000.0, 0.0, -500.0, 6_000_000.0)  # meridians lean there
    path = write_geotiff(tmp_path / "m.tif", ones(200, 200), crs="EPSG:32654", transform=transform)
    grid = whole(open_light_map([path]))
    assert grid.valid is not None
    assert not grid.valid[0, 0]
    assert not grid.valid[-1, -1]
    assert 0.8 < grid.valid.mean() < 1.0


def test_the_fill_of_scaled_integers_is_known_undeclared(tmp_path: Path) -> None:
    samples = np.full((20, 20), 30, np.uint16)
    samples[0, 0] = 65535
    grid = whole(open_light_map([write_geotiff(tmp_path / "m.tif", samples)]))
    assert grid.valid is not None
    assert np.count_nonzero(~grid.valid) == 1


def test_a_mask_inside_the_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "m.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
        path, "w", driver="GTiff", dtype="float32", count=1, height=20, width=30,
        crs="EPSG:4326", transform=Affine(STEP, 0, 0, 0, -STEP, 0),
    ) as dataset:  # fmt: skip
        dataset.write(ones(), 1)
        mask = np.full((20, 30), 255, np.uint8)
        mask[:, :3] = 0
        dataset.write_mask(mask)
    grid = whole(open_light_map([path]))
    assert grid.valid is not None
    assert grid.valid.mean() == pytest.approx(0.9)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "date", "valid_share"),
    [
        ("PAR_BM_2019_01.tif", "2019-01", (0.7, 0.8)),
        ("EOG_VIIRS_2016_01_burundi.tif", "2016-01", (0.5, 0.6)),
        ("EOG_VIIRS_201401_vcmcfg_sao_tome.tif", "2014-01", (0.03, 0.06)),
        ("DMSP_OLS_1992_sao_tome.tif", "1992", (0.03, 0.06)),
    ],
)
def test_real_clips(
    real_data: Path, name: str, date: str, valid_share: tuple[float, float]
) -> None:
    light_map = open_light_map([real_data / "lights" / "samples" / name])
    grid = whole(light_map)
    assert light_map.info.date == date
    assert grid.valid is not None
    assert valid_share[0] < grid.valid.mean() < valid_share[1]
    assert 0.5 < grid.values.max() < 3.0


def test_clips_with_other_signs_of_no_data_keep_their_zeros(tmp_path: Path) -> None:
    """Zeros at sea in a clip that marks its outside by NaN; clips of zeros or without any."""
    samples = ones()
    samples[0, :] = np.nan
    samples[5:, 25:] = 0.0
    grid = whole(open_light_map([write_geotiff(tmp_path / "a.tif", samples)]))
    assert grid.valid is not None
    assert grid.valid[1:].all()
    for number, flat in enumerate((ones(), np.zeros((20, 30), np.float32))):
        path = write_geotiff(tmp_path / f"b{number}.tif", flat)
        assert whole(open_light_map([path])).valid is None


def test_holes_in_a_patch_of_lights_are_dark(tmp_path: Path) -> None:
    samples = np.zeros((60, 60), np.float32)
    samples[10:50, 10:50] = 5.0
    samples[20:40, 20:40] = 0.0  # a lake in a masked composite
    assert whole(open_light_map([write_geotiff(tmp_path / "m.tif", samples)])).valid is None
