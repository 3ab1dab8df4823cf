"""Each level of a pyramid holds the means of the one below, in the same places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matchers.light_grid import LightGrid, filled, pyramid


def test_a_pyramid_keeps_means_and_places() -> None:
    rng = np.random.default_rng(0)
    grid = LightGrid(
        values=rng.random((96, 128)).astype(np.float32), lon0_deg=5.0, lat0_deg=50.0, step_deg=0.25
    )
    levels = pyramid(grid, 9)
    assert levels[0] is grid
    assert [level.values.shape for level in levels] == [(96, 128), (48, 64), (24, 32), (12, 16)]
    for k, level in enumerate(levels):
        assert level.values.mean() == pytest.approx(grid.values.mean(), abs=1e-6)
        assert level.step_deg == 0.25 * 2**k
        # The outer edges stay where they are
        assert level.lon0_deg - 0.5 * level.step_deg == pytest.approx(5.0 - 0.125)
        assert level.lat0_deg + 0.5 * level.step_deg == pytest.approx(50.0 + 0.125)
    assert levels[1].values[3, 5] == pytest.approx(grid.values[6:8, 10:12].mean())
    assert len(pyramid(grid, 2)) == 2


def test_a_pyramid_of_odd_size_drops_the_last_row_and_column() -> None:
    values = np.zeros((33, 17), np.float32)
    values[2, 3] = 4.0
    grid = LightGrid(values=values, lon0_deg=0.0, lat0_deg=0.0, step_deg=1.0, saturation=2.0)
    half = pyramid(grid, 2)[1]
    assert half.values.shape == (16, 8)
    assert half.values[1, 1] == 1.0
    assert half.saturation == 2.0


def test_a_pixel_of_a_pyramid_is_valid_if_all_its_parts_are() -> None:
    valid = np.ones((32, 32), bool)
    valid[5, 9] = False
    grid = LightGrid(
        values=np.ones((32, 32), np.float32), valid=valid, lon0_deg=0.0, lat0_deg=0.0, step_deg=1.0
    )
    half = pyramid(grid, 2)[1]
    assert half.valid is not None
    assert np.argwhere(~half.valid).tolist() == [[2, 4]]


def test_holes_are_filled_with_the_mean() -> None:
    values = np.array([[1.0, 3.0], [0.0, 0.0]], np.float32)
    valid = np.array([[True, True], [False, True]])
    grid = LightGrid(values=values, valid=valid, lon0_deg=0.0, lat0_deg=0.0, step_deg=1.0)
    assert filled(grid).values == pytest.approx(np.array([[1.0, 3.0], [4.0 / 3.0, 0.0]]))
    assert filled(replace(grid, valid=None)).values is values
    assert filled(replace(grid, valid=np.zeros((2, 2), bool))).values is values
