"""Stars go, streaks stay."""

from __future__ import annotations

import numpy as np
from streak_scene import noisy, scattered_stars, star_light, streak_light

from detectors.anisotropic_diffusion import diffused
from detectors.paper_stars import StarSettings, find_stars, key_points

SHAPE, SIGMA_PX = (240, 300), 1.2


def smoothed(light, seed=0):
    return diffused(noisy(light, seed, level=0.0), 12, noise=1.0)


def test_key_points_lie_on_the_stars_without_the_quarter_pixel():
    rng = np.random.default_rng(4)
    columns, rows = np.meshgrid(np.arange(30.0, 280.0, 40.0), np.arange(30.0, 220.0, 40.0))
    places = np.column_stack([columns.ravel(), rows.ravel()]) + rng.uniform(-0.5, 0.5, (35, 2))
    light = star_light(SHAPE, np.column_stack([places, np.full(35, 30.0)]))
    x, y = key_points(light.astype(np.float32), StarSettings())
    gaps = np.hypot(x[:, None] - places[:, 0], y[:, None] - places[:, 1])
    nearest = gaps.argmin(axis=0)
    assert gaps.min(axis=0).max() < 0.5
    assert abs(np.mean(x[nearest] - places[:, 0])) < 0.08
    assert abs(np.mean(y[nearest] - places[:, 1])) < 0.08


def test_a_known_star_is_removed_with_all_its_light():
    light = star_light(SHAPE, [(100.3, 80.7, 50.0)])
    covered = find_stars(smoothed(light)).covered(SHAPE)
    assert covered[81, 100]
    assert light[covered].sum() > 0.97 * light.sum()
    assert covered.sum() < 600


def test_a_streak_keeps_its_pixels_also_among_stars():
    streak = 8.0 * streak_light(SHAPE, (40.0, 50.0, 250.0, 190.0))
    covered = find_stars(smoothed(streak)).covered(SHAPE)
    assert covered[streak > 4.0].mean() < 0.05
    stars = scattered_stars(25, SHAPE)
    covered = find_stars(smoothed(streak + star_light(SHAPE, stars))).covered(SHAPE)
    assert covered[streak > 4.0].mean() < 0.25
    hidden = covered[np.rint(stars[:, 1]).astype(int), np.rint(stars[:, 0]).astype(int)]
    assert hidden.mean() > 0.7


def test_no_stars_in_noise_and_none_in_nothing():
    assert len(find_stars(np.zeros(SHAPE, np.float32))) == 0
    assert not find_stars(np.zeros((20, 20), np.float32)).covered((20, 20)).any()
    assert find_stars(smoothed(np.zeros(SHAPE))).covered(SHAPE).mean() < 0.01
