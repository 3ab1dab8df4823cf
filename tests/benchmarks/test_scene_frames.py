"""Simulated frames of scenes: the same by seed, and the Moon with what makes it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scenes import KINDS, draw
from benchmarks.simulate.moon import MoonDisc, moon_light

pytestmark = pytest.mark.slow


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 17])


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"cities"}))  # trials tell of those
def test_the_same_by_seed_and_another_by_another(kind: str) -> None:
    one, again, other = draw(kind, rng(1)), draw(kind, rng(1)), draw(kind, rng(2))
    assert one.dtype == np.uint8
    assert one.ndim == 3
    assert one.shape[2] == 3
    assert max(one.shape) >= 200
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("phase_deg", [0.0, 60.0, 90.0, 130.0])
def test_the_moon_is_where_it_is_drawn_and_lit_by_its_phase(phase_deg: float) -> None:
    disc = MoonDisc(x=200.0, y=120.0, radius_px=80.0, phase_deg=phase_deg)
    light = moon_light(disc, 400, 300, rng(3)).mean(axis=2)
    rows, columns = np.nonzero(light > 0.02)
    assert np.hypot(columns - 200.0, rows - 120.0).max() <= 81.0
    # The lit share of a ball's disc is (1 + cos phase) / 2
    share = np.count_nonzero(light > 0.02) / (np.pi * 80.0**2)
    assert share == pytest.approx(0.5 * (1.0 + np.cos(np.radians(phase_deg))), abs=0.05)
    if phase_deg > 0.0:
        assert columns.mean() > 200.0  # turned to +x
