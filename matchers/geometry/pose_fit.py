"""The camera that points of known ground speak for: robust least squares with beliefs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import BoolArray, FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.pose import PARAMETERS, PosePrior, pixel_derivatives, stepped, track_axes


@dataclass(frozen=True, kw_only=True)
class FitParameters:
    """How far least squares go."""

    outlier_sigmas: float = np.inf  # of the Cauchy weight; infinite takes every point at its word
    rounds: int = 30
    halvings: int = 8  # of a step after which the sum of squares is no smaller
    settled: float = 1e-6  # of the unit of every unknown
    turn_unit_rad: float = 0.01  # of a turn that nothing is believed of
    damping: float = 1e-6  # in these units: points on one spot leave a turn open
    unseen_sigmas: float = 1e6  # so far off a place behind the camera is


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


def fit_camera(
    camera: Camera,
    ground_ecef_m: FloatArray,
    pixels: FloatArray,
    whiten: FloatArray,
    prior: PosePrior,
    free: BoolArray,
    parameters: FitParameters,
    *,
    counted: FloatArray | float = 1.0,
    compiled: bool = False,
) -> PoseFit:
    """Gauss-Newton with a Gaussian prior, Cauchy weights and steps that go downhill.

    Parameters
    ----------
    camera : Camera
        Where the fit starts.
    ground_ecef_m, pixels : ndarray, shapes (n, 3) and (n, 2)
        Places and where they are seen.
    whiten : ndarray, shape (n, 2, 2)
        What makes residuals of unit covariance.
    free : ndarray of bool, shape (10,)
        The unknowns.
    counted : ndarray, shape (n,), optional
        What each counts for, less than 1 for points that tell the same.
    compiled : bool
        Use compiled code: the search has loaded it, other commands have not.
    """
    if compiled:
        from matchers.geometry.compiled_view import fill_views

    columns = np.flatnonzero(free)
    sigmas = prior.sigmas[columns]
    believed = np.isfinite(sigmas)
    unit = np.where(believed, sigmas, parameters.turn_unit_rad)
    stiffness = np.diag(np.where(believed, 1.0, parameters.damping))

    def observe(camera: Camera) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Residuals in pixels and in sigmas, departures in sigmas, derivatives."""
        if compiled:
            seen = np.empty_like(pixels)
            motion = np.zeros((len(pixels), 2, PARAMETERS))
            axes = track_axes(camera.position_ecef_m, prior.velocity_ecef) @ camera.matrix
            fill_views(camera.numbers, axes, ground_ecef_m, seen, motion)
        else:
            seen = np.stack(camera.ecef_to_pixel(ground_ecef_m), axis=-1)
            motion = pixel_derivatives(camera, prior.velocity_ecef, ground_ecef_m)
        residual = pixels - seen
        white = (whiten @ residual[..., None])[..., 0]
        white = np.where(np.isfinite(white), white, parameters.unseen_sigmas)
        away = prior.departure(camera)[columns] / unit
        return residual, white, np.where(believed, away, 0.0), motion

    residual, white, departure, motion = observe(camera)
    settled = False
    for number in range(parameters.rounds + 1):
        square, spread_sq = (white**2).sum(axis=1), 1.0
        if np.isfinite(parameters.outlier_sigmas):
            spread_sq = max(1.0, 1.4826 * float(np.median(np.abs(white)))) ** 2
        weights = 1.0 / (1.0 + square / (spread_sq * parameters.outlier_sigmas**2))
        share = weights * counted / spread_sq
        design = whiten @ (motion[..., columns] * unit)
        pulled = (design * share[:, None, None]).reshape(-1, len(columns))
        normal = pulled.T @ design.reshape(-1, len(columns)) + stiffness
        if settled or number == parameters.rounds:
            break
        move = np.linalg.solve(normal, pulled.T @ white.ravel() - departure)
        before = share @ square + departure @ departure
        step = np.zeros(PARAMETERS)
        for halving in range(parameters.halvings):
            step[columns] = 0.5**halving * move * unit
            new = stepped(camera, prior.velocity_ecef, step)
            seen = observe(new)
            after = share @ (seen[1] ** 2).sum(axis=1) + seen[2] @ seen[2]
            if after <= before * (1.0 + 1e-9):
                camera, (residual, white, departure, motion) = new, seen
                settled = float(np.abs(move).max()) < parameters.settled
                break
        else:
            settled = True
    covariance = np.zeros((PARAMETERS, PARAMETERS))
    covariance[np.ix_(columns, columns)] = np.linalg.inv(normal) * np.outer(unit, unit)
    return PoseFit(
        camera=camera,
        covariance=covariance,
        residual_px=residual,
        weights=weights,
        chi_square=float((white**2).sum() + departure @ departure),
    )
