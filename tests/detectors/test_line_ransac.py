"""Lines through points of which many lie elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.paper_segments import least_squares_line, robust_line


def points_on_a_line(rng, count=150, outliers=250, noise=0.5):
    angle = rng.uniform(0.0, np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    normal = np.array([-direction[1], direction[0]])
    along, across = rng.uniform(-100.0, 100.0, count), rng.normal(0.0, noise, count)
    on_line = [150.0, 120.0] + along[:, None] * direction + across[:, None] * normal
    others = rng.uniform(0.0, 300.0, (outliers, 2))
    return np.concatenate([on_line, others]), normal


@pytest.mark.parametrize("scoring", ["ransac", "msac"])
def test_a_line_is_recovered_among_more_outliers(scoring):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        points, normal = points_on_a_line(rng)
        fit = robust_line(points, rng, scoring=scoring)
        assert abs(fit.direction @ normal) < 0.02
        assert abs((fit.middle - [150.0, 120.0]) @ normal) < 1.0
        assert fit.inliers[:150].mean() > 0.95
        assert fit.inliers[150:].mean() < 0.15


def test_msac_prefers_the_better_of_two_lines_with_as_many_inliers():
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 100.0, 100)
    neat = np.column_stack([x, np.full(100, 20.0)])
    rough = np.column_stack([x, 80.0 + rng.uniform(-1.9, 1.9, 100)])
    fit = robust_line(np.concatenate([rough, neat]), rng, scoring="msac")
    assert fit.middle[1] == pytest.approx(20.0, abs=0.1)


def test_least_squares_are_those_of_distances_and_weights_count():
    points = np.array([[0.0, 0.0], [0.0, 10.0], [0.1, 20.0], [-0.1, 30.0]])
    fit = least_squares_line(points, np.ones(4, bool))
    assert abs(fit.direction[1]) > 0.999  # upright lines are as good as any
    heavy = least_squares_line(points, np.ones(4, bool), np.array([1.0, 1.0, 1e6, 1.0]))
    assert abs(heavy.across(points)[2]) < 1e-3


def test_too_few_points_are_no_line():
    rng = np.random.default_rng(0)
    assert robust_line(np.zeros((0, 2)), rng) is None
    assert robust_line(np.zeros((1, 2)), rng) is None
    assert robust_line(np.full((5, 2), 3.0), rng) is None


def test_along_and_across_follow_the_convention():
    fit = least_squares_line(np.array([[0.0, 0.0], [10.0, 0.0]]), np.ones(2, bool))
    assert fit.along(np.array([[10.0, 0.0]]))[0] == pytest.approx(5.0)
    assert fit.across(np.array([[3.0, 2.0]]))[0] == pytest.approx(2.0)  # y down is to the right
