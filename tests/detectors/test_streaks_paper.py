"""The streak paper's seven detectors: their steps, and what they find."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity
from streak_scene import noisy, scattered_stars, star_light, streak_light

from detectors.registry import STREAKS
from detectors.streaks_paper import (
    CLUSTERINGS,
    PaperParams,
    choose_iterations,
    compute_noise_slope,
    diffuse_once,
    fit_gmm,
    mask_stars,
)
from detectors.types import StreakFlag

SHAPE, SIGMA_PX = (240, 300), 1.2
PAPER = {name: one for name, one in STREAKS.detectors().items() if name.startswith("paper-")}
STREAK, PEAK = (50.0, 60.0, 240.0, 170.0), 8.0
USUAL, PARAMS = PAPER["paper-kmeans"], PaperParams()
every = pytest.mark.parametrize("detector", PAPER.values(), ids=PAPER.keys())
each = pytest.mark.parametrize("cluster", CLUSTERINGS.values(), ids=CLUSTERINGS.keys())


def diffused(image, iterations):
    for _ in range(iterations):
        image = diffuse_once(image, 4.0 * compute_noise_slope(1.0), PARAMS.step)
    return image


def test_diffusion_is_the_sum_of_flows_between_eight_neighbours_and_loses_no_light():
    """The scheme without loops against Gerig's with them, on a small image."""
    noise = np.random.default_rng(0).standard_normal((9, 11), np.float32)
    edge = 0.8
    blurred = cv2.GaussianBlur(noise, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    framed = np.pad(blurred, 1, mode="reflect")
    slope_x = 0.5 * (framed[1:-1, 2:] - framed[1:-1, :-2])
    slope_y = 0.5 * (framed[2:, 1:-1] - framed[:-2, 1:-1])
    g = np.exp(-(slope_x**2 + slope_y**2) / edge**2)
    expected = noise.astype(float)
    for row in range(1, 8):
        for col in range(1, 10):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if (i, j) != (0, 0):
                        between = 0.5 * (g[row, col] + g[row + i, col + j])
                        step = noise[row + i, col + j] - noise[row, col]
                        expected[row, col] += between * step / (i * i + j * j) / 7.0
    once = diffuse_once(noise, edge, 1.0 / 7.0)
    assert np.allclose(once[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-5)
    image = 5.0 + noise
    image[:4, :5] += 30.0  # also at the border
    assert diffused(image, 30).mean() == pytest.approx(image.mean(), rel=1e-5)


def test_the_chosen_number_of_iterations_is_near_the_best():
    """Against the scene without noise, which the choice never sees."""
    size = (128, 160)
    scene = star_light(size, scattered_stars(40, size))
    scene = scene + 4.0 * streak_light(size, (20, 20, 140, 90))
    image = np.clip(noisy(scene, level=0.0), -8.0, 56.0)
    truth = np.minimum(scene, 56.0).astype(np.float32)
    chosen = choose_iterations(image, PARAMS, np.random.default_rng(0))

    def likeness(iterations):
        return structural_similarity(diffused(image, iterations), truth, data_range=64.0)

    values = [likeness(number) for number in range(0, 41, 4)]
    assert 2 <= chosen <= 40
    assert likeness(chosen) > max(values) - 0.02
    assert likeness(chosen) > values[0] + 0.1


def two_clusters(rng, count=2000):
    labels = rng.random(count) < 0.4
    means = np.where(labels[:, None], [8.0, 6.0], [0.0, 0.0])
    return means + rng.standard_normal((count, 2)), labels


@each
def test_known_clusters_are_recovered_and_the_seed_decides(cluster):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sample, labels = two_clusters(rng)
        assert (cluster(sample, rng)(sample) == labels).mean() > 0.98
    one, other = (cluster(sample, np.random.default_rng(7))(sample) for _ in range(2))
    assert np.array_equal(one, other)


def test_a_mixture_knows_that_clusters_have_widths():
    rng = np.random.default_rng(3)
    narrow, wide = rng.normal(0.0, 0.2, (3000, 2)), rng.normal(4.0, 2.0, (300, 2))
    is_streak = fit_gmm(np.concatenate([narrow, wide]), rng)
    assert is_streak(np.array([[1.5, 1.5]])).all()  # nearer to the narrow one, too far for it
    assert not is_streak(np.array([[-4.0, -4.0], [0.1, 0.2]])).any()


def smoothed(light):
    return diffused(noisy(light, 0, level=0.0), 12)


def test_a_star_is_masked_with_all_its_light_and_a_streak_is_not():
    light = star_light(SHAPE, [(100.3, 80.7, 50.0)])
    covered = mask_stars(smoothed(light), PARAMS)
    assert light[covered].sum() > 0.97 * light.sum()
    assert covered.sum() < 600
    streak = PEAK * streak_light(SHAPE, STREAK)
    assert mask_stars(smoothed(streak), PARAMS)[streak > 4.0].mean() < 0.05
    stars = scattered_stars(25, SHAPE)
    covered = mask_stars(smoothed(streak + star_light(SHAPE, stars)), PARAMS)
    assert covered[streak > 4.0].mean() < 0.25
    hidden = covered[np.rint(stars[:, 1]).astype(int), np.rint(stars[:, 0]).astype(int)]
    assert hidden.mean() > 0.7
    assert mask_stars(smoothed(np.zeros(SHAPE)), PARAMS).mean() < 0.01
    assert not mask_stars(np.zeros(SHAPE, np.float32), PARAMS).any()


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
    stars = star_light(SHAPE, scattered_stars(25, SHAPE, seed=5))
    assert len(detector.detect(noisy(stars, 3))) == 0


@every
def test_a_frame_of_one_value_but_a_few_ends_in_an_answer(detector):
    image = np.zeros((100, 120), np.uint8)
    image[50:53, 60:63] = 9
    assert len(detector.detect(image)) == 0


def test_every_field_is_measured():
    found = USUAL.detect(plain_frame())
    assert found.width_px[0] == pytest.approx(2.355 * SIGMA_PX, rel=0.2)
    template = PEAK * streak_light(SHAPE, STREAK)
    assert found.flux[0] == pytest.approx(template.sum(), rel=0.15)
    assert found.snr[0] == pytest.approx(np.sqrt(np.square(template).sum()), rel=0.25)
    assert found.log10_false_alarm[0] < -1.0
    assert abs(found.bow_px[0]) < 0.5
    assert 0.0 < found.sigma_end_px[0] < 1.0
    assert 0.0 < found.sigma_line_px[0] < 0.5
    assert found.flags[0] == 0


def test_flags_tell_the_border_and_clipped_pixels():
    light = 12.0 * streak_light(SHAPE, (-30.0, 40.0, 200.0, 150.0))
    found = USUAL.detect(np.minimum(noisy(light), 108.0))
    assert len(found) == 1
    assert found.x1[0] == pytest.approx(0.0, abs=2.0)
    assert found.y1[0] == pytest.approx(40.0 + 30.0 * 110.0 / 230.0, abs=1.5)
    assert found.flags[0] & StreakFlag.FIRST_END_OUTSIDE
    assert not found.flags[0] & StreakFlag.SECOND_END_OUTSIDE
    assert found.flags[0] & StreakFlag.SATURATED


def test_a_saturated_half_neither_hides_the_other_nor_makes_a_streak_of_its_edge():
    image = plain_frame()
    image[:, :30] = 4000.0
    assert_the_streak(USUAL.detect(image))


def test_smooth_cloud_holds_no_streak():
    rows, cols = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    cloud = 60.0 * np.sin(rows / 40.0) * np.cos(cols / 55.0)
    assert len(USUAL.detect(noisy(cloud, 5))) == 0
