"""The camera that points of known ground speak for: robust least squares with beliefs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import BoolArray, FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.pose import PARAMETERS, PosePrior, step_camera, track_axes


@dataclass(frozen=True, kw_only=True)
class PoseOptions:
    """How `fit_pose` goes about it."""

    max_rounds: int = 30
    outlier_sigmas: float = np.inf  # of the Cauchy weight; infinite takes every point at its word
    converged: float = 1e-6  # of the belief's sigmas: a step is the last that is no longer
    behind_sigmas: float = 1e6  # so far off a place behind the camera is


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseFit:
    """A camera from points.

    covariance: Of the pose parameters, the beliefs included, scaled by the residuals where these
        are larger than expected and outliers tamed, shape (10, 10).
    residual_px: Points minus camera; NaN where the place is behind the camera, shape (n, 2).
    weights: Robust weight of each, in (0, 1], shape (n,).
    chi_square: Of all residuals and of the departure from the beliefs.
    """

    camera: Camera
    covariance: FloatArray
    residual_px: FloatArray
    weights: FloatArray
    chi_square: float

    @property
    def inliers(self) -> BoolArray:
        """Points within the sigmas beyond which they count by less than half, shape (n,)."""
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
    """Fit a camera to points: Gauss-Newton, Cauchy weights, a Gaussian prior, steps downhill.

    Parameters
    ----------
    points2d : ndarray, shape (n, 2)
        Pixels.
    points3d : ndarray, shape (n, 3)
        The places (ECEF, metres) that they show.
    camera : Camera
        Where the fit starts; gives what is not free.
    prior : PosePrior
        What is believed of the camera.
    free : ndarray of bool, shape (10,)
        The unknowns of a pose step, see `matchers.geometry.pose`.
    covariance_px : ndarray, shape (n, 2, 2)
        Of the pixels.
    counted : float or ndarray, shape (n,), optional
        What each point counts for, less than 1 where several tell the same.

    Returns
    -------
    PoseFit
        Camera, covariance, inliers, and what is left.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the points and beliefs leave an unknown open.

    References
    ----------
    Triggs, B. et al. (2000). Bundle adjustment: a modern synthesis. LNCS 1883, 298-372.
    """
    from matchers.geometry.compiled_view import fill_views

    columns = np.flatnonzero(free)
    sigmas = prior.sigmas[columns]
    believed = np.isfinite(sigmas)
    # Of a turn that nothing is believed of, which points on one spot leave open
    unit = np.where(believed, sigmas, 0.01)
    stiffness = np.diag(np.where(believed, 1.0, 1e-6))
    whiten = make_whitening(covariance_px)
    points3d = np.ascontiguousarray(points3d, float)
    count = len(points2d)

    def observe(camera: Camera) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Residuals in pixels and in sigmas, departures in sigmas, derivatives."""
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
    """Matrices that make residuals of such covariances, (n, 2, 2), independent and of unit size.

    Their product with themselves, transposed, is the inverse; upper triangles.
    """
    xx, xy, yy = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    whiten = np.zeros((len(covariance), 2, 2))
    root = np.sqrt(yy * (xx * yy - xy * xy))  # of yy times the determinant
    whiten[:, 0, 0], whiten[:, 0, 1], whiten[:, 1, 1] = yy / root, -xy / root, 1.0 / np.sqrt(yy)
    return whiten
