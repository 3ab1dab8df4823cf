"""Parts of the streak detector against sums by hand and formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from detectors import streak_search
from detectors.streak_line import Line, Path, fine_end
from detectors.streak_null import Chance, log10_false_alarm, shuffled, snr_for
from detectors.streak_search import Hunt, Segments, partial_transforms
from detectors.streaks_radon import MOST_BY_POINTS, points_share


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


def test_a_shuffled_frame_has_the_same_pixels_and_no_line():
    light = np.random.default_rng(5).normal(size=(128, 160)).astype(np.float32)
    light[64] += 3.0
    hunt = Hunt(light=light, known=np.ones_like(light), texture=np.ones_like(light))
    mixed = shuffled(hunt)
    np.testing.assert_array_equal(np.sort(mixed.light.ravel()), np.sort(light.ravel()))
    assert light.mean(axis=1).max() > 2.9
    assert mixed.light.mean(axis=1).max() < 1.5


def some_line(snr, length):
    path = Path(x1=0.0, y1=0.0, x2=length, y2=0.0)
    none = np.zeros(0)
    return Line(
        path=path, sigma_px=1.2, snr=snr, scatter=1.0, bow_sigma_px=0.1, line_sigma_px=0.1,
        sigma_width=0.1, end_sigma_px=(1.0, 1.0), u=none, signal=none, weight=none,
    )  # fmt: skip


def test_chance_is_noise_or_what_the_frame_shows():
    calm = Chance.of([], [], 5.6, 10**6)
    crowded = Chance.of([some_line(snr, 20.0) for snr in (6.0, 7.5, 9.0)], [], 5.6, 10**6)
    short, long = some_line(9.0, 25.0), some_line(9.0, 300.0)
    assert calm.log10_expected(short) == pytest.approx(float(log10_false_alarm(9.0, 10**6)))
    assert -1.5 < crowded.log10_expected(short) < 0.5  # one of three is as clear
    assert crowded.log10_expected(long) == calm.log10_expected(long)  # rows of stars are short


def lit_line(light, seed):
    """A line with that light along it, and noise."""
    count, weight = light.size, np.sqrt(np.pi) * 1.2
    noise = np.sqrt(weight) * np.random.default_rng(seed).normal(size=count)
    return replace(
        some_line(0.0, count - 1.0), u=np.arange(float(count)), weight=np.full(count, weight),
        signal=weight * light + noise,
    )  # fmt: skip


def test_three_points_explain_a_row_of_stars_and_no_even_light():
    """Both at fourteen sigma; a streak that comes and goes slowly is none either."""
    u = np.arange(60.0)
    even = np.full(u.size, 1.0)
    slow = 1.0 + 0.4 * np.sin(u / 9.0)
    row = sum(np.exp(-0.5 * ((u - place) / 1.2) ** 2) for place in (8.0, 27.0, 52.0))

    def share(light, seed):
        scale = 14.0 / np.sqrt(np.sqrt(np.pi) * 1.2) * np.sqrt(u.size) / light.sum()
        return points_share(lit_line(scale * light, seed), 1.2)

    assert max(share(light, seed) for light in (even, slow) for seed in range(20)) < MOST_BY_POINTS
    assert min(share(row, seed) for seed in range(20)) > MOST_BY_POINTS
