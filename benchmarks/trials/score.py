"""How good a solved camera and its control points are, by the true camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, WGS84, diagonal_km, right_within_km
from regengine.score.registration import distance_m, judge_points
from regengine.store.result import ControlPoint

# A pixel of the VIIRS products: 15 arc seconds of a great circle of the mean Earth radius
MAP_PIXEL_M = 463.3
GRID = 17  # pixels along each side at which a solved camera is compared with the true one


def ground_grid(camera: Camera) -> FloatArray:
    """X, y, longitude, latitude (4, n) of pixels all over the image, at incidence below 80°."""
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, GRID),
        np.linspace(0.0, camera.height_px - 1.0, GRID),
    )
    slant = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    x, y = x[slant < MAX_INCIDENCE_DEG], y[slant < MAX_INCIDENCE_DEG]
    return np.stack([x, y, *camera.pixel_to_lonlat(x, y)])


def resolution_m(camera: Camera, x: ArrayLike, y: ArrayLike) -> FloatArray:
    """The coarser of map pixel and photo pixel on the ground, metres.

    A photo pixel's size on the ground is the square root of its area there.
    """
    px, py = np.asarray(x, float), np.asarray(y, float)
    across = camera.pixel_to_ecef(px + 0.5, py) - camera.pixel_to_ecef(px - 0.5, py)
    down = camera.pixel_to_ecef(px, py + 0.5) - camera.pixel_to_ecef(px, py - 0.5)
    pixel_m = np.sqrt(np.linalg.norm(np.cross(across, down), axis=-1))
    return np.fmax(pixel_m, MAP_PIXEL_M)


def normalised_errors(
    points: Sequence[ControlPoint], truth: Camera
) -> tuple[FloatArray, FloatArray]:
    """Errors of control points east and north in units of their sigmas."""
    x, y, lon, lat = place_columns(points)
    variance = np.array([[p.covariance_m[0], p.covariance_m[2]] for p in points]).reshape(-1, 2)
    true = np.stack(truth.pixel_to_lonlat(x, y))
    seen = np.isfinite(true[0])
    true_lon, true_lat = np.where(seen, true, 0.0)
    azimuth, _, length_m = WGS84.inv(true_lon, true_lat, lon, lat)
    off_m = length_m * np.stack([np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))])
    east, north = np.where(seen, off_m / np.sqrt(variance.T), np.inf)
    return east, north


def place_columns(points: Sequence[ControlPoint]) -> FloatArray:
    """X, y, longitude and latitude of control points, shape (4, n)."""
    return np.array([[p.x, p.y, p.lon, p.lat] for p in points], float).reshape(-1, 4).T


def score_columns(camera: Camera, points: Sequence[ControlPoint], truth: Camera) -> dict[str, Any]:
    """Columns that say how good a proposal is."""
    places = place_columns(points)
    diagonal = diagonal_km(truth)
    bar_km = right_within_km(diagonal)
    is_right, error_m = judge_points(truth, places, 1000.0 * bar_km)
    z_east, z_north = normalised_errors(points, truth)
    columns: dict[str, Any] = {
        "right": is_right,
        "bar_km": bar_km,
        "diagonal_km": diagonal,
        "point_error_m": error_m,
        "point_error_units": error_m / resolution_m(truth, *places[:2]),
        "z_east": z_east,
        "z_north": z_north,
    }
    grid = ground_grid(truth)
    off_m = distance_m(*camera.pixel_to_lonlat(*grid[:2]), *grid[2:])
    in_units = off_m / resolution_m(truth, *grid[:2])
    percent = 100.0 * off_m / max(1000.0 * diagonal, 1.0)
    for name, errors in (("m", off_m), ("units", in_units), ("percent", percent)):
        for word, share in (("median", 0.5), ("p95", 0.95), ("max", 1.0)):
            columns[f"grid_{word}_{name}"] = quantile(errors, share)
    return columns


def quantile(errors: ArrayLike, share: float) -> float | None:
    """The least of some numbers that so large a share does not exceed; None of nothing.

    NaNs are left out. Unlike an interpolated quantile it is defined where errors are infinite.
    """
    known = np.asarray(errors, float)
    known = np.sort(known[~np.isnan(known)])
    return float(known[max(math.ceil(share * len(known)) - 1, 0)]) if len(known) else None
