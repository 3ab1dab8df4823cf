"""Any reference is written block by block, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

from regengine.errors import ConfigError, LightMapError
from regengine.references.build import estimate_bytes, plan_grid, write_reference
from regengine.references.reference import PixelGrid

PARIS = (2.2, 48.8, 2.45, 48.92)
STEP = 1.0 / 9000.0  # 12.4 m


def lamps(block: PixelGrid) -> np.ndarray:
    """Two of three columns covered, density by the place alone."""
    row = np.arange(block.rows) + round((PARIS[3] - block.north) / block.step_deg)
    col = np.arange(block.cols) + round((block.west - PARIS[0]) / block.step_deg)
    codes = ((row[:, None] // 8 + col // 8) % 200).astype(np.uint8)
    codes[:, col % 24 >= 16] = 255
    return codes


def test_streets_are_a_cog_with_their_credit(tmp_path: Path) -> None:
    out, told = tmp_path / "paris.tif", []
    tags = {"PRODUCT": "paris.osm.pbf", "DATE": "2026-11-27"}
    write_reference("streets", out, PARIS, STEP, lamps, tags, lambda *done: told.append(done))
    grid = plan_grid(PARIS, STEP)
    with rasterio.open(out) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.profile["dtype"] == "uint8"
        assert (dataset.nodata, dataset.scales) == (255, (0.01,))
        assert dataset.overviews(1) == [2, 4, 8]
        assert (dataset.bounds.left, dataset.bounds.top) == pytest.approx((2.2, 48.92))
        said, codes = dataset.tags(), dataset.read(1)
        halves = dataset.read(1, out_shape=(grid.rows // 8, grid.cols // 8))
    assert codes.shape == (grid.rows, grid.cols)
    np.testing.assert_array_equal(codes, lamps(grid))
    assert (halves == 255).mean() == pytest.approx(1 / 3, abs=0.01)
    np.testing.assert_array_equal(halves[:, :2], codes[::8, [0, 8]][: len(halves)])
    assert (said["KIND"], said["PRODUCT"]) == ("streets", "paris.osm.pbf")
    assert said["CREDIT"] == "© OpenStreetMap contributors (ODbL)"
    assert told[-1] == (codes.size, codes.size)
    assert estimate_bytes("streets", grid) == pytest.approx(0.1 * codes.size)


def test_what_is_too_large_or_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x.tif"
    with pytest.raises(ConfigError, match="gigapixels"):
        write_reference("streets", out, (0.0, 0.0, 9.0, 9.0), STEP, lamps, {})

    def fail(block: PixelGrid) -> np.ndarray:
        raise LightMapError("roads.gpkg cannot be read.")

    with pytest.raises(LightMapError, match=r"roads\.gpkg cannot be read"):
        write_reference("streets", out, PARIS, STEP, fail, {})
    full = SimpleNamespace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(LightMapError, match="0 MB free"):
        write_reference("streets", out, PARIS, STEP, lamps, {})
    assert list(tmp_path.iterdir()) == []
