"""Figures of points: their codes stay the same under whatever turns the sky, and only then."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray
from matchers.asterisms import (
    AsterismParameters,
    azimuths,
    build_index,
    canonical,
    describe,
    every_order,
    frames,
    groups,
    local_density,
)


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


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), turn=st.integers(0, 10_000), members=st.sampled_from([3, 4]))
def test_a_rotation_changes_no_code(seed: int, turn: int, members: int) -> None:
    points = sky(seed, 12, 10.0)
    every = groups(points, np.ones(12), AsterismParameters(members=members, neighbours=5))
    here = canonical(points, every)
    there = canonical(points @ turned(turn).T, every)
    assert there.members.tolist() == here.members.tolist()
    assert there.codes == pytest.approx(here.codes, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), members=st.sampled_from([3, 4]))
def test_the_order_of_members_changes_no_code(seed: int, members: int) -> None:
    rng = np.random.default_rng(seed)
    points = sky(seed, 12, 10.0)
    every = groups(points, np.ones(12), AsterismParameters(members=members, neighbours=5))
    shuffled = rng.permuted(every, axis=1)
    assert canonical(points, shuffled).codes == pytest.approx(canonical(points, every).codes)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_reflection_turns_a_code_over(seed: int) -> None:
    """Mirrored triangles have the same x and length and the opposite y: they never meet."""
    points = sky(seed, 10, 10.0)
    every = groups(points, np.ones(10), AsterismParameters(neighbours=5))
    here = canonical(points, every).codes
    mirrored = canonical(points * [-1.0, 1.0, 1.0], every).codes
    assert mirrored == pytest.approx(here * [1.0, -1.0, 1.0], abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.3, 3.0))
def test_a_scale_changes_the_length_alone(seed: int, scale: float) -> None:
    """For small figures about the axis; elsewhere a scale of tangents also shears, slightly."""
    points = sky(seed, 10, 1.0)
    larger = points * [scale, scale, 1.0]
    larger /= np.linalg.norm(larger, axis=1, keepdims=True)
    every = groups(points, np.ones(10), AsterismParameters(neighbours=5))
    # Ties of what is longest may break otherwise: compare the figures in one given order
    here = canonical(points, every)
    there = every_order(larger, here.members, 0.01)
    for members, code in zip(here.members, here.codes, strict=True):
        same = there.codes[(there.members == members).all(axis=1)]
        assert same[0] == pytest.approx(code + np.array([0.0, 0.0, np.log(scale)]), abs=5e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), members=st.sampled_from([3, 4]))
def test_noise_within_the_slack_never_loses_an_order(seed: int, members: int) -> None:
    """Among the orders of the noisy figure is the one that is canonical without noise."""
    rng = np.random.default_rng(seed)
    points = sky(seed, 10, 10.0)
    every = groups(points, np.ones(10), AsterismParameters(members=members, neighbours=4))
    here = canonical(points, every)
    noisy = points + 2e-4 * rng.standard_normal(points.shape)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    slack = 2e-3 / np.exp(here.codes[:, -1].min())
    orders = {tuple(m) for m in every_order(noisy, every, slack).members.tolist()}
    assert orders.issuperset(tuple(m) for m in here.members.tolist())


@pytest.mark.parametrize("members", [3, 4])
def test_every_order_is_described_as_the_canonical_one_is(members: int) -> None:
    points = sky(7, 40, 20.0)
    every = groups(points, np.ones(40), AsterismParameters(members=members, neighbours=6))
    slack = 0.03
    found = every_order(points, every, slack)
    plain = [describe(points, every[:, order]) for order in permutations(range(members))]
    expected = []
    for figures in plain:
        places = figures.codes[:, :-1].reshape(len(every), members - 2, 2)
        ends = np.tile([[[0.0, 0.0], [1.0, 0.0]]], (len(every), 1, 1))
        every_place = np.concatenate([ends, places], axis=1)
        apart = np.linalg.norm(every_place[:, :, None] - every_place[:, None], axis=-1)
        fits = apart.max(axis=(1, 2)) <= 1.0 + slack
        fits &= (np.diff(places[..., 0], axis=1) >= -slack).all(axis=1)
        fits &= places[..., 0].mean(axis=1) <= 0.5 + slack
        expected += [
            (figures.members[i], figures.codes[i], figures.axes[i]) for i in np.flatnonzero(fits)
        ]
    assert found.members.tolist() == [row[0].tolist() for row in expected]
    assert found.codes == pytest.approx(np.stack([row[1] for row in expected]))
    assert found.axes == pytest.approx(np.stack([row[2] for row in expected]))
    assert len(every) < len(found) < 3 * len(every)


def test_a_code_is_what_it_says() -> None:
    """Three points a degree apart east of the x axis and one to the left, by hand."""
    lon, lat = np.radians([0.0, 4.0, 1.0]), np.radians([0.0, 0.0, 2.0])
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    found = canonical(points, np.array([[0, 1, 2]]))
    assert found.members.tolist() == [[0, 1, 2]]
    x, y, size = found.codes[0]
    assert (x, y) == pytest.approx(
        (0.25, 0.5), abs=2e-3
    )  # seen from outside, north is left of east
    assert np.exp(size) == pytest.approx(np.radians(4.0), rel=1e-3)


def test_faint_points_are_no_neighbours_of_bright_ones() -> None:
    """A bright point between two faint ones, two bright ones farther off."""
    x = np.array([0.0, 0.5, -0.5, 3.0, -3.0])
    points = np.column_stack([x, [0.0, 0.1, 0.1, 1.0, 1.0], np.full(5, 57.3)])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    bright = np.array([5.0, 1.0, 1.0, 4.0, 4.0])
    nearest = AsterismParameters(neighbours=2)
    assert [0, 3, 4] not in groups(points, bright, nearest).tolist()
    as_bright = replace(nearest, brightness_share=0.5)
    assert [0, 3, 4] in groups(points, bright, as_bright).tolist()


def test_sizes_are_kept() -> None:
    points = sky(2, 200, 20.0)
    low, high = np.radians([2.0, 5.0])
    index = build_index(points, np.ones(200), AsterismParameters(size_rad=(low, high)))
    a, b = points[index.figures.members[:, 0]], points[index.figures.members[:, 1]]
    lengths = np.linalg.norm(a - b, axis=1)
    assert len(lengths) > 50
    assert lengths.min() >= low
    assert lengths.max() <= high


def test_density_is_counted_per_steradian() -> None:
    assert np.median(local_density(sky(3, 4000))) == pytest.approx(4000 / (4 * np.pi), rel=0.1)
    assert local_density(sky(3, 1)) == pytest.approx([1 / (4 * np.pi)])


def test_frames_are_rotations_and_their_azimuths_turn_along() -> None:
    points = sky(4, 50)
    every = frames(points)
    assert every @ np.swapaxes(every, 1, 2) == pytest.approx(np.tile(np.eye(3), (50, 1, 1)))
    assert np.linalg.det(every) == pytest.approx(1.0)
    assert every[..., 2] == pytest.approx(points)
    figures = canonical(points, groups(points, np.ones(50), AsterismParameters()))
    angle = azimuths(points, figures)
    at = every[figures.members[:, 0]]
    along = np.cos(angle[:, :1]) * at[..., 0] + np.sin(angle[:, :1]) * at[..., 1]
    flat = figures.axes - (figures.axes * at[..., 2]).sum(axis=1, keepdims=True) * at[..., 2]
    assert (along * flat).sum(axis=1) == pytest.approx(np.linalg.norm(flat, axis=1))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_points_make_no_figures(count: int) -> None:
    index = build_index(sky(5, count), np.ones(count), AsterismParameters())
    assert len(index.figures) == 0
    assert index.code_table is None


def test_what_is_no_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="zero or not finite"):
        build_index(np.zeros((3, 3)), np.ones(3), AsterismParameters())
    with pytest.raises(ValueError, match="shape"):
        build_index(sky(6, 4), np.ones(3), AsterismParameters())
