"""Hardware, aurora, flares, storms and reflections in front of and above the lights."""

from __future__ import annotations

import numpy as np
import pytest
from trial_parts import looking

from benchmarks.simulate.hardware import PARTS, Hardware, draw_foreground
from benchmarks.simulate.weather import (
    AuroraBand,
    aurora_light,
    view_grid,
)


def hardware(seed: int, part: str, size: float = 0.4) -> Hardware:
    return Hardware(seed=seed, parts=(part,), size=size, lit_by="moon", brightness=0.1, blur_px=1.0)


@pytest.mark.parametrize("part", PARTS)
def test_parts_reach_in_from_an_edge_and_leave_room(part: str) -> None:
    shares = []
    for seed in range(12):
        front = draw_foreground(hardware(seed, part), 300, 200)
        assert front.cover.shape == (200, 300)
        assert front.cover.max() <= 1.0 + 1e-5
        assert np.all(front.light <= 0.1 * front.cover + 0.02)
        shares.append(float(front.cover.mean()))
        if shares[-1] > 0.0:
            rim = np.concatenate(
                [front.cover[0], front.cover[-1], front.cover[:, 0], front.cover[:, -1]]
            )
            assert rim.max() > 0.2
    assert 0.01 < np.mean(shares) < 0.35
    assert max(shares) <= 0.41


def test_what_covers_too_much_is_drawn_smaller() -> None:
    for seed in range(6):
        assert draw_foreground(hardware(seed, "frame", size=3.0), 300, 200).cover.mean() <= 0.41


def test_the_aurora_stands_above_the_limb_ahead() -> None:
    camera = looking(70.0, focal_px=300.0)
    view = view_grid(camera, 2000)
    band = AuroraBand(seed=1, azimuth_deg=70.0, distance_deg=9.0, brightness_nw=10.0)
    light = aurora_light(camera, band, view.x, view.y)
    assert light.shape == (3, *view.x.shape)
    height_km = view.perigee_m / 1000.0
    near_limb = (height_km > 0.0) & (height_km < 300.0)
    assert light[1][near_limb].mean() > 0.5
    assert light[1][height_km > 400.0].max(initial=0.0) == pytest.approx(0.0, abs=1e-3)
    # Green lies lower than red.
    green, red = (np.average(height_km[near_limb], weights=light[c][near_limb]) for c in (1, 0))
    assert green < red
    behind = AuroraBand(seed=1, azimuth_deg=250.0, distance_deg=9.0, brightness_nw=10.0)
    assert aurora_light(camera, behind, view.x, view.y)[1].max() < 0.05 * light[1].max()
