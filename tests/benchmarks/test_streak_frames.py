"""The simulated streak frames are what their truth says: places, strength, width, noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from benchmarks.simulate.render import Moffat
from benchmarks.simulate.streaks import (
    LENGTH_EDGES_PX,
    SNR_EDGES,
    DrawnStreak,
    Ground,
    SkySettings,
    StarSettings,
    StreakFrameSettings,
    StreakSettings,
    add_streak,
    bleed,
    cell_values,
    curve,
    draw_streaks,
    streak_frame,
)

POINT = Moffat(fwhm_px=2.4, beta=3.0)
SMALL = StreakFrameSettings(
    width_px=320,
    height_px=240,
    stars=StarSettings(per_megapixel=(0, 0), trailed=0.0),
    sky=SkySettings(gradient=(0.0, 0.0), vignetting=(0.0, 0.0), cloudy=0.0),
    hot_pixels_per_megapixel=(0, 0),
    cosmic_rays_per_megapixel=(0, 0),
)
ONE = StreakSettings(counts=(0.0, 1.0), meteor=0.0, aircraft=0.0, tumbling=0.0, cut=0.0, curved=0.0)


def drawn(x1: float, y1: float, x2: float, y2: float, bow: float = 0.0) -> DrawnStreak:
    x, y = curve(x1, y1, x2, y2, bow)
    return DrawnStreak(
        x=x,
        y=y,
        light=np.ones(x.size),
        widen=np.ones(x.size),
        lanes_px=(0.0,),
        bow_px=bow,
        peak_snr=4.0,
        kind="satellite",
    )


def ground(h: int, w: int, variance: float = 25.0) -> Ground:
    return Ground(variance=np.full((h, w), variance), passed=np.ones((h, w)))


def test_equal_seeds_equal_frames_and_others_differ():
    one, same = streak_frame(3, SMALL), streak_frame(3, SMALL)
    assert np.array_equal(one.light, same.light)
    assert not np.array_equal(one.light, streak_frame(4, SMALL).light)


def test_a_line_of_points_is_as_wide_as_the_closed_form_says():
    across = np.linspace(-6.0, 6.0, 2401)
    profile = POINT.across(across)
    above = across[profile >= profile.max() / 2.0]
    # The integral of the profile along a line falls with beta - 1/2
    core = 0.5 * POINT.fwhm_px / np.sqrt(2.0 ** (1.0 / POINT.beta) - 1.0)
    width = 2.0 * core * np.sqrt(2.0 ** (1.0 / (POINT.beta - 0.5)) - 1.0)
    assert above[-1] - above[0] == pytest.approx(width, abs=0.01)


def test_the_measured_cross_profile_peaks_at_the_wanted_snr():
    scene = np.zeros((200, 260))
    true = add_streak(scene, drawn(40.3, 60.1, 220.8, 131.7), POINT, ground(200, 260), 1e4)
    assert true is not None
    # Sampled along the middle of the line, away from the ends
    t = np.linspace(0.1, 0.9, 400)
    x, y = true.x1 + t * (true.x2 - true.x1), true.y1 + t * (true.y2 - true.y1)
    middle = map_coordinates(scene, [y, x], order=3).mean()
    assert middle / 5.0 == pytest.approx(true.peak_snr, rel=0.02)
    assert true.flux == pytest.approx(scene.sum() / 1e4, rel=1e-9)


def test_the_matched_snr_is_what_a_filter_of_its_shape_measures_in_noise():
    scene = np.zeros((120, 160))
    true = add_streak(scene, drawn(30.0, 40.0, 120.0, 80.0), POINT, ground(120, 160), 1e4)
    assert true is not None
    rng = np.random.default_rng(1)
    answers = [((scene + rng.normal(0.0, 5.0, scene.shape)) * scene).sum() for _ in range(400)]
    assert np.mean(answers) / np.std(answers) == pytest.approx(true.matched_snr, rel=0.1)


def test_the_border_cuts_a_streak_where_it_crosses():
    scene = np.zeros((100, 100))
    true = add_streak(scene, drawn(150.0, 50.0, 40.0, 50.0), POINT, ground(100, 100), 1e4)
    assert true is not None
    assert (true.x1, true.first_cut) == (pytest.approx(40.0), False)
    assert (true.x2, true.second_cut) == (pytest.approx(99.5, abs=0.5), True)
    outside = drawn(150.0, 50.0, 240.0, 50.0)
    assert add_streak(scene, outside, POINT, ground(100, 100), 1e4) is None


def test_a_bow_lies_on_the_stated_side_and_shrinks_when_it_is_cut():
    scene = np.zeros((120, 300))
    true = add_streak(scene, drawn(20.0, 60.0, 280.0, 60.0, 8.0), POINT, ground(120, 300), 1e4)
    assert true is not None
    assert true.bow_px == pytest.approx(8.0)
    # Going right with y down, the right hand is below
    assert int(scene[:, 150].argmax()) == 68
    backwards = drawn(280.0, 60.0, 20.0, 60.0, 8.0)
    turned = add_streak(np.zeros((120, 300)), backwards, POINT, ground(120, 300), 1e4)
    assert turned is not None
    assert turned.bow_px == pytest.approx(-8.0)
    half = add_streak(
        np.zeros((120, 150)), drawn(20.0, 60.0, 280.0, 60.0, 8.0), POINT, ground(120, 150), 1e4
    )
    assert half is not None
    assert half.bow_px == pytest.approx(8.0 / 4.0, rel=0.02)


def test_cells_follow_each_other_evenly():
    rng = np.random.default_rng(0)
    values = np.array([cell_values(rng, 7 * seed) for seed in range(1200)])
    inside = (values[:, 0] >= 0.5) & (values[:, 1] >= 30.0) & (values[:, 1] <= 1200.0)
    cells, *_ = np.histogram2d(*values[inside].T, bins=[SNR_EDGES, LENGTH_EDGES_PX])
    assert 0.8 < inside.mean() < 0.95
    assert cells.min() > 0.8 * cells.mean()


def test_streaks_lie_inside_unless_they_are_cut():
    rng = np.random.default_rng(0)
    inside = [one for seed in range(200) for one in draw_streaks(rng, seed, 500, 300, ONE)]
    assert all(one.x.min() > 0 and one.x.max() < 499 for one in inside)
    assert all(one.y.min() > 0 and one.y.max() < 299 for one in inside)
    cut = [one for s in range(200) for one in draw_streaks(rng, s, 500, 300, replace(ONE, cut=1.0))]
    beyond = [one for one in cut if min(one.x.min(), one.y.min()) < 0 or one.x.max() > 499]
    assert len(beyond) > 0.5 * len(cut)


def test_bleeding_keeps_the_charge():
    electrons = np.zeros((60, 9))
    electrons[30, 4] = 1000.0
    bleed(electrons, 100.0)
    assert electrons.sum() == pytest.approx(1000.0)
    assert electrons.max() == 100.0
    assert np.flatnonzero(electrons[:, 4]).tolist() == list(range(25, 36))


def test_noise_of_an_empty_frame_is_that_of_sky_and_read_out():
    settings = replace(
        SMALL,
        sky=replace(SMALL.sky, electrons=(100.0, 100.0)),
        read_noise_electrons=(7.0, 7.0),
        streaks=StreakSettings(counts=(1.0,)),
    )
    frame = streak_frame(5, settings)
    assert len(frame.truth) == 0
    sigma = settings.full_well_electrons * frame.light.std()
    assert sigma == pytest.approx(np.sqrt(149.0), rel=0.02)
