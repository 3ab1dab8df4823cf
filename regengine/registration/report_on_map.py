"""Report the result of a frame that is registered on a drawn map and verified by held-out cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from matchers.geometry.pose import PARAMETERS
from matchers.lights.patch_fit import fit_to_patches, state_noise
from matchers.lights.verify import LightPeaks
from regengine.io.plain import format_count
from regengine.registration.accept import decide
from regengine.registration.cell_parameters import CellParams
from regengine.registration.control_points import compute_camera_covariances, select_control_points
from regengine.registration.parameters import RegisterParams
from regengine.registration.refine_on_map import CellProof, MapPicture
from regengine.registration.report_result import record_match
from regengine.registration.types import Evidence, Fit, Hypothesis, Match
from regengine.store.result import MIN_POINTS, FrameResult, PatchProof, Reason


@dataclass(frozen=True, kw_only=True, eq=False)
class MapMatch(Match):
    """A camera fitted to a drawn map, with its verification; its fit does not use lights.

    Attributes
    ----------
    proofs : tuple of CellProof
        Agreement of held-out cells with a fit to the others, coarse level first.
    """

    proofs: tuple[CellProof, ...]

    @property
    def score(self) -> float:
        """The lower score of both levels."""
        return self.evidence.patch_log10_odds


def fit_all_cells(
    picture: MapPicture,
    hypothesis: Hypothesis,
    proofs: tuple[CellProof, ...],
    free: tuple[int, ...],
    patch_px: int,
) -> MapMatch | None:
    """Fit the final camera to even and odd cells together, once; None if patches are too few."""
    params = picture.params
    at = picture.image.camera(hypothesis.camera)
    view, known = picture.render(at)
    sparse = replace(picture, params=replace(params, max_cells=params.answer_cells))
    matches = sparse.match(view, known, (0, 1), patch_px, params.fit_reach_px)
    if len(matches) < params.min_matches:
        return None
    unknown = np.isin(np.arange(PARAMETERS), free)
    belief = hypothesis.prior.for_image(picture.image.factor)
    refinement = fit_to_patches(at, matches, belief, unknown)
    if params.is_noise_found:
        # A posteriori variance of unit weight (Mikhail & Ackermann 1976), robust, where it is less
        # than one: what the patches state has a floor for maps of lights, that streets do not need
        stated, whiten = state_noise(matches)
        white = np.einsum("nij,nj->ni", whiten, refinement.residual_px)
        variance = min(1.0, (1.4826 * float(np.median(np.abs(white)))) ** 2)
        noise = variance * stated
        matches = replace(matches, covariance=noise - (stated - matches.covariance))
        refinement = fit_to_patches(at, matches, belief, unknown)
        # Covariance of an M-estimate (Huber 1981) in place of that of weights, for the Cauchy
        # weight w of residuals r: E[w^2 r^2] / E[w^2]^2 instead of 1 / E[w]
        residual_px, w = refinement.residual_px, refinement.weights
        square = np.einsum("ni,nij,nj->n", residual_px, np.linalg.inv(noise), residual_px) / 2.0
        spread = max(1.0, 1.4826**2 * float(np.median(white**2)) / variance)
        huber = w.mean() * (w**2 * square).mean() / spread / (w**2).mean() ** 2
        refinement = replace(refinement, covariance=float(huber) * refinement.covariance)
    camera = picture.image.stored_camera(refinement.camera, hypothesis.camera)
    residual, nothing = proofs[-1].residual_px, np.zeros(0)
    held_out_px = float(np.sqrt((residual**2).mean())) if len(residual) else float("inf")
    score = min(proof.score for proof in proofs)
    fit = Fit(
        hypothesis=replace(hypothesis, camera=camera, ncc=proofs[-1].ncc),
        camera=refinement.camera,
        refinement=refinement,
        image=picture.image,
        levels=picture.levels,
        view=view,
        known=known,
        lights=LightPeaks(x=nothing, y=nothing, contrast=nothing),
        light_log10_odds=0.0,
        matched=np.zeros(0, np.intp),
        patch_view=(view, known),
        groups=np.arange(len(refinement.matches)),
    )
    if params.is_noise_found and fit.refits is not None:
        # A jackknife overestimates variance on average (Efron & Stein 1981), so it is used only
        # where it is much larger
        ground = refinement.rendered.pixel_to_ecef(refinement.matches.x, refinement.matches.y)
        stated = compute_camera_covariances(fit, ground, None)
        moved = fit.refits.covariance_px(ground)
        if np.trace(moved.sum(axis=0)) < params.max_refit_variance * np.trace(stated.sum(axis=0)):
            fit = replace(fit, groups=np.zeros(len(refinement.matches), np.intp))
    return MapMatch(
        fit=fit,
        camera=camera,
        evidence=Evidence(
            ncc=proofs[-1].ncc,
            runner_up_ncc=0.0,
            light_log10_odds=0.0,
            patch_log10_odds=score,
            image_log10_odds=0.0,
            log10_views_tested=0.0,
            runner_up_log10_odds=0.0,
            n_lights=0,
            n_matched_lights=0,
            residual_px=refinement.rms_px,
            held_out_residual_px=held_out_px,
        ),
        rivals=(),
        pose_sigma_m=0.0,
        proofs=proofs,
    )


def tell_proofs(proofs: Sequence[CellProof]) -> str:
    """Format the agreement of held-out cells for the record."""
    return "; ".join(
        PatchProof(
            n_agreeing=one.n_agreeing,
            n_patches=one.n_matched,
            sample_m=one.sample_m,
            log10_chance=min(-one.score, 0.0),
        ).text
        for one in proofs
    )


def report_on_map(
    unplaced: FrameResult,
    match: MapMatch,
    params: CellParams,
    register: RegisterParams,
    *,
    map_sigma_m: float,
    reference: str,
    reasons: tuple[Reason, ...] = (),
) -> FrameResult:
    """Make the result of a match: "accepted", "review" or "no_match", from its scores.

    The sigmas of control points combine only the noise of the patches and the error of the map.

    Parameters
    ----------
    unplaced : FrameResult
        Result with the metadata of the frame.
    map_sigma_m : float
        Standard deviation of positions in the map, metres.
    reference : str
        Kind of the map, and its credit.
    reasons : tuple of Reason
        Reasons to review the match.
    """
    on_map = replace(register.points, map_sigma_m=map_sigma_m)
    points = select_control_points(match.fit, match.camera, on_map)
    p_right = float(params.probability_steps.probability(match.score))
    low, high = (float(limit) for limit in params.probability_steps.interval(match.score))
    if match.score < params.min_score:
        what = "; ".join(f"1e-{one.score:.1f} at {one.sample_m:.4g} m" for one in match.proofs)
        text = f"probability of such agreement by chance: {what}"
        reasons = (*reasons, Reason(code="low_probability", text=text))
    if len(points) < MIN_POINTS:
        text = f"only {format_count(len(points), 'place')} of the photo matched to the map"
        reasons = (*reasons, Reason(code="few_control_points", text=text))
    sources = {**dict(unplaced.sources), "reference": reference, "proof": tell_proofs(match.proofs)}
    result = replace(
        unplaced,
        verdict=decide(p_right, reasons, register.accept),
        reasons=reasons,
        probability=p_right,
        probability_low=low,
        probability_high=high,
        sources=tuple(sorted(sources.items())),
        lights=reference,
    )
    return record_match(result, match, points)
