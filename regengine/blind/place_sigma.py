"""How well a solved camera's own place is known, by the lights that it was fitted to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matchers.pose import (
    ACROSS,
    ALONG,
    FOCAL,
    K1,
    PARAMETERS,
    PRINCIPAL_X,
    PRINCIPAL_Y,
    UP,
    pixel_derivatives,
    track_axes,
)
from regengine.result import FrameResult

FloatArray = NDArray[np.float64]

# What a fit starts from: the sigmas of `regengine.blind.search`, or of a nadir that was told
BLIND_UP_KM, TOLD_UP_KM = 25.0, 5.0
SIGMA_LOG_FOCAL = 0.03
SIGMA_K1 = 0.05
SIGMA_PRINCIPAL_SHARE = 0.01  # of the width: archives crop by a few pixels
# Residuals of neighbouring lights are alike (the lens, the map): so many are independent at most
INDEPENDENT_LIGHTS = 12
LEAST_RESIDUAL_PX = 0.3
GRID = 7


def position_covariance_km2(result: FrameResult) -> FloatArray:
    """Covariance of a solved camera's position.

    A fit knows the place of the camera as far as perspective shows it: tilting the camera and
    moving it look nearly alike. The information of the matched lights, with focal length,
    distortion and principal point free, is added to that with which the fit began.

    Parameters
    ----------
    result : FrameResult
        Solved.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        ECEF axes, square kilometres.
    """
    assert result.solved is not None
    camera = result.solved.camera
    ground = _ground_ecef_m(result)
    position = np.asarray(camera.position_ecef_m)
    east = np.array([-position[1], position[0], 0.0])
    derivatives = pixel_derivatives(camera, east, ground).reshape(-1, PARAMETERS)
    residual_px = LEAST_RESIDUAL_PX
    count = float(INDEPENDENT_LIGHTS)
    if result.fit is not None:
        residual_px = max(residual_px, result.fit.residual_px)
        count = min(count, max(float(result.fit.matched_lights), 1.0))
    share = min(1.0, count / max(len(ground), 1))
    information = share / residual_px**2 * derivatives.T @ derivatives
    prior = np.full(PARAMETERS, 1e3)  # nothing is known of the attitude
    prior[FOCAL], prior[K1] = SIGMA_LOG_FOCAL, SIGMA_K1
    prior[[PRINCIPAL_X, PRINCIPAL_Y]] = SIGMA_PRINCIPAL_SHARE * camera.width_px
    along, across, up = _prior_km(result)
    prior[[ALONG, ACROSS, UP]] = 1e3 * along, 1e3 * across, 1e3 * up
    scaled = information * np.outer(prior, prior) + np.eye(PARAMETERS)
    covariance = np.linalg.inv(scaled) * np.outer(prior, prior)
    axes = track_axes(position, east)
    return np.asarray(axes.T @ covariance[ALONG : UP + 1, ALONG : UP + 1] @ axes / 1e6)


def _prior_km(result: FrameResult) -> tuple[float, float, float]:
    nadir = result.nadir
    if nadir is None:
        return 60.0, 60.0, BLIND_UP_KM
    # The orbit's direction is not known
    level = max(nadir.sigma_along_km, nadir.sigma_cross_km)
    return level, level, BLIND_UP_KM if nadir.source == "lights" else TOLD_UP_KM


def _ground_ecef_m(result: FrameResult) -> FloatArray:
    """Places that the photo shows: of its matched lights, or spread over it."""
    assert result.solved is not None
    camera = result.solved.camera
    x, y = (
        one.ravel()
        for one in np.meshgrid(
            np.linspace(0, camera.width_px - 1, GRID), np.linspace(0, camera.height_px - 1, GRID)
        )
    )
    lights = result.detections
    if lights is not None and np.count_nonzero(lights.matched) >= INDEPENDENT_LIGHTS:
        met = np.asarray(lights.matched, bool)
        x, y = np.asarray(lights.x)[met], np.asarray(lights.y)[met]
    ground = camera.pixel_to_ecef(x, y)
    return ground[np.isfinite(ground).all(axis=1)]
