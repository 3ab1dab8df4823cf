"""Compute the evidence for a fitted camera."""

from __future__ import annotations

from regengine.registration.align import weigh_image
from regengine.registration.fit import TestedFit
from regengine.registration.types import Evidence, Hypothesis, Match, Problem


def weigh_evidence(
    problem: Problem,
    tested: TestedFit,
    rivals: tuple[Hypothesis, ...],
    log10_views: float,
    *,
    is_ambiguous: bool,
) -> Match:
    """Combine three odds against chance: of the lights, the held-out patches and the whole image.

    Patches do not support a fit that another lens contradicts.
    """
    (fit, test), params = tested, problem.params.refine
    camera = fit.image.stored_camera(fit.camera, problem.photo.nominal)
    patches = test.patch_log10_odds
    hypothesis = fit.hypothesis
    runner_up = max(rivals, key=lambda one: one.image_log10_odds, default=None)
    evidence = Evidence(
        ncc=hypothesis.ncc,
        runner_up_ncc=0.0 if runner_up is None else runner_up.ncc,
        light_log10_odds=fit.light_log10_odds,
        patch_log10_odds=min(patches, 0.0) if is_ambiguous else patches,
        image_log10_odds=weigh_image(fit.image, camera, fit.levels, params.compared_px, params),
        log10_views_tested=log10_views,
        runner_up_log10_odds=(0.0 if runner_up is None else runner_up.image_log10_odds)
        - log10_views,
        n_lights=len(fit.lights),
        n_matched_lights=len(fit.matched),
        residual_px=fit.refinement.rms_px,
        held_out_residual_px=test.residual_px,
    )
    return Match(
        fit=fit, camera=camera, evidence=evidence, rivals=rivals, pose_sigma_m=test.pose_sigma_m
    )
