"""Asterisms: codes stay under whatever turns the sky, and rotations are found again from them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.stats import norm

from detectors.types import FloatArray
from matchers.points.asterism_fit import (
    MatchParameters,
    fit_rotations,
    rescale_tangents,
    weigh,
)
from matchers.points.asterism_match import Attitude, match
from matchers.points.asterisms import (
    AsterismIndex,
    AsterismParameters,
    Figures,
    build_index,
    encode_every_order,
    unit,
)

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


@given(seed=SEEDS, turn=SEEDS)
def test_a_rotation_changes_no_code(seed: int, turn: int) -> None:
    points = sky(seed, 12, 10.0)
    here, there = asterisms(points), asterisms(points @ turned(turn).T)
    assert there.members.tolist() == here.members.tolist()
    assert there.codes == pytest.approx(here.codes, abs=1e-9)


@given(seed=SEEDS)
def test_the_order_of_points_changes_no_asterism(seed: int) -> None:
    points = sky(seed, 12, 10.0)
    shuffled = np.random.default_rng(seed).permutation(len(points))
    here, there = asterisms(points), asterisms(points[shuffled])
    named = {tuple(m): code for m, code in zip(here.members.tolist(), here.codes, strict=True)}
    assert len(named) == len(there)
    for m, code in zip(shuffled[there.members].tolist(), there.codes, strict=True):
        assert code == pytest.approx(named[tuple(m)], abs=1e-9)


@given(seed=SEEDS)
def test_a_reflection_turns_a_code_over(seed: int) -> None:
    """Mirrored triangles have the same x and length and the opposite y: they never meet."""
    points = sky(seed, 10, 10.0)
    mirrored = asterisms(points * [-1.0, 1.0, 1.0]).codes
    assert mirrored == pytest.approx(asterisms(points).codes * [1.0, -1.0, 1.0], abs=1e-9)


@given(seed=SEEDS, scale=st.floats(0.3, 3.0))
def test_a_scale_changes_the_length_alone(seed: int, scale: float) -> None:
    """For small asterisms about the axis; elsewhere a scale of tangents also shears, slightly."""
    points = sky(seed, 10, 1.0)
    larger = points * [scale, scale, 1.0]
    larger /= np.linalg.norm(larger, axis=1, keepdims=True)
    # Ties of what is longest may break otherwise: compare the asterisms in one given order
    here = asterisms(points)
    there = encode_every_order(larger, here.members, 0.01)
    for members, code in zip(here.members, here.codes, strict=True):
        same = there.codes[(there.members == members).all(axis=1)]
        assert same[0] == pytest.approx(code + np.array([0.0, 0.0, np.log(scale)]), abs=5e-3)


@given(seed=SEEDS)
def test_noise_within_the_slack_never_loses_an_order(seed: int) -> None:
    """Among the orders of the noisy asterism is the one that is canonical without noise."""
    rng = np.random.default_rng(seed)
    points = sky(seed, 10, 10.0)
    here = asterisms(points, neighbours=4)
    noisy = points + 2e-4 * rng.standard_normal(points.shape)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    slack = 2e-3 / np.exp(here.codes[:, -1].min())
    orders = {tuple(m) for m in encode_every_order(noisy, here.members, slack).members.tolist()}
    assert orders.issuperset(tuple(m) for m in here.members.tolist())


def test_density_is_counted_per_steradian() -> None:
    index = build_index(sky(3, 4000), np.ones(4000), AsterismParameters())
    assert np.median(index.density) == pytest.approx(4000 / (4 * np.pi), rel=0.1)
    alone = build_index(sky(3, 1), np.ones(1), AsterismParameters())
    assert alone.density == pytest.approx([1 / (4 * np.pi)])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_points_make_no_asterisms(count: int) -> None:
    index = build_index(sky(5, count), np.ones(count), AsterismParameters())
    assert len(index.figures) == 0
    assert index.code_tree.n == 0


NOISE = 2e-4  # tangents; 40 arc seconds
STARS = AsterismParameters(neighbours=6, shape_tolerance=0.02, log_size_tolerance=0.02)
HOW = MatchParameters(sigma_rad=3e-4, sigma_share=0.002)
UNSURE = replace(STARS, log_size_tolerance=0.08)
LADDER = replace(HOW, scale_free=True, scales=tuple(1.15**k for k in range(-3, 4)))
# Of 1,000 random fields of 15 points no attitude came out above 3.0; see the test
SURE = 4.0


@dataclass(frozen=True, kw_only=True)
class Field:
    """What a camera shows of a sky, and the rotation that carries it there."""

    rays: FloatArray
    brightness: FloatArray
    rotation: FloatArray


def photograph(
    seed: int,
    stars: FloatArray,
    brightness: FloatArray,
    *,
    towards: int = 0,
    half_deg: float = 5.0,
    noise: float = NOISE,
    missing: float = 0.2,
    false: int = 4,
    scale: float = 1.0,
) -> Field:
    """Stars in a square field around one of them, some missing, some false."""
    rng = np.random.default_rng([seed, 7])
    middle = frame_around(stars[towards]) @ Rotation.from_euler("z", rng.uniform(0, 7)).as_matrix()
    local = stars @ middle
    half = np.tan(np.radians(half_deg))
    inside = (local[:, 2] > 0.0) & (np.abs(local[:, :2]) < half * local[:, 2:]).all(axis=1)
    inside &= rng.random(len(stars)) >= missing
    at = local[inside, :2] / local[inside, 2:]
    at = at + noise * rng.standard_normal(at.shape)
    at = scale * np.concatenate([at, rng.uniform(-half, half, (false, 2))])
    light = np.concatenate([brightness[inside], rng.choice(brightness, false)])
    return Field(rays=np.column_stack([at, np.ones(len(at))]), brightness=light, rotation=middle)


def frame_around(vector: FloatArray) -> FloatArray:
    """Any rotation matrix whose third column is a vector."""
    first = np.cross(vector, [0.6, -0.3, 0.74])
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(vector, first), vector], axis=1)


def off_deg(found: Attitude, field: Field) -> float:
    return float(np.degrees(Rotation.from_matrix(found.rotation.T @ field.rotation).magnitude()))


@pytest.fixture(scope="module")
def brightness() -> FloatArray:
    return np.random.default_rng(1).pareto(1.5, 5000)


@pytest.fixture(scope="module")
def stars() -> FloatArray:
    return sky(1, 5000)


@pytest.fixture(scope="module")
def whole_sky(stars: FloatArray, brightness: FloatArray) -> AsterismIndex:
    return build_index(stars, brightness, STARS)


@pytest.fixture(scope="module")
def unsure_sky(stars: FloatArray, brightness: FloatArray) -> AsterismIndex:
    return build_index(stars, brightness, UNSURE)


@pytest.mark.slow
def test_fields_of_the_whole_sky(
    whole_sky: AsterismIndex, stars: FloatArray, brightness: FloatArray
) -> None:
    """A fifth of the stars missing, four false: found first, and far above the next."""
    for seed in range(20):
        field = photograph(seed, stars, brightness, towards=37 * seed, half_deg=7.5)
        answers = match(whole_sky, field.rays, field.brightness, HOW)
        assert off_deg(answers[0], field) < 0.1
        assert answers[0].log10_odds > SURE
        assert all(other.log10_odds < SURE for other in answers[1:])
        assert [a.log10_odds for a in answers] == sorted(
            (a.log10_odds for a in answers), reverse=True
        )
        # Inliers name the points as they were given
        mine, its = answers[0].inliers.T
        placed = field.rays[mine] / np.linalg.norm(field.rays[mine], axis=1, keepdims=True)
        apart = np.linalg.norm(placed @ answers[0].rotation.T - stars[its], axis=1)
        assert np.median(apart) < 3 * NOISE
        assert len(set(its.tolist())) == len(its)


def test_an_unknown_scale_is_found(
    unsure_sky: AsterismIndex, stars: FloatArray, brightness: FloatArray
) -> None:
    """Focal lengths from two thirds of the nominal one to a half more."""
    for seed in range(3):
        scale = float(np.random.default_rng(seed).uniform(0.7, 1.45))
        field = photograph(seed, stars, brightness, towards=53 * seed, half_deg=7.5, scale=scale)
        best = match(unsure_sky, field.rays, field.brightness, LADDER)[0]
        assert off_deg(best, field) < 0.2
        assert best.scale * scale == pytest.approx(1.0, abs=0.01)
        assert best.log10_odds > SURE


def test_nothing_is_sure_about_random_fields(whole_sky: AsterismIndex) -> None:
    """50 fields of 15 random points, each against 5,000 stars: no odds above 10^4."""
    rng = np.random.default_rng(11)
    highest = -np.inf
    for _ in range(50):
        half = np.tan(np.radians(rng.uniform(5.0, 9.0)))
        rays = np.column_stack([rng.uniform(-half, half, (15, 2)), np.ones(15)])
        for answer in match(whole_sky, rays, rng.random(15), HOW):
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
