"""Streaks lie evenly in their cells, bow to the stated side, and full columns keep their charge."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulate.frames.courses import (
    LENGTH_EDGES_PX,
    SNR_EDGES,
    cell_values,
    curve,
    ends_inside,
    ends_seen,
)
from benchmarks.simulate.frames.exposures import bleed


def test_a_bow_lies_to_the_right_of_who_goes_along_and_shrinks_where_the_border_cuts() -> None:
    x, y = curve(20.0, 60.0, 280.0, 60.0, 8.0)
    assert y[len(y) // 2] == pytest.approx(68.0)  # going right with y down, below
    whole = ends_seen(x, y, 8.0, 0, len(x) - 1)
    assert (whole["x1"], whole["x2"], whole["bow_px"]) == (20.0, 280.0, 8.0)
    half = ends_seen(x, y, 8.0, 0, (len(x) - 1) // 2)
    assert half["bow_px"] == pytest.approx(2.0, rel=0.02)
    assert (half["first_cut"], half["second_cut"]) == (False, True)
    backwards = ends_seen(x[::-1], y[::-1], 8.0, 0, len(x) - 1)
    assert (backwards["x1"], backwards["bow_px"]) == (20.0, -8.0)


def test_cells_follow_each_other_evenly() -> None:
    rng = np.random.default_rng(0)
    values = np.array([cell_values(rng, 7 * seed) for seed in range(1200)])
    inside = (values[:, 0] >= 0.5) & (values[:, 1] >= 30.0) & (values[:, 1] <= 1200.0)
    cells, *_ = np.histogram2d(*values[inside].T, bins=[SNR_EDGES, LENGTH_EDGES_PX])
    assert 0.8 < inside.mean() < 0.95
    assert cells.min() > 0.8 * cells.mean()


def test_streaks_lie_inside() -> None:
    rng = np.random.default_rng(0)
    ends = np.array([ends_inside(rng, 120.0, 500, 300) for _ in range(200)])
    assert ends[:, ::2].min() > 0.0
    assert ends[:, ::2].max() < 499.0
    assert ends[:, 1::2].min() > 0.0
    assert ends[:, 1::2].max() < 299.0


def test_bleeding_keeps_the_charge() -> None:
    electrons = np.zeros((60, 9))
    electrons[30, 4] = 1000.0
    bleed(electrons, 100.0)
    assert electrons.sum() == pytest.approx(1000.0)
    assert electrons.max() == 100.0
    assert np.flatnonzero(electrons[:, 4]).tolist() == list(range(25, 36))
