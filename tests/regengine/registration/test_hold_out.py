"""Patches that a fit did not see: which belong together, and how far they land."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from matchers.geometry.light_grid import pyramid
from matchers.geometry.view import render_known
from matchers.lights.patches import choose_patches, groups_of, match_patches, measure_texture
from matchers.lights.photo_light import LightImage
from matchers.lights.refine import Refinement, fit_pose
from matchers.lights.verify import LightPeaks
from regengine.registration import hold_out
from regengine.registration.parameters import HoldOutParams
from tests.matchers.lamp_world import camera_over, light_grid, log_picture, prior_of, town_lamps

PARAMS = HoldOutParams()
BOX = 6.0, 43.0, 14.0, 48.0
Case = tuple[Refinement, LightImage, tuple[np.ndarray, np.ndarray]]


def make_case(bend_px: float) -> Case:
    """A photo through its true camera, but for a part that is moved aside."""
    lamps = town_lamps(3, *BOX, towns=500)
    camera = camera_over(10.0, 45.5, width=300, height=200, focal_px=400.0)
    levels = pyramid(light_grid(lamps, *BOX, 0.01), 4)
    picture = log_picture(camera, lamps)
    picture[:, 200:] = np.roll(picture, round(bend_px), axis=0)[:, 200:]
    view, known = render_known(levels, camera, 2)
    nothing = match_patches(picture, view, np.zeros((0, 2), np.intp), 21, 3)
    refinement = Refinement(
        camera=camera,
        rendered=camera,
        covariance=np.eye(10),
        matches=nothing,
        residual_px=np.zeros((0, 2)),
        weights=np.zeros(0),
        prior=prior_of(camera),
        free=np.arange(10) < 8,
    )
    image = LightImage(values=picture, weight=np.ones_like(picture), factor=1.0)
    return refinement, image, (view, known)


@pytest.fixture(scope="module", params=[0.0, 2.0])
def case(request: pytest.FixtureRequest) -> Case:
    return make_case(request.param)


@pytest.mark.parametrize("landed_px", [1.0, 1.7])
def test_each_patch_is_judged_by_the_fit_to_other_groups_patches_and_by_the_solution(
    case: Case, landed_px: float
) -> None:
    """Fold by fold, anew; the fold is that of the group, of which there are three."""
    refinement, image, (view, known) = case
    texture = measure_texture(view, image.weight * known, 21)
    found = hold_out.predict_patches(refinement, image, view, texture, 21, 20, landed_px, PARAMS)
    far_px = int(np.ceil(4.0 * landed_px))
    centres = choose_patches(texture, 21, (20, 13), far_px)
    matches = match_patches(image.values, view, centres, 21, far_px)
    groups = groups_of(view, matches)
    assert len(matches) > 20
    assert np.array_equal(found.x, matches.x)
    assert np.array_equal(found.y, matches.y)
    assert found.landed_px == landed_px
    assert found.n_independent == pytest.approx(min(groups.max() + 1, 300 * 200 / 21**2))
    for k in range(len(matches)):
        others = np.array([groups[m] % 3 != groups[k] % 3 for m in range(len(matches))])
        fitted = fit_pose(
            refinement.camera, matches.chosen(others), refinement.prior, refinement.free
        ).camera
        ground = refinement.camera.pixel_to_ecef(matches.x[k], matches.y[k])
        x, y = (float(v) for v in fitted.ecef_to_pixel(ground))
        place = matches.x[k] + matches.dx[k], matches.y[k] + matches.dy[k]
        apart = np.hypot(place[0] - x, place[1] - y)
        expected = max(apart, np.hypot(matches.dx[k], matches.dy[k]))
        assert found.distance_px[k] == pytest.approx(expected, abs=1e-6)
        if k >= 12:
            break


def test_one_group_has_no_others_and_lands_nowhere(case: Case) -> None:
    refinement, image, (view, known) = case
    dark = view.copy()
    lit = np.unravel_index(np.argmax(view[40:160, 40:260]), (120, 220))
    rows, cols = np.ogrid[:200, :300]
    dark[np.hypot(rows - lit[0] - 40, cols - lit[1] - 40) > 6.0] = 0.0
    texture = measure_texture(dark, image.weight * known, 21)
    found = hold_out.predict_patches(refinement, image, dark, texture, 21, 20, 1.0, PARAMS)
    assert len(found.x) > 0
    assert found.n_independent == 1
    assert np.isinf(found.distance_px).all()


def test_what_is_measured_is_the_mean_odds_of_all_sizes_and_the_median_of_the_largest(
    case: Case,
) -> None:
    refinement, image, (view, known) = case
    nothing = LightPeaks(x=np.zeros(0), y=np.zeros(0), contrast=np.zeros(0))
    no_index = np.zeros(0, np.intp)
    found = hold_out.measure_held_out(refinement, image, (view, known), nothing, no_index, PARAMS)
    allowed_px = hold_out.allowed_error_px(refinement.camera, image)
    right_px = max(0.5 * allowed_px, 1.0)
    odds, first = [], None
    for size_px, along in PARAMS.patches:
        texture = measure_texture(view, image.weight * known, size_px)
        for landed_px, shares in ((1.0, PARAMS.landed_shares), (right_px, PARAMS.right_shares)):
            patches = hold_out.predict_patches(
                refinement, image, view, texture, size_px, along, landed_px, PARAMS
            )
            odds.append(hold_out.weigh_landed(patches, shares, PARAMS))
            first = first or patches
    assert first is not None
    assert found.log10_odds == pytest.approx(np.mean(odds))
    assert found.residual_px == pytest.approx(
        np.median(first.distance_px) / np.sqrt(np.log(4.0)), rel=1e-4
    )
    few = hold_out.measure_held_out(
        refinement, image, (view, known), nothing, no_index, replace(PARAMS, min_patches=10_000)
    )
    assert (few.residual_px, few.log10_odds) == (float("inf"), 0.0)
    assert (few.has_empty_quarter, few.lights_agree) == (False, True)


def test_a_hundredth_of_the_diagonal_or_a_kilometre_is_allowed() -> None:
    """Of a picture of half the size as many pixels less; a short view is allowed more."""
    for focal_px, is_far in ((400.0, True), (4000.0, False)):
        camera = camera_over(10.0, 45.5, width=300, height=200, focal_px=focal_px)
        values = np.zeros((100, 150), np.float32)
        image = LightImage(values=values, weight=values, factor=0.5)
        half_km = 410.0 * np.hypot(150, 100) / focal_px
        expected = 0.01 if is_far else 1.0 / (2.0 * half_km)
        found = hold_out.allowed_error_px(camera, image)
        assert found == pytest.approx(expected * np.hypot(100, 150), rel=0.02)
