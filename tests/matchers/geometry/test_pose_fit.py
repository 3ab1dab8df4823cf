"""The public door to pose fits: plain arrays in, camera, covariance and inliers out."""

from __future__ import annotations

import numpy as np
import pytest

from matchers.geometry.pose import FOCAL, PARAMETERS, ROTATION, step_camera
from matchers.geometry.pose_fit import PoseOptions, fit_pose, make_whitening
from tests.matchers.lamp_world import VELOCITY, camera_over, miss_px, prior_of

TRUTH = camera_over(
    10.5, 42.5, off_nadir=30.0, azimuth=50.0, roll=20.0, width=600, height=400, focal_px=700.0
)
ALL = np.arange(PARAMETERS) < 8


def noisy_points(seed: int, n_wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels off by half a pixel, and the places that they show; the first are far off."""
    rng = np.random.default_rng(seed)
    pixels = rng.uniform([10.0, 10.0], [590.0, 390.0], (80, 2))
    places = TRUTH.pixel_to_ecef(*pixels.T)
    pixels = pixels + rng.normal(0.0, 0.5, pixels.shape)
    pixels[:n_wrong] += 30.0
    return pixels, places


@pytest.mark.parametrize("seed", range(3))
def test_a_camera_is_found_from_points_and_wrong_ones_are_no_inliers(seed: int) -> None:
    step = np.zeros(PARAMETERS)
    step[ROTATION], step[FOCAL] = [0.01, -0.02, 0.01], 0.01
    start = step_camera(TRUTH, VELOCITY, step)
    pixels, places = noisy_points(seed, 8)
    noise = np.tile(0.25 * np.eye(2), (80, 1, 1))
    fit = fit_pose(
        *(pixels, places, start, prior_of(TRUTH), ALL, PoseOptions(outlier_sigmas=2.5)),
        covariance_px=noise,
    )
    assert (
        miss_px(fit.camera, TRUTH, *np.array([(50.0, 300.0, 550.0), (40.0, 200.0, 360.0)])).max()
        < 0.6
    )
    assert not fit.inliers[:8].any()
    assert fit.inliers[8:].mean() > 0.9
    assert np.linalg.eigvalsh(fit.covariance[:8, :8]).min() > 0.0
    assert not fit.covariance[8:].any()
    assert fit.residual_px == pytest.approx(
        pixels - np.stack(fit.camera.ecef_to_pixel(places), axis=-1)
    )


def test_points_that_count_half_are_as_unsure_as_noisier_ones() -> None:
    pixels, places = noisy_points(4, 0)
    given = pixels, places, TRUTH, prior_of(TRUTH), ALL
    half = fit_pose(*given, covariance_px=np.tile(np.eye(2), (80, 1, 1)), counted=0.5)
    noisy = fit_pose(*given, covariance_px=np.tile(2.0 * np.eye(2), (80, 1, 1)))
    assert half.covariance == pytest.approx(noisy.covariance, rel=1e-6)
    assert half.camera.focal_px == pytest.approx(noisy.camera.focal_px, rel=1e-9)


def test_what_is_not_free_stays_and_a_start_near_the_end_ends_there() -> None:
    pixels, places = noisy_points(5, 0)
    noise = np.tile(0.25 * np.eye(2), (80, 1, 1))
    free = np.isin(np.arange(PARAMETERS), (0, 1, 2, FOCAL))
    fit = fit_pose(pixels, places, TRUTH, prior_of(TRUTH), free, covariance_px=noise)
    assert fit.camera.position_ecef_m == TRUTH.position_ecef_m
    assert fit.camera.distortion == TRUTH.distortion
    loose = PoseOptions(converged=0.01)
    again = fit_pose(pixels, places, fit.camera, prior_of(TRUTH), free, loose, covariance_px=noise)
    sigma = np.sqrt(fit.covariance[FOCAL, FOCAL])
    assert abs(np.log(again.camera.focal_px / fit.camera.focal_px)) < 0.01 * sigma
    assert again.chi_square == pytest.approx(fit.chi_square, rel=1e-6)


def test_whitened_noise_is_independent_and_of_unit_size() -> None:
    roots = np.random.default_rng(6).normal(size=(20, 2, 2))
    covariance = roots @ roots.transpose(0, 2, 1) + 0.01 * np.eye(2)
    whiten = make_whitening(covariance)
    assert whiten @ covariance @ whiten.transpose(0, 2, 1) == pytest.approx(
        np.tile(np.eye(2), (20, 1, 1)), abs=1e-9
    )
