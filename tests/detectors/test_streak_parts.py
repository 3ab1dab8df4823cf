"""Parts of the streak detector against sums by hand and formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from detectors import streak_search
from detectors.scale_space import gaussian_blur
from detectors.streak_line import Path, fine_end, lit_part, strip_along
from detectors.streak_search import (
    QUADRANTS,
    Segments,
    line_sigma,
    partial_transforms,
    turned,
    turned_back,
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


@pytest.mark.parametrize("rows", [8, 32, 128])
def test_its_lines_are_straight_to_a_pixel(rows):
    """A line drawn from end to end is summed by the entry of its slope."""
    y = np.arange(rows)
    for s in range(0, rows, max(1, rows // 8)):
        image = np.zeros((rows, 2 * rows), np.float32)
        middle = 3 + y * s / (rows - 1)
        near = np.abs(np.arange(2 * rows) - middle[:, None]) <= 1.5
        image[near] = 1.0
        level = list(partial_transforms(image, rows))[-1]
        assert level.sums[s, 0, 3] == rows


@pytest.mark.parametrize("quadrant", range(QUADRANTS))
def test_turned_places_come_back(quadrant):
    image = np.arange(35.0, dtype=np.float32).reshape(5, 7)
    seen = turned(image, quadrant)
    rows, cols = np.mgrid[: seen.shape[0], : seen.shape[1]]
    x, y = turned_back(cols.astype(float), rows.astype(float), quadrant, (5, 7))
    assert np.array_equal(image[y.astype(int), x.astype(int)], seen)


@pytest.mark.parametrize("slope", [0, 10, 31])
def test_the_noise_of_a_line_sum(slope):
    rng = np.random.default_rng(1)
    blurred = gaussian_blur(rng.normal(size=(1024, 512)).astype(np.float32), 1.2)
    level = list(partial_transforms(blurred, 32))[-1]
    sums = level.sums[slope][:, : 512 - 40]
    assert sums.std() == pytest.approx(line_sigma(32, slope / 31, 1.2), rel=0.08)


def test_the_likeliest_part_of_a_profile():
    rng = np.random.default_rng(2)
    signal = rng.normal(size=400)
    signal[130:270] += 1.0
    first, last, snr = lit_part(signal, np.ones(400))
    assert abs(first - 130) <= 12
    assert abs(last - 270) <= 12
    assert snr == pytest.approx(np.sqrt(140.0), abs=3.0)


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


def test_a_strip_follows_its_path():
    rows, cols = np.mgrid[:80, :100].astype(np.float32)
    path = Path(x1=20.0, y1=60.0, x2=70.0, y2=25.0, bow_px=4.0)
    ones = np.ones_like(rows)
    x, y = path.at(np.array([0.0, 0.5, 1.0]) * path.length_px, 0.0)
    assert (x[0], y[0], x[2], y[2]) == pytest.approx((20.0, 60.0, 70.0, 25.0))
    # To the right of someone who goes up to the right is down to the right
    assert x[1] > 45.0
    assert y[1] > 42.5
    assert np.hypot(x[1] - 45.0, y[1] - 42.5) == pytest.approx(4.0)
    strip = strip_along(3.0 * cols + 2.0 * rows, ones, path, beyond_px=5.0, half_px=6.0)
    at_x, at_y = path.at(strip.u[:, None], strip.v[None, :])
    assert strip.light == pytest.approx(3.0 * at_x + 2.0 * at_y, abs=0.5)
    part = path.cut(10.0, 40.0)
    there = part.at(np.array([0.5 * part.length_px]), 0.0)
    assert np.abs(np.hypot(*np.subtract(path.at(np.array([25.0]), 0.0), there))) < 0.2


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
