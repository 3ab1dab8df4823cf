"""Parts of the streak detector against sums by hand and formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from detectors import streak_search
from detectors.streak_line import fine_end
from detectors.streak_search import (
    Segments,
    partial_transforms,
)
from detectors.streaks_radon import log10_false_alarm, snr_for


def by_hand(image, rows, slope, tile, column):
    """Brady's line, read from its definition: halves of half the slope."""
    if rows == 1:
        inside = 0 <= column < image.shape[1] and tile < image.shape[0]
        return float(image[tile, column]) if inside else 0.0
    half = slope // 2
    lower = column + half + slope % 2
    return by_hand(image, rows // 2, half, 2 * tile, column) + by_hand(
        image, rows // 2, half, 2 * tile + 1, lower
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 21), st.integers(2, 25), st.integers(0, 3))
def test_the_transform_is_the_sum_along_its_lines(seed, height, width, power):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 9, (height, width)).astype(np.float32)
    rows = 2**power
    level = list(partial_transforms(image, rows))[-1]
    assert level.rows == rows
    for _ in range(10):
        s, x = int(rng.integers(rows)), int(rng.integers(width))
        b = int(rng.integers(level.sums.shape[1]))
        assert level.sums[s, b, x] == by_hand(image, rows, s, b, x)


def test_an_end_to_a_fraction_of_a_pixel_and_its_sigma():
    rng = np.random.default_rng(3)
    u = np.arange(-30.0, 100.0)
    errors, told = [], []
    for _ in range(60):
        true = rng.uniform(-0.5, 0.5)
        light = 5.0 * norm.cdf((u - true) / 1.3) + rng.normal(size=u.size)
        end, sigma = fine_end(u, light, np.ones(u.size), 0.0, -1, 1.3)
        errors.append(end - true)
        told.append(sigma)
    assert abs(np.mean(errors)) < 0.2
    assert np.std(errors) == pytest.approx(np.mean(told), rel=0.5)


def test_false_alarms_fall_as_the_normal_tail_does():
    chance = log10_false_alarm(np.array([6.0, 7.0, 40.0]), 10**6)
    assert chance[1] - chance[0] == pytest.approx(np.log10(norm.sf(7.0) / norm.sf(6.0)))
    assert np.isfinite(chance[2])
    assert log10_false_alarm(6.0, 10**7) - chance[0] == pytest.approx(1.0)
    assert float(log10_false_alarm(snr_for(-3.0, 10**6), 10**6)) == pytest.approx(-3.0)


def test_clearness_is_told_part_by_part_as_at_once(monkeypatch):
    rng = np.random.default_rng(4)

    def some(count):
        x1, y1, x2, y2 = rng.uniform(0.0, 200.0, (4, count))
        snr = rng.uniform(3.0, 9.0, count)
        return Segments(x1=x1, y1=y1, x2=x2, y2=y2, snr=snr, sigma_px=np.ones(count))

    bright, dark = some(70), some(40)
    monkeypatch.setattr(streak_search, "MOST_PAIRS", 300)
    told = streak_search.clearer_than_dark(bright, dark, 60.0, 3)
    for k in range(70):
        dx = 0.5 * (bright.x1[k] + bright.x2[k] - dark.x1 - dark.x2)
        dy = 0.5 * (bright.y1[k] + bright.y2[k] - dark.y1 - dark.y2)
        as_clear = (np.hypot(dx, dy) < 60.0) & (dark.snr >= bright.snr[k])
        assert told[k] == (as_clear.sum() < 3)
    assert 0 < told.sum() < 70
