"""Streak pixels become lines and segments; parts of one streak are joined, others are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from streak_scene import end_gap

from detectors.paper_segments import (
    SegmentSettings,
    component_segments,
    joined,
    robust_line,
)

SETTINGS = SegmentSettings()
SHAPE = (240, 300)


def drawn(*segments, thick=4):
    image = np.zeros(SHAPE, np.uint8)
    for x1, y1, x2, y2 in segments:
        cv2.line(image, (x1, y1), (x2, y2), 1, thick)
    return image.astype(bool)


def found_in(streak):
    light = streak.astype(np.float32)
    return component_segments(streak, light, np.random.default_rng(0), SETTINGS)


@pytest.mark.parametrize("true", [(30, 40, 250, 200), (20, 120, 280, 122), (150, 10, 148, 230)])
def test_one_line_is_one_segment_with_its_ends(true):
    found = found_in(drawn(true))
    assert len(found) == 1
    assert end_gap(found[0], true) < 5.0


def test_crossing_lines_are_two_segments():
    first, second = (30, 40, 250, 200), (40, 200, 240, 30)
    found = found_in(drawn(first, second))
    longest = found[np.argsort(-np.hypot(found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]))]
    assert end_gap(longest[0], first) < 5.0 or end_gap(longest[0], second) < 5.0
    parts = joined(found, np.ones(SHAPE, np.float32), np.ones(SHAPE, bool), SETTINGS)
    for true in (first, second):
        assert min(end_gap(one, true) for one in parts) < 8.0


def test_patches_and_specks_are_none():
    patch = np.zeros(SHAPE, np.uint8)
    cv2.circle(patch, (150, 120), 40, 1, cv2.FILLED)
    assert len(found_in(patch > 0)) == 0
    assert len(found_in(drawn((50, 50, 53, 52)))) == 0
    assert len(found_in(np.zeros(SHAPE, bool))) == 0
    assert len(found_in(np.ones(SHAPE, bool))) == 0


def test_parts_on_one_line_are_joined_where_light_lies_between():
    parts = np.array([[30, 40, 100, 90], [120, 104.3, 240, 190]], float)
    lit = drawn((30, 40, 240, 190)).astype(np.float32)
    whole = joined(parts, lit, np.ones(SHAPE, bool), SETTINGS)
    assert len(whole) == 1
    assert end_gap(whole[0], (30, 40, 240, 190)) < 0.1


def test_a_removed_star_between_them_is_no_obstacle_but_a_dark_gap_is():
    parts = np.array([[30, 40, 100, 90], [120, 104.3, 240, 190]], float)
    light = drawn((30, 40, 100, 90), (120, 104, 240, 190)).astype(np.float32)
    usable = np.ones(SHAPE, bool)
    assert len(joined(parts, light, usable, SETTINGS)) == 2
    usable[85:112, 96:124] = False
    assert len(joined(parts, light, usable, SETTINGS)) == 1


@pytest.mark.parametrize(
    "other",
    [
        (120, 140, 240, 226),  # beside it
        (110, 90, 110, 200),  # another way
        (220, 176, 280, 218),  # too far away
    ],
)
def test_what_is_not_on_the_line_is_not_joined(other):
    parts = np.array([(30, 40, 100, 90), other], float)
    assert len(joined(parts, np.ones(SHAPE, np.float32), np.ones(SHAPE, bool), SETTINGS)) == 2


def test_the_same_line_twice_is_one():
    parts = np.array([[30, 40, 240, 190], [60, 62, 200, 162]], float)
    assert len(joined(parts, np.ones(SHAPE, np.float32), np.ones(SHAPE, bool), SETTINGS)) == 1


def points_on_a_line(rng, count=150, outliers=250, noise=0.5):
    angle = rng.uniform(0.0, np.pi)
    direction = np.array([np.cos(angle), np.sin(angle)])
    normal = np.array([-direction[1], direction[0]])
    along, across = rng.uniform(-100.0, 100.0, count), rng.normal(0.0, noise, count)
    on_line = [150.0, 120.0] + along[:, None] * direction + across[:, None] * normal
    others = rng.uniform(0.0, 300.0, (outliers, 2))
    return np.concatenate([on_line, others]), normal


def test_a_line_is_recovered_among_more_outliers():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        points, normal = points_on_a_line(rng)
        fit = robust_line(points, rng)
        assert abs(fit.direction @ normal) < 0.02
        assert abs((fit.middle - [150.0, 120.0]) @ normal) < 1.0
        assert fit.inliers[:150].mean() > 0.95
        assert fit.inliers[150:].mean() < 0.15


def test_too_few_points_are_no_line():
    rng = np.random.default_rng(0)
    assert robust_line(np.zeros((0, 2)), rng) is None
    assert robust_line(np.zeros((1, 2)), rng) is None
    assert robust_line(np.full((5, 2), 3.0), rng) is None
