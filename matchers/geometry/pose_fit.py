"""Camera pose from ground control points: robust least squares with a Gaussian prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import BoolArray, FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.pose import PARAMETERS, PosePrior, step_camera, track_axes


@dataclass(frozen=True, kw_only=True)
class PoseOptions:
    """Options of `fit_pose`."""

    max_rounds: int = 30
    outlier_sigmas: float = np.inf  # scale of the Cauchy weight; infinite for no robust weighting
    converged: float = 1e-6  # maximum step at convergence, in units of the prior's sigmas
    behind_sigmas: float = 1e6  # residual of points behind the camera, in sigmas


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseFit:
    """Result of `fit_pose`.

    covariance: Covariance of the pose parameters including the prior, shape (10, 10). If robust
        weighting is on, it is scaled up by residuals that are larger than expected.
    residual_px: Observed minus projected pixels; NaN for points behind the camera, shape (n, 2).
    weights: Robust weight of each point, in (0, 1], shape (n,).
    chi_square: Sum over all residuals and the departure from the prior.
    """

    camera: Camera
    covariance: FloatArray
    residual_px: FloatArray
    weights: FloatArray
    chi_square: float

    @property
    def inliers(self) -> BoolArray:
        """Points with a robust weight of at least one half, shape (n,)."""
        return self.weights >= 0.5


def fit_pose(
    points2d: FloatArray,
    points3d: FloatArray,
    camera: Camera,
    prior: PosePrior,
    free: BoolArray,
    options: PoseOptions = PoseOptions(),
    *,
    covariance_px: FloatArray,
    counted: FloatArray | float = 1.0,
) -> PoseFit:
    """Fit a camera to points by Gauss-Newton with Cauchy weights, a prior and step halving.

    Parameters
    ----------
    points2d : ndarray, shape (n, 2)
        Pixels.
    points3d : ndarray, shape (n, 3)
        Ground points (ECEF, metres) at these pixels.
    camera : Camera
        Initial camera; also gives the parameters that are not free.
    prior : PosePrior
        Prior of the camera.
    free : ndarray of bool, shape (10,)
        Parameters of a pose step to fit, see `matchers.geometry.pose`.
    covariance_px : ndarray, shape (n, 2, 2)
        Covariance of the pixels.
    counted : float or ndarray, shape (n,), optional
        Weight of each point, less than 1 for points that are not independent.

    Returns
    -------
    PoseFit
        Camera, covariance, robust weights and residuals.

    Raises
    ------
    numpy.linalg.LinAlgError
        If points and prior do not determine all free parameters.

    References
    ----------
    Triggs, B. et al. (2000). Bundle adjustment: a modern synthesis. LNCS 1883, 298-372.
    """
    from matchers.geometry.compiled_view import fill_views

    columns = np.flatnonzero(free)
    sigmas = prior.sigmas[columns]
    believed = np.isfinite(sigmas)
    # Parameters without a prior get weak stiffness, in case coincident points do not determine them
    unit = np.where(believed, sigmas, 0.01)
    stiffness = np.diag(np.where(believed, 1.0, 1e-6))
    whiten = make_whitening(covariance_px)
    points3d = np.ascontiguousarray(points3d, float)
    count = len(points2d)

    def observe(camera: Camera) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Compute residuals in pixels and sigmas, prior departures in sigmas, and derivatives."""
        predicted, motion = np.empty((count, 2)), np.zeros((count, 2, PARAMETERS))
        axes = track_axes(camera.position_ecef_m, prior.velocity_ecef) @ camera.matrix
        fill_views(camera.numbers, axes, points3d, predicted, motion)
        residual = points2d - predicted
        white = (whiten @ residual[..., None])[..., 0]
        white = np.where(np.isfinite(white), white, options.behind_sigmas)
        departure = np.where(believed, prior.departure(camera)[columns] / unit, 0.0)
        return residual, white, departure, motion

    residual, white, departure, motion = observe(camera)
    converged = False
    for number in range(options.max_rounds + 1):
        square, spread_sq = np.einsum("ni,ni->n", white, white), 1.0
        if np.isfinite(options.outlier_sigmas):
            spread_sq = max(1.0, 1.4826 * float(np.median(np.abs(white)))) ** 2
        weights = 1.0 / (1.0 + square / (spread_sq * options.outlier_sigmas**2))
        share = weights * counted / spread_sq
        design = whiten @ (motion[..., columns] * unit)
        pulled = (design * share[:, None, None]).reshape(-1, len(columns))
        normal = pulled.T @ design.reshape(-1, len(columns)) + stiffness
        if converged or number == options.max_rounds:
            break
        move = np.linalg.solve(normal, pulled.T @ white.ravel() - departure)
        before = share @ square + departure @ departure
        step = np.zeros(PARAMETERS)
        for halving in range(8):
            step[columns] = 0.5**halving * move * unit
            tried = step_camera(camera, prior.velocity_ecef, step)
            found = observe(tried)
            after = share @ np.einsum("ni,ni->n", found[1], found[1]) + found[2] @ found[2]
            if after <= before * (1.0 + 1e-9):
                camera, (residual, white, departure, motion) = tried, found
                converged = float(np.abs(move).max()) < options.converged
                break
        else:
            converged = True
    covariance = np.zeros((PARAMETERS, PARAMETERS))
    covariance[np.ix_(columns, columns)] = np.linalg.inv(normal) * np.outer(unit, unit)
    return PoseFit(
        camera=camera,
        covariance=covariance,
        residual_px=residual,
        weights=weights,
        chi_square=float((white**2).sum() + departure @ departure),
    )


def make_whitening(covariance: FloatArray) -> FloatArray:
    """Compute whitening matrices W, (n, 2, 2), for residuals with given covariances, (n, 2, 2).

    They are upper triangular, and W^T W is the inverse of the covariance.
    """
    xx, xy, yy = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    whiten = np.zeros((len(covariance), 2, 2))
    root = np.sqrt(yy * (xx * yy - xy * xy))  # square root of yy times the determinant
    whiten[:, 0, 0], whiten[:, 0, 1], whiten[:, 1, 1] = yy / root, -xy / root, 1.0 / np.sqrt(yy)
    return whiten
