"""Diffusion: it keeps the mean and edges, and smooths what is flat; SSIM stops it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity as skimage_similarity
from streak_scene import noisy, scattered_stars, star_light, streak_light

from detectors.anisotropic_diffusion import (
    best_iterations,
    diffuse_once,
    diffused,
    structural_similarity,
)

SIZE = (128, 160)


@pytest.fixture
def noise():
    return np.random.default_rng(0).standard_normal(SIZE, np.float32)


def test_light_is_neither_made_nor_lost(noise):
    image = 5.0 + noise
    image[:40, :50] += 30.0  # also at the border
    assert diffused(image, 30, noise=1.0).mean() == pytest.approx(image.mean(), rel=1e-5)


def test_it_is_the_sum_of_flows_between_eight_neighbours(noise):
    """The scheme without loops against Gerig's with them, on a small image."""
    image, edge = noise[:9, :11], 0.8
    blurred = cv2.GaussianBlur(image, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    framed = np.pad(blurred, 1, mode="reflect")
    slope_x = 0.5 * (framed[1:-1, 2:] - framed[1:-1, :-2])
    slope_y = 0.5 * (framed[2:, 1:-1] - framed[:-2, 1:-1])
    g = np.exp(-(slope_x**2 + slope_y**2) / edge**2)
    expected = image.astype(float)
    for row in range(1, 8):
        for col in range(1, 10):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if (i, j) != (0, 0):
                        between = 0.5 * (g[row, col] + g[row + i, col + j])
                        step = image[row + i, col + j] - image[row, col]
                        expected[row, col] += between * step / (i * i + j * j) / 7.0
    once = diffuse_once(image, edge)
    assert np.allclose(once[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-5)


def test_ssim_is_that_of_scikit_image(noise):
    one, other = 3.0 * noise, 3.0 * noise + np.roll(noise, 5)
    theirs = skimage_similarity(
        one, other, data_range=20.0, gaussian_weights=True, use_sample_covariance=False
    )
    assert structural_similarity(one, other, 20.0) == pytest.approx(theirs, abs=2e-3)
    assert structural_similarity(one, one, 20.0) == pytest.approx(1.0, abs=1e-5)


def test_the_chosen_number_of_iterations_is_near_the_best():
    """Against the scene without noise, which the choice never sees."""
    scene = star_light(SIZE, scattered_stars(40, SIZE)) + 4.0 * streak_light(
        SIZE, (20, 20, 140, 90)
    )
    image = np.clip(noisy(scene, level=0.0), -8.0, 56.0)
    truth = np.minimum(scene, 56.0).astype(np.float32)
    chosen = best_iterations(image, noise=1.0, data_range=64.0)
    values = [
        structural_similarity(diffused(image, n, noise=1.0), truth, 64.0) for n in range(0, 41, 2)
    ]
    reached = structural_similarity(diffused(image, chosen, noise=1.0), truth, 64.0)
    assert 2 <= chosen <= 40
    assert reached > max(values) - 0.02
    assert reached > values[0] + 0.1


def test_a_clean_image_is_left_alone_and_the_count_is_bounded(noise):
    scene = star_light(SIZE, scattered_stars(150, SIZE)).astype(np.float32)
    assert best_iterations(scene, noise=1e-4, data_range=64.0) == 0
    assert best_iterations(noise, noise=1.0, data_range=64.0, most=3) <= 3
