"""Directions of the nadir that are tried where nothing tells it."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.limb_geometry import nadir_vector
from regengine.registration.blind.schedule import FAR_RINGS, UPRIGHT_DEG, directions


@pytest.mark.parametrize("ring", FAR_RINGS)
def test_each_direction_of_a_far_ring_is_tried_once(ring: tuple[float, int]) -> None:
    off_nadir_deg, count = ring
    upright = directions((ring,), "level")
    both = np.array(upright + directions((ring,), "turned"))
    assert both.shape == (count, 3)
    assert np.degrees(np.arccos(both[:, 2])) == pytest.approx(off_nadir_deg)
    assert len({tuple(nadir) for nadir in both.round(6).tolist()}) == count
    # Held level, the nadir lies below the picture's middle
    for nadir in upright:
        assert abs(np.degrees(np.arctan2(nadir[0], nadir[1]))) <= UPRIGHT_DEG + 1e-6
    assert 2 <= len(upright) <= count // 5


def test_no_far_tilt_is_farther_from_those_that_are_tried_than_half_a_step() -> None:
    tried = np.array(directions(FAR_RINGS))
    rng = np.random.default_rng(1)
    for _ in range(300):
        true = nadir_vector(rng.uniform(36.0, 62.0), rng.uniform(-180.0, 180.0))
        nearest = np.arccos(np.clip((tried @ true).max(), -1.0, 1.0))
        assert np.degrees(nearest) < 5.5
