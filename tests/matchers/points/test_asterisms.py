"""Asterisms: their codes stay the same under whatever turns the sky, and only then."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray
from matchers.points.asterisms import AsterismParameters, Figures, build_index, encode_every_order

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
