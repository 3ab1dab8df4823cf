"""A hypothesis fitted to the end on patches at the map's scale, with the lens lights confirm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from matchers.geometry.pose import FOCAL
from matchers.geometry.view import render_known
from matchers.lights.align import align
from matchers.lights.patches import groups_of
from matchers.lights.photo_light import detail
from matchers.lights.refine import refine
from matchers.lights.verify import find_light_peaks, score_lights
from regengine.registration.align import align_hypothesis, free_unknowns
from regengine.registration.control_points import measure_pose_sigma_m
from regengine.registration.hold_out import (
    allowed_error_px,
    discount_bent,
    measure_held_out,
)
from regengine.registration.parameters import LENS
from regengine.registration.types import Fit, Hypothesis, Problem
from regengine.registration.windows import footprint_window, ground_sample_km


def fit_hypothesis(problem: Problem, hypothesis: Hypothesis) -> Fit | None:
    """Fit a camera to patches of the photo's finest light image, and test it.

    None where the map holds nothing of its ground, or too few patches agree.
    """
    params = problem.params.refine
    fine = problem.photo.image("narrow")
    size_px = max(fine.values.shape)
    if hypothesis.image == "clipped":
        # The finest image is made for slanted views: below, it shows streets that no map has. Of
        # telephoto frames pixels suit the map where they look
        stored = hypothesis.camera
        middle = stored.pixel_to_ecef((stored.width_px - 1) / 2.0, (stored.height_px - 1) / 2.0)
        slant_km = float(np.linalg.norm(middle - np.asarray(stored.position_ecef_m))) / 1e3
        field_km = slant_km * max(stored.width_px, stored.height_px) / stored.focal_px
        if not np.isfinite(slant_km):
            field_km = 0.0
        most_px = max(params.min_fitted_px, round(field_km / params.fitted_sample_km))
        size_px = min(size_px, most_px)
    image = fine.resized(size_px, params.finest_smooth_px)
    camera = image.camera(hypothesis.camera)
    light_map = problem.references.light_map
    levels = footprint_window(light_map, hypothesis.camera, 25.0, ground_sample_km(camera) / 1.2)
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
        detail_px=params.detail_px,
        supersample=1,
    )
    refinement = refine(levels, image.values, image.weight, aligned.camera, prior, free)
    if refinement is None:
        return None
    view, known = render_known(levels, refinement.camera, 2)
    hold_out = problem.params.hold_out
    lights = find_light_peaks(image.values, image.weight * known, hold_out.n_photo_lights)
    of_map = find_light_peaks(view, image.weight * known, hold_out.n_map_lights)
    light_log10_odds, matched = score_lights(lights, of_map)
    patch_view = render_known(levels, refinement.rendered, 2)
    return Fit(
        hypothesis=hypothesis,
        camera=refinement.camera,
        refinement=refinement,
        image=image,
        levels=levels,
        view=view,
        lights=lights,
        light_log10_odds=light_log10_odds,
        matched=matched,
        held_out=measure_held_out(refinement, image, (view, known), lights, matched, hold_out),
        patch_view=patch_view,
        groups=groups_of(patch_view[0], refinement.matches),
    )


class LensTrial:
    """A fit with one belief about the lens: its odds by held-out patches, and its stability."""

    def __init__(self, problem: Problem, fit: Fit) -> None:
        accept = problem.params.accept
        self.fit = fit
        self.patch_log10_odds = discount_bent(fit, accept)
        # How unsure the camera is without some lights is asked of fits that others confirm
        self.pose_sigma_m = float("nan")
        if self.patch_log10_odds >= accept.tested_log10_odds:
            self.pose_sigma_m = measure_pose_sigma_m(fit, self.patch_log10_odds, accept)
        self.is_stable = self.pose_sigma_m == 0.0
        covers = fit.held_out.log10_odds
        if fit.held_out.has_empty_quarter:
            covers = min(covers, 0.0)
        self.is_confirmed = covers > accept.confirmed_log10_odds and self.is_stable


def fit_with_confirmed_lens(
    problem: Problem, hypothesis: Hypothesis
) -> tuple[LensTrial | None, bool, int]:
    """Fit a hypothesis with the lens that its lights confirm.

    A crop that has the shape of a whole picture, or a wrong focal length, brings a hypothesis to
    the right place with the wrong lens; held-out patches show it, or that the fit bends the lens
    away from what was given, or moves where some of the lights are left out. Then the lens is set
    free. Where that is no better and the place beyond chance, the axis is freed, or held where it
    was found, with the lens as given and free: six fits of the training half that were loose, or
    bent and wrong, were right and held with one of these each.

    Returns
    -------
    best : LensTrial or None
        The fit that held-out patches confirm most; of those as good as that, a stable one.
    is_ambiguous : bool
        Whether another is confirmed as well and has some patches elsewhere: nothing tells which is
        right, so neither is to be believed.
    n_fits : int
        How many were made.
    """
    accept = problem.params.accept
    prior = hypothesis.prior
    given = fit_hypothesis(problem, hypothesis)
    trials = [] if given is None else [LensTrial(problem, given)]
    if trials:
        bent = abs(trials[0].fit.refinement.prior.departure(trials[0].fit.camera)[FOCAL])
        if trials[0].is_confirmed and bent <= accept.max_lens_sigmas * prior.sigma_log_focal:
            return trials[0], False, 1
    nominal = problem.photo.nominal
    anywhere_px = LENS.sigma_principal_share * max(nominal.width_px, nominal.height_px)
    beliefs = [(LENS.sigma_log_focal_any, anywhere_px)]
    n_fits = 1
    while beliefs:
        sigma_log_focal, sigma_principal_px = beliefs.pop(0)
        freed = replace(
            hypothesis,
            prior=replace(
                prior, sigma_log_focal=sigma_log_focal, sigma_principal_px=sigma_principal_px
            ),
            is_other_lens=True,
        )
        aligned = align_hypothesis(problem, freed, problem.params.refine.compared_px)
        fit = None if aligned is None else fit_hypothesis(problem, aligned)
        n_fits += 1
        if fit is not None:
            trials.append(LensTrial(problem, fit))
        best = choose_fit(trials, accept.alike_log10_odds)
        if n_fits == 2 and best is not None and not best.is_confirmed:
            fit = best.fit
            odds = fit.hypothesis.image_log10_odds + fit.light_log10_odds
            odds += max(best.patch_log10_odds, 0.0) - problem.params.search.log10_attitudes
            if odds >= accept.clear_log10_odds:
                other_px = 0.0 if prior.sigma_principal_px > 0.0 else anywhere_px
                beliefs = [(prior.sigma_log_focal, other_px), (LENS.sigma_log_focal_any, 0.0)]
    best = choose_fit(trials, accept.alike_log10_odds)
    if best is None:
        return None, False, n_fits
    ambiguous = any(contradicts(other, best, accept.alike_log10_odds) for other in trials)
    return best, ambiguous, n_fits


def choose_fit(trials: Sequence[LensTrial], alike_log10_odds: float) -> LensTrial | None:
    """The fit that held-out patches confirm most; of those as good as that, a stable one."""
    most = max((trial.patch_log10_odds for trial in trials), default=0.0)
    good = [trial for trial in trials if trial.patch_log10_odds >= most - alike_log10_odds]
    return max(good, key=lambda trial: (trial.is_stable, trial.patch_log10_odds), default=None)


def contradicts(other: LensTrial, best: LensTrial, alike_log10_odds: float) -> bool:
    """Whether a fit that is confirmed as well has patches farther off than is allowed."""
    fit = best.fit
    if other.fit.held_out.log10_odds < fit.held_out.log10_odds - alike_log10_odds:
        return False
    matches = fit.refinement.matches
    ground = fit.refinement.rendered.pixel_to_ecef(matches.x, matches.y)
    x, y = fit.camera.ecef_to_pixel(ground)
    other_x, other_y = other.fit.camera.ecef_to_pixel(ground)
    allowed_px = allowed_error_px(fit.camera, fit.image)
    return bool((np.hypot(other_x - x, other_y - y) > allowed_px).any())
