"""Pose parameters of a photo, their prior, and their fit to ground control points.

A pose step is a vector of ten numbers: rotation about the camera's x, y, z (radians), relative
change of the focal length, movement of the camera along its track, across it and up (metres),
change of the radial distortion k1, and movement of the principal point (pixels; only in crops).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import BoolArray, FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    local_axes,
    to_xyz,
    unit_vectors,
)

PARAMETERS = 10
ROTATION = slice(0, 3)
FOCAL = 3
ALONG, ACROSS, UP = 4, 5, 6
K1 = 7
PRINCIPAL_X, PRINCIPAL_Y = 8, 9


def point_at_nadir(position_ecef_m: ArrayLike) -> FloatArray:
    """Compute the attitude (camera to ECEF) that looks straight down with north at the top.

    The columns of the matrix are the camera's x (east), y (south), z (down).
    """
    lon, lat, _ = ecef_to_geodetic(position_ecef_m)
    east, north, up = local_axes(float(lon), float(lat))
    return np.stack([east, -north, -up], axis=1)


def off_nadir_attitude(
    position_ecef_m: ArrayLike, off_nadir_deg: float, azimuth_deg: float, roll_deg: float
) -> FloatArray:
    """Compute the attitude, a rotation matrix (camera to ECEF), from look angles.

    `off_nadir_deg`: between boresight and nadir; `azimuth_deg`: of the boresight as seen from the
    nadir, clockwise from north; `roll_deg`: rotation of the camera about its boresight, from x to y
    (clockwise when viewed from behind the camera). At 0 the image top points along the azimuth.
    """
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_euler("ZXZ", [azimuth_deg, off_nadir_deg, roll_deg], degrees=True)
    return np.asarray(point_at_nadir(position_ecef_m) @ turns.as_matrix())


def turn_camera(camera: Camera, rotation_vector_rad: ArrayLike) -> Camera:
    """Rotate a camera about its own axes by a rotation vector (radians)."""
    turn = np.asarray(rotation_vector_rad, float).tolist()
    return replace(camera, quaternion=turn_quaternion(camera.quaternion, turn))


def turn_quaternion(
    quaternion: tuple[float, float, float, float], rotation_vector_rad: Sequence[float]
) -> tuple[float, float, float, float]:
    """Rotate a quaternion [x, y, z, w] about its own axes by a rotation vector (radians)."""
    # Python floats for speed, as in `track_axes`: each step of a fit computes such a product
    u, v, w = rotation_vector_rad
    angle = math.sqrt(u * u + v * v + w * w)
    share = math.sin(angle / 2.0) / angle if angle > 0.0 else 0.5
    u, v, w, c = share * u, share * v, share * w, math.cos(angle / 2.0)
    x, y, z, s = quaternion
    turn = (
        s * u + x * c + y * w - z * v,
        s * v - x * w + y * c + z * u,
        s * w + x * v - y * u + z * c,
        s * c - x * u - y * v - z * w,
    )
    length = math.sqrt(sum(part * part for part in turn))
    x, y, z, s = (part / length for part in turn)
    return x, y, z, s


def with_attitude(camera: Camera, matrix: ArrayLike) -> Camera:
    """Replace the attitude of a camera by a rotation matrix (camera to ECEF), shape (3, 3)."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(np.asarray(matrix, float)).as_quat().tolist()
    return replace(camera, quaternion=(x, y, z, w))


def look_at(
    lens: Camera,
    position_ecef_m: FloatArray,
    target: tuple[float, float] | FloatArray,
    pixel: FloatArray,
    roll_rad: float,
) -> Camera:
    """Place a camera so that a ground target is at a given pixel, with north up before the roll."""
    from scipy.spatial.transform import Rotation

    ahead = geodetic_to_ecef(*target) - np.asarray(position_ecef_m)
    ahead /= np.linalg.norm(ahead)
    north = local_axes(*map(float, target))[1]
    down = north @ ahead * ahead - north
    down /= np.linalg.norm(down)
    axes = np.stack([np.cross(down, ahead), down, ahead], axis=1)
    ray = lens.rays(*pixel)
    ray = ray / np.linalg.norm(ray)
    sine = np.hypot(ray[0], ray[1])
    axis = np.array([-ray[1], ray[0], 0.0]) / max(sine, 1e-12)
    aside = Rotation.from_rotvec(axis * np.arcsin(sine)).as_matrix()  # from the axis to the pixel
    turn = Rotation.from_rotvec([0.0, 0.0, roll_rad]).as_matrix()
    there = replace(lens, position_ecef_m=to_xyz(position_ecef_m))
    return with_attitude(there, axes @ turn @ aside.T)


