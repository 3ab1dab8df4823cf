"""How a registration is scored: against pixels whose places are known, by a true camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, WGS84, diagonal_km
from regengine.evaluate.registration import distance_m, enough_points, right_within_km
from regengine.result import ControlPoint

# A pixel of the VIIRS products: 15 arc seconds of a great circle of the mean Earth radius
MAP_PIXEL_M = 463.3
GRID = 17  # pixels along each side at which a solved camera is compared with the true one


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


def ground_grid(camera: Camera, per_side: int = GRID) -> GroundPoints:
    """Pixels spread over the image and the ground they show, at incidence below 80 degrees."""
    x, y = (
        side.ravel()
        for side in np.meshgrid(
            np.linspace(0.0, camera.width_px - 1.0, per_side),
            np.linspace(0.0, camera.height_px - 1.0, per_side),
        )
    )
    slant = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    seen = slant < MAX_INCIDENCE_DEG
    lon, lat = camera.pixel_to_lonlat(x[seen], y[seen])
    return GroundPoints(x=x[seen], y=y[seen], lon=lon, lat=lat)


def ground_errors_m(camera: Camera, points: GroundPoints) -> FloatArray:
    """How far from the known places a camera sees their pixels, shape (n,), metres."""
    return distance_m(*camera.pixel_to_lonlat(points.x, points.y), points.lon, points.lat)


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
    place = np.array([[p.x, p.y, p.lon, p.lat] for p in points], float).reshape(-1, 4)
    variance = np.array([[p.covariance_m[0], p.covariance_m[2]] for p in points]).reshape(-1, 2)
    lon, lat = truth.pixel_to_lonlat(place[:, 0], place[:, 1])
    seen = np.isfinite(lon)
    azimuth, _, length_m = WGS84.inv(
        np.where(seen, lon, 0.0), np.where(seen, lat, 0.0), place[:, 2], place[:, 3]
    )
    angle = np.radians(azimuth)
    off_m = np.stack([length_m * np.sin(angle), length_m * np.cos(angle)], axis=1)
    z = np.where(seen[:, None], off_m / np.sqrt(variance), np.inf)
    return z[:, 0], z[:, 1]


def score_columns(
    camera: Camera,
    points: Sequence[ControlPoint],
    truth: Camera,
    *,
    shown: GroundPoints | None = None,
    footprint_km: float | None = None,
) -> dict[str, Any]:
    """Columns that say how good a proposal is.

    `points` are those of the picture that `truth` took. Of a picture cut or turned since, `shown`
    are pixels that `camera` is held against, and `footprint_km` the diagonal of what is left.
    """
    grid = ground_grid(truth) if shown is None else shown
    own = GroundPoints(
        **{name: np.array([getattr(p, name) for p in points], float) for name in vars(grid)}
    )
    error_m = ground_errors_m(truth, own)
    diagonal = diagonal_km(truth) if footprint_km is None else footprint_km
    bar_km = right_within_km(diagonal)
    z_east, z_north = normalised_errors(points, truth)
    enough = enough_points(truth, own.x, own.y)
    columns: dict[str, Any] = {
        "right": bool(enough and error_m.max() <= 1000.0 * bar_km),
        "bar_km": bar_km,
        "diagonal_km": diagonal,
        "point_error_m": error_m,
        "point_error_units": error_m / resolution_m(truth, own.x, own.y),
        "z_east": z_east,
        "z_north": z_north,
    }
    off_m = ground_errors_m(camera, grid)
    in_units = off_m / resolution_m(truth, grid.x, grid.y)
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
