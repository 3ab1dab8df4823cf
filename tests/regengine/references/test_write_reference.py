"""Any reference is written block by block, whole or not at all."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from regengine.errors import ConfigError, LightMapError
from regengine.references import open_references
from regengine.references.build import estimate_bytes, plan_grid, write_reference
from regengine.references.reference import PixelGrid
from tests.world.program import run

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
    streets = pickle.loads(pickle.dumps(open_references("streets", [out])))
    window = streets.window(2.25, 48.82, 2.3, 48.85, STEP)
    assert window is not None
    assert streets.window(20.0, 48.82, 20.3, 48.85, STEP) is None
    assert (window.saturation, window.step_deg) == (None, pytest.approx(STEP))
    there = codes[630:900, 450:900]  # 0.05 degrees from the west, 0.07 to 0.1 from the north
    np.testing.assert_allclose(window.values, np.where(there < 255, 0.01 * there, 0.0), atol=1e-6)
    np.testing.assert_array_equal(window.valid, there < 255)
    assert streets.bounds[:1] == pytest.approx((2.2,))
    assert (streets[0].credit, streets[0].sigma_m) == (said["CREDIT"], 5.0)
    with pytest.raises(LightMapError, match=r"is a map of streets, not of lights"):
        open_references("lights", [out])


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


def test_a_picture_by_day_is_built_in_its_colours(tmp_path: Path) -> None:
    """From UTM; what the picture does not cover is not covered in the reference."""
    colours = np.empty((3, 520, 550), np.uint8)
    colours[:] = np.array([40, 90, 200], np.uint8)[:, None, None]
    colours[0, 260:262, 270:272] = 255
    place = Affine(10.0, 0.0, 200_000.0, 0.0, -10.0, 5_400_000.0)
    shape = {"count": 3, "height": 520, "width": 550, "dtype": "uint8", "crs": "EPSG:32631"}
    with rasterio.open(tmp_path / "s2.tif", "w", driver="GTiff", transform=place, **shape) as file:
        file.write(colours)
    words = ("--product", "Sentinel-2", "--credit", "Copernicus", "--quiet")
    said = run("day", "build", tmp_path / "s2.tif", "--out", tmp_path / "day.tif", *words)
    assert said.code == 0, said.err
    (day,) = made = open_references("day", [tmp_path / "day.tif"])
    assert (day.product, day.credit, day.measured) == ("Sentinel-2", "Copernicus", False)
    assert day.sigma_m == pytest.approx(10.0, rel=0.5)
    assert day.overviews == (2,)
    window = made.window(*made.bounds, day.grid.step_deg)
    assert window.values.shape == (3, *window.valid.shape)
    assert 0.8 < window.valid.mean() < 1.0
    inside = window.values[:, 200:300, 200:300]
    assert pytest.approx(np.tile([90.0, 200.0], (inside[0].size, 1))) == inside[1:].reshape(2, -1).T
    row, col = np.unravel_index(window.values[0].argmax(), window.valid.shape)
    lon, lat = window.lon0_deg + col * window.step_deg, window.lat0_deg - row * window.step_deg
    x, y = Transformer.from_crs(4326, 32631, always_xy=True).transform(lon, lat)
    assert (x, y) == pytest.approx((202_710.0, 5_397_390.0), abs=12.0)
    half = made.window(*made.bounds, 2.0 * day.grid.step_deg)
    assert half.values[2, 100:150, 100:150] == pytest.approx(200.0)
