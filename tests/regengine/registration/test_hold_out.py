"""A fit is tested by patches that it was not fitted to: which belong together, and how far they
land.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.types import FloatImage
from matchers.geometry.light_grid import make_pyramid
from matchers.geometry.view import render_known
from matchers.lights.patch_fit import Refinement, fit_to_patches
from matchers.lights.patches import (
    choose_patches,
    correlate_patches,
    find_peaks,
    group_patches,
    match_patches,
    measure_texture,
)
from matchers.lights.photo_light import LightImage
from matchers.lights.verify import LightPeaks
from regengine.registration import hold_out
from regengine.registration.parameters import AcceptParams, HoldOutParams, RegisterParams
from regengine.registration.types import Fit, Hypothesis
from tests.world.towns import camera_over, light_grid, log_picture, prior_of, town_lamps

PARAMS = HoldOutParams()
BOX = 6.0, 43.0, 14.0, 48.0
LANDINGS_PX = 1.0, 1.7
NO_LIGHTS = LightPeaks(x=np.zeros(0), y=np.zeros(0), contrast=np.zeros(0))


def make_fit(moved_px: float) -> Fit:
    """A photo through its true camera, but for its lower right that is moved aside."""
    lamps = town_lamps(3, *BOX, towns=500)
    camera = camera_over(10.0, 45.5, width=300, height=200, focal_px=400.0)
    levels = make_pyramid(light_grid(lamps, *BOX, 0.01), 4)
    picture = log_picture(camera, lamps)
    picture[100:, 150:] = np.roll(picture, round(moved_px), axis=1)[100:, 150:]
    view, known = render_known(levels, camera, 2)
    matches = match_patches(picture, view, np.zeros((0, 2), np.intp), 21, 3)
    prior = prior_of(camera)
    return Fit(
        hypothesis=Hypothesis(
            camera=camera,
            prior=prior,
            track=None,  # type: ignore[arg-type]
            offset_km=0.0,
            source="light",
        ),
        camera=camera,
        refinement=Refinement(
            camera=camera,
            rendered=camera,
            covariance=1e-12 * np.eye(10),
            matches=matches,
            residual_px=np.zeros((0, 2)),
            weights=np.zeros(0),
            prior=prior,
            free=np.arange(10) < 8,
        ),
        image=LightImage(values=picture, weight=np.ones_like(picture), factor=1.0),
        levels=levels,
        view=view,
        known=known,
        lights=NO_LIGHTS,
        light_log10_odds=0.0,
        matched=np.zeros(0, np.intp),
        patch_view=(view, known),
        groups=np.zeros(0, np.intp),
    )


@pytest.fixture(scope="module", params=[0.0, 2.0])
def fit(request: pytest.FixtureRequest) -> Fit:
    return make_fit(request.param)


def predict(fit: Fit, view: FloatImage, size_px: int, along: int) -> list:
    texture = measure_texture(view, fit.image.weight * fit.known, size_px)
    return hold_out.predict_patches(
        fit.refinement, fit.image, view, texture, size_px, along, LANDINGS_PX, PARAMS
    )


def test_each_patch_is_judged_by_the_fit_to_other_groups_patches_and_by_the_solution(
    fit: Fit,
) -> None:
    """Fold by fold, anew; the fold is that of the group, of which there are three."""
    refinement, view = fit.refinement, fit.view
    texture = measure_texture(view, fit.image.weight * fit.known, 21)
    centres = choose_patches(texture, 21, (20, 13), 7)
    groups = group_patches(view, centres, 21)
    for landed_px, reach_px, found in zip(
        LANDINGS_PX, (4, 7), predict(fit, view, 21, 20), strict=True
    ):
        surfaces = correlate_patches(fit.image.values, view, centres, 21, reach_px)
        matches, index = find_peaks(surfaces, centres, 21, reach_px)
        assert len(matches) > 20
        assert np.array_equal(found.x, matches.x)
        assert np.array_equal(found.y, matches.y)
        assert found.landed_px == landed_px
        count = len(np.unique(groups[index]))
        assert found.n_independent == pytest.approx(min(count, 300 * 200 / 21**2))
        for k in range(12):
            others = groups[index] % 3 != groups[index[k]] % 3
            fitted = fit_to_patches(
                refinement.camera, matches.chosen(others), refinement.prior, refinement.free
            ).camera
            ground = refinement.camera.pixel_to_ecef(matches.x[k], matches.y[k])
            x, y = (float(v) for v in fitted.ecef_to_pixel(ground))
            place = matches.x[k] + matches.dx[k], matches.y[k] + matches.dy[k]
            apart = np.hypot(place[0] - x, place[1] - y)
            expected = max(apart, np.hypot(matches.dx[k], matches.dy[k]))
            assert found.distance_px[k] == pytest.approx(expected, abs=0.01)


def test_one_group_has_no_others_and_lands_nowhere(fit: Fit) -> None:
    dark = fit.view.copy()
    lit = np.unravel_index(np.argmax(fit.view[40:160, 40:260]), (120, 220))
    rows, cols = np.ogrid[:200, :300]
    dark[np.hypot(rows - lit[0] - 40, cols - lit[1] - 40) > 6.0] = 0.0
    for found in predict(fit, dark, 21, 20):
        assert len(found.x) > 0
        assert found.n_independent == 1
        assert np.isinf(found.distance_px).all()


def test_what_is_measured_is_the_mean_odds_of_all_sizes_and_the_median_of_the_largest(
    fit: Fit,
) -> None:
    found = hold_out.test_fit(fit, RegisterParams())
    allowed_px = hold_out.compute_allowed_error_px(fit.camera, fit.image)
    landings_px = 1.0, max(0.5 * allowed_px, 1.0)
    odds, first = [], None
    for size_px, along in PARAMS.patches:
        texture = measure_texture(fit.view, fit.image.weight * fit.known, size_px)
        strict, wide = hold_out.predict_patches(
            fit.refinement, fit.image, fit.view, texture, size_px, along, landings_px, PARAMS
        )
        odds.append(hold_out.weigh_landed(strict, PARAMS.landed_shares, PARAMS))
        odds.append(hold_out.weigh_landed(wide, PARAMS.right_shares, PARAMS))
        first = first or strict
    assert first is not None
    assert found.log10_odds == pytest.approx(np.mean(odds))
    assert found.residual_px == pytest.approx(
        np.median(first.distance_px) / np.sqrt(np.log(4.0)), rel=1e-4
    )
    few = hold_out.test_fit(fit, RegisterParams(hold_out=HoldOutParams(min_patches=10_000)))
    assert (few.residual_px, few.log10_odds) == (float("inf"), 0.0)
    assert (few.is_distorted, few.is_stable, few.is_confirmed) == (False, False, False)


def lights_over(share: float) -> tuple[LightPeaks, np.ndarray]:
    """Lights all over the picture; matched are all, but of the lower right that share."""
    x, y = (side.ravel() for side in np.meshgrid(np.arange(5.0, 300, 10), np.arange(5.0, 200, 10)))
    inside = np.flatnonzero((x > 150) & (y > 100))
    missed = inside[round(share * len(inside)) :]
    matched = np.setdiff1d(np.arange(len(x)), missed)
    return LightPeaks(x=x, y=y, contrast=np.ones(len(x))), matched


COVERING = AcceptParams().covering_log10_odds


@pytest.mark.parametrize(
    ("moved_px", "alternative", "light_odds", "share", "is_distorted"),
    [
        (0, 0.0, 0.0, 1.0, False),
        (0, 2.9, 0.0, 1.0, False),
        (0, 3.0, 99.0, 1.0, True),
        (6, 0.0, COVERING - 0.1, 1.0, True),
        (6, 0.0, COVERING, 1.0, False),
        (6, 0.0, 99.0, 0.1, True),
    ],
)
def test_patches_of_a_part_do_not_speak_for_the_whole(
    moved_px: float, alternative: float, light_odds: float, share: float, is_distorted: bool
) -> None:
    """Where a quarter lies elsewhere, unless lights confirm it; or another camera fits better."""
    fit = make_fit(moved_px)
    lights, matched = lights_over(share)
    refinement = replace(fit.refinement, alternative_log10_odds=alternative)
    part = replace(
        fit, refinement=refinement, lights=lights, matched=matched, light_log10_odds=light_odds
    )
    params = RegisterParams(hold_out=HoldOutParams(min_quarter_px=1.0))
    found = hold_out.test_fit(part, params)
    assert found.is_distorted is is_distorted
    assert found.log10_odds > 1.0
    assert found.patch_log10_odds == (0.0 if is_distorted else found.log10_odds)
    assert found.is_confirmed is (moved_px == 0 and not is_distorted)
    assert np.isnan(found.pose_sigma_m) == is_distorted


def test_a_hundredth_of_the_diagonal_or_a_kilometre_is_allowed() -> None:
    """Of a picture of half the size as many pixels less; a short view is allowed more."""
    for focal_px, is_far in ((400.0, True), (4000.0, False)):
        camera = camera_over(10.0, 45.5, width=300, height=200, focal_px=focal_px)
        values = np.zeros((100, 150), np.float32)
        image = LightImage(values=values, weight=values, factor=0.5)
        half_km = 410.0 * np.hypot(150, 100) / focal_px
        expected = 0.01 if is_far else 1.0 / (2.0 * half_km)
        found = hold_out.compute_allowed_error_px(camera, image)
        assert found == pytest.approx(expected * np.hypot(100, 150), rel=0.02)
