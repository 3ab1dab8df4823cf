"""Whether control points hold: how far they move where some lights are left out tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef
from matchers.patches import groups_of
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
from matchers.refine import RefineParameters, jackknife_spread
from matchers.view import render_known
from regengine.registration.control_points import allowed_error_m, control_point, stored_pixels
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL
from regengine.registration.refinement import Finalist, Solution, fine_free
from regengine.result import ControlPoint, FrameResult

# Wrong ones that are aimed at among the accepted, where the lens was guessed
MOST_BEYOND = 1e-3
# Where it was told the fit is stiffer, and what bounds its chance is too careful, by the tails of
# few refits and by points that err together: 3 and 17 times on two real photos of the limb. Chosen
# by that, so that less is left open than by a probability of 0.995, when the bounds of seven real
# photos had been seen (0.5 to 18 %, all seven right); no half of the photos was kept from it
MOST_BEYOND_TOLD = 0.02
# The frames of the training half on which refits were seen to tell how far off control points are
# were 52 degrees off nadir at most, none of them with the limb in view. Towards the limb a pixel is
# kilometres, and all lights lie along one line: there refits agree with each other and may be wrong
# together
MEASURED_OFF_NADIR_DEG = 52.0


@dataclass(frozen=True, kw_only=True)
class LooseFit:
    """Control points whose covariances hold what refits without some lights move them by.

    Attributes
    ----------
    points : tuple of ControlPoint
    refits : int
        How many told.
    """

    points: tuple[ControlPoint, ...]
    refits: int

    def chance_beyond(self, camera: Camera) -> float:
        """Probability, at most, that any point is farther off than counts as right.

        A sigma found from n refits is itself uncertain: the error over it follows Student's
        distribution with n - 1 degrees of freedom, and of two axes with the same sigma the squared
        distance Fisher's, whose tail is (1 + r^2 / (n - 1))^(-(n - 1) / 2).
        """
        freedom = self.refits - 1
        sigma_m = np.array([point.sigma_m for point in self.points])
        square = (allowed_error_m(camera) / sigma_m) ** 2
        return float(((1.0 + square / freedom) ** (-0.5 * freedom)).sum())


def guessed_lens(finalist: Finalist) -> bool:
    """Whether a focal length was tried that nothing tells of: the place is right, the fit may not.

    Tilt, height, focal length and the axis of a crop make up for each other, and for what single
    lights are off.
    """
    return finalist.candidate.look.prior.sigma_log_focal > SIGMA_LOG_FOCAL


def measured(camera: Camera) -> bool:
    """Whether the middle of a picture looks as steeply down as where refits are known to tell."""
    middle = (camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0
    sight = camera.rays(*middle).ravel() @ camera.matrix.T
    cosine = camera.nadir_ecef @ sight / np.linalg.norm(sight)
    return bool(cosine >= np.cos(np.radians(MEASURED_OFF_NADIR_DEG)))


def points_without_lights(
    points: tuple[ControlPoint, ...], solution: Solution, stored: Camera
) -> LooseFit | None:
    """Control points with what they move by where lights are left out of the fit."""
    refinement, factor = solution.refinement, solution.image.factor
    prior = solution.finalist.candidate.look.prior.for_image(factor)
    ground_ecef_m = geodetic_to_ecef([p.lon for p in points], [p.lat for p in points])
    spread = jackknife_spread(
        refinement,
        groups_of(render_known(solution.levels, refinement.rendered, 2)[0], refinement.matches),
        ground_ecef_m,
        prior,
        fine_free(prior, k1=True),
        RefineParameters().outlier_sigmas,
    )
    if spread is None:
        return None
    grown = []
    for point, more, ground in zip(points, spread.covariance_px, ground_ecef_m, strict=True):
        xx, xy, yy = point.covariance_px
        own = np.array([[xx, xy], [xy, yy]]) * factor**2
        place = (np.array([point.x, point.y]) + 0.5) * factor - 0.5
        in_stored = stored_pixels(place, own + more, 1.0 / factor)
        grown.append(control_point(stored, ground, *in_stored, point.lights))
    return LooseFit(points=tuple(grown), refits=spread.refits)


# What a fit starts from: the sigmas of `blind.search`, or of a nadir that was told
BLIND_UP_KM, TOLD_UP_KM = 25.0, 5.0
SIGMA_LOG_FOCAL_TOLD = 0.03
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
    prior[FOCAL], prior[K1] = SIGMA_LOG_FOCAL_TOLD, SIGMA_K1
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
