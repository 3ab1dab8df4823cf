"""The unknowns of a photo and what is believed of them beforehand.

A pose step is a vector of eight numbers: rotation about the camera's x, y, z (radians), relative
change of the focal length, movement of the camera along its track, across it and up (metres), and
the change of the radial distortion k1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from matchers.attitude import turned
from matchers.camera import Camera

FloatArray = NDArray[np.float64]

PARAMETERS = 8
ROTATION = slice(0, 3)
FOCAL = 3
ALONG, ACROSS, UP = 4, 5, 6
K1 = 7
# Steps for numerical derivatives: about 0.05 px each at 1,000 px of focal length
DERIVATIVE_STEPS = np.array([5e-5, 5e-5, 5e-5, 1e-4, 50.0, 50.0, 50.0, 1e-3])


@dataclass(frozen=True, kw_only=True)
class PosePrior:
    """What is believed of a photo before its lights are looked at; one sigma each.

    Attributes
    ----------
    position_ecef_m : tuple of float
        Believed camera position.
    velocity_ecef : tuple of float
        Direction of motion over the ground, of any length.
    focal_px : float
        Believed focal length in pixels of the image at hand.
    sigma_along_m, sigma_across_m, sigma_up_m : float
        Uncertainty of the position along the track, across it, and of the height.
    sigma_log_focal : float
        Relative uncertainty of the focal length.
    sigma_k1 : float
        Uncertainty of the radial distortion around zero.
    """

    position_ecef_m: tuple[float, float, float]
    velocity_ecef: tuple[float, float, float]
    focal_px: float
    sigma_along_m: float
    sigma_across_m: float
    sigma_up_m: float
    sigma_log_focal: float
    sigma_k1: float

    @property
    def sigmas(self) -> FloatArray:
        """One sigma of every pose parameter; infinite for the attitude."""
        position = [self.sigma_along_m, self.sigma_across_m, self.sigma_up_m]
        return np.array([np.inf] * 3 + [self.sigma_log_focal, *position, self.sigma_k1])

    def for_image(self, factor: float) -> PosePrior:
        """The same belief for the image resized by a factor."""
        return replace(self, focal_px=self.focal_px * factor)

    def departure(self, camera: Camera) -> FloatArray:
        """How far a camera is from the belief, in the units of a pose step (attitude: 0)."""
        along, across, up = track_offsets_m(self, camera.position_ecef_m)
        focal = np.log(camera.focal_px / self.focal_px)
        return np.array([0.0, 0.0, 0.0, focal, along, across, up, camera.distortion[0]])


def track_axes(position_ecef_m: ArrayLike, velocity_ecef: ArrayLike) -> FloatArray:
    """Unit vectors along the track, across it (to the right) and up, as rows."""
    up = np.asarray(position_ecef_m, float)
    up = up / np.linalg.norm(up)
    velocity = np.asarray(velocity_ecef, float)
    along = velocity - (velocity @ up) * up
    along = along / np.linalg.norm(along)
    return np.stack([along, np.cross(along, up), up])


def track_offsets_m(prior: PosePrior, position_ecef_m: ArrayLike) -> tuple[float, float, float]:
    """Along-track, across-track (arc lengths at orbit height) and height offsets of a position."""
    start = np.asarray(prior.position_ecef_m)
    radius = float(np.linalg.norm(start))
    axes = track_axes(start, prior.velocity_ecef)
    local = axes @ np.asarray(position_ecef_m, float)
    distance = float(np.linalg.norm(local))
    across = float(np.arcsin(np.clip(local[1] / distance, -1.0, 1.0)))
    return float(np.arctan2(local[0], local[2])) * radius, across * radius, distance - radius


def moved(
    position_ecef_m: ArrayLike,
    velocity_ecef: ArrayLike,
    along_m: float,
    across_m: float,
    up_m: float,
) -> FloatArray:
    """Move a position on its orbital sphere: along its great circle, across it, and up.

    Parameters
    ----------
    position_ecef_m : array_like, shape (3,)
        Start, metres.
    velocity_ecef : array_like, shape (3,)
        Direction of motion.
    along_m, across_m, up_m : float
        Arc lengths at the start's radius, and the change of the radius.

    Returns
    -------
    ndarray of float64, shape (3,)
    """
    start = np.asarray(position_ecef_m, float)
    radius = float(np.linalg.norm(start))
    along, across, up = track_axes(start, velocity_ecef)
    a, c = along_m / radius, across_m / radius
    direction = np.cos(c) * (np.cos(a) * up + np.sin(a) * along) + np.sin(c) * across
    return (radius + up_m) * direction


def stepped(camera: Camera, velocity_ecef: ArrayLike, step: FloatArray) -> Camera:
    """The camera after a pose step.

    Parameters
    ----------
    camera : Camera
        Where the step starts.
    velocity_ecef : array_like, shape (3,)
        Direction of the camera's motion.
    step : ndarray of float64, shape (8,)
        See the module.

    Returns
    -------
    Camera
    """
    x, y, z = moved(camera.position_ecef_m, velocity_ecef, *step[[ALONG, ACROSS, UP]]).tolist()
    k1, k2, p1, p2, k3 = camera.distortion
    new = replace(
        camera,
        focal_px=float(camera.focal_px * np.exp(step[FOCAL])),
        position_ecef_m=(x, y, z),
        distortion=(float(k1 + step[K1]), k2, p1, p2, k3),
    )
    return turned(new, step[ROTATION])


def pixel_derivatives(
    camera: Camera, velocity_ecef: ArrayLike, ground_ecef_m: FloatArray, free: NDArray[np.bool_]
) -> FloatArray:
    """How the pixels of ground points move with each pose parameter.

    Parameters
    ----------
    camera : Camera
        Where to differentiate.
    velocity_ecef : array_like, shape (3,)
        Direction of the camera's motion.
    ground_ecef_m : ndarray of float64, shape (..., 3)
        Ground points, metres.
    free : ndarray of bool, shape (8,)
        Parameters that may change; the others get zeros.

    Returns
    -------
    ndarray of float64, shape (..., 2, 8)
        Pixels per unit of each parameter; 0 where a point is not seen.
    """
    result = np.zeros((*ground_ecef_m.shape[:-1], 2, PARAMETERS))
    for k in np.flatnonzero(free):
        step = np.zeros(PARAMETERS)
        step[k] = DERIVATIVE_STEPS[k]
        plus = stepped(camera, velocity_ecef, step).ecef_to_pixel(ground_ecef_m)
        minus = stepped(camera, velocity_ecef, -step).ecef_to_pixel(ground_ecef_m)
        for axis in (0, 1):
            result[..., axis, k] = (plus[axis] - minus[axis]) / (2.0 * step[k])
    return np.nan_to_num(result)


def rotation_between_deg(a: Camera, b: Camera) -> float:
    """Angle of the rotation that carries one camera's attitude into another's."""
    turn = Rotation.from_quat(a.quaternion).inv() * Rotation.from_quat(b.quaternion)
    return float(np.degrees(turn.magnitude()))
