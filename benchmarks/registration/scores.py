"""How a registration is scored: against pixels whose places are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, local_axes
from matchers.footprint import diagonal_km
from regengine.errors import ConfigError
from regengine.result import ControlPoint

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

    from regengine.result import ControlPoint


# "Right": every control point this near its true place, whichever is larger (docs/benchmarks.md)
RIGHT_SHARE = 0.01
RIGHT_KM = 1.0
# A pixel of the VIIRS products: 15 arc seconds of a great circle of the mean Earth radius
MAP_PIXEL_M = 463.3
LEAST_POINTS = 4
# Coordinates written with two decimals of a pixel and five of a degree are good to 0.02 px
POINT_SIGMA_PX = 0.02
# How far a fitted camera may leave the start: position, focal length, radial distortion
POSITION_SIGMA_M = 5000.0
LOG_FOCAL_SIGMA = 0.05
K1_SIGMA = 0.05


@dataclass(frozen=True, kw_only=True)
class GroundPoints:
    """Pixels and the places they show."""

    # x and y: shape (n,): Pixels of the image as stored
    x: FloatArray
    y: FloatArray
    # lon and lat: shape (n,): WGS84 geodetic, degrees
    lon: FloatArray
    lat: FloatArray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, kw_only=True)
class CameraFit:
    """A camera that explains known places, and what it leaves of them.

    ``residual_px`` has shape (n,).
    """

    camera: Camera
    residual_px: FloatArray


@dataclass(frozen=True, kw_only=True)
class RegistrationScore:
    """Errors of one registration."""

    # Shape (n,): Distance between where the solved camera sees the known pixels and where they are;
    # infinite where it sees the sky.
    error_m: FloatArray
    # Shape (k,): Distance of each control point from what its pixel truly shows
    control_point_error_m: FloatArray
    diagonal_km: float  # diagonal of the true footprint

    @property
    def bar_km(self) -> float:
        """Largest error of a control point that counts as right."""
        return right_within_km(self.diagonal_km)

    @property
    def right(self) -> bool:
        """Whether there are control points and all of them lie within the bar."""
        errors = self.control_point_error_m
        return bool(len(errors) and errors.max() <= 1000.0 * self.bar_km)

    def share_of_diagonal(self, error_m: float) -> float:
        """An error as a share of the footprint's diagonal."""
        return error_m / (1000.0 * self.diagonal_km)


def right_within_km(diagonal_km: float) -> float:
    """Largest error that counts as right on a footprint of some diagonal, km."""
    return max(RIGHT_KM, RIGHT_SHARE * diagonal_km)


def distance_m(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> FloatArray:
    """Geodesic distances on WGS84, metres; infinite where a place is not finite (the sky)."""
    from pyproj import Geod

    places = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(value, float)) for value in (lon1, lat1, lon2, lat2))
    )
    known = np.isfinite(places).all(axis=0)
    distance = np.full(known.shape, np.inf)
    if known.any():
        from_lon, from_lat, to_lon, to_lat = (values[known] for values in places)
        distance[known] = Geod(ellps="WGS84").inv(from_lon, from_lat, to_lon, to_lat)[2]
    return distance


def ground_errors_m(camera: Camera, points: GroundPoints) -> FloatArray:
    """How far from the known places a camera sees their pixels, shape (n,), metres."""
    return distance_m(*camera.pixel_to_lonlat(points.x, points.y), points.lon, points.lat)


def pixel_errors_px(camera: Camera, points: GroundPoints) -> FloatArray:
    """How far from their pixels a camera shows known places, shape (n,); infinite if hidden."""
    x, y = camera.lonlat_to_pixel(points.lon, points.lat)
    return np.nan_to_num(np.hypot(x - points.x, y - points.y), nan=np.inf)


