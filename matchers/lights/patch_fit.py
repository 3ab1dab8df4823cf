"""Camera refinement from patch matches by robust least squares over the pose parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.pose import PosePrior
from matchers.geometry.pose_fit import PoseOptions, fit_pose, make_whitening
from matchers.lights.patches import PatchMatches

# Parameters of the camera fit to patches, and of its refits without some of them.
FLOOR_PX = 0.25
MIN_MATCHES = 4


# Scale of the Cauchy weight against wrong matches; 2.5 sigma is common. Refits start at the
# solution
FIT = PoseOptions(outlier_sigmas=2.5, max_rounds=12, converged=1e-4)
REFIT = replace(FIT, converged=1e-3)


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """A refined camera with its matches, residuals and uncertainty.

    rendered: Camera whose view the patches were taken from, at the start of the last round.
    covariance: Covariance of the pose parameters including the prior, scaled up if residuals are
        larger than expected, shape (10, 10).
    matches: Patch matches of the last round, before its step.
    residual_px: Residuals of the matches after the fit, shape (n, 2).
    weights: Robust weight of each match, in (0, 1], shape (n,).
    prior: Prior of the pose.
    free: Parameters that were fitted, shape (10,).
    alternative_log10_odds: Odds, against this camera, of the alternative fitted in a final search
        at maximum reach.
    """

    camera: Camera
    rendered: Camera
    covariance: FloatArray
    matches: PatchMatches
    residual_px: FloatArray
    weights: FloatArray
    prior: PosePrior
    free: BoolArray
    alternative_log10_odds: float = 0.0

    @property
    def rms_px(self) -> float:
        """Weighted root mean square residual per axis, pixels."""
        total = float(self.weights.sum())
        square = float((self.weights[:, None] * self.residual_px**2).sum())
        return (square / (2.0 * total)) ** 0.5 if total > 0.0 else float("inf")


def fit_to_patches(
    camera: Camera,
    matches: PatchMatches,
    prior: PosePrior,
    free: BoolArray,
    start: Camera | None = None,
) -> Refinement:
    """Fit the pose to patch matches, see `matchers.geometry.pose_fit.fit_pose`.

    Overlapping patches are not independent, so each is weighted by the inverse of its total overlap
    with all patches. ``camera`` is the one with which the view of the matches was rendered. The fit
    starts there unless ``start`` is given.
    """
    ground = camera.pixel_to_ecef(matches.x, matches.y)
    visible = np.isfinite(ground[:, 0])
    matches, ground = matches.chosen(visible), ground[visible]
    fit = fit_pose(
        np.stack([matches.x + matches.dx, matches.y + matches.dy], axis=-1),
        ground,
        start or camera,
        prior,
        free,
        FIT,
        covariance_px=state_noise(matches)[0],
        counted=1.0 / matches.overlap.sum(axis=1),
    )
    return Refinement(
        camera=fit.camera,
        rendered=camera,
        covariance=fit.covariance,
        matches=matches,
        residual_px=fit.residual_px,
        weights=fit.weights,
        prior=prior,
        free=free,
    )


def refit_without(
    camera: Camera,
    matches: PatchMatches,
    left_out: Sequence[BoolArray],
    prior: PosePrior,
    free: BoolArray,
    start: Camera,
) -> tuple[Camera, ...]:
    """Fit cameras as `fit_to_patches` does, each without some of the patches, masks of shape (n,).

    The fits start at a solution, and use a looser convergence criterion.
    """
    ground = camera.pixel_to_ecef(matches.x, matches.y)
    visible = np.isfinite(ground[:, 0])
    found = np.stack([matches.x + matches.dx, matches.y + matches.dy], axis=-1)
    noise, overlap = state_noise(matches)[0], matches.overlap
    cameras = []
    for out in left_out:
        kept = visible & ~out
        fit = fit_pose(
            found[kept],
            ground[kept],
            start,
            prior,
            free,
            REFIT,
            covariance_px=noise[kept],
            counted=1.0 / (overlap[kept] @ kept),
        )
        cameras.append(fit.camera)
    return tuple(cameras)


def state_noise(matches: PatchMatches) -> tuple[FloatArray, FloatArray]:
    """Compute covariances of matches with the minimum error added, and their whitening matrices."""
    noise = matches.covariance + FLOOR_PX**2 * np.eye(2)
    return noise, make_whitening(noise)


@dataclass(frozen=True, kw_only=True, eq=False)
class Refits:
    """A camera, and jackknife refits, each without one part of the image."""

    camera: Camera
    without: tuple[Camera, ...]

    def covariance_px(self, ground_ecef_m: FloatArray) -> FloatArray:
        """Compute the jackknife covariance of projected points (k, 3), square pixels, (k, 2, 2).

        Pixels are those of the fitted image. The degrees of freedom are the number of refits minus
        one.
        """
        count = len(self.without)
        here, *there = (
            np.stack(camera.ecef_to_pixel(ground_ecef_m), axis=-1)
            for camera in (self.camera, *self.without)
        )
        off = np.stack(there) - here
        return np.asarray((count - 1) / count * np.einsum("pki,pkj->kij", off, off))


def jackknife(refinement: Refinement, groups: IndexArray, max_parts: int = 16) -> Refits | None:
    """Refit a camera without each part of the image in turn (block jackknife).

    The covariance of a least-squares fit is valid if errors of patches are independent and have the
    stated size. This is not so in practice: towns grow on one side, an isolated town shifts all
    patches that contain it, and a row of towns may be matched to the adjacent ones. A camera with
    many free parameters follows such errors. Refits without these lights show by how much.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        Light in each of the patches, see `matchers.lights.patches.group_patches`. Patches with the
        same light are left out together.
    max_parts : int
        Maximum number of parts of the image, a power of two.

    Returns
    -------
    Refits or None
        None if there are too few lights for a jackknife.

    References
    ----------
    Efron, B. (1982). The Jackknife, the Bootstrap and Other Resampling Plans. SIAM, chapter 3.
    Künsch, H. R. (1989). The jackknife and the bootstrap for general stationary observations.
    Annals of Statistics 17, 1217-1241: blocks, for what errs together.
    """
    matches = refinement.matches
    found, first, group = np.unique(groups, return_index=True, return_inverse=True)
    places = np.stack([matches.x[first], matches.y[first]], axis=-1)
    parts = [np.arange(len(found))]
    while 2 * len(parts) <= max_parts and any(len(part) > 1 for part in parts):
        halves = []  # split each part across its longer side
        for part in parts:
            axis = int(np.argmax(np.ptp(places[part], axis=0)))
            order = part[np.argsort(places[part, axis], kind="stable")]
            halves += [half for half in np.array_split(order, 2) if len(half)]
        parts = halves
    left_out = [np.isin(group, part) for part in parts]
    without = refit_without(
        refinement.rendered,
        matches,
        [out for out in left_out if (~out).sum() >= MIN_MATCHES],
        refinement.prior,
        refinement.free,
        refinement.camera,
    )
    if len(without) < 4:  # too few to estimate a spread
        return None
    return Refits(camera=refinement.camera, without=without)
