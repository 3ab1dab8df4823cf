"""Simulated telephoto frames: their streets lie where their camera puts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.streets.city import CLASSES, City, draw_grid_city
from benchmarks.streets.run import simulate_frame
from benchmarks.streets.shot import ShotRanges

SMALL = ShotRanges(long_side_px=(500, 700), gsd_m=(6.0, 12.0))


@pytest.fixture(scope="module")
def grid() -> City:
    return draw_grid_city(1)


@pytest.mark.parametrize("harsh", [False, True])
def test_streets_are_brighter_than_what_lies_between_them(grid: City, harsh: bool) -> None:
    gains = []
    for seed in range(3):
        frame = simulate_frame(seed, Path(), harsh=harsh, ranges=SMALL, city=grid)
        camera, red = frame.shot.camera, frame.picture[..., 0].astype(float)
        avenues = grid.roads.take(grid.roads.classes == CLASSES.index("secondary"))
        x, y, _, _ = camera.project(*avenues.xy.T)
        seen = (x > 0) & (x < camera.width_px - 1) & (y > 0) & (y < camera.height_px - 1)
        on_street = red[np.rint(y[seen]).astype(int), np.rint(x[seen]).astype(int)]
        gains.append(on_street.mean() / red.mean())
    assert np.mean(gains) > 1.1


def test_a_seed_gives_the_same_file(grid: City) -> None:
    first, again, other = (simulate_frame(s, Path(), ranges=SMALL, city=grid) for s in (5, 5, 6))
    assert first.jpeg == again.jpeg
    assert first.shot.told == again.shot.told
    assert first.jpeg != other.jpeg


def test_what_is_told_is_wrong_within_its_bounds(grid: City) -> None:
    for seed in range(4):
        shot = simulate_frame(seed, Path(), ranges=SMALL, city=grid).shot
        told = shot.told
        assert abs((told.time_utc - shot.time_utc).total_seconds()) <= SMALL.clock_s
        assert told.focal_mm == pytest.approx(shot.focal_mm, rel=SMALL.focal_share)
        assert shot.camera.focal_px == pytest.approx(1e3 * shot.focal_mm / told.pixel_pitch_um)
        assert len(told.tle.splitlines()) == 3
