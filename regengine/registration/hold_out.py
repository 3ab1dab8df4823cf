"""Test a fit with held-out patches, and with refits that leave out some of the lights."""

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
    """Test whether a fit is valid all over the image, and stable without some of its lights.

    Patches of several sizes are predicted by fits to the other patches, see `predict_patches`. A
    patch has landed if it is found within a pixel, the usual scatter of patches (strict), or within
    half of the allowed error of a control point (wide). The odds against chance are computed for
    each size and tolerance, and averaged. The mean cannot support a fit that is distorted. A fit is
    distorted if hardly any patch of some quarter lands (wide) and the map does not confirm the
    lights there, or if patches farther away fit another camera far better.

    If the patches confirm the fit, lights are left out in turn. A fit that moves by more than
    the allowed error of control points is not stable.
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
    # Clouds and boats can leave a quarter empty, too: then the lights can confirm the fit
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
    """Allowed error of a control point in pixels of the image, as a mean over the image."""
    share = compute_allowed_error_m(camera) / 1e3 / diagonal_km(camera)
    return share * float(np.hypot(*image.values.shape))


@dataclass(frozen=True, kw_only=True)
class PredictedPatches:
    """Held-out patches, and their distance from the position that fits to the others predict.

    x, y: Positions in the image, pixels, shape (n,).
    distance_px: Distance from the position by the fit to the others or by the solution, whichever
        is farther, shape (n,); infinite if the position is not visible.
    n_independent: Number of independent patches. Patches that overlap or show the same light count
        no more than patches that fit next to each other, or than there are lights.
    landed_px: Distance below which a patch has landed.
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
    """Match patches of one size, and predict the position of each by fits to the others.

    `along`: number of cells along the image. Patches are matched once, within the search radius of
    the widest tolerance; a narrower one uses the centre of that correlation surface. Patches that
    show the same light are left out together. A fit to the others can follow wrong matches away
    from the solution. So a patch must also be near the position that the solution predicts.
    """
    reaches_px = [math.ceil(params.reach * landed_px) for landed_px in landings_px]
    cells = count_cells(along, image.values.shape)
    centres = choose_patches(texture, size_px, cells, max(reaches_px))
    surfaces = correlate_patches(image.values, view, centres, size_px, max(reaches_px))
    # Patches that are found within the widest search radius come first and define the groups
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
    """Log10 odds that one of these shares of patches lands under the right camera, against chance.

    Zero if there are too few patches.
    """
    if len(patches.x) < params.min_patches:
        return 0.0
    # With a wrong camera, peaks lie anywhere within the search radius
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
    """Check whether hardly any patch lands in some quarter, and whether lights are matched there.

    The patches are split at their median into halves along their principal axis, and each half into
    quarters across it.
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
    # Of patches in a grid, none may be before the median
    halves = (along < middle, along >= middle)
    split = [float(np.median(across[half])) if half.any() else 0.0 for half in halves]

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
    """Uncertainty of a camera at the worst of its lights, one sigma; 0 if it is small enough.

    If lights are mistaken for their neighbours and few others are near, the place, the patches of
    the rest and four control points do not reveal it. But the camera moves without these lights.

    A fit with another lens than the proposed one, or one that held-out patches barely confirm, must
    also be stable without a quarter of the image. Along a coast between clouds, patches can share
    an error over more than a sixteenth of it.
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
