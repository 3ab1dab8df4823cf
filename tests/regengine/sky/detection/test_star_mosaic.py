"""Stars of raw files lie where they are, whatever their colour."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.special import erf

import regengine
from tests.world.dng import WHITE, write_dng

HEIGHT, WIDTH = 300, 400
SIGMA_PX = 1.7  # FWHM 4


def in_pixels(place, count):
    """Share of a Gaussian in each pixel of a line."""
    sides = (np.arange(count + 1) - 0.5 - place) / (2.0**0.5 * SIGMA_PX)
    return 0.5 * np.diff(erf(sides))


@pytest.mark.parametrize("colour", [(1.0, 0.7, 0.45), (0.5, 0.75, 1.0)], ids=["red", "blue"])
@pytest.mark.parametrize("max_side_px", [WIDTH, WIDTH // 2])
def test_a_mosaic_moves_no_star(tmp_path, colour, max_side_px):
    pytest.importorskip("rawpy", reason="rawpy (extra raw) is not installed")
    rng = np.random.default_rng(2)
    grid = np.stack(np.meshgrid(np.arange(25, WIDTH - 20, 36), np.arange(25, HEIGHT - 20, 36)), -1)
    truth = grid.reshape(-1, 2) + rng.uniform(-6.0, 6.0, (grid.size // 2, 2))
    scene = np.zeros((HEIGHT, WIDTH))
    for x, y in truth:
        scene += rng.uniform(2e4, 6e4) * np.outer(in_pixels(y, HEIGHT), in_pixels(x, WIDTH))
    for row, col, share in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        scene[row::2, col::2] *= colour[share]
    electrons = rng.poisson(200.0 + scene) + rng.normal(0.0, 6.0, scene.shape)
    sensor = np.clip(np.rint(electrons / 4.0), 0, WHITE).astype(np.uint16)
    path = write_dng(tmp_path / "stars.dng", sensor)
    found = regengine.detect(path, "stars", max_side_px=max_side_px, whole_frame=True)
    gap, index = cKDTree(np.column_stack([found.x, found.y])).query(truth)
    error = np.column_stack([found.x, found.y])[index] - truth
    assert np.mean(gap < 0.3) > 0.95
    assert np.abs(error[gap < 1.0].mean(axis=0)).max() < 0.03  # 0.08 of halved blocks
