"""Asterisms: codes stay under whatever turns the sky, and rotations are found again from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import norm

from detectors.types import FloatArray
from matchers.points.asterism_match import (
    MatchParameters,
    fit_rotations,
    match,
    rescale_tangents,
    weigh,
)
from matchers.points.asterisms import AsterismParameters, Figures, build_index, unit

SEEDS = st.integers(0, 10_000)


def sky(seed: int, count: int, radius_deg: float = 180.0) -> FloatArray:
    """Unit vectors spread evenly over a cap around the z axis."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(np.cos(np.radians(radius_deg)), 1.0, count)
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    across = np.sqrt(1.0 - z * z)
    return np.stack([across * np.cos(angle), across * np.sin(angle), z], axis=1)


def turned(seed: int) -> FloatArray:
    matrix: FloatArray = Rotation.random(random_state=seed).as_matrix()
    return matrix


def asterisms(points: FloatArray, neighbours: int = 5) -> Figures:
    """All asterisms of points alike in brightness."""
    parameters = AsterismParameters(neighbours=neighbours)
    return build_index(points, np.ones(len(points)), parameters).figures


# Of 1,000 random fields of 15 points no attitude came out above 3.0
SURE = 4.0


def test_nothing_is_sure_about_random_fields() -> None:
    """50 fields of 15 random points, each against 5,000 stars: no odds above 10^4."""
    stars = AsterismParameters(neighbours=6, shape_tolerance=0.02, log_size_tolerance=0.02)
    how = MatchParameters(sigma_rad=3e-4, sigma_share=0.002)
    rng = np.random.default_rng(11)
    index = build_index(sky(1, 5000), rng.pareto(1.5, 5000), stars)
    highest = -np.inf
    for _ in range(50):
        half = np.tan(np.radians(rng.uniform(5.0, 9.0)))
        rays = np.column_stack([rng.uniform(-half, half, (15, 2)), np.ones(15)])
        for answer in match(index, rays, rng.random(15), how):
            highest = max(highest, answer.log10_odds)
    assert np.isfinite(highest)
    assert highest < SURE


@given(seed=st.integers(0, 10_000), count=st.integers(2, 20))
def test_the_fitted_rotation_is_the_true_one(seed: int, count: int) -> None:
    """Wahba's problem against SciPy's solution, and proper for any input."""
    rng = np.random.default_rng(seed)
    points = sky(seed, count)
    truth = turned(seed)
    targets = points @ truth.T + 0.01 * rng.standard_normal(points.shape)
    share = rng.uniform(0.1, 1.0, count)
    found = fit_rotations(points[None], targets[None], share[None], np.eye(3)[None])[0]
    assert np.linalg.det(found) == pytest.approx(1.0)
    if count > 2:
        expected, _ = Rotation.align_vectors(targets, points, weights=share)
        assert found == pytest.approx(expected.as_matrix(), abs=1e-6)


def test_odds_are_those_of_each_point_against_all_the_others() -> None:
    """Near a star by a Gaussian, or anywhere; of two points of one star the nearer counts."""
    rng = np.random.default_rng(4)
    index = build_index(sky(3, 400), np.ones(400), AsterismParameters())
    how = MatchParameters(sigma_rad=4e-3, sigma_share=0.02)
    placed = index.vectors[rng.integers(0, 400, (3, 12))] + 3e-3 * rng.normal(size=(3, 12, 3))
    placed[:, 1] = placed[:, 0] + 2e-3 * rng.normal(size=(3, 3))
    placed /= np.linalg.norm(placed, axis=2, keepdims=True)
    placed[:, 2] = sky(9, 3)
    centres, own = placed[:, 5], np.arange(12) == np.array([[3], [4], [6]])
    log10_odds, near, met = weigh(index, placed, centres, own, how)
    sigma = how.sigma_rad + how.sigma_share * np.linalg.norm(placed - centres[:, None], axis=2)
    away = np.linalg.norm(placed[:, :, None] - index.vectors, axis=3)
    for v in range(3):
        likelier = {}
        for n in np.argsort(-away[v].min(axis=1)):  # of one star the nearest is the last
            star = int(away[v, n].argmin())
            if away[v, n, star] < how.max_sigmas * sigma[v, n]:
                gauss = norm.pdf([away[v, n, star], 0.0], scale=sigma[v, n]).prod()
                likelier[star] = n, how.match_share * gauss / index.density[star]
        ratio = np.full(12, 1.0 - how.match_share)
        for n, more in likelier.values():
            ratio[n] += more
        assert log10_odds[v] == pytest.approx(np.log10(ratio[~own[v]]).sum(), rel=1e-9)
        assert met[v].tolist() == (ratio > 1.0).tolist()
        assert (near[v] == away[v].argmin(axis=1))[met[v]].all()
        assert 5 < met[v].sum() < 12


SIGMA_RAD = 3e-4
TOWNS = MatchParameters(
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
TOWN_FIGURES = AsterismParameters(
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
    index = build_index(level @ rotation.T, brightness, TOWN_FIGURES)
    seen = np.flatnonzero((angle < 0.1) & (np.abs(around) < 0.2))
    assert len(seen) > 20
    rays = unit(
        rescale_tangents(level[seen], 1.0 / scale) + rng.normal(0.0, SIGMA_RAD / 4, (len(seen), 3))
    )
    best = match(index, rays, brightness[seen], TOWNS)[0]
    assert best.log10_odds > 5.0
    assert best.scale == pytest.approx(scale, rel=0.02)
    placed = rescale_tangents(rays, best.scale) @ best.rotation.T
    off = np.linalg.norm(placed - index.vectors[seen], axis=1)
    assert np.median(off) < 3.0 * SIGMA_RAD


@given(seed=SEEDS, turn=SEEDS)
def test_a_rotation_changes_no_code_and_a_reflection_turns_it_over(seed: int, turn: int) -> None:
    """Mirrored triangles have the same x and length and the opposite y: they never meet."""
    points = sky(seed, 12, 10.0)
    here, there = asterisms(points), asterisms(points @ turned(turn).T)
    assert there.members.tolist() == here.members.tolist()
    assert there.codes == pytest.approx(here.codes, abs=1e-9)
    mirrored = asterisms(points * [-1.0, 1.0, 1.0]).codes
    assert mirrored == pytest.approx(here.codes * [1.0, -1.0, 1.0], abs=1e-9)
