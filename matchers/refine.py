"""Fine camera from patch matches: robust least squares over the physical unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.patches import PatchMatches, choose_patches, match_patches
from matchers.pose import PARAMETERS, PosePrior, pixel_derivatives, stepped
from matchers.view import render_known

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]

# A match is never better than this: map pixels, light growth and parallax of towns on hills
FLOOR_PX = 0.25


@dataclass(frozen=True, kw_only=True)
class RefineParameters:
    """How the fine fit looks at a photo.

    Attributes
    ----------
    patch_px : int
        Side of a patch.
    reaches_px : tuple of int
        How far patches may move in each round.
    cells : int
        Cells along the long side of the frame, one patch in each.
    outlier_sigmas : float
        Scale of the Cauchy weight that tames wrong matches.
    """

    patch_px: int = 31
    reaches_px: tuple[int, ...] = (8, 5, 4)
    cells: int = 14
    outlier_sigmas: float = 2.5


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """A fine camera, what it was fitted to and how sure it is.

    Attributes
    ----------
    camera : Camera
        The solution.
    rendered : Camera
        The camera whose view the patches were taken from: the start of the last round.
    covariance : ndarray, shape (10, 10)
        Of the pose parameters, the prior included, scaled by the residuals where these are larger
        than expected.
    matches : PatchMatches
        Patches of the last round, as found before its step.
    residual_px : ndarray, shape (n, 2)
        What the solution leaves of them.
    weights : ndarray, shape (n,)
        Robust weight of each, in (0, 1].
    """

    camera: Camera
    rendered: Camera
    covariance: FloatArray
    matches: PatchMatches
    residual_px: FloatArray
    weights: FloatArray

    @property
    def rms_px(self) -> float:
        """Weighted root mean square residual per axis, pixels."""
        total = float(self.weights.sum())
        square = float((self.weights[:, None] * self.residual_px**2).sum())
        return (square / (2.0 * total)) ** 0.5 if total > 0.0 else float("inf")


def refine(
    levels: Sequence[LightGrid],
    photo: Image,
    weight: Image,
    camera: Camera,
    prior: PosePrior,
    parameters: RefineParameters,
    free: NDArray[np.bool_],
) -> Refinement | None:
    """Fit the camera to local matches, round after round.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid, finest near the photo's ground resolution.
    photo, weight : ndarray of float32, shape (h, w)
        The photo's light image and what of it counts.
    camera : Camera
        Start, good to a few pixels.
    prior : PosePrior
        Belief about position, focal length and distortion.
    parameters : RefineParameters
        See there.
    free : ndarray of bool, shape (10,)
        Pose parameters that may change.

    Returns
    -------
    Refinement or None
        None where fewer than four patches match.
    """
    result: Refinement | None = None
    longest = max(photo.shape)
    cells = (
        max(2, round(parameters.cells * photo.shape[1] / longest)),
        max(2, round(parameters.cells * photo.shape[0] / longest)),
    )
    for reach in parameters.reaches_px:
        view, known = render_known(levels, camera, 2)
        counted = weight * known
        centres = choose_patches(view, counted, parameters.patch_px, cells, reach)
        matches = match_patches(photo, view, centres, parameters.patch_px, reach)
        if len(matches) < 4:
            return result
        result = fit_pose(camera, matches, prior, free, parameters.outlier_sigmas)
        camera = result.camera
    return result


def fit_pose(
    camera: Camera,
    matches: PatchMatches,
    prior: PosePrior,
    free: NDArray[np.bool_],
    outlier_sigmas: float,
) -> Refinement:
    """Robust Gauss-Newton (Cauchy weights) of the pose on patch matches with a Gaussian prior.

    Patches that overlap tell the same twice: each counts by the inverse of what lies on it.

    Parameters
    ----------
    camera : Camera
        The camera that the matches were rendered with.
    matches : PatchMatches
        Displacements.
    prior : PosePrior
        Belief.
    free : ndarray of bool, shape (10,)
        Pose parameters that may change.
    outlier_sigmas : float
        Scale of the Cauchy weight.

    Returns
    -------
    Refinement
    """
    ground = camera.pixel_to_ecef(matches.x, matches.y)
    seen = np.isfinite(ground[:, 0])
    matches, ground = matches.chosen(seen), ground[seen]
    target = np.stack([matches.x + matches.dx, matches.y + matches.dy], axis=-1)
    noise = matches.covariance + FLOOR_PX**2 * np.eye(2)
    whiten = np.linalg.cholesky(np.linalg.inv(noise)).transpose(0, 2, 1)
    counted = 1.0 / matches.overlap.sum(axis=1)
    columns = np.flatnonzero(free)
    sigmas = prior.sigmas[columns]
    scale = np.where(np.isfinite(sigmas), sigmas, 0.01)
    inverse_prior = np.where(np.isfinite(sigmas), 1.0, 1e-9)
    current = camera
    weights = np.ones(len(target))
    normal = np.eye(len(columns))
    for _ in range(12):
        x, y = current.ecef_to_pixel(ground)
        residual = target - np.stack([x, y], axis=-1)
        white = np.einsum("nij,nj->ni", whiten, residual)
        spread = max(1.0, 1.4826 * float(np.median(np.abs(white))))
        distance_sq = (white**2).sum(axis=1) / spread**2
        weights = 1.0 / (1.0 + distance_sq / outlier_sigmas**2)
        flow = pixel_derivatives(current, prior.velocity_ecef, ground)[..., columns] * scale
        design = np.einsum("nij,njk->nik", whiten, flow) / spread
        pull = weights * counted
        normal = np.einsum("n,nik,nil->kl", pull, design, design) + np.diag(inverse_prior)
        right = np.einsum("n,nik,ni->k", pull, design, white / spread)
        right -= inverse_prior * prior.departure(current)[columns] / scale
        step = np.zeros(PARAMETERS)
        step[columns] = np.linalg.solve(normal, right) * scale
        current = stepped(current, prior.velocity_ecef, step)
        if float(np.abs(step[columns] / scale).max()) < 1e-6:
            break
    covariance = np.zeros((PARAMETERS, PARAMETERS))
    covariance[np.ix_(columns, columns)] = np.linalg.inv(normal) * np.outer(scale, scale)
    x, y = current.ecef_to_pixel(ground)
    return Refinement(
        camera=current,
        rendered=camera,
        covariance=covariance,
        matches=matches,
        residual_px=target - np.stack([x, y], axis=-1),
        weights=weights,
    )
