"""Fit a hypothesis to patches at the map's scale, with the lens that the lights confirm; test it.

The tests are held-out patches, and refits that leave out some of the lights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import bdtr

from detectors.types import BoolArray, FloatArray, FloatImage, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from matchers.geometry.footprint import diagonal_km
from matchers.geometry.map_grid import MapGrid, render_known
from matchers.geometry.pose import FOCAL, PosePrior, mirror_pose
from matchers.lights.gauss_newton import align
from matchers.lights.patches import (
    MIN_MATCHES,
    PatchMatches,
    Refinement,
    choose_patches,
    correlate_patches,
    count_cells,
    find_peaks,
    fit_to_patches,
    group_patches,
    match_patches,
    measure_texture,
    refit_without,
)
from matchers.lights.photo_light import EvenedImage, detail
from matchers.lights.verify import LIGHTS, LightPeaks, find_light_peaks, score_lights
from regengine.registration.accept import (
    COVERING_LOG10_ODDS,
    MIN_POINTS_PROBABILITY,
    SURE_LOG10_ODDS,
    TESTED_LOG10_ODDS,
)
from regengine.registration.align import LOG10_ATTITUDES, align_hypothesis, free_unknowns
from regengine.registration.control_points import (
    compute_allowed_error_m,
    compute_camera_covariances,
    compute_chance_within,
    project_covariance,
)
from regengine.registration.parameters import LENS, REFINE, RefineParams
from regengine.registration.prepare_photo import FINE_SAMPLE_KM
from regengine.registration.types import Fit, FitTest, Hypothesis, Problem
from regengine.registration.windows import compute_ground_sample_km, find_footprint_window

# Odds of a thousand to one rule out chance: for a place, less the views tested; for a lens that
# patches confirm; and for a camera that fits patches farther away, so that a fit is distorted
CLEAR_LOG10_ODDS = 3.0
# Patches of one size that are needed for a test
MIN_PATCHES = 8
# Search radius of a patch, as a multiple of the distance within which it counts as landed
REACH = 4.0
LANDED_PX = 1.0
# Quarters are checked only if half of the allowed error is at least this: patches scatter by as
# much
MIN_QUARTER_PX = 2.0


def weigh_fit(fit: Fit) -> FitTest:
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
    allowed_px = compute_allowed_error_px(fit.camera, fit.image)
    right_px = max(0.5 * allowed_px, LANDED_PX)
    # Side of the patches, and number of cells along the image, each with one patch. The mean of
    # such odds stays valid against chance (Vovk & Wang 2021, E-values: calibration, combination,
    # applications)
    sizes = ((31, 14), (25, 17), (21, 20))
    predicted = (predict_patches(fit, *size, (LANDED_PX, right_px)) for size in sizes)
    strict, wide = zip(*predicted, strict=True)
    # With the right camera these shares of patches land within a pixel; clouds and new lights spoil
    # the others
    odds = [weigh_landed(one, (0.3, 0.45, 0.6, 0.8)) for one in strict]
    # With a right fit these shares land within half of the allowed error of a control point
    odds += [weigh_landed(one, (0.6, 0.8)) for one in wide]
    log10_odds, residual_px = float(np.mean(odds)), float("inf")
    if len(strict[0].x) >= MIN_PATCHES:
        # Median distance of two independent normal errors, in sigmas (Rayleigh distribution)
        residual_px = float(np.median(strict[0].distance_px)) / 1.1774

    has_empty_quarter, lights_agree = False, True
    if right_px >= MIN_QUARTER_PX:
        has_empty_quarter, lights_agree = check_quarters(wide, fit.light_peaks, fit.matched)
    # Clouds and boats can leave a quarter empty, too: then the lights can confirm the fit
    lights_cover = lights_agree and fit.light_log10_odds >= COVERING_LOG10_ODDS
    is_distorted = fit.refinement.alternative_log10_odds >= CLEAR_LOG10_ODDS
    is_distorted |= has_empty_quarter and not lights_cover
    patch_log10_odds = min(log10_odds, 0.0) if is_distorted else log10_odds

    pose_sigma_m = float("nan")
    if patch_log10_odds >= TESTED_LOG10_ODDS:
        pose_sigma_m = measure_pose_sigma_m(fit, patch_log10_odds)
    is_confirmed = pose_sigma_m == 0.0 and not has_empty_quarter
    return FitTest(
        residual_px=residual_px,
        log10_odds=log10_odds,
        is_distorted=is_distorted,
        patch_log10_odds=patch_log10_odds,
        pose_sigma_m=pose_sigma_m,
        is_confirmed=is_confirmed and log10_odds > CLEAR_LOG10_ODDS,
    )


def compute_allowed_error_px(camera: Camera, image: EvenedImage) -> float:
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
    fit: Fit, size_px: int, along: int, landings_px: Sequence[float]
) -> list[PredictedPatches]:
    """Match patches of one size, and predict the position of each by fits to the others.

    `along`: number of cells along the image. Patches are matched once, within the search radius of
    the widest tolerance; a narrower one uses the centre of that correlation surface. Patches that
    show the same light are left out together. A fit to the others can follow wrong matches away
    from the solution. So a patch must also be near the position that the solution predicts.
    """
    reaches_px = [math.ceil(REACH * landed_px) for landed_px in landings_px]
    refinement, image = fit.refinement, fit.image
    texture = measure_texture(fit.view, image.weight * fit.known, size_px)
    cells = count_cells(along, image.values.shape)
    centres = choose_patches(texture, size_px, cells, max(reaches_px))
    surfaces = correlate_patches(image.values, fit.view, centres, size_px, max(reaches_px))
    # Patches that are found within the widest search radius come first and define the groups
    found = find_peaks(surfaces, centres, size_px, max(reaches_px))[1]
    order = np.concatenate([found, np.setdiff1d(np.arange(len(centres)), found)])
    groups = np.empty(len(centres), np.intp)
    groups[order] = group_patches(fit.view, centres[order], size_px)
    ground_ecef_m = refinement.camera.pixel_to_ecef(*centres.T)
    predicted = []
    for landed_px, reach_px in zip(landings_px, reaches_px, strict=True):
        matches, index = find_peaks(surfaces, centres, size_px, reach_px)
        moved = np.hypot(matches.dx, matches.dy)
        distance = np.full(len(matches), np.inf)
        folds = groups[index] % 3
        left_out = [folds == fold for fold in np.unique(folds)]
        left_out = [out for out in left_out if not out.all()]
        refits = refit_without(refinement, refinement.camera, matches, left_out)
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


def weigh_landed(patches: PredictedPatches, shares: Sequence[float]) -> float:
    """Log10 odds that one of these shares of patches lands under the right camera, against chance.

    Zero if there are too few patches.
    """
    if len(patches.x) < MIN_PATCHES:
        return 0.0
    # With a wrong camera, peaks lie anywhere within the search radius
    reach_px = math.ceil(REACH * patches.landed_px)
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
) -> tuple[bool, bool]:
    """Check whether hardly any patch lands in some quarter, and whether lights are matched there.

    The patches are split at their median into halves along their principal axis, and each half into
    quarters across it.
    """
    counted = [test for test in tests if len(test.x) >= MIN_PATCHES]
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
    # Share that lands: twice that of chance (by eye)
    empty = np.flatnonzero((count > 0) & (share < 0.12))
    if not len(empty):
        return False, True
    inside = np.isin(number_quarters(lights.positions), empty)
    is_matched = np.isin(np.arange(len(lights)), matched)
    if not inside.any() or not is_matched[inside].any():
        return True, False
    elsewhere = is_matched[~inside].mean() if not inside.all() else 0.0
    chance = bdtr(is_matched[inside].sum(), inside.sum(), elsewhere)
    return True, bool(chance >= 0.05)  # the usual level of significance


def measure_pose_sigma_m(fit: Fit, patch_log10_odds: float) -> float:
    """Uncertainty of a camera at the worst of its lights, one sigma; 0 if it is small enough.

    If lights are mistaken for their neighbours and few others are near, the place, the patches of
    the rest and four control points do not reveal it. But the camera moves without these lights.

    A fit with another lens than the proposed one, or one that held-out patches barely confirm, must
    also be stable without a quarter of the image. Along a coast between clouds, patches can share
    an error over more than a sixteenth of it.
    """
    refits = [fit.refits]
    barely = patch_log10_odds < SURE_LOG10_ODDS or fit.hypothesis.is_other_lens
    if barely and fit.light_log10_odds < COVERING_LOG10_ODDS:
        refits.append(fit.quarter_refits)
    lights = fit.matched_lights
    ground = fit.camera.pixel_to_ecef(lights.x, lights.y)
    # Closer to the limb a pixel covers kilometres of ground, and every camera is uncertain
    ground = ground[incidence_deg(fit.camera.position_ecef_m, ground) <= 70.0]
    sigmas_m = []
    for without in refits:
        covariance = compute_camera_covariances(fit, ground, without)
        on_ground = project_covariance(fit.camera, ground, covariance)
        sigma_m = np.sqrt(np.trace(on_ground, axis1=-2, axis2=-1) / 2.0)
        sigmas_m.append(float(sigma_m.max(initial=0.0)))
    worst_m = max(sigmas_m)
    if worst_m == 0.0 or compute_chance_within(worst_m, fit.camera) >= MIN_POINTS_PROBABILITY:
        return 0.0
    return worst_m


TestedFit = tuple[Fit, FitTest]


def fit_with_lens_beliefs(
    problem: Problem, hypothesis: Hypothesis
) -> tuple[TestedFit | None, bool, int]:
    """Fit a hypothesis with the lens that its lights confirm.

    A hypothesis can have the right place and the wrong lens, because the frame is a crop with the
    aspect ratio of a full frame, or because the given focal length is wrong. So up to four priors
    of the lens are fitted and tested:

    ====  ===============  ================  ==================================================
    fit   focal length     optical axis      condition
    ====  ===============  ================  ==================================================
    1     as proposed      as proposed       always; it is the only one if held-out patches
                                             confirm it and its focal length stays in place
    2     any              anywhere          if 1 is not sufficient
    3     as proposed      the alternative   if the best of 1 and 2 is not confirmed, and the
                                             place is better than chance
    4     any              in the middle     with 3
    ====  ===============  ================  ==================================================

    "The alternative" is anywhere for a hypothesis of a full frame, and in the middle for a crop.
    A lens that stars determine is not doubted: there is only fit 1.

    Returns
    -------
    best : tuple of Fit and FitTest, or None
        See `choose_fit`.
    is_ambiguous : bool
        Whether another fit is equally confirmed and has some patches elsewhere. Then neither can be
        trusted, since there is no evidence which of them is right.
    n_fits : int
        Number of fits that were made.
    """
    prior = hypothesis.prior
    nominal = problem.photo.nominal
    anywhere_px = LENS.sigma_principal_share * nominal.long_side_px
    other_px = 0.0 if prior.sigma_principal_px > 0.0 else anywhere_px
    beliefs = (
        (prior.sigma_log_focal, prior.sigma_principal_px),
        (LENS.sigma_log_focal_any, anywhere_px),
        (prior.sigma_log_focal, other_px),
        (LENS.sigma_log_focal_any, 0.0),
    )
    fits: list[TestedFit] = []
    best, n_fits = None, 0
    for sigma_log_focal, sigma_principal_px in beliefs:
        start: Hypothesis | None = hypothesis
        if n_fits > 0:
            other = replace(
                prior, sigma_log_focal=sigma_log_focal, sigma_principal_px=sigma_principal_px
            )
            freed = replace(hypothesis, prior=other, is_other_lens=True)
            start = align_hypothesis(problem, freed, REFINE.compared_px)
        fit = None if start is None else fit_hypothesis(problem, start)
        if fit is not None:
            fits.append((fit, weigh_fit(fit)))
        best = choose_fit(fits)
        n_fits += 1
        if hypothesis.n_stars:
            break
        if n_fits == 1 and best is not None and best[1].is_confirmed:
            pulled = abs(best[0].refinement.prior.departure(best[0].camera)[FOCAL])
            # A lens is not confirmed if the lights pull its focal length away by more sigmas
            if pulled <= 3.0 * prior.sigma_log_focal:
                return best, False, 1
        if n_fits == 2:
            if best is None or best[1].is_confirmed:
                break
            odds = best[0].hypothesis.image_log10_odds + best[0].light_log10_odds
            odds += max(best[1].patch_log10_odds, 0.0) - LOG10_ATTITUDES
            if odds < CLEAR_LOG10_ODDS:
                break
    is_ambiguous = best is not None and any(contradicts(other, best) for other in fits)
    return best, is_ambiguous, n_fits


def choose_fit(fits: Sequence[TestedFit]) -> TestedFit | None:
    """Choose the fit with the best odds of held-out patches; among equal ones, a stable one."""
    most = max((test.patch_log10_odds for _, test in fits), default=0.0)
    good = [one for one in fits if one[1].patch_log10_odds >= most - REFINE.better_log10_odds]
    return max(
        good, key=lambda one: (one[1].pose_sigma_m == 0.0, one[1].patch_log10_odds), default=None
    )


def contradicts(other: TestedFit, best: TestedFit) -> bool:
    """Whether an equally confirmed fit moves any patch by more than the allowed error."""
    if other[1].log10_odds < best[1].log10_odds - REFINE.better_log10_odds:
        return False
    fit = best[0]
    matches = fit.refinement.matches
    ground = fit.refinement.rendered.pixel_to_ecef(matches.x, matches.y)
    x, y = fit.camera.ecef_to_pixel(ground)
    other_x, other_y = other[0].camera.ecef_to_pixel(ground)
    allowed_px = compute_allowed_error_px(fit.camera, fit.image)
    return bool((np.hypot(other_x - x, other_y - y) > allowed_px).any())


def fit_hypothesis(problem: Problem, hypothesis: Hypothesis) -> Fit | None:
    """Fit a camera to patches of the photo's finest light image, and match the lights.

    None if the map does not cover its ground, or if too few patches match.
    """
    fine = problem.photo.image("narrow")
    size_px = max(fine.values.shape)
    if hypothesis.image == "clipped":
        # The finest image suits slanted views. In a nadir view it shows streets that are not in the
        # map. So pixels of a telephoto frame are matched to the map at the distance of its ground
        stored = hypothesis.camera
        middle = stored.pixel_to_ecef((stored.width_px - 1) / 2.0, (stored.height_px - 1) / 2.0)
        slant_km = float(np.linalg.norm(middle - np.asarray(stored.position_ecef_m))) / 1e3
        field_km = slant_km * stored.long_side_px / stored.focal_px
        if not np.isfinite(slant_km):
            field_km = 0.0
        most_px = max(96, round(field_km / FINE_SAMPLE_KM))  # 96: three patches, by eye
        size_px = min(size_px, most_px)
    # Blur of the map itself (VIIRS DNB pixels of 0.74 km) at the scale of the finest image
    image = fine.resized(size_px, 1.0)
    camera = image.camera(hypothesis.camera)
    light_map = problem.references.light_map
    levels = find_footprint_window(
        light_map, hypothesis.camera, 25.0, compute_ground_sample_km(camera) / 1.2
    )
    if levels is None:
        return None
    prior = hypothesis.prior.for_image(image.factor)
    free = free_unknowns(prior, fine=True, k1=True)
    aligned = align(
        levels,
        detail(image.values, REFINE.detail_px, image.weight),
        image.weight,
        camera,
        prior,
        free=free,
        iterations=3,
        smooth_px=REFINE.smooth_px,
        detail_px=REFINE.detail_px,
    )
    refinement = refine_on_patches(levels, image.values, image.weight, aligned.camera, prior, free)
    if refinement is None:
        return None
    view, known = render_known(levels, refinement.camera, 2)
    lights = find_light_peaks(image.values, image.weight * known, LIGHTS.n_photo)
    of_map = find_light_peaks(view, image.weight * known, LIGHTS.n_map)
    light_log10_odds, matched = score_lights(lights, of_map)
    patch_view = render_known(levels, refinement.rendered, 2)
    matches = refinement.matches
    return Fit(
        hypothesis=hypothesis,
        camera=refinement.camera,
        refinement=refinement,
        image=image,
        levels=levels,
        view=view,
        known=known,
        light_peaks=lights,
        light_log10_odds=light_log10_odds,
        matched=matched,
        patch_view=patch_view,
        groups=group_patches(patch_view[0], matches.centres, matches.size_px),
    )


def refine_on_patches(
    levels: Sequence[MapGrid],
    photo: FloatImage,
    weight: FloatImage,
    camera: Camera,
    prior: PosePrior,
    free: BoolArray,
    params: RefineParams = REFINE,
) -> Refinement | None:
    """Fit the camera to patches of the rendered map found in the photo, round after round.

    The widest search radius is used first, and again at the end. A camera that mistakes lights for
    their neighbours is stable, and the correct matches of the other patches lie outside a narrow
    search radius. If a fit to the widest matches is clearly likelier, the iteration continues from
    it.

    `photo`, `weight` (h, w): the photo's light image and the weight of its pixels; `camera`:
    accurate to a few pixels. None if fewer than four patches match.
    """
    cells = count_cells(params.cells, photo.shape)

    def find_patches(camera: Camera, reach_px: int) -> PatchMatches:
        view, known = render_known(levels, camera, 2)
        texture = measure_texture(view, weight * known, params.patch_px)
        centres = choose_patches(texture, params.patch_px, cells, reach_px)
        return match_patches(photo, view, centres, params.patch_px, reach_px)

    widest, *narrower = params.reaches_px
    result: Refinement | None = None
    for _ in range(4):  # limits switching back and forth between cameras
        matches, fits = find_patches(camera, widest), []
        if len(matches) >= MIN_MATCHES:
            # The mirrored pose has almost the same view: the fit also starts there if all ground
            # of the patches is visible
            starts, other = [camera], mirror_pose(camera)
            ground = camera.pixel_to_ecef(matches.x, matches.y)
            visible = ground[np.isfinite(ground[:, 0])]
            if other is not None and np.isfinite(other.ecef_to_pixel(visible)).all():
                starts.append(other)
            fits = [fit_to_patches(camera, matches, prior, free, start) for start in starts]
        odds = [weigh_alternative(fit, params) for fit in fits]
        gained = max(odds, default=0.0)
        if result is not None:
            result = replace(result, alternative_log10_odds=gained)
            if gained < params.better_log10_odds:
                break
        camera = fits[int(np.argmax(odds))].camera if fits else camera
        for reach_px in narrower:
            matches = find_patches(camera, reach_px)
            if len(matches) < MIN_MATCHES:
                break
            result = fit_to_patches(camera, matches, prior, free)
            camera = result.camera
    return result


def weigh_alternative(wide: Refinement, params: RefineParams = REFINE) -> float:
    """Log10 odds of a camera fitted to patches of the widest search radius, against its start.

    The model is a mixture: half of the patches lie where the camera predicts them, with a standard
    deviation of one pixel, and the others anywhere within the search window. Overlapping patches
    repeat the same information, so they are counted once.
    """
    matches, area = wide.matches, (2.0 * params.reaches_px[0] + 1.0) ** 2
    peak = area / (2.0 * np.pi)
    moved = np.stack([matches.dx, matches.dy], axis=-1)
    fitted, start = (
        np.log10(1.0 + peak * np.exp(-0.5 * (off**2).sum(axis=1)))
        for off in (wide.residual_px, moved)
    )
    return float(((fitted - start) / matches.overlap.sum(axis=1)).sum())
