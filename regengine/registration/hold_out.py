"""A fit tested: by patches that were left out of it, and by what moves it without some lights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from detectors.types import FloatArray, FloatImage, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import diagonal_km
from matchers.lights.patch_fit import Refinement, refit_without
from matchers.lights.patches import (
    choose_patches,
    correlate_patches,
    count_cells,
    find_peaks,
    group_patches,
    measure_texture,
)
from matchers.lights.photo_light import LightImage
from matchers.lights.verify import LightPeaks
from regengine.registration.control_points import (
    compute_allowed_error_m,
    compute_chance_within,
    compute_sigma_at_lights_m,
)
from regengine.registration.parameters import AcceptParams, HoldOutParams, RegisterParams
from regengine.registration.types import Fit, FitTest

# Median distance of two independent normal errors, in sigmas (Rayleigh distribution)
RAYLEIGH_MEDIAN = 1.1774


def test_fit(fit: Fit, params: RegisterParams) -> FitTest:
    """Test whether a fit holds all over the picture, and without some of its lights.

    Patches of several sizes are predicted by fits to others, see `predict_patches`. They land where
    they are found within a pixel (strict), by which patches scatter, or within half of what a
    control point may be off (wide); of each size and landing the odds against chance are taken, and
    their mean counts. It does not speak for a fit that is distorted: where hardly any patch of some
    quarter lands wide, while the map does not confirm the lights there, or where patches farther
    away fit another camera far better.

    Then, of fits that the patches confirm, lights are left out in turn: one that moves by more than
    control points may is not stable.
    """
    hold_out, accept = params.hold_out, params.accept
    allowed_px = compute_allowed_error_px(fit.camera, fit.image)
    right_px = max(0.5 * allowed_px, hold_out.landed_px)
    view, known = fit.view, fit.image.weight * fit.known
    strict: list[PredictedPatches] = []
    wide: list[PredictedPatches] = []
    for size_px, along in hold_out.patches:
        texture = measure_texture(view, known, size_px)
        landings_px = hold_out.landed_px, right_px
        by_landing = predict_patches(
            fit.refinement, fit.image, view, texture, size_px, along, landings_px, hold_out
        )
        strict.append(by_landing[0])
        wide.append(by_landing[1])
    odds = [weigh_landed(one, hold_out.landed_shares, hold_out) for one in strict]
    odds += [weigh_landed(one, hold_out.right_shares, hold_out) for one in wide]
    log10_odds, residual_px = float(np.mean(odds)), float("inf")
    if len(strict[0].x) >= hold_out.min_patches:
        residual_px = float(np.median(strict[0].distance_px)) / RAYLEIGH_MEDIAN

    has_empty_quarter, lights_agree = False, True
    if right_px >= hold_out.min_quarter_px:
        has_empty_quarter, lights_agree = check_quarters(wide, fit.lights, fit.matched, hold_out)
    # Clouds and boats leave a quarter empty, too: there the lights may say that the fit holds
    lights_cover = lights_agree and fit.light_log10_odds >= accept.covering_log10_odds
    alternative_log10_odds = fit.refinement.alternative_log10_odds
    is_distorted = alternative_log10_odds >= accept.clear_log10_odds
    is_distorted |= has_empty_quarter and not lights_cover
    patch_log10_odds = min(log10_odds, 0.0) if is_distorted else log10_odds

    pose_sigma_m = float("nan")
    if patch_log10_odds >= accept.tested_log10_odds:
        pose_sigma_m = measure_pose_sigma_m(fit, patch_log10_odds, accept)
    is_stable = pose_sigma_m == 0.0
    covers_frame = not has_empty_quarter
    return FitTest(
        residual_px=residual_px,
        log10_odds=log10_odds,
        is_distorted=is_distorted,
        patch_log10_odds=patch_log10_odds,
        pose_sigma_m=pose_sigma_m,
        is_stable=is_stable,
        is_confirmed=covers_frame and is_stable and log10_odds > accept.clear_log10_odds,
    )


def compute_allowed_error_px(camera: Camera, image: LightImage) -> float:
    """What a control point may be off, pixels of the image, in the mean over it."""
    share = compute_allowed_error_m(camera) / 1e3 / diagonal_km(camera)
    return share * float(np.hypot(*image.values.shape))


@dataclass(frozen=True, kw_only=True)
class PredictedPatches:
    """Patches, and how far each lies from where fits to the others put it.

    x, y: Where they are in the picture, pixels, shape (n,).
    distance_px: From where the fit to the others, or the solution, has them, whichever is farther;
        infinite where that is nowhere, shape (n,).
    n_independent: Of patches that overlap or show one light, no more than fit side by side, or than
        there are lights.
    landed_px: Who is nearer has landed.
    """

    x: FloatArray
    y: FloatArray
    distance_px: FloatArray
    n_independent: float
    landed_px: float


def predict_patches(
    refinement: Refinement,
    image: LightImage,
    view: FloatImage,
    texture: FloatImage,
    size_px: int,
    along: int,
    landings_px: Sequence[float],
    params: HoldOutParams,
) -> list[PredictedPatches]:
    """Match patches of some size, so many along the picture, and predict each by fits to others.

    They are matched once, as far as the widest landing asks for; a narrower one looks for its peaks
    in the middle of that. Those that show one light go together. The others follow the patches,
    within their reach, to where the solution has not gone: so it has to have them there, too.
    """
    reaches_px = [math.ceil(params.reach * landed_px) for landed_px in landings_px]
    cells = count_cells(along, image.values.shape)
    centres = choose_patches(texture, size_px, cells, max(reaches_px))
    surfaces = correlate_patches(image.values, view, centres, size_px, max(reaches_px))
    # What is found anywhere within the widest reach leads the groups
    found = find_peaks(surfaces, centres, size_px, max(reaches_px))[1]
    order = np.concatenate([found, np.setdiff1d(np.arange(len(centres)), found)])
    groups = np.empty(len(centres), np.intp)
    groups[order] = group_patches(view, centres[order], size_px)
    ground_ecef_m = refinement.camera.pixel_to_ecef(*centres.T)
    predicted = []
    for landed_px, reach_px in zip(landings_px, reaches_px, strict=True):
        matches, index = find_peaks(surfaces, centres, size_px, reach_px)
        moved = np.hypot(matches.dx, matches.dy)
        distance = np.full(len(matches), np.inf)
        folds = groups[index] % 3
        left_out = [folds == fold for fold in np.unique(folds)]
        left_out = [out for out in left_out if not out.all()]
        refits = refit_without(
            refinement.camera,
            matches,
            left_out,
            refinement.prior,
            refinement.free,
            refinement.camera,
        )
        for out, refit in zip(left_out, refits, strict=True):
            x, y = refit.ecef_to_pixel(ground_ecef_m[index[out]])
            apart = np.hypot((matches.x + matches.dx)[out] - x, (matches.y + matches.dy)[out] - y)
            distance[out] = np.maximum(apart, moved[out])
        area = image.values.size / size_px**2
        predicted.append(
            PredictedPatches(
                x=matches.x,
                y=matches.y,
                distance_px=np.where(np.isfinite(distance), distance, np.inf),
                n_independent=min(len(np.unique(groups[index])), area),
                landed_px=landed_px,
            )
        )
    return predicted


def weigh_landed(
    patches: PredictedPatches, shares: Sequence[float], params: HoldOutParams
) -> float:
    """Odds that one of these shares of patches should land, against chance."""
    if len(patches.x) < params.min_patches:
        return 0.0
    # A wrong camera's patches peak anywhere within their reach
    reach_px = math.ceil(params.reach * patches.landed_px)
    chance = np.pi * patches.landed_px**2 / (2.0 * reach_px - 1.0) ** 2
    landed = float((patches.distance_px < patches.landed_px).mean())
    odds = max(
        landed * np.log10(share / chance)
        + (1.0 - landed) * np.log10((1.0 - share) / (1.0 - chance))
        for share in shares
    )
    return float(patches.n_independent * odds - np.log10(len(shares)))


def check_quarters(
    tests: Sequence[PredictedPatches],
    lights: LightPeaks,
    matched: IndexArray,
    params: HoldOutParams,
) -> tuple[bool, bool]:
    """Whether hardly any patch lands in some quarter, and whether lights are matched there.

    Quarters are halves of halves as the patches lie: along their longest extent, then across.
    """
    counted = [test for test in tests if len(test.x) >= params.min_patches]
    if not counted:
        return False, True
    places = np.concatenate([np.stack([test.x, test.y], axis=1) for test in counted])
    landed = np.concatenate([test.distance_px < test.landed_px for test in counted])
    centre = places.mean(axis=0)
    axes = np.linalg.svd(places - centre, full_matrices=False)[2]
    along, across = axes @ (places - centre).T
    middle = float(np.median(along))
    split = [float(np.median(across[half])) for half in (along < middle, along >= middle)]

    def number_quarters(points: FloatArray) -> IndexArray:
        u, v = axes @ (points - centre).T
        beyond = u >= middle
        return np.asarray(2 * beyond + (v >= np.where(beyond, split[1], split[0])), np.intp)

    quarters = number_quarters(places)
    count = np.bincount(quarters, minlength=4)
    share = np.bincount(quarters, landed, minlength=4) / np.maximum(count, 1)
    empty = np.flatnonzero((count > 0) & (share < params.min_quarter_share))
    if not len(empty):
        return False, True
    inside = np.isin(number_quarters(lights.positions), empty)
    is_matched = np.isin(np.arange(len(lights)), matched)
    if not inside.any() or not is_matched[inside].any():
        return True, False
    elsewhere = is_matched[~inside].mean() if not inside.all() else 0.0
    chance = bdtr(is_matched[inside].sum(), inside.sum(), elsewhere)
    return True, bool(chance >= params.min_lights_chance)


def measure_pose_sigma_m(fit: Fit, patch_log10_odds: float, params: AcceptParams) -> float:
    """How unsure a camera is, one sigma, at the worst of its lights; 0 where it is sure enough.

    Lights that were taken for their neighbours, and too few others there, leave the place, the
    patches of the rest and four control points as they are: the camera moves without them.

    A lens other than proposed, and a fit that held-out patches barely confirm, have to hold without
    a quarter of the picture, too: along one coast between clouds they err together over more than a
    sixteenth.
    """
    refits = [fit.refits]
    barely = patch_log10_odds < params.sure_log10_odds or fit.hypothesis.is_other_lens
    if barely and fit.light_log10_odds < params.covering_log10_odds:
        refits.append(fit.leave_out_parts(4))
    lights = fit.matched_lights
    worst_m = max(
        float(compute_sigma_at_lights_m(fit, lights, without).max(initial=0.0))
        for without in refits
    )
    sure = (
        worst_m == 0.0
        or compute_chance_within(worst_m, fit.camera) >= params.min_points_probability
    )
    return 0.0 if sure else worst_m
