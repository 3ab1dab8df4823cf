"""Fine camera from patch matches: robust least squares over the physical unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.geometry.camera import Camera
from matchers.geometry.pose import PosePrior
from matchers.geometry.pose_fit import PoseOptions, fit_pose, make_whitening
from matchers.lights.patches import PatchMatches


@dataclass(frozen=True, kw_only=True)
class PatchFitParams:
    """How a camera is fitted to patches, and fitted again without some of them."""

    # A match is never better than this: map pixels, light growth and parallax of towns on hills
    floor_px: float = 0.25
    min_matches: int = 4


PATCH_FIT = PatchFitParams()
# The Cauchy weight that tames wrong matches; 2.5 sigmas are usual. Refits begin at the solution
FIT = PoseOptions(outlier_sigmas=2.5, max_rounds=12, converged=1e-4)
REFIT = replace(FIT, converged=1e-3)


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """A fine camera, what it was fitted to and how sure it is.

    rendered: The camera whose view the patches were taken from: the start of the last round.
    covariance: Of the pose parameters, the prior included, scaled by the residuals where these are
        larger than expected, shape (10, 10).
    matches: Patches of the last round, as found before its step.
    residual_px: What the solution leaves of them, shape (n, 2).
    weights: Robust weight of each, in (0, 1], shape (n,).
    prior: What was believed before.
    free: The unknowns, shape (10,).
    alternative_log10_odds: Of what a last look at the widest reach fits, against this camera.
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

    Patches that overlap tell the same twice: each counts by the inverse of what lies on it. The
    camera is the one that the matches were rendered with, and where the fit starts if nothing else
    is given.
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
    """Cameras fitted as by `fit_to_patches` without some of the patches, shape (n,), each.

    They begin at a solution, and end sooner than that.
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
    """Covariance of every match, shape (n, 2, 2), never below the floor, and what whitens it."""
    noise = matches.covariance + PATCH_FIT.floor_px**2 * np.eye(2)
    return noise, make_whitening(noise)


@dataclass(frozen=True, kw_only=True, eq=False)
class Refits:
    """A camera, and those of the same fit without one part of the picture each."""

    camera: Camera
    without: tuple[Camera, ...]

    def covariance_px(self, ground_ecef_m: FloatArray) -> FloatArray:
        """Of where the camera sees places (k, 3), square pixels of the fitted image, (k, 2, 2).

        It has one degree of freedom less than there are refits.
        """
        count = len(self.without)
        here, *there = (
            np.stack(camera.ecef_to_pixel(ground_ecef_m), axis=-1)
            for camera in (self.camera, *self.without)
        )
        off = np.stack(there) - here
        return np.asarray((count - 1) / count * np.einsum("pki,pkj->kij", off, off))


def jackknife(refinement: Refinement, groups: IndexArray, max_parts: int = 16) -> Refits | None:
    """Fit a camera again without a part of the picture, each in turn.

    The covariance of a least-squares fit holds where patches err as they say and apart from each
    other. Towns grow on one side, a lone one pulls all patches that show it, and a string of them
    may be taken for the next ones; a camera with many unknowns follows. What happens without them
    tells by how much.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        Light that each of its patches shows, see `matchers.lights.patches.group_patches`: patches
        of one are left out together.
    max_parts : int
        Into so many the picture is cut at most, a power of two.

    Returns
    -------
    Refits or None
        None where there are too few lights to leave any out.

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
        halves = []  # of halves, each across its longer side
        for part in parts:
            axis = int(np.argmax(np.ptp(places[part], axis=0)))
            order = part[np.argsort(places[part, axis], kind="stable")]
            halves += [half for half in np.array_split(order, 2) if len(half)]
        parts = halves
    left_out = [np.isin(group, part) for part in parts]
    without = refit_without(
        refinement.rendered,
        matches,
        [out for out in left_out if (~out).sum() >= PATCH_FIT.min_matches],
        refinement.prior,
        refinement.free,
        refinement.camera,
    )
    if len(without) < 4:  # of how much refits differ fewer say nothing
        return None
    return Refits(camera=refinement.camera, without=without)
