"""What `lights info` says of a map's radiances."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from light_map_makers import write_geotiff

from regengine.lights import describe, open_light_map
from regengine.lights.describe import facts_of


def test_a_small_map_is_looked_at_whole(tmp_path: Path) -> None:
    samples = np.arange(1.0, 101.0, dtype=np.float32).reshape(10, 10)
    samples[0, :5] = np.nan
    samples[0, 5:] = 0.0
    seen = facts_of(open_light_map([write_geotiff(tmp_path / "m.tif", samples)]))
    assert not seen["sampled"]
    assert seen["valid_fraction"] == pytest.approx(0.95)
    assert seen["lit_fraction"] == pytest.approx(90 / 95, abs=1e-4)
    assert seen["saturated_fraction"] == 0.0
    assert seen["quantiles_nw"]["1"] == pytest.approx(100.0, rel=1e-4)
    assert seen["quantiles_nw"]["0.5"] == pytest.approx(53.0, abs=1.0)


def test_saturation_of_a_picture_is_counted(tmp_path: Path) -> None:
    samples = np.zeros((10, 10), np.uint8)
    samples[:2] = 255
    seen = facts_of(open_light_map([write_geotiff(tmp_path / "m.tif", samples)]))
    assert seen["saturated_fraction"] == pytest.approx(0.2)


def test_a_large_map_is_sampled_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WHOLE_PIXELS", 1000), ("SAMPLE_BLOCKS", 4), ("BLOCK_PX", 8)):
        monkeypatch.setattr(describe, name, value)
    samples = np.full((200, 300), 2.0, np.float32)
    samples[:, 150:] = 8.0
    seen = facts_of(open_light_map([write_geotiff(tmp_path / "m.tif", samples)]))
    assert seen["sampled"]
    assert seen["quantiles_nw"]["0.9"] == pytest.approx(8.0, rel=1e-4)
    assert 2.0 <= seen["quantiles_nw"]["0.5"] <= 8.0


def test_a_map_without_any_data_has_no_spread(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "m.tif", np.full((9, 9), -9.0, np.float32), nodata=-9.0)
    seen = facts_of(open_light_map([path]))
    assert (seen["quantiles_nw"], seen["valid_fraction"]) == ({}, 0.0)
