"""Bright streaks: clipped, wide, parallel, along a row; no stars, bleeding and galaxies."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from radon_scene import LEVEL, NOISE, SHAPE, noise_frame, stars, streak

from detectors.streak_bright import bright_lines
from detectors.streak_frame import StreakFrame
from detectors.streaks_radon import Radon

FIND = Radon()
TOP = LEVEL + 40.0 * NOISE


def clipped(frame):
    return np.minimum(frame, TOP)


def off_ends(found, index, ends):
    return max(
        np.hypot(found.x1[index] - ends[0], found.y1[index] - ends[1]),
        np.hypot(found.x2[index] - ends[2], found.y2[index] - ends[3]),
    )


def bright_only(frame):
    return bright_lines(StreakFrame.of(frame, None, None))


@pytest.mark.parametrize(
    "ends",
    [(-60.0, 40.0, 520.0, 330.0), (60.0, 120.0, 160.0, 120.0), (200.0, 60.0, 206.0, 84.0)],
    ids=["border to border", "along a row", "short"],
)
def test_a_clipped_streak_is_found(ends):
    found = FIND.detect(
        clipped(noise_frame(1) + stars(SHAPE, 2) + streak(SHAPE, ends, 300 * NOISE))
    )
    assert len(found) == 1
    if ends[0] >= 0.0:
        assert off_ends(found, 0, ends) < 6.0
    else:
        slope = (ends[3] - ends[1]) / (ends[2] - ends[0])
        assert found.y1[0] == pytest.approx(ends[1] + slope * (found.x1[0] - ends[0]), abs=2.0)
        assert found.x1[0] == pytest.approx(-0.5, abs=0.6)


def test_three_parallel_ones():
    places = [(20.0, 100.0 + k, 350.0, 260.0 + k) for k in (-70.0, 0.0, 14.0)]
    found = FIND.detect(
        clipped(noise_frame(3) + sum(streak(SHAPE, p, 200 * NOISE) for p in places))
    )
    assert len(found) == 3
    for place in places:
        assert min(off_ends(found, k, place) for k in range(3)) < 8.0


def test_a_wide_one_has_its_width():
    ends = (60.0, 380.0, 250.0, 20.0)
    found = FIND.detect(noise_frame(4) + streak(SHAPE, ends, 100 * NOISE, sigma=6.0))
    assert len(found) == 1
    assert found.width_px[0] == pytest.approx(2.355 * 6.0, rel=0.25)
    assert off_ends(found, 0, ends) < 15.0


def test_a_star_with_its_bleeding_column_is_none():
    frame = noise_frame(5)
    cv2.circle(frame, (200, 150), 9, TOP, -1)
    frame[60:260, 199:202] = TOP
    assert bright_only(clipped(frame)).streaks == ()
    assert len(FIND.detect(clipped(frame))) == 0


def test_discs_and_spindles_are_none():
    frame = noise_frame(6)
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    along, across = (cols - 150) * 0.8 + (rows - 150) * 0.6, (rows - 150) * 0.8 - (cols - 150) * 0.6
    frame += 200.0 * NOISE * np.exp(-np.hypot(along / 18.0, across / 5.0))
    frame += 400.0 * NOISE * np.exp(-0.5 * np.hypot(cols - 300, rows - 250) ** 2 / 4.0**2)
    assert bright_only(frame).streaks == ()
