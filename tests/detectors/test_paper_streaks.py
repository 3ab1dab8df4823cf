"""The streak paper's seven detectors: each finds a plain streak, and answers on anything."""

from __future__ import annotations

import numpy as np
import pytest
from paper_scene import SHAPE, SIGMA_PX, noisy, scattered_stars, star_light, streak_light

from detectors.paper_frame import GreyFrame
from detectors.paper_measures import cut_at_border
from detectors.registry import STREAKS
from detectors.types import Detector, StreakDetections, StreakFlag

PAPER = {name: one for name, one in STREAKS.detectors().items() if name.startswith("paper-")}
STREAK, PEAK = (50.0, 60.0, 240.0, 170.0), 8.0
every = pytest.mark.parametrize("detector", PAPER.values(), ids=PAPER.keys())
USUAL = PAPER["paper-kmeans"]


def plain_frame(seed=0):
    light = PEAK * streak_light(SHAPE, STREAK) + star_light(SHAPE, scattered_stars(25))
    return noisy(light, seed)


def assert_the_streak(found):
    assert len(found) == 1
    ends = (found.x1[0], found.y1[0], found.x2[0], found.y2[0])
    assert np.abs(np.subtract(ends, STREAK)).max() < 4.0


def test_all_seven_are_there():
    names = {"kmeans", "pso", "ga", "gmm", "pso-kmeans", "ga-kmeans", "gmm-kmeans"}
    assert set(PAPER) == {f"paper-{name}" for name in names}
    assert all(isinstance(one, Detector) for one in PAPER.values())


@every
def test_a_plain_streak_among_stars_is_found_and_nothing_else(detector):
    assert_the_streak(detector.detect(plain_frame()))


@every
def test_the_clusters_take_the_streak_and_leave_most_of_the_sky(detector):
    taken = detector.streak_pixels(plain_frame())
    core = streak_light(SHAPE, STREAK) > 0.5
    assert taken[core].mean() > 0.7
    assert taken.mean() < 0.15


@every
def test_stars_alone_are_no_streaks(detector):
    assert len(detector.detect(noisy(star_light(SHAPE, scattered_stars(25, seed=5)), 3))) == 0


@every
@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (16, 16), (20, 300)])
def test_small_images_end_in_an_answer(detector, shape):
    image = np.random.default_rng(0).uniform(0.0, 1.0, shape).astype(np.float32)
    assert np.isfinite(detector.detect(image).snr).all()


@every
def test_same_image_and_seed_same_answer_and_the_image_is_left_alone(detector):
    image = plain_frame()
    before = image.copy()
    one, other = detector.detect(image[:160]), detector.detect(image[:160])
    assert np.array_equal(image, before)
    assert np.array_equal(one.x1, other.x1)
    assert np.array_equal(one.snr, other.snr)


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


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_it_turns_with_the_image(turns):
    found = USUAL.detect(np.ascontiguousarray(np.rot90(plain_frame(), turns)))
    assert len(found) == 1
    assert found.length_px[0] == pytest.approx(np.hypot(190.0, 110.0), abs=4.0)
    assert found.x1[0] <= found.x2[0]


@pytest.mark.parametrize("unit", [1e-9, 1e6])
def test_any_unit_and_sign_of_light_will_do(unit):
    assert_the_streak(USUAL.detect(((plain_frame() - 300.0) * unit).astype(np.float32)))


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1.0), (np.uint16, 100.0)])
def test_integers_are_taken(dtype, scale):
    image = np.clip(np.rint(scale * (plain_frame() - 60.0)), 0, np.iinfo(dtype).max)
    assert_the_streak(USUAL.detect(image.astype(dtype)))


def test_masked_and_missing_pixels_are_ignored():
    image = plain_frame()
    image[:30] = np.nan
    image[:, 280:] = np.inf
    mask = np.zeros(SHAPE, bool)
    mask[200:] = True
    image[200:, ::2] = 1e4
    assert_the_streak(USUAL.detect(image, mask))
    assert len(USUAL.detect(image, np.ones(SHAPE, bool))) == 0


def test_a_saturated_half_neither_hides_the_other_nor_makes_a_streak_of_its_edge():
    image = plain_frame()
    image[:, :30] = 4000.0
    assert_the_streak(USUAL.detect(image))


def test_smooth_cloud_holds_no_streak():
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    cloud = 60.0 * np.sin(rows / 40.0) * np.cos(cols / 55.0)
    assert len(USUAL.detect(noisy(cloud, 5))) == 0


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_nothing_in_a_constant_image(value):
    assert len(USUAL.detect(np.full(SHAPE, value, np.float32))) == 0


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match="two-dimensional"):
        USUAL.detect(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="mask has shape"):
        USUAL.detect(plain_frame(), np.zeros((3, 3), bool))
    with pytest.raises(ValueError, match="saturated has shape"):
        USUAL.detect(plain_frame(), None, np.zeros((3, 3)))


def test_nothing_found_has_the_type_of_something():
    nothing = USUAL.detect(np.zeros((1, 1), np.float32))
    assert isinstance(nothing, StreakDetections)
    assert nothing.profiles == ()


def test_the_border_cuts_a_segment_along_its_line():
    frame = GreyFrame.of(plain_frame(), None, None)
    usable = np.ones(SHAPE, bool)
    cut = cut_at_border(frame, usable, np.array([-20.0, 90.0, 100.0, 150.0]))
    assert np.allclose(cut, [0.0, 100.0, 100.0, 150.0])
    assert np.allclose(cut_at_border(frame, usable, cut), cut)
    outside = cut_at_border(frame, usable, np.array([-20.0, 90.0, -5.0, 150.0]))
    assert np.hypot(*(outside[2:] - outside[:2])) == 0.0
