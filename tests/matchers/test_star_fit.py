"""Cameras fitted to stars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from matchers.sky_camera import SkyCamera, matrix_quaternion
from matchers.star_fit import LensPrior, fit_camera, jacobian, moved, place_variance


def camera(seed: int, mirrored: bool = False) -> SkyCamera:
    return SkyCamera(
        width_px=1500,
        height_px=1000,
        focal_px=1200.0,
        principal_point=(755.0, 495.0),
        quaternion_icrs=matrix_quaternion(Rotation.random(random_state=seed).as_matrix()),
        distortion=(-0.08, 0.02, 3e-4, -2e-4, -0.003),
        mirrored=mirrored,
    )


@settings(max_examples=20)
@given(seed=st.integers(0, 9999), mirrored=st.booleans())
def test_slopes_are_the_differences_of_projections(seed: int, mirrored: bool) -> None:
    sky = camera(seed, mirrored)
    rng = np.random.default_rng(seed)
    vectors = sky.to_sky(rng.uniform(0, 1499, 6), rng.uniform(0, 999, 6))
    slopes = jacobian(sky, vectors)
    for parameter in range(11):
        step = np.zeros(11)
        step[parameter] = 1e-6
        ahead = np.stack(moved(sky, step).project(vectors), axis=1)
        behind = np.stack(moved(sky, -step).project(vectors), axis=1)
        assert ((ahead - behind) / 2e-6).ravel() == pytest.approx(
            slopes[:, parameter], rel=1e-4, abs=1e-2
        )


@pytest.mark.parametrize("mirrored", [False, True])
def test_many_stars_give_the_camera_back(mirrored: bool) -> None:
    truth = camera(3, mirrored)
    rng = np.random.default_rng(5)
    x, y = rng.uniform(0, 1499, 150), rng.uniform(0, 999, 150)
    vectors = truth.to_sky(x, y)
    noisy = x + rng.normal(0, 0.3, 150), y + rng.normal(0, 0.3, 150)
    off = np.zeros(11)
    off[:4] = 0.01, -0.01, 0.02, 0.03
    start = replace(moved(truth, off), distortion=(0.0,) * 5, principal_point=(749.5, 499.5))
    wide = LensPrior(k1=(0.1, 0.0), k2=(0.1, 0.0), k3=(0.1, 0.0), tangential=(0.01, 0.0))
    fit = fit_camera(start, *noisy, vectors, 0.3, wide)
    px, py = fit.camera.project(vectors)
    assert np.hypot(px - x, py - y).max() < 0.6
    assert np.sqrt(np.mean((px - x) ** 2 + (py - y) ** 2)) < 0.2
    turned = Rotation.from_matrix(fit.camera.matrix.T @ truth.matrix).magnitude()
    # The axis and the principal point are told apart by perspective alone
    assert np.degrees(turned) < 0.1


def test_few_stars_leave_the_lens_as_it_was_believed() -> None:
    truth = replace(camera(4), distortion=(0.0,) * 5, principal_point=(749.5, 499.5))
    x, y = np.array([300.0, 1200.0, 700.0, 800.0]), np.array([200.0, 300.0, 900.0, 500.0])
    off = np.zeros(11)
    off[:4] = 0.005, 0.002, -0.01, 0.02
    fit = fit_camera(moved(truth, off), x, y, truth.to_sky(x, y), 0.5, LensPrior())
    assert fit.camera.focal_px == pytest.approx(truth.focal_px, rel=2e-3)
    assert fit.camera.distortion == pytest.approx((0.0,) * 5, abs=0.01)


def test_predicted_errors_are_those_that_happen() -> None:
    truth = camera(7)
    rng = np.random.default_rng(8)
    x, y = rng.uniform(400, 1100, 25), rng.uniform(300, 700, 25)
    vectors = truth.to_sky(x, y)
    there = truth.to_sky([100.0, 740.0], [80.0, 510.0])
    misses = []
    for _ in range(120):
        noisy = x + rng.normal(0, 0.5, 25), y + rng.normal(0, 0.5, 25)
        fit = fit_camera(truth, *noisy, vectors, 0.5, LensPrior())
        px, py = fit.camera.project(there)
        misses.append((px - [100.0, 740.0]) ** 2 + (py - [80.0, 510.0]) ** 2)
    found = np.mean(misses, axis=0) / 2.0
    predicted = place_variance(fit, there)
    # Of the corner the prior is a part, which does not scatter: it is predicted too large
    assert found[1] == pytest.approx(predicted[1], rel=0.4)
    assert found[0] < 1.5 * predicted[0]
    assert predicted[0] > 5.0 * predicted[1]
