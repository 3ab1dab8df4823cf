"""Towns far from the nadir, seen from another height than was tried: the scale is free."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from matchers.asterism_fit import MatchParameters, carrying, rescaled
from matchers.asterism_match import match
from matchers.asterisms import AsterismParameters, build_index, unit

SIGMA_RAD = 3e-4
PARAMETERS = MatchParameters(
    brightest=40,
    neighbours=6,
    sigma_rad=SIGMA_RAD,
    sigma_share=0.04,
    turn_step_deg=6.0,
    weighed=50,
    fitted=20,
    kept=3,
    scale_free=True,
)
FIGURES = AsterismParameters(
    members=4,
    neighbours=6,
    brightness_share=0.4,
    size_rad=(0.002, 0.05),
    shape_tolerance=0.06,
    log_size_tolerance=0.15,
)


@pytest.mark.parametrize("scale", [0.91, 1.1])
def test_the_scale_moves_what_lies_far_from_the_nadir(scale: float) -> None:
    # 400 towns between 450 and 900 km from the nadir, of which 30 are seen, and 10 others
    rng = np.random.default_rng(5)
    angle = rng.uniform(0.07, 0.14, 400)
    around = rng.uniform(-0.4, 0.4, 400)
    level = unit(
        np.stack([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)], 1)
    )
    rotation = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    brightness = rng.uniform(0.5, 1.0, 400)
    index = build_index(level @ rotation.T, brightness, FIGURES)
    seen = np.flatnonzero((angle < 0.1) & (np.abs(around) < 0.2))
    assert len(seen) > 20
    rays = unit(rescaled(level[seen], 1.0 / scale) + rng.normal(0.0, SIGMA_RAD / 4, (len(seen), 3)))
    best = match(index, rays, brightness[seen], PARAMETERS)[0]
    assert best.log10_odds > 5.0
    assert best.scale == pytest.approx(scale, rel=0.02)
    placed = rescaled(rays, best.scale) @ best.rotation.T
    off = np.linalg.norm(placed - index.vectors[seen], axis=1)
    assert np.median(off) < 3.0 * SIGMA_RAD


def test_the_smallest_rotation_carries_a_vector_and_leaves_what_is_across() -> None:
    rng = np.random.default_rng(2)
    a, b = unit(rng.normal(size=(20, 3))), unit(rng.normal(size=(20, 3)))
    turns = carrying(a, b)
    np.testing.assert_allclose(np.einsum("vij,vj->vi", turns, a), b, atol=1e-9)
    across = unit(np.cross(a, b))
    np.testing.assert_allclose(np.einsum("vij,vj->vi", turns, across), across, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(turns), 1.0, atol=1e-9)
    np.testing.assert_allclose(carrying(a, a), np.broadcast_to(np.eye(3), (20, 3, 3)), atol=1e-12)
