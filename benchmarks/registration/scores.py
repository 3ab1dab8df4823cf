"""How a registration is scored: against pixels whose places are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import diagonal_km
from regengine.evaluate.registration import distance_m, enough_points, right_within_km
from regengine.result import ControlPoint

# A pixel of the VIIRS products: 15 arc seconds of a great circle of the mean Earth radius
MAP_PIXEL_M = 463.3


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
class RegistrationScore:
    """Errors of one registration."""

    # Shape (n,): Distance between where the solved camera sees the known pixels and where they are;
    # infinite where it sees the sky.
    error_m: FloatArray
    # Shape (k,): Distance of each control point from what its pixel truly shows
    control_point_error_m: FloatArray
    enough: bool  # whether the control points are enough to place the photo, and widely spread
    diagonal_km: float  # diagonal of the true footprint

    @property
    def bar_km(self) -> float:
        """Largest error of a control point that counts as right."""
        return right_within_km(self.diagonal_km)

    @property
    def right(self) -> bool:
        """Whether the control points place the photo and all of them lie within the bar."""
        return bool(self.enough and self.control_point_error_m.max() <= 1000.0 * self.bar_km)


def ground_errors_m(camera: Camera, points: GroundPoints) -> FloatArray:
    """How far from the known places a camera sees their pixels, shape (n,), metres."""
    return distance_m(*camera.pixel_to_lonlat(points.x, points.y), points.lon, points.lat)


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
        enough=enough_points(truth, own.x, own.y),
        diagonal_km=diagonal_km(truth),
    )


def centre_distance_km(camera: Camera, lon: float, lat: float) -> float:
    """Distance from the place at the middle of a camera's image to another; infinite for sky."""
    middle = camera.pixel_to_lonlat((camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0)
    return float(distance_m(*middle, lon, lat)[0]) / 1000.0
