"""Streaks that were put in come out, bright and faint; from all else hardly anything."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from streak_scene import end_gap, star_light, streak_light

from detectors.streak_bright import bright_lines
from detectors.streak_frame import StreakFrame
from detectors.streak_stars import find_stars
from detectors.streaks_radon import Radon
from detectors.types import StreakFlag

FIND = Radon()
SHAPE = (384, 448)
LEVEL, NOISE = 200.0, 5.0
ENDS = (60.0, 300.0, 330.0, 90.0)
TOP = LEVEL + 40.0 * NOISE


def noise_frame(seed, shape=SHAPE):
    return LEVEL + np.random.default_rng(seed).normal(0.0, NOISE, shape)


def streak(shape, ends, peak, sigma=1.3, **more):
    return peak * streak_light(shape, ends, sigma, **more)


def stars(shape, seed):
    """Points of light from faint to bright."""
    rng = np.random.default_rng(seed)
    places = rng.uniform((0, 0, 0), (shape[1], shape[0], 0), (60, 3))
    places[:, 2] = np.minimum(3.0 * NOISE * (1.0 + rng.pareto(0.8, 60)), 2000.0)
    return star_light(shape, places)


def gap(found, index, ends):
    return end_gap([getattr(found, name)[index] for name in ("x1", "y1", "x2", "y2")], ends)


def test_place_width_and_flux_of_a_streak():
    frame = noise_frame(1) + streak(SHAPE, ENDS, 3.0 * NOISE)
    found = FIND.detect(frame)
    assert len(found) == 1
    assert gap(found, 0, ENDS) < 2.5
    assert found.width_px[0] == pytest.approx(2.355 * 1.3, rel=0.12)
    length = np.hypot(270.0, 210.0)
    flux = 3.0 * NOISE * np.sqrt(2.0 * np.pi) * 1.3 * length
    assert found.flux[0] == pytest.approx(flux, rel=0.15)
    # Root of the sum of the squared light of the streak over the noise
    matched = 3.0 * np.sqrt(np.sqrt(np.pi) * 1.3 * length)
    assert 0.75 * matched < found.snr[0] < 1.1 * matched
    assert found.flags[0] == 0
    assert abs(found.bow_px[0]) < 0.7


def test_a_streak_fainter_than_the_noise_of_a_pixel():
    frame = noise_frame(2) + streak(SHAPE, ENDS, 0.7 * NOISE)
    found = FIND.detect(frame)
    assert len(found) == 1
    assert gap(found, 0, ENDS) < 20.0
    assert found.log10_false_alarm[0] < -2.0  # fewer are that long and no streak
    assert 0.0 < found.sigma_line_px[0] < 1.0


@pytest.mark.parametrize("turn", range(4))
def test_all_directions_give_the_same(turn):
    frame = noise_frame(3) + streak(SHAPE, (90.0, 100.0, 150.0, 130.0), 2.0 * NOISE)
    frame = np.rot90(frame, turn) if turn < 3 else frame[:, ::-1]
    found = FIND.detect(frame)
    assert len(found) == 1
    assert found.length_px[0] == pytest.approx(np.hypot(60.0, 30.0), abs=4.0)


@pytest.mark.parametrize("bow", [-6.0, 6.0])
def test_a_bow_has_its_size_and_side(bow):
    frame = noise_frame(4) + streak(SHAPE, ENDS, 3.0 * NOISE, bow=bow)
    found = FIND.detect(frame)
    assert len(found) == 1
    assert found.bow_px[0] == pytest.approx(bow, abs=0.8)
    assert found.flags[0] & StreakFlag.CURVED


def test_the_border_cuts_a_streak():
    frame = noise_frame(5) + streak(SHAPE, (-80.0, 200.0, 160.0, 120.0), 2.0 * NOISE)
    found = FIND.detect(frame)
    assert len(found) == 1
    assert found.x1[0] == pytest.approx(-0.5, abs=0.5)
    assert found.y1[0] == pytest.approx(200.0 - 80.0 * 79.5 / 240.0, abs=1.0)
    assert found.flags[0] & StreakFlag.FIRST_END_OUTSIDE
    assert not found.flags[0] & StreakFlag.SECOND_END_OUTSIDE


def test_several_that_cross_each_other():
    places = [ENDS, (50.0, 60.0, 400.0, 330.0), (200.0, 40.0, 260.0, 350.0)]
    frame = noise_frame(6) + sum(streak(SHAPE, one, 2.5 * NOISE) for one in places)
    found = FIND.detect(frame)
    assert len(found) == 3
    for one in places:
        assert min(gap(found, k, one) for k in range(3)) < 4.0


def test_the_clearest_so_many_are_given():
    """Straight pieces show less of the bent one, which is found last and is the clearest."""
    bent = (40.0, 60.0, 400.0, 90.0)
    frame = noise_frame(4) + streak(SHAPE, bent, 1.3 * NOISE, bow=14.0)
    frame += streak(SHAPE, (60.0, 300.0, 200.0, 200.0), 1.5 * NOISE)
    found = FIND.detect(frame)
    assert len(found) == 2
    assert found.snr[0] > found.snr[1]
    assert abs(found.bow_px[0] - 14.0) < 1.0
    assert Radon(max_streaks=1).detect(frame).snr.tolist() == [found.snr[0]]


def test_noise_alone_shows_nothing():
    for seed in range(8):
        assert len(FIND.detect(noise_frame(100 + seed, (256, 256)))) == 0


def test_noise_shows_about_as_many_as_the_false_alarm_rate_says():
    careless = Radon(max_log10_false_alarm=0.0)
    found = [careless.detect(noise_frame(200 + seed, (192, 192))) for seed in range(12)]
    # One a frame is the limit that the look-elsewhere correction promises
    assert sum(len(one) for one in found) <= 12


def test_stars_are_no_streaks_and_hide_none():
    frame = noise_frame(7) + stars(SHAPE, 8)
    assert len(FIND.detect(frame)) == 0
    found = FIND.detect(frame + streak(SHAPE, ENDS, 1.5 * NOISE))
    assert len(found) == 1
    assert gap(found, 0, ENDS) < 8.0


def test_the_light_of_a_star_is_masked_as_far_as_it_reaches():
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    frame = np.random.default_rng(2).normal(size=SHAPE)
    away = [np.hypot(cols - x, rows - y) for x, y in ((120.0, 90.0), (310.0, 250.0))]
    for distance, peak, sigma in zip(away, (30.0, 300.0), (1.3, 4.0), strict=True):
        frame += peak * np.exp(-0.5 * (distance / sigma) ** 2)
    mask = find_stars(frame.astype(np.float32), np.zeros(SHAPE, bool), None).mask
    assert mask[away[0] < 3.0].all()
    assert mask[away[1] < 12.0].all()
    far = (away[0] > 10.0) & (away[1] > 22.0)
    assert mask[far].mean() < 0.01


def test_star_trails_that_point_one_way_are_no_streaks():
    rng = np.random.default_rng(9)
    frame = noise_frame(9)
    for _ in range(25):
        x, y = rng.uniform(20, SHAPE[1] - 50), rng.uniform(20, SHAPE[0] - 40)
        bright = NOISE * rng.uniform(4.0, 40.0)
        frame += streak(SHAPE, (x, y, x + 24.0, y + 10.0), bright)
    assert len(FIND.detect(frame)) == 0
    across = (330.0, 60.0, 150.0, 330.0)
    found = FIND.detect(frame + streak(SHAPE, across, 3.0 * NOISE))
    assert len(found) == 1
    assert gap(found, 0, (150.0, 330.0, 330.0, 60.0)) < 25.0  # a trail touches its end


def test_a_slope_and_soft_clouds_are_no_streaks():
    rng = np.random.default_rng(10)
    field = cv2.GaussianBlur(rng.normal(size=SHAPE), (0, 0), 12.0)
    level = LEVEL * (1.0 + 0.8 * np.linspace(0.0, 1.0, SHAPE[1]) + 0.3 * field / field.std())
    frame = level + rng.normal(0.0, 1.0, SHAPE) * np.sqrt(np.maximum(level, 1.0) / 8.0)
    assert len(FIND.detect(frame)) == 0


def test_tracks_of_one_pixels_width_are_no_streaks():
    frame = noise_frame(11) + stars(SHAPE, 12)
    for k in range(5):
        row, col = 60 + 55 * k, 80 + 50 * k
        step = np.arange(32)
        frame[row + np.rint(0.4 * k * step / 2).astype(int), col + step] += 12.0 * NOISE
    assert len(FIND.detect(frame)) == 0


def test_light_that_tumbles_is_dashed_or_swells_is_one_streak():
    def tumbling(t):
        return 1.0 + 0.7 * np.cos(2.0 * np.pi * 7.0 * t)

    def dashes(t):
        return ((7.5 * t) % 1.0 < 0.5).astype(float)

    def swelling(t):
        return 0.1 + 0.9 * 4.0 * t * (1.0 - t)

    for light in (None, tumbling, dashes, swelling):
        frame = noise_frame(14) + streak(SHAPE, ENDS, 6.0 * NOISE, light=light)
        assert len(FIND.detect(frame)) == 1


def clipped(frame):
    return np.minimum(frame, TOP)


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
        assert gap(found, 0, ends) < 6.0
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
        assert min(gap(found, k, place) for k in range(3)) < 8.0


def test_a_wide_one_has_its_width():
    ends = (60.0, 380.0, 250.0, 20.0)
    found = FIND.detect(noise_frame(4) + streak(SHAPE, ends, 100 * NOISE, sigma=6.0))
    assert len(found) == 1
    assert found.width_px[0] == pytest.approx(2.355 * 6.0, rel=0.25)
    assert gap(found, 0, ends) < 15.0
    wisp = streak(SHAPE, (176.0, 218.0, 224.0, 182.0), 3.0 * NOISE, sigma=6.0)
    assert len(FIND.detect(noise_frame(4) + wisp)) == 0


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


def starry(seed, sigma=1.4):
    rng = np.random.default_rng(seed)
    places = rng.uniform(10.0, [SHAPE[1] - 10.0, SHAPE[0] - 10.0], (40, 2))
    peaks = NOISE * np.exp(rng.uniform(np.log(15.0), np.log(80.0), 40))
    return noise_frame(seed) + star_light(SHAPE, np.column_stack([places, peaks]), sigma)


def test_hot_and_dead_columns_are_none():
    frame = starry(11)
    frame[60:, 200] += 12.0 * NOISE
    frame[:, 321] -= 12.0 * NOISE
    assert len(FIND.detect(frame)) == 0


def test_a_track_that_a_mosaic_widened_is_none_and_a_streak_as_bright_is_one():
    ends = (110.0, 90.0, 160.0, 130.0)
    track = starry(12) + streak(SHAPE, ends, 20.0 * NOISE, sigma=0.95)
    assert len(FIND.detect(track)) == 0
    assert len(FIND.detect(starry(12) + streak(SHAPE, ends, 20.0 * NOISE, sigma=1.5))) == 1


def test_trails_about_a_pole_are_none():
    frame = noise_frame(13)
    rng = np.random.default_rng(13)
    for x, y in rng.uniform(30.0, [SHAPE[1] - 30.0, SHAPE[0] - 30.0], (30, 2)):
        off = np.array([x - 220.0, y - 190.0])
        half = 12.0 * np.array([-off[1], off[0]]) / max(np.hypot(*off), 1.0)
        ends = (x - half[0], y - half[1], x + half[0], y + half[1])
        frame = frame + streak(SHAPE, ends, NOISE * rng.uniform(8.0, 40.0))
    assert len(FIND.detect(frame)) <= 1


def test_a_track_that_wanders_is_none():
    frame, places = starry(14), [(110.0, 90.0), (121.0, 99.0), (128.0, 112.0), (141.0, 118.0)]
    for first, last in itertools.pairwise(places):
        frame = np.maximum(frame, LEVEL + streak(SHAPE, (*first, *last), 40.0 * NOISE, sigma=1.4))
    assert len(FIND.detect(frame)) == 0


def arcs(shape, seed, count, length=20.0, bow=4.5):
    """Stars of a shaken hand: all draw one arc."""
    rng = np.random.default_rng(seed)
    light = np.zeros(shape)
    for x, y in rng.uniform(30.0, [shape[1] - 30.0, shape[0] - 30.0], (count, 2)):
        ends = (x - 0.5 * length, y - 3.0, x + 0.5 * length, y + 3.0)
        light += NOISE * rng.uniform(5.0, 40.0) * streak_light(shape, ends, 1.5, bow=bow)
    return light


def test_bent_trails_of_stars_are_none_and_tracks_among_them_are_too_narrow():
    frame = noise_frame(15) + arcs(SHAPE, 15, 14)
    tracks = [(60.0, 60.0, 80.0, 100.0), (300.0, 200.0, 345.0, 178.0)]
    frame += sum(streak(SHAPE, ends, 25.0 * NOISE, sigma=0.95) for ends in tracks)
    assert len(FIND.detect(frame)) == 0
    across = (330.0, 60.0, 150.0, 330.0)
    found = FIND.detect(frame + streak(SHAPE, across, 6.0 * NOISE, sigma=1.5))
    assert len(found) == 1
    assert gap(found, 0, across) < 25.0


def unresolved(seed, count=2500, shape=SHAPE):
    """Stars too faint to be seen one by one, in knots as stars are."""
    rng = np.random.default_rng(seed)
    knots = rng.uniform(0.0, [shape[1], shape[0]], (count // 8, 2))
    places = np.repeat(knots, 8, axis=0) + rng.normal(0.0, 6.0, (count // 8 * 8, 2))
    light = np.zeros(shape)
    x, y = np.rint(places).astype(int).T
    inside = (x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])
    np.add.at(light, (y[inside], x[inside]), NOISE * rng.uniform(0.5, 12.0, inside.sum()))
    return cv2.GaussianBlur(light, (0, 0), 1.2)


@pytest.mark.slow
def test_the_chance_of_a_crowd_is_not_that_of_noise():
    """Noise alone would show a row of unresolved stars as clear once in 10^16 frames."""
    crowd = noise_frame(31) + 2.0 * unresolved(31)
    assert Radon(max_log10_false_alarm=0.0).detect(crowd).snr.max() > 9.0
    assert len(FIND.detect(crowd)) == 0