def mirror_pose(camera: Camera) -> Camera | None:
    """Compute the camera mirrored about the ground normal, which has almost the same view.

    From afar, flat ground looks the same from both sides of its normal, at the same angle to it.
    This is the two-fold ambiguity of the pose of a planar target. A fit that starts near the wrong
    pose converges to it, even with little support in the image. None if the image centre is not on
    the ground.

    References
    ----------
    Schweighofer, G., Pinz, A. (2006). Robust pose estimation from a planar target. IEEE TPAMI 28,
    2024-2030.
    """
    middle_x, middle_y = (camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0
    ground_m = camera.pixel_to_ecef(middle_x, middle_y)
    if not np.isfinite(ground_m).all():
        return None
    lon, lat = (float(v) for v in ecef_to_geodetic(ground_m)[:2])
    up = unit_vectors(lon, lat)
    mirror = np.eye(3) - 2.0 * np.outer(up, up)  # reflection in the ground plane
    there_m = ground_m - mirror @ (np.asarray(camera.position_ecef_m) - ground_m)
    moved = replace(camera, position_ecef_m=to_xyz(there_m))
    return with_attitude(moved, mirror @ camera.matrix @ np.diag([1.0, 1.0, -1.0]))


@dataclass(frozen=True, kw_only=True)
class PosePrior:
    """Gaussian prior of the pose of a photo; all uncertainties are one sigma.

    position_ecef_m: Prior camera position.
    velocity_ecef: Direction of motion over the ground, of any length.
    focal_px: Prior focal length in pixels of the image used.
    sigma_along_m, sigma_across_m, sigma_up_m: Uncertainty of the position along the track, across
        it, and of the height.
    sigma_log_focal: Relative uncertainty of the focal length.
    sigma_k1: Uncertainty of the radial distortion `k1`.
    principal_point: Prior principal point in the image used.
    sigma_principal_px: Uncertainty of the principal point; 0 unless the image is a crop.
    k1: Prior radial distortion.
    quaternion: Prior attitude, as in `Camera`, for example from stars.
    sigma_rotation_rad: Uncertainty of the attitude about each camera axis; infinite if unknown.
    """

    position_ecef_m: tuple[float, float, float]
    velocity_ecef: tuple[float, float, float]
    focal_px: float
    sigma_along_m: float
    sigma_across_m: float
    sigma_up_m: float
    sigma_log_focal: float
    sigma_k1: float
    principal_point: tuple[float, float] = (0.0, 0.0)
    sigma_principal_px: float = 0.0
    k1: float = 0.0
    quaternion: tuple[float, float, float, float] | None = None
    sigma_rotation_rad: float = np.inf

    @property
    def sigmas(self) -> FloatArray:
        """One sigma of each pose parameter; infinite for an unknown attitude."""
        rotation = [self.sigma_rotation_rad] * 3
        position = [self.sigma_along_m, self.sigma_across_m, self.sigma_up_m]
        principal = [self.sigma_principal_px] * 2
        return np.array([*rotation, self.sigma_log_focal, *position, self.sigma_k1, *principal])

    @cached_property
    def axes(self) -> FloatArray:
        """Unit vectors along the track, across it and up at the prior position, as rows."""
        return track_axes(self.position_ecef_m, self.velocity_ecef)

    def for_image(self, factor: float) -> PosePrior:
        """Scale the prior to the image resized by a factor."""
        x, y = self.principal_point
        return replace(
            self,
            focal_px=self.focal_px * factor,
            principal_point=((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5),
            sigma_principal_px=self.sigma_principal_px * factor,
        )

    def departure(self, camera: Camera) -> FloatArray:
        """Compute the difference between a camera and the prior, in the units of a pose step.

        The rotation is 0 if the prior has no attitude.
        """
        along, across, up = track_offsets_m(self, camera.position_ecef_m)
        focal = math.log(camera.focal_px / self.focal_px)
        dx = camera.principal_point[0] - self.principal_point[0]
        dy = camera.principal_point[1] - self.principal_point[1]
        turn = [0.0, 0.0, 0.0]
        if self.quaternion is not None:
            from scipy.spatial.transform import Rotation

            there = Rotation.from_quat(self.quaternion).inv() * Rotation.from_quat(
                camera.quaternion
            )
            turn = there.as_rotvec().tolist()
        k1 = camera.distortion[0] - self.k1
        return np.array([*turn, focal, along, across, up, k1, dx, dy])


def turn_along_track(
    before_ecef_m: ArrayLike, after_ecef_m: ArrayLike, velocity_ecef: ArrayLike
) -> FloatArray:
    """Compute the rotation of a platform fixed to the vertical and the direction of flight.

    It moves in one orbital plane from one position to another; shape (3, 3), ECEF.
    """
    return track_axes(after_ecef_m, velocity_ecef).T @ track_axes(before_ecef_m, velocity_ecef)


def track_axes(position_ecef_m: ArrayLike, velocity_ecef: ArrayLike) -> FloatArray:
    """Compute unit vectors along the track, across it (to the right) and up, as rows."""
    # Python floats: for vectors of three, NumPy is ten times slower
    x, y, z = np.asarray(position_ecef_m, float).tolist()
    vx, vy, vz = np.asarray(velocity_ecef, float).tolist()
    length = math.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    rise = vx * x + vy * y + vz * z
    vx, vy, vz = vx - rise * x, vy - rise * y, vz - rise * z
    length = math.sqrt(vx * vx + vy * vy + vz * vz)
    vx, vy, vz = vx / length, vy / length, vz / length
    across = (vy * z - vz * y, vz * x - vx * z, vx * y - vy * x)
    return np.array([(vx, vy, vz), across, (x, y, z)])


def track_offsets_m(prior: PosePrior, position_ecef_m: ArrayLike) -> tuple[float, float, float]:
    """Compute along-track, across-track (arcs at orbit height) and height offsets of a position."""
    start = prior.position_ecef_m
    radius = math.sqrt(sum(part * part for part in start))
    local = prior.axes @ np.asarray(position_ecef_m, float)
    along, across, up = local.tolist()
    distance = math.sqrt(along * along + across * across + up * up)
    sine = min(max(across / distance, -1.0), 1.0)
    return math.atan2(along, up) * radius, math.asin(sine) * radius, distance - radius


def move_on_orbit(
    position_ecef_m: ArrayLike,
    velocity_ecef: ArrayLike,
    along_m: float,
    across_m: float,
    up_m: float,
) -> FloatArray:
    """Move a position on its orbital sphere: along its great circle, across it, and up.

    The first two are arc lengths at the start's radius.
    """
    start = np.asarray(position_ecef_m, float)
    radius = math.sqrt(float(start @ start))
    a, c = along_m / radius, across_m / radius
    local = math.cos(c) * math.sin(a), math.sin(c), math.cos(c) * math.cos(a)
    return (radius + up_m) * (np.array(local) @ track_axes(start, velocity_ecef))


def step_camera(camera: Camera, velocity_ecef: ArrayLike, step: FloatArray) -> Camera:
    """Apply a pose step, shape (10,), to a camera; see the module docstring."""
    *turn, zoom, along_m, across_m, up_m, more_k1, right_px, down_px = step.tolist()
    x, y, z = camera.position_ecef_m
    if along_m or across_m or up_m:  # otherwise keep the position unchanged to the last bit
        x, y, z = move_on_orbit((x, y, z), velocity_ecef, along_m, across_m, up_m).tolist()
    k1, k2, p1, p2, k3 = camera.distortion
    principal_x, principal_y = camera.principal_point
    return replace(
        camera,
        focal_px=camera.focal_px * math.exp(zoom),
        position_ecef_m=(x, y, z),
        distortion=(k1 + more_k1, k2, p1, p2, k3),
        principal_point=(principal_x + right_px, principal_y + down_px),
        quaternion=turn_quaternion(camera.quaternion, turn),
    )


def differentiate_pixels(
    camera: Camera, velocity_ecef: ArrayLike, ground_ecef_m: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Project ground points (n, 3), ECEF, metres, and differentiate by each pose parameter.

    Returns pixels (n, 2), NaN behind the camera, and pixels per unit of each parameter, shape
    (n, 2, 10), 0 there.
    """
    from matchers.geometry.compiled_view import fill_views

    axes = track_axes(camera.position_ecef_m, velocity_ecef) @ camera.matrix
    ground = np.ascontiguousarray(ground_ecef_m, float)
    pixels, change = np.empty((len(ground), 2)), np.zeros((len(ground), 2, PARAMETERS))
    fill_views(camera.numbers, axes, ground, pixels, change)
    return pixels, change


BEHIND_SIGMAS = 1e6  # residual of points behind the camera


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


def fit_pose(
    points2d: FloatArray,
    points3d: FloatArray,
    camera: Camera,
    prior: PosePrior,
    free: BoolArray,
    *,
    covariance_px: FloatArray,
    counted: FloatArray | float = 1.0,
    outlier_sigmas: float = np.inf,
    max_rounds: int = 30,
    converged: float = 1e-6,
) -> PoseFit:
    """Fit a camera to points by Gauss-Newton with Cauchy weights, a prior and step halving.

    `points2d` (n, 2): pixels; `points3d` (n, 3): ground points (ECEF, metres) at these pixels;
    `camera`: initial, also gives the parameters that are not free; `free` (10,): parameters of a
    pose step to fit, see `matchers.geometry.pose`; `covariance_px` (n, 2, 2): of the pixels;
    `counted` (n,): weight of each point, less than 1 for points that are not independent;
    `outlier_sigmas`: scale of the Cauchy weight, infinite for no robust weighting; `converged`:
    maximum step at convergence, in units of the prior's sigmas.

    Raises numpy.linalg.LinAlgError if points and prior do not determine all free parameters.

    References
    ----------
    Triggs, B. et al. (2000). Bundle adjustment: a modern synthesis. LNCS 1883, 298-372.
    """
    columns = np.flatnonzero(free)
    sigmas = prior.sigmas[columns]
    believed = np.isfinite(sigmas)
    # Parameters without a prior get weak stiffness, in case coincident points do not determine them
    unit = np.where(believed, sigmas, 0.01)
    stiffness = np.diag(np.where(believed, 1.0, 1e-6))
    whiten = make_whitening(covariance_px)

    def observe(camera: Camera) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Compute residuals in pixels and sigmas, prior departures in sigmas, and derivatives."""
        predicted, motion = differentiate_pixels(camera, prior.velocity_ecef, points3d)
        residual = points2d - predicted
        white = (whiten @ residual[..., None])[..., 0]
        white = np.where(np.isfinite(white), white, BEHIND_SIGMAS)
        departure = np.where(believed, prior.departure(camera)[columns] / unit, 0.0)
        return residual, white, departure, motion

    residual, white, departure, motion = observe(camera)
    settled = False
    for number in range(max_rounds + 1):
        square, spread_sq = np.einsum("ni,ni->n", white, white), 1.0
        if np.isfinite(outlier_sigmas):
            spread_sq = max(1.0, 1.4826 * float(np.median(np.abs(white)))) ** 2
        weights = 1.0 / (1.0 + square / (spread_sq * outlier_sigmas**2))
        share = weights * counted / spread_sq
        design = whiten @ (motion[..., columns] * unit)
        pulled = (design * share[:, None, None]).reshape(-1, len(columns))
        normal = pulled.T @ design.reshape(-1, len(columns)) + stiffness
        if settled or number == max_rounds:
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
                settled = float(np.abs(move).max()) < converged
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


def make_whitening(covariance: FloatArray) -> FloatArray:
    """Compute whitening matrices W, (n, 2, 2), for residuals with given covariances, (n, 2, 2).

    They are upper triangular, and W^T W is the inverse of the covariance.
    """
    xx, xy, yy = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    whiten = np.zeros((len(covariance), 2, 2))
    root = np.sqrt(yy * (xx * yy - xy * xy))  # square root of yy times the determinant
    whiten[:, 0, 0], whiten[:, 0, 1], whiten[:, 1, 1] = yy / root, -xy / root, 1.0 / np.sqrt(yy)
    return whiten
