"""Which of a photo's points meets a reference point that several fall on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matchers.asterism_fit import not_nearest


@given(seed=st.integers(0, 10_000), rotations=st.integers(0, 4))
def test_only_the_nearest_meets(seed: int, rotations: int) -> None:
    rng = np.random.default_rng(seed)
    near = rng.integers(0, 5, (rotations, 9))
    # Few distances, so that some are alike: none of those is beaten by the other
    distance = rng.integers(0, 6, near.shape).astype(float)
    inside = rng.random(near.shape) < 0.7
    beaten = not_nearest(near, distance, inside)
    for v in range(rotations):
        for n in range(9):
            rivals = inside[v] & (near[v] == near[v, n]) & (distance[v] < distance[v, n])
            assert beaten[v, n] == (inside[v, n] and bool(rivals.any()))
