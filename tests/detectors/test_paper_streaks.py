"""The streak paper's seven detectors: each finds a plain streak, and answers on anything."""

from __future__ import annotations

import numpy as np
import pytest
from streak_scene import noisy, scattered_stars, star_light, streak_light

from detectors.registry import STREAKS
from detectors.types import StreakFlag

SHAPE, SIGMA_PX = (240, 300), 1.2
PAPER = {name: one for name, one in STREAKS.detectors().items() if name.startswith("paper-")}
STREAK, PEAK = (50.0, 60.0, 240.0, 170.0), 8.0
every = pytest.mark.parametrize("detector", PAPER.values(), ids=PAPER.keys())
USUAL = PAPER["paper-kmeans"]


def plain_frame(seed=0):
    light = PEAK * streak_light(SHAPE, STREAK) + star_light(SHAPE, scattered_stars(25, SHAPE))
    return noisy(light, seed)


def assert_the_streak(found):
    assert len(found) == 1
    ends = (found.x1[0], found.y1[0], found.x2[0], found.y2[0])
    assert np.abs(np.subtract(ends, STREAK)).max() < 4.0


@every
def test_a_plain_streak_among_stars_is_found_and_nothing_else(detector):
    assert_the_streak(detector.detect(plain_frame()))


@every
def test_stars_alone_are_no_streaks(detector):
    assert (
        len(detector.detect(noisy(star_light(SHAPE, scattered_stars(25, SHAPE, seed=5)), 3))) == 0
    )


def test_every_field_is_measured():
    found = USUAL.detect(plain_frame())
    assert found.width_px[0] == pytest.approx(2.355 * SIGMA_PX, rel=0.2)
    total = PEAK * streak_light(SHAPE, STREAK).sum()
    assert found.flux[0] == pytest.approx(total, rel=0.15)
    template = PEAK * streak_light(SHAPE, STREAK)
    assert found.snr[0] == pytest.approx(np.sqrt(np.square(template).sum()), rel=0.25)
    assert found.log10_false_alarm[0] < -100.0
    assert abs(found.bow_px[0]) < 0.5
    assert 0.0 < found.sigma_end_px[0] < 1.0
    assert 0.0 < found.sigma_line_px[0] < 0.5
    assert found.flags[0] == 0
    profile = found.profiles[0]
    assert np.median(profile) == pytest.approx(PEAK * SIGMA_PX * (2 * np.pi) ** 0.5, rel=0.15)
    assert profile.size == pytest.approx(found.length_px[0], abs=2)


def test_flags_tell_the_border_and_clipped_pixels():
    light = 12.0 * streak_light(SHAPE, (-30.0, 40.0, 200.0, 150.0))
    found = USUAL.detect(np.minimum(noisy(light), 108.0))
    assert len(found) == 1
    assert found.x1[0] == pytest.approx(0.0, abs=2.0)
    assert found.y1[0] == pytest.approx(40.0 + 30.0 * 110.0 / 230.0, abs=1.5)
    assert found.flags[0] & StreakFlag.FIRST_END_OUTSIDE
    assert not found.flags[0] & StreakFlag.SECOND_END_OUTSIDE
    assert found.flags[0] & StreakFlag.SATURATED


def test_a_bow_is_measured_and_flagged():
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    middle = 120.0 + 6.0 * (1.0 - ((cols - 150.0) / 110.0) ** 2)
    light = 10.0 * np.exp(-0.5 * ((rows - middle) / SIGMA_PX) ** 2) * (abs(cols - 150.0) < 110.0)
    found = USUAL.detect(noisy(light))
    longest = int(np.argmax(found.length_px))
    if found.length_px[longest] > 180.0:  # an arc may also be found in two straight parts
        assert found.bow_px[longest] > 2.0
        assert found.flags[longest] & StreakFlag.CURVED
    else:
        assert found.length_px.sum() > 150.0


def test_a_saturated_half_neither_hides_the_other_nor_makes_a_streak_of_its_edge():
    image = plain_frame()
    image[:, :30] = 4000.0
    assert_the_streak(USUAL.detect(image))


def test_smooth_cloud_holds_no_streak():
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    cloud = 60.0 * np.sin(rows / 40.0) * np.cos(cols / 55.0)
    assert len(USUAL.detect(noisy(cloud, 5))) == 0