def score_registration(
    camera: Camera, control_points: Sequence[ControlPoint], truth: Camera, points: GroundPoints
) -> RegistrationScore:
    """Score a solved camera and its control points."""
    own = GroundPoints(
        x=np.array([point.x for point in control_points], float),
        y=np.array([point.y for point in control_points], float),
        lon=np.array([point.lon for point in control_points], float),
        lat=np.array([point.lat for point in control_points], float),
    )
    return RegistrationScore(
        error_m=ground_errors_m(camera, points),
        control_point_error_m=ground_errors_m(truth, own),
        diagonal_km=diagonal_km(truth),
    )


def centre_distance_km(camera: Camera, lon: float, lat: float) -> float:
    """Distance from the place at the middle of a camera's image to another; infinite for sky."""
    middle = camera.pixel_to_lonlat((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    return float(distance_m(*middle, lon, lat)[0]) / 1000.0


def fit_camera(
    points: GroundPoints, start: Camera, position_sigma_m: float = POSITION_SIGMA_M
) -> CameraFit:
    """The physical camera that explains known places, by least squares.

    Unknowns are attitude, focal length, k1 and position, the last held near the start; so the
    camera is also right between and beyond the points, where an interpolation would not be.
    """
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    if len(points) < LEAST_POINTS:
        raise ConfigError(
            f"{len(points)} known places do not tell a camera: give at least {LEAST_POINTS}"
        )
    ground = geodetic_to_ecef(points.lon, points.lat)
    towards = ground - np.asarray(start.position_ecef_m)
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    rays = start.rays(points.x, points.y)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    attitude, _ = Rotation.align_vectors(towards, rays)
    sigmas = np.array([LOG_FOCAL_SIGMA, K1_SIGMA, *3 * [position_sigma_m]])

    def residuals(unknown: FloatArray) -> FloatArray:
        x, y = _moved(start, attitude, unknown).ecef_to_pixel(ground)
        off = np.concatenate([x - points.x, y - points.y]) / POINT_SIGMA_PX
        return np.concatenate([np.nan_to_num(off, nan=1e6), unknown[3:] / sigmas])

    scale = np.array([1e-3, 1e-3, 1e-3, 1e-2, 1e-2, 1e3, 1e3, 1e3])
    solution = least_squares(residuals, np.zeros(8), x_scale=scale)
    camera = _moved(start, attitude, solution.x)
    return CameraFit(camera=camera, residual_px=pixel_errors_px(camera, points))


def _moved(start: Camera, attitude: Rotation, unknown: FloatArray) -> Camera:
    """A camera turned (radians), with log focal length and k1 changed, and moved (metres)."""
    from scipy.spatial.transform import Rotation

    x, y, z = np.asarray(start.position_ecef_m) + unknown[5:8]
    qx, qy, qz, qw = (attitude * Rotation.from_rotvec(unknown[:3])).as_quat()
    return replace(
        start,
        focal_px=start.focal_px * float(np.exp(unknown[3])),
        quaternion=(float(qx), float(qy), float(qz), float(qw)),
        position_ecef_m=(float(x), float(y), float(z)),
        distortion=(start.distortion[0] + float(unknown[4]), *start.distortion[1:]),
    )


def camera_above(
    lon: float, lat: float, altitude_km: float, focal_px: float, size_px: tuple[int, int]
) -> Camera:
    """A camera that looks straight down with north up: where `fit_camera` may start."""
    from scipy.spatial.transform import Rotation

    east, north, up = local_axes(lon, lat)
    x, y, z = geodetic_to_ecef(lon, lat, 1000.0 * altitude_km).tolist()
    axes = Rotation.from_matrix(np.stack([east, -north, -up], axis=1))
    qx, qy, qz, qw = axes.as_quat().tolist()
    width_px, height_px = size_px
    return Camera(
        width_px=width_px,
        height_px=height_px,
        focal_px=focal_px,
        principal_point=((width_px - 1) / 2.0, (height_px - 1) / 2.0),
        quaternion=(qx, qy, qz, qw),
        position_ecef_m=(x, y, z),
    )
