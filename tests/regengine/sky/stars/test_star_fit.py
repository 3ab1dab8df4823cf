"""Cameras fitted to stars."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from matchers.geometry.projection import distort
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.sky.stars.star_fit import (
    LensPrior,
    fit_camera,
    is_plausible,
    jacobian,
    move_camera,
    pair_stars,
    place_variance,
)


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
        ahead = np.stack(move_camera(sky, step).project(vectors), axis=1)
        behind = np.stack(move_camera(sky, -step).project(vectors), axis=1)
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
    start = replace(move_camera(truth, off), distortion=(0.0,) * 5, principal_point=(749.5, 499.5))
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
    fit = fit_camera(move_camera(truth, off), x, y, truth.to_sky(x, y), 0.5, LensPrior())
    assert fit.camera.focal_px == pytest.approx(truth.focal_px, rel=2e-3)
    assert fit.camera.distortion == pytest.approx((0.0,) * 5, abs=0.01)


def test_predicted_errors_are_those_that_happen() -> None:
    truth = camera(7)
    rng = np.random.default_rng(8)
    x, y = rng.uniform(400, 1100, 25), rng.uniform(300, 700, 25)
    vectors = truth.to_sky(x, y)
    there = truth.to_sky([100.0, 740.0], [80.0, 510.0])
    misses = []
    for _ in range(60):
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


def spread_stars(truth: SkyCamera, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Places all over the picture, and the directions there."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1499, count), rng.uniform(0, 999, count)
    return x, y, truth.to_sky(x, y)


@pytest.mark.parametrize("mirrored", [False, True])
def test_stars_without_noise_give_a_lens_that_was_believed_back(mirrored: bool) -> None:
    truth = camera(11, mirrored)
    x, y, vectors = spread_stars(truth, 30, 12)
    off = np.array([0.004, -0.003, 0.02, 0.01, 3.0, -4.0, 0.01, -0.004, 1e-4, 1e-4, 1e-3])
    fit = fit_camera(move_camera(truth, off), x, y, vectors, 0.3, LensPrior(), centre=truth)
    assert fit.camera.lens_values == pytest.approx(truth.lens_values, rel=1e-6, abs=1e-6)
    assert fit.camera.matrix == pytest.approx(truth.matrix, abs=1e-6)
    assert (fit.sigma_px, fit.camera.mirrored) == (0.3, mirrored)


@pytest.mark.parametrize("count", [3, 8, 40])
def test_the_fitted_camera_is_the_likeliest(count: int) -> None:
    """By the sum of squares itself: of misses over their error, and of the lens over its prior."""
    truth = camera(13)
    x, y, vectors = spread_stars(truth, count, 14)
    rng = np.random.default_rng(15)
    x, y = x + rng.normal(0, 0.5, count), y + rng.normal(0, 0.5, count)
    believed = replace(truth, focal_px=1170.0, distortion=(0.0,) * 5, principal_point=(749.5, 499))
    prior = LensPrior()
    fit = fit_camera(move_camera(believed, np.full(11, 1e-4)), x, y, vectors, 0.5, prior, believed)
    r = np.hypot(750.0, 500.0) / 1170.0  # tangent of the angle to the corner
    shares = [a + b * r for a, b in (prior.k1, prior.k2, prior.tangential, prior.k3)]
    k1, k2, tangential, k3 = np.array(shares) / [r**2, r**4, r, r**6]
    sigma = np.array([0.5, 0.02 * 1500, 0.02 * 1500, k1, k2, tangential, tangential, k3])

    def cost(found: SkyCamera) -> float:
        px, py = found.project(vectors)
        off = found.lens_values - believed.lens_values
        off[0] = np.log(found.focal_px / believed.focal_px)
        return float(np.sum((px - x) ** 2 + (py - y) ** 2) / 0.25 + np.sum((off / sigma) ** 2))

    least = cost(fit.camera)
    errors = np.sqrt(np.diag(fit.covariance))
    for parameter in range(11):
        step = np.zeros(11)
        step[parameter] = errors[parameter]
        ahead, behind = (cost(move_camera(fit.camera, sign * step)) for sign in (1.0, -1.0))
        assert min(ahead, behind) > least
        # Half of the cost's bend is the information on this parameter, the others held
        bend = 0.5 * (ahead + behind) - least
        information = np.linalg.inv(fit.covariance)[parameter, parameter]
        assert bend == pytest.approx(information * errors[parameter] ** 2, rel=0.1)
        assert ahead - behind == pytest.approx(0.0, abs=0.1 * bend + 0.02)


def test_the_prior_is_what_each_term_moves_at_the_corner() -> None:
    """Stars behind the camera tell nothing, so the lens is as uncertain as before."""
    start = replace(camera(16), distortion=(0.0,) * 5)
    prior = LensPrior()
    behind = -start.to_sky(np.array([300.0, 900.0]), np.array([200.0, 700.0]))
    fit = fit_camera(start, np.array([1.0, 2.0]), np.array([3.0, 4.0]), behind, 0.5, prior)
    assert fit.camera.lens_values == pytest.approx(start.lens_values)
    focal, px, py, *terms = np.sqrt(np.diag(fit.covariance)[3:])
    assert (focal, px, py) == pytest.approx((0.5, 30.0, 30.0))
    u, v = 750.0 / 1200.0, 500.0 / 1200.0
    r = np.hypot(u, v)
    shares = (prior.k1, prior.k2, prior.tangential, prior.tangential, prior.k3)
    for number, (constant, slope) in enumerate(shares):
        lens = np.zeros(5)
        lens[number] = terms[number]
        bent = distort(np.array([u]), np.array([v]), tuple(lens))
        moved_by = np.hypot(bent[0][0] - u, bent[1][0] - v) / r
        share = moved_by / (constant + slope * r)
        if number in (2, 3):  # one to three times as much, by direction
            assert 1.0 < share < 3.0
        else:
            assert share == pytest.approx(1.0)
    turned = start.focal_px * np.sqrt(np.diag(fit.covariance)[:3])
    assert (turned > 1e6).all()


def test_uncertainties_grow_with_the_error_of_places() -> None:
    truth = camera(17)
    x, y, vectors = spread_stars(truth, 30, 18)
    loose = LensPrior(
        log_focal=1e3,
        principal_share=1e3,
        **dict.fromkeys(("k1", "k2", "k3", "tangential"), (1e3, 0.0)),
    )
    small, large = (fit_camera(truth, x, y, vectors, sigma, loose) for sigma in (0.2, 0.6))
    assert large.covariance == pytest.approx(9.0 * small.covariance, rel=1e-3)
    variances = [place_variance(fit, vectors) for fit in (small, large)]
    assert variances[1] == pytest.approx(9.0 * variances[0], rel=1e-3)
    # Of 30 stars in two axes, eleven parameters take so much: the trace of a projection
    assert variances[0].sum() * 2.0 / 0.2**2 == pytest.approx(11.0, rel=1e-4)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_lens_is_plausible_up_to_so_many_sigmas(sign: float) -> None:
    believed = replace(camera(19), distortion=(0.0,) * 5)
    prior = LensPrior(max_sigmas=0.5)
    behind = -believed.to_sky(np.array([300.0, 900.0]), np.array([200.0, 700.0]))
    fit = fit_camera(believed, np.array([1.0, 2.0]), np.array([3.0, 4.0]), behind, 0.5, prior)
    sigma = np.sqrt(np.diag(fit.covariance))
    for parameter in range(3, 11):
        step = np.zeros(11)
        for share, plausible in ((0.499, True), (0.501, False)):
            step[parameter] = sign * share * sigma[parameter]
            assert is_plausible(move_camera(believed, step), believed, prior) is plausible


def test_a_lens_must_not_fold_the_corners_back() -> None:
    """With k1 alone, radii are largest at a tangent of (-3 k1)^-1/2."""
    believed = replace(camera(20), distortion=(0.0,) * 5)
    r = np.hypot(750.0, 500.0) / 1200.0
    anything = LensPrior(max_sigmas=1e6)
    for reach, plausible in ((1.11, True), (1.09, False)):
        lens = replace(believed, distortion=(-1.0 / (3.0 * (reach * r) ** 2), 0.0, 0.0, 0.0, 0.0))
        assert is_plausible(lens, believed, anything) is plausible


@settings(max_examples=20)
@given(seed=st.integers(0, 9999), mirrored=st.booleans())
def test_pairs_are_nearest_to_each_other(seed: int, mirrored: bool) -> None:
    """Against all distances; stars are few enough to stand alone, and many enough to blend."""
    sky, rng = camera(seed, mirrored), np.random.default_rng(seed)
    places = rng.uniform((-12, -12), (1512, 1012), (400, 2))
    vectors, magnitudes = sky.to_sky(*places.T), rng.uniform(0.0, 8.0, 400)
    found = places[:150] + rng.normal(0.0, 3.0, (150, 2))
    order = rng.permutation(400)
    pairs = pair_stars(
        *(sky, *found.T, vectors[order], magnitudes[order]), tolerance_px=6.0, blend_px=15.0
    )
    places, magnitudes = places[order], magnitudes[order]
    near = np.hypot(*(found[:, None] - places).T).T
    between = np.hypot(*(places[:, None] - places).T).T
    first = near.argmin(axis=1)
    expected = [
        (k, s) for k, s in enumerate(first) if near[k, s] <= 6.0 and near[:, s].argmin() == k
    ]
    assert list(zip(pairs.detection.tolist(), pairs.star.tolist(), strict=True)) == expected
    rivals = [
        np.count_nonzero((between[s] <= 15.0) & (magnitudes <= magnitudes[s] + 2.5))
        for _, s in expected
    ]
    assert pairs.alone.tolist() == [count == 1 for count in rivals]
    assert 0 < np.count_nonzero(pairs.alone) < len(pairs.alone)


@pytest.mark.parametrize(("gap_mag", "alone"), [(2.5, False), (2.5625, True)])
def test_a_star_blends_with_what_is_at_most_so_much_fainter(gap_mag: float, alone: bool) -> None:
    sky = camera(21)
    x, y = np.array([700.0, 704.0]), np.array([500.0, 500.0])
    pairs = pair_stars(
        *(sky, x[:1], y[:1], sky.to_sky(x, y), np.array([4.0, 4.0 + gap_mag])),
        tolerance_px=1.0,
        blend_px=5.0,
    )
    assert (pairs.star.tolist(), pairs.alone.tolist()) == ([0], [alone])


def test_without_stars_or_detections_there_are_no_pairs() -> None:
    sky, none = camera(22), np.empty(0)
    vectors = sky.to_sky(np.array([700.0]), np.array([500.0]))
    for x, directions in ((none, vectors), (np.array([700.0]), -vectors)):
        pairs = pair_stars(sky, x, x, directions, np.ones(1), tolerance_px=3.0, blend_px=5.0)
        assert (pairs.detection.size, pairs.star.size, pairs.alone.size) == (0, 0, 0)
