"""Fit a hypothesis to patches at the map's scale, with the lens that the lights confirm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detectors.types import BoolArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import LightGrid
from matchers.geometry.pose import FOCAL, PosePrior, mirror_pose
from matchers.geometry.view import render_known
from matchers.lights.gauss_newton import align
from matchers.lights.patch_fit import MIN_MATCHES, Refinement, fit_to_patches
from matchers.lights.patches import (
    PatchMatches,
    choose_patches,
    count_cells,
    group_patches,
    match_patches,
    measure_texture,
)
from matchers.lights.photo_light import detail
from matchers.lights.verify import LIGHTS, find_light_peaks, score_lights
from regengine.registration.align import align_hypothesis, free_unknowns
from regengine.registration.hold_out import compute_allowed_error_px, test_fit
from regengine.registration.parameters import LENS, RefineParams
from regengine.registration.prepare_photo import FINE_SAMPLE_KM
from regengine.registration.types import Fit, FitTest, Hypothesis, Problem
from regengine.registration.windows import compute_ground_sample_km, find_footprint_window

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
    accept, prior = problem.params.accept, hypothesis.prior
    better_log10_odds = problem.params.refine.better_log10_odds
    nominal = problem.photo.nominal
    anywhere_px = LENS.sigma_principal_share * max(nominal.width_px, nominal.height_px)
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
            start = align_hypothesis(problem, freed, problem.params.refine.compared_px)
        fit = None if start is None else fit_hypothesis(problem, start)
        if fit is not None:
            fits.append((fit, test_fit(fit, problem.params)))
        best = choose_fit(fits, better_log10_odds)
        n_fits += 1
        if n_fits == 1 and best is not None and best[1].is_confirmed:
            pulled = abs(best[0].refinement.prior.departure(best[0].camera)[FOCAL])
            if pulled <= accept.max_lens_sigmas * prior.sigma_log_focal:
                return best, False, 1
        if n_fits == 2:
            if best is None or best[1].is_confirmed:
                break
            odds = best[0].hypothesis.image_log10_odds + best[0].light_log10_odds
            odds += max(best[1].patch_log10_odds, 0.0) - problem.params.search.log10_attitudes
            if odds < accept.clear_log10_odds:
                break
    is_ambiguous = best is not None and any(
        contradicts(other, best, better_log10_odds) for other in fits
    )
    return best, is_ambiguous, n_fits


def choose_fit(fits: Sequence[TestedFit], better_log10_odds: float) -> TestedFit | None:
    """Choose the fit with the best odds of held-out patches; among equal ones, a stable one."""
    most = max((test.patch_log10_odds for _, test in fits), default=0.0)
    good = [one for one in fits if one[1].patch_log10_odds >= most - better_log10_odds]
    return max(good, key=lambda one: (one[1].is_stable, one[1].patch_log10_odds), default=None)


def contradicts(other: TestedFit, best: TestedFit, better_log10_odds: float) -> bool:
    """Whether an equally confirmed fit moves any patch by more than the allowed error."""
    if other[1].log10_odds < best[1].log10_odds - better_log10_odds:
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
    params = problem.params.refine
    fine = problem.photo.image("narrow")
    size_px = max(fine.values.shape)
    if hypothesis.image == "clipped":
        # The finest image suits slanted views. In a nadir view it shows streets that are not in the
        # map. So pixels of a telephoto frame are matched to the map at the distance of its ground
        stored = hypothesis.camera
        middle = stored.pixel_to_ecef((stored.width_px - 1) / 2.0, (stored.height_px - 1) / 2.0)
        slant_km = float(np.linalg.norm(middle - np.asarray(stored.position_ecef_m))) / 1e3
        field_km = slant_km * max(stored.width_px, stored.height_px) / stored.focal_px
        if not np.isfinite(slant_km):
            field_km = 0.0
        most_px = max(96, round(field_km / FINE_SAMPLE_KM))
        size_px = min(size_px, most_px)
    image = fine.resized(size_px, params.finest_smooth_px)
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
        detail(image.values, params.detail_px, image.weight),
        image.weight,
        camera,
        prior,
        free=free,
        iterations=3,
        smooth_px=params.smooth_px,
        detail_px=params.detail_px,
        supersample=1,
    )
    refinement = refine_on_patches(
        levels, image.values, image.weight, aligned.camera, prior, free, params
    )
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
        lights=lights,
        light_log10_odds=light_log10_odds,
        matched=matched,
        patch_view=patch_view,
        groups=group_patches(patch_view[0], matches.centres, matches.size_px),
    )


def refine_on_patches(
    levels: Sequence[LightGrid],
    photo: FloatImage,
    weight: FloatImage,
    camera: Camera,
    prior: PosePrior,
    free: BoolArray,
    params: RefineParams,
) -> Refinement | None:
    """Fit the camera to patches of the rendered map found in the photo, round after round.

    The widest search radius is used first, and again at the end. A camera that mistakes lights for
    their neighbours is stable, and the correct matches of the other patches lie outside a narrow
    search radius. If a fit to the widest matches is clearly likelier, the iteration continues from
    it.

    Parameters
    ----------
    photo, weight : ndarray of float32, shape (h, w)
        The photo's light image and the weight of its pixels.
    camera : Camera
        Initial camera, accurate to a few pixels.
    prior : PosePrior
        Prior of position, focal length and distortion.

    Returns
    -------
    Refinement or None
        None if fewer than four patches match.
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


def weigh_alternative(wide: Refinement, params: RefineParams) -> float:
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
