"""What a fit says of itself: refits without some lights, offsets and odds, each made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from matchers.geometry.camera import Camera
from matchers.lights.patch_fit import Refinement, fit_to_patches, jackknife
from matchers.lights.patches import PatchMatches
from regengine.registration.control_points import (
    compute_camera_covariances,
    estimate_offsets,
    widen,
)
from regengine.registration.fit import weigh_alternative
from regengine.registration.parameters import PointParams, RefineParams
from regengine.registration.types import Fit
from tests.world.towns import camera_over, ecef, matched, prior_of, project

Array = NDArray[np.float64]
TRUE = camera_over(
    10.5, 42.5, off_nadir=30.0, azimuth=50.0, roll=20.0, width=600, height=400, focal_px=700.0
)
FREE, POINTS = np.arange(10) < 8, PointParams()
CHECKED = np.array([(40.0, 50.0), (300.0, 200.0), (560.0, 350.0)])
GROUND = ecef(*TRUE.pixel_to_lonlat(*CHECKED.T))


def spots(rng: np.random.Generator) -> Array:
    """Twenty lamps: in four columns of four, and four of these have a lamp beside them."""
    x, y = np.meshgrid([75.0, 225.0, 375.0, 525.0], [50.0, 150.0, 250.0, 350.0])
    places = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-12.0, 12.0, (16, 2))
    return np.concatenate([places, places[[0, 2, 8, 10]] + [9.0, 4.0]])


# The picture is cut across its longer side, again and again: lamps that lie together stay so
PART = np.array([*range(16), 0, 2, 8, 10])


def seen(seed: int, patches: int = 2) -> tuple[PatchMatches, NDArray[np.intp]]:
    """Patches of each lamp, which is off by a pixel; the lamp that each shows."""
    rng = np.random.default_rng(seed)
    lamp = np.repeat(np.arange(20), patches)
    places = spots(rng)[lamp] + rng.uniform(-3.0, 3.0, (len(lamp), 2))
    off = rng.normal(0.0, 1.0, (20, 2))[lamp] + rng.normal(0.0, 0.2, (len(lamp), 2))
    return matched(places[:, 0], places[:, 1], off, 0.1), lamp


def fitted(matches: PatchMatches) -> Refinement:
    return fit_to_patches(TRUE, matches, prior_of(TRUE), FREE)


def places_of(camera: Camera) -> Array:
    return project(camera, GROUND)


def record_of(refinement: Refinement, groups: NDArray[np.intp]) -> Fit:
    """A fit of a photo of which only the camera and its patches count."""
    nothing = dict.fromkeys(Fit.__dataclass_fields__)
    told = {"camera": refinement.camera, "refinement": refinement, "groups": groups}
    return Fit(**{**nothing, **told})  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_shift_without_each_part_is_that_of_an_explicit_refit(seed: int) -> None:
    matches, lamp = seen(seed)
    refinement = fitted(matches)
    refits = jackknife(refinement, lamp)
    assert refits is not None
    assert refits.camera == refinement.camera
    by_hand = [places_of(fitted(matches.chosen(PART[lamp] != k)).camera) for k in range(16)]
    found = [places_of(camera) for camera in refits.without]
    assert len(found) == 16
    for one in by_hand:  # in whichever order
        assert min(np.abs(one - other).max() for other in found) < 0.005
    off = np.array(by_hand) - places_of(refinement.camera)
    covariance = 15.0 / 16.0 * np.einsum("pki,pkj->kij", off, off)
    assert refits.covariance_px(GROUND) == pytest.approx(covariance, rel=0.01, abs=1e-3)
    halves = jackknife(refinement, lamp, 4)
    assert halves is not None
    quarters = [(np.arange(16) % 4 // 2 + 2 * (np.arange(16) // 8))[PART] == k for k in range(4)]
    for left in quarters:
        again = places_of(fitted(matches.chosen(~left[lamp])).camera)
        assert min(np.abs(again - places_of(one)).max() for one in halves.without) < 0.005
    assert len(halves.without) == 4


def test_patches_of_one_lamp_go_together_and_numbers_of_lamps_mean_nothing() -> None:
    matches, lamp = seen(4)
    refinement = fitted(matches)
    first, again, single = (
        jackknife(refinement, groups) for groups in (lamp, 1000 - 7 * lamp, np.arange(len(lamp)))
    )
    assert first is not None
    assert again is not None
    assert single is not None
    assert again.covariance_px(GROUND) == pytest.approx(first.covariance_px(GROUND), rel=1e-6)
    assert len(single.without) == 16
    assert jackknife(refinement, np.zeros_like(lamp)) is None
    assert jackknife(refinement, lamp // 7) is None  # three lights
    four = jackknife(refinement, lamp // 5)
    assert four is not None
    assert len(four.without) == 4


def test_a_lamp_that_carries_the_fit_is_told_where_its_patches_state_little() -> None:
    """Many patches of one lamp at the left hold the camera two pixels aside there."""
    matches, lamp = seen(5)
    calm = replace(matches, dx=0.1 * matches.dx, dy=0.1 * matches.dy)
    heavy = (lamp == 4) | (lamp == 0) | (lamp == 16)
    wrong = replace(
        calm,
        dx=np.where(heavy, 2.0, calm.dx),
        covariance=np.where(heavy[:, None, None], 0.002, 0.4) * np.eye(2),
    )
    groups = np.where(heavy, 0, lamp)
    sure, pulled = fitted(calm), fitted(wrong)
    of_calm, of_wrong = (record_of(*one) for one in ((sure, lamp), (pulled, groups)))
    # As control points have it: the wider of what is stated and of the refits
    for fit, carried in ((of_calm, False), (of_wrong, True)):
        stated = compute_camera_covariances(fit, GROUND, None)
        told = compute_camera_covariances(fit, GROUND, fit.refits)
        assert fit.refits is not None
        moved = fit.refits.covariance_px(GROUND)
        assert told == pytest.approx(widen(stated, moved), rel=1e-9)
        assert (np.sqrt(told[0, 0, 0]) > 1.0) == carried
        assert (told[0, 0, 0] > 4.0 * stated[0, 0, 0]) == carried
        for part in (stated, moved):
            assert np.linalg.eigvalsh(told - part).min() > -1e-9
    shift = places_of(pulled.camera)[0, 0] - CHECKED[0, 0]
    assert 0.7 < shift < 2.5


def test_the_stated_covariance_is_that_of_least_squares_by_hand() -> None:
    """From numeric derivatives of OpenCV's projection, in pixels."""
    rng = np.random.default_rng(6)
    x, y = rng.uniform(20.0, 580.0, 200), rng.uniform(20.0, 380.0, 200)
    matches = matched(x, y, rng.normal(0.0, 0.4, (200, 2)), 0.4**2 - 0.25**2)
    prior = prior_of(TRUE, sigma_along_m=1e-3, sigma_across_m=1e-3, sigma_up_m=1e-3)
    free = np.arange(10) < 4
    refinement = fit_to_patches(TRUE, matches, prior, free)
    ground = ecef(*TRUE.pixel_to_lonlat(x, y))

    def slopes(places: Array) -> Array:
        from matchers.geometry.pose import step_camera

        here = project(refinement.camera, places)
        steps = 1e-5 * np.eye(10)[:4]
        there = [step_camera(refinement.camera, prior.velocity_ecef, step) for step in steps]
        return np.stack([(project(one, places) - here) / 1e-5 for one in there], axis=-1)

    weights = refinement.weights / 0.4**2
    normal = np.einsum("n,nik,nil->kl", weights, slopes(ground), slopes(ground))
    normal[3, 3] += prior.sigma_log_focal**-2
    covariance = np.einsum("nik,kl,njl->nij", slopes(GROUND), np.linalg.inv(normal), slopes(GROUND))
    stated = compute_camera_covariances(record_of(refinement, np.arange(200)), GROUND, None)
    white = refinement.residual_px / 0.4
    grown = max(1.0, 1.4826 * float(np.median(np.abs(white)))) ** 2
    assert stated == pytest.approx(grown * covariance, rel=0.03, abs=1e-5)


