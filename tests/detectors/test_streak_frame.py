"""Frames of known noise, light and shapes, and streaks of known ends, width and flux in them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from streak_scene import Streak as Ends
from streak_scene import nearest_streak, star_light, streak_light

from detectors.registry import STREAKS
from detectors.streak_frame import (
    StreakFrame,
    find_clipped_streaks,
    find_saturated_stars,
    flatten_residual,
)
from detectors.types import StreakFlag

SHAPE = HEIGHT, WIDTH = (208, 256)
ROWS, COLS = np.mgrid[:HEIGHT, :WIDTH].astype(float)
LEVEL, NOISE, SIGMA_PX = 200.0, 5.0, 1.5
RADON = STREAKS.detectors()["radon"]


def white(seed=1, noise=1.0, shape=SHAPE):
    return noise * np.random.default_rng(seed).normal(size=shape)


def drawn(ends, snr, seed=1):
    return LEVEL + white(seed, NOISE) + snr * NOISE * streak_light(SHAPE, ends, SIGMA_PX)


def flux_of(snr, length):
    return snr * NOISE * np.sqrt(2.0 * np.pi) * SIGMA_PX * length


def around(degrees, length=120.0, middle=(128.3, 100.2)):
    step = 0.5 * length * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    return (*(np.array(middle) - step), *(np.array(middle) + step))


@pytest.mark.parametrize("degrees", [0.0, 45.0, 90.0])
@pytest.mark.parametrize(
    ("snr", "end_px", "line_px", "wider", "share"),
    # Interpolation between pixels adds up to a quarter of a square pixel to a width's square
    [(3.0, 1.6, 0.4, 0.09, 0.09), (200.0, 0.08, 0.03, 0.055, 0.02)],
)
def test_a_line_comes_back_with_its_ends_width_and_flux(
    degrees, snr, end_px, line_px, wider, share
) -> None:
    ends = around(degrees)
    found = RADON.detect(drawn(ends, snr))
    assert len(found) == 1
    assert nearest_streak(found, Ends(*ends))[1] < end_px
    along = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    for x, y in ((found.x1[0], found.y1[0]), (found.x2[0], found.y2[0])):
        off = (x - 128.3) * along[1] - (y - 100.2) * along[0]
        assert abs(off) < line_px
    assert found.length_px[0] == pytest.approx(120.0, abs=end_px)
    assert found.width_px[0] == pytest.approx(2.3548 * SIGMA_PX, rel=wider)
    assert found.flux[0] == pytest.approx(flux_of(snr, 120.0), rel=share)
    assert found.flags[0] == 0


@pytest.mark.parametrize("degrees", [20.0, 70.0, 160.0])
@pytest.mark.parametrize(
    ("sigma_px", "peak"), [(1.2, 12.0), (1.5, 8.0), (2.0, 10.0), (2.5, 30.0), (4.0, 30.0)]
)
def test_a_bright_streak_has_all_its_light_however_wide(sigma_px, peak, degrees) -> None:
    light = peak * streak_light(SHAPE, around(degrees, 170.0), sigma_px)
    found = RADON.detect(LEVEL + NOISE * light + white(1, NOISE))
    assert len(found) == 1
    assert found.flux[0] == pytest.approx(NOISE * light.sum(), rel=0.03)
    # Of a filter that fits, the root of the sum of squares over the noise
    assert found.snr[0] == pytest.approx(np.sqrt((light**2).sum()), rel=0.05)
    assert found.width_px[0] == pytest.approx(2.3548 * np.hypot(sigma_px, 0.4), rel=0.025)


def test_a_line_is_cut_by_the_edge_and_by_a_mask() -> None:
    leaving = (-40.0, 60.0, 90.0, 125.0)
    found = RADON.detect(drawn(leaving, 3.0))
    assert found.x1[0] == pytest.approx(-0.5, abs=0.3)
    assert found.y1[0] == pytest.approx(79.75, abs=0.4)
    assert found.flags[0] == StreakFlag.FIRST_END_OUTSIDE
    inside = np.hypot(90.5, 45.25)
    assert found.flux[0] == pytest.approx(flux_of(3.0, inside), rel=0.15)
    ends = around(30.0)
    image, mask = drawn(ends, 3.0), (COLS > 110) & (COLS < 122)
    image[mask] = 5000.0
    through = RADON.detect(image, mask)
    assert nearest_streak(through, Ends(*ends))[1] < 1.6
    seen = 120.0 - 11.0 / np.cos(np.radians(30.0))
    assert through.flux[0] == pytest.approx(flux_of(3.0, seen), rel=0.09)


@pytest.mark.parametrize(("unit", "offset"), [(1.0, 0.0), (1e-3, -0.2), (2e4, 3e8), (1.0, 3e5)])
def test_a_frame_is_known_light_over_known_noise(unit, offset) -> None:
    """Noise that doubles across the frame, on a slope; stars, clouds and units take no part."""
    noise = 5.0 * (1.0 + COLS / WIDTH)
    cloud = gaussian_filter(white(3), 12.0)
    light = 300.0 + 0.5 * ROWS + 20.0 * cloud / cloud.std() + noise * white(4)
    stars = [(30.0 * k + 20.0, 17.0 * (k % 11) + 15.0, 300.0) for k in range(8)]
    image = unit * (light + star_light(SHAPE, stars)) + offset
    frame = StreakFrame.of(image, None, None)
    assert frame is not None
    assert np.median(frame.noise / (unit * noise)) == pytest.approx(1.0, abs=0.03)
    assert np.mean(np.abs(frame.noise / (unit * noise) - 1.0) < 0.15) > 0.9
    star = frame.residual[15, 20] * frame.noise[15, 20] / unit
    assert star == pytest.approx(300.0, abs=30.0)
    assert not frame.ignored.any()
    assert not frame.clipped.any()


def test_what_is_masked_missing_or_clipped_is_told_and_has_no_say() -> None:
    image, mask = LEVEL + white(5, NOISE), (ROWS < 60) & (COLS < 80)
    image[mask] = 9000.0 * (1 + ROWS[mask])
    image[150:, 200:] = np.nan
    full = (COLS - 40) ** 2 + (ROWS - 150) ** 2 < 50
    image[full] = 700.0
    frame = StreakFrame.of(image, mask, full.astype(np.float32))
    assert frame is not None
    assert np.array_equal(frame.ignored, mask | np.isnan(image))
    assert not frame.residual[frame.ignored].any()
    assert np.array_equal(frame.clipped, full)
    assert frame.noise == pytest.approx(NOISE, rel=0.15)
    assert (frame.residual[full] > 80.0).all()
    kept = frame.residual[~frame.ignored & ~full]
    assert kept.std() == pytest.approx(1.0, abs=0.06)
    assert kept.mean() == pytest.approx(0.0, abs=0.06)


def test_a_plateau_at_the_top_is_clipped_but_neither_a_peak_nor_half_of_a_frame() -> None:
    for count, clipped in ((5, 0), (6, 6)):
        image = LEVEL + white(6, NOISE)
        image[40, 50 : 50 + count] = 400.0
        frame = StreakFrame.of(image, None, None)
        assert frame is not None
        assert frame.clipped.sum() == clipped
        assert frame.clipped[40, 50 : 50 + count].sum() == clipped
    half = np.where(COLS < 0.55 * WIDTH, 400.0, LEVEL + white(6, NOISE))
    frame = StreakFrame.of(half, None, None)
    assert frame is not None
    assert not frame.clipped.any()


def test_where_nothing_can_be_found_there_is_no_frame() -> None:
    image = white(7)
    assert StreakFrame.of(image[:15], None, None) is None
    assert StreakFrame.of(image[:16], None, None) is not None
    assert StreakFrame.of(np.full(SHAPE, 3.0), None, None) is None
    assert StreakFrame.of(image, np.ones(SHAPE, bool), None) is None
    assert len(RADON.detect(image[:15])) == 0


def test_flattened_light_has_lost_what_is_broad_and_keeps_a_streak() -> None:
    ends, hidden = around(20.0), np.zeros(SHAPE, bool)
    light = 8.0 * streak_light(SHAPE, ends, SIGMA_PX)
    broad = 1.5 * np.sin(COLS / 40.0) + np.cos(ROWS / 50.0)
    for roughly, kept in ((False, 0.96), (True, 0.85)):
        flat, texture = flatten_residual(
            (white(8) + light + broad).astype(np.float32), hidden, roughly=roughly
        )
        on, dark = light > 4.0, light < 1e-3
        assert (flat * texture)[on].sum() / light[on].sum() == pytest.approx(kept, abs=0.08)
        assert (flat * texture)[dark].std() == pytest.approx(1.0, abs=0.08)
        smooth = gaussian_filter((flat * texture)[60:150, 20:230], 8.0)
        assert np.abs(smooth[light[60:150, 20:230] < 1e-9]).max() < 1.2
    hidden[:, :60] = True
    image = white(8)
    image[:, :60] = 1e4
    flat, texture = flatten_residual(image.astype(np.float32), hidden)
    assert flat[:, 66:].std() == pytest.approx(1.0, abs=0.05)
    assert np.median(texture[:, 66:]) == pytest.approx(1.0, abs=0.04)
    assert texture.max() < 1.5
    assert texture.min() >= 1.0


@pytest.mark.parametrize("cloud", [0.5, 1.0])
def test_texture_is_the_blurred_noise_over_that_of_white_noise(cloud) -> None:
    """Of clouds on the right half."""
    rough = gaussian_filter(white(9), 2.5)
    field = white(10) + np.where(COLS > 128, cloud * rough / rough.std(), 0.0)
    flat, texture = flatten_residual(field.astype(np.float32), np.zeros(SHAPE, bool), roughly=True)
    here = np.s_[20:-20, 160:-16]
    by_hand = gaussian_filter(flat * texture, 1.5)[here].std() * 2.0 * np.sqrt(np.pi) * 1.5
    assert by_hand > 1.5
    assert texture[here].mean() == pytest.approx(by_hand, rel=0.12)
    assert texture[20:-20, 16:90].mean() == pytest.approx(1.0, abs=0.06)
    finely, fine = flatten_residual(field.astype(np.float32), np.zeros(SHAPE, bool))
    assert fine[here].mean() == pytest.approx(texture[here].mean(), rel=0.1)
    assert (finely[here] ** 2).mean() < 1.1


def bar(length, width, degrees, middle=(128.0, 104.0)):
    """Pixels of a rectangle."""
    turn = np.radians(degrees)
    x, y = COLS - middle[0], ROWS - middle[1]
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return (np.abs(along) < 0.5 * length) & (np.abs(across) < 0.5 * width)


def test_clipped_areas_are_streaks_if_long_thin_and_askew() -> None:
    for length, width, degrees, streak in (
        *((60.0, 6.0, 30.0, True), (60.0, 6.0, 120.0, True), (60.0, 14.0, 30.0, False)),
        *((60.0, 6.0, 0.0, False), (60.0, 6.0, 90.0, False), (12.0, 1.5, 30.0, False)),
        *((18.0, 2.0, 30.0, True), (200.0, 6.0, 1.0, False), (200.0, 6.0, 2.0, True)),
    ):
        lit, other = bar(length, width, degrees), bar(8.0, 8.0, 0.0, (20.0, 20.0))
        assert np.array_equal(find_clipped_streaks(lit | other), lit if streak else ~lit & lit)
    assert not find_clipped_streaks(np.zeros(SHAPE, bool)).any()


def test_round_clipped_areas_are_stars_with_their_middle_and_radius() -> None:
    lit = np.zeros(SHAPE, bool)
    lit[20:24, 30:38] = True  # twice as long as wide
    lit[60:64, 30:39] = True  # and longer
    lit[100:102, 50:53] = True  # of six pixels: too small
    lit[100:102, 80:84] = True  # of eight
    lit |= (COLS - 170) ** 2 + (ROWS - 120) ** 2 <= 81
    stars = find_saturated_stars(lit)
    size = cv2.countNonZero(((COLS - 170) ** 2 + (ROWS - 120) ** 2 <= 81).astype(np.uint8))
    expected = [(33.5, 21.5, 32), (81.5, 100.5, 8), (170.0, 120.0, size)]
    by_hand = [(x, y, np.sqrt(pixels / np.pi)) for x, y, pixels in expected]
    assert stars == pytest.approx(np.array(by_hand))
    assert find_saturated_stars(np.zeros(SHAPE, bool)).shape == (0, 3)