def left_over(count: int = 30) -> Refinement:
    """Patches of 20 px that are off alike, of which the fit believes some less."""
    rng = np.random.default_rng(7)
    x = 18.0 * (np.arange(count) % 6) + rng.uniform(0.0, 9.0, count)
    y = 22.0 * (np.arange(count) // 6) + rng.uniform(0.0, 9.0, count)
    off = np.stack([np.sin(x / 40.0), np.cos(y / 50.0)], axis=1) + rng.normal(0.0, 0.4, (count, 2))
    matches = matched(x, y, off + 3.0, 0.3, size_px=20)
    return Refinement(
        camera=TRUE,
        rendered=TRUE,
        covariance=np.zeros((10, 10)),
        matches=matches,
        residual_px=off,
        weights=rng.uniform(0.3, 1.0, count),
        prior=prior_of(TRUE),
        free=FREE,
    )


def test_offsets_are_those_of_a_gaussian_process_by_hand() -> None:
    fit = left_over()
    x, y, weights, off = fit.matches.x, fit.matches.y, fit.weights, fit.residual_px
    count, places = len(x), np.array([(20.0, 30.0), (70.0, 50.0), (300.0, 300.0)])
    stated = 0.3 + 0.25**2
    widened = max(1.0, 1.4826 * float(np.median(np.abs(off) / np.sqrt(stated)))) ** 2
    noise = stated * widened / weights

    def nearness(ax: float, ay: float, bx: float, by: float) -> float:
        return float(np.exp(-0.5 * (np.hypot(ax - bx, ay - by) / 20.0 / 1.5) ** 2))

    each = range(count)
    kernel = np.array([[nearness(x[i], y[i], x[j], y[j]) for j in each] for i in each])
    over = under = 0.0
    for i in each:
        for j in range(i):
            if 1.0 <= np.hypot(x[i] - x[j], y[i] - y[j]) / 20.0 <= 2.0:
                over += weights[i] * weights[j] * float(off[i] @ off[j]) / 2.0
                under += weights[i] * weights[j] * kernel[i, j]
    shared = over / under
    assert shared > 0.1
    noise *= max(1.0 - shared / np.median(noise), 1.0 / widened)
    alike = np.maximum(1.0 - np.abs(x[:, None] - x) / 20.0, 0.0)
    alike *= np.maximum(1.0 - np.abs(y[:, None] - y) / 20.0, 0.0)
    whole = shared * kernel + alike * np.sqrt(np.outer(noise, noise))
    for asked, at in ((None, np.stack([x, y], axis=1)), (places, places)):
        found = estimate_offsets(fit, POINTS, asked)
        to = shared * np.array([[nearness(*one, x[j], y[j]) for j in each] for one in at])
        by_hand = to @ np.linalg.solve(whole, off)
        assert found.offset_px == pytest.approx(by_hand, rel=1e-6, abs=1e-9)
        left = shared - np.einsum("kn,kn->k", to, np.linalg.solve(whole, to.T).T)
        assert found.covariance == pytest.approx(left[:, None, None] * np.eye(2), abs=1e-9)
        assert found.noise[:, 0, 0] == pytest.approx(noise)
    rows = np.where(np.arange(count) // 6 % 2, 3.0, -3.0)
    apart = replace(fit, residual_px=np.stack([rows, rows], axis=1))
    assert not estimate_offsets(apart, POINTS).offset_px.any()
    few = estimate_offsets(left_over(4), POINTS)
    assert not few.offset_px.any()
    assert not few.covariance.any()


def test_odds_of_what_a_wide_look_fits_are_counted_patch_by_patch() -> None:
    fit = left_over()
    matches, reach = fit.matches, 8
    odds = 0.0
    for k in range(len(matches)):
        beside = np.abs(matches.x - matches.x[k]) < 20.0
        beside &= np.abs(matches.y - matches.y[k]) < 20.0
        across = 1.0 - np.abs(matches.x[beside] - matches.x[k]) / 20.0
        counted = float((across * (1.0 - np.abs(matches.y[beside] - matches.y[k]) / 20.0)).sum())
        peak = (2 * reach + 1) ** 2 / (2.0 * np.pi)  # within a pixel, against anywhere in reach
        square = [float(one @ one) for one in (fit.residual_px[k], fit.residual_px[k] + 3.0)]
        fitted_here, before = (np.log10(1.0 + peak * np.exp(-0.5 * one)) for one in square)
        odds += (fitted_here - before) / counted
    params = RefineParams(reaches_px=(reach, 4))
    assert weigh_alternative(fit, params) == pytest.approx(odds, rel=1e-9)
    mean = float((fit.weights * (fit.residual_px**2).sum(axis=1)).sum()) / 2.0 / fit.weights.sum()
    assert fit.rms_px == pytest.approx(np.sqrt(mean))
    assert replace(fit, weights=0.0 * fit.weights).rms_px == np.inf
