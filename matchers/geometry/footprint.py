"""Ground footprint of a photo: corners, outline and diagonal."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from pyproj import Geod

from detectors.types import BoolArray, FloatArray
from matchers.geometry.camera import Camera, ManyCameras
from matchers.geometry.earth import ecef_to_geodetic, incidence_deg

# Ground at larger incidence angles is lost in haze, and would make the footprint very long
MAX_INCIDENCE_DEG = 80.0
WGS84 = Geod(ellps="WGS84")
Bounds = tuple[float, float, float, float]  # west, south, east, north, degrees; east may exceed 180


def corner_lonlat(camera: Camera) -> tuple[tuple[float, float] | None, ...]:
    """Compute ground positions (lon, lat) of the corner pixels; None for a corner in the sky.

    Order: top-left, top-right, bottom-right, bottom-left.
    """
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    lon, lat = camera.pixel_to_lonlat([0.0, right, right, 0.0], [0.0, 0.0, bottom, bottom])
    return tuple(
        (float(a), float(b)) if np.isfinite(a) else None for a, b in zip(lon, lat, strict=True)
    )


def trace_visible_outline(camera: Camera, per_side: int = 129) -> tuple[FloatArray, FloatArray]:
    """Trace the outline of the visible ground in pixels x, y (n,).

    The outline is the image border, or the line of maximum incidence inside the image. It has
    ``per_side`` points per side, including the corners. Empty if the image does not show ground.
    """
    x, y, seen = trace_visible_outlines(ManyCameras.of([camera]), per_side)
    return (x[0], y[0]) if seen[0] else (np.zeros(0), np.zeros(0))


def trace_visible_outlines(
    cameras: ManyCameras, per_side: int, limit_deg: float = MAX_INCIDENCE_DEG
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Trace outlines of many images, see `trace_visible_outline`, and which of them show ground.

    Returns pixels x and y, shape (n, 4 * per_side - 4). ``limit_deg`` is the maximum incidence.
    """
    across = np.linspace(0.0, cameras.width_px[:, 0] - 1.0, per_side, axis=1)
    down = np.linspace(0.0, cameras.height_px[:, 0] - 1.0, per_side, axis=1)
    x, y = np.tile(across, (1, per_side)), np.repeat(down, per_side, axis=1)
    angle = cameras.incidence_deg(x, y)
    seen = np.asarray((angle <= limit_deg).any(axis=1))
    start = np.argmin(np.where(np.isnan(angle), np.inf, angle), axis=1)[:, None]
    start_x, start_y = (np.take_along_axis(a, start, axis=1) for a in (x, y))
    number = np.arange(per_side**2).reshape(per_side, per_side)
    border = np.concatenate([number[0], number[1:-1, -1], number[-1], number[1:-1, 0]])
    to_x, to_y = x[:, border] - start_x, y[:, border] - start_y
    share = np.where(angle[:, border] <= limit_deg, 1.0, 0.0)
    # Ground within the incidence limit is in a convex cone: each ray from inside crosses it once
    row, direction = np.nonzero((share < 1.0) & seen[:, None])
    near, far, some = np.zeros((len(row), 1)), np.ones((len(row), 1)), cameras[row]
    for _ in range(14):
        half = (near + far) / 2.0
        at_x = start_x[row] + half * to_x[row, direction, None]
        at_y = start_y[row] + half * to_y[row, direction, None]
        inside = some.incidence_deg(at_x, at_y) <= limit_deg
        near, far = np.where(inside, half, near), np.where(inside, far, half)
    share[row, direction] = near[:, 0]
    return start_x + share * to_x, start_y + share * to_y, seen


@lru_cache(maxsize=8)
def diagonal_km(camera: Camera) -> float:
    """Compute the footprint diagonal: the maximum distance between visible ground points, km.

    Only ground with incidence of at most 80 degrees counts. 0 if there is no such ground.
    """
    lon, lat = camera.pixel_to_lonlat(*trace_visible_outline(camera))
    if len(lon) == 0:
        return 0.0
    # The farthest pair is on the outline, and is the same pair on the sphere and the ellipsoid
    at_lon, at_lat = np.radians(lon), np.radians(lat)
    across = np.cos(at_lat)
    there = np.stack([across * np.cos(at_lon), across * np.sin(at_lon), np.sin(at_lat)], axis=1)
    near = there @ there.T
    a, b = np.unravel_index(int(np.argmin(near)), near.shape)
    return float(WGS84.inv(lon[a], lat[a], lon[b], lat[b])[2]) / 1e3


def right_within_km(diagonal_km: float) -> float:
    """Largest error that is right for a footprint of this diagonal (docs/public-benchmark.md)."""
    return max(1.0, 0.01 * diagonal_km)


def centre_lonlat(camera: Camera) -> tuple[float, float]:
    """Ground position at the centre of the image; NaN for sky or an invalid camera."""
    try:
        with np.errstate(all="ignore"):
            lon, lat = camera.pixel_to_lonlat((camera.width_px - 1) / 2, (camera.height_px - 1) / 2)
    except (ValueError, ArithmeticError):  # of a damaged store
        return math.nan, math.nan
    return float(lon), float(lat)


def find_looked_at(camera: Camera) -> tuple[float, float]:
    """Find the ground at the centre of a photo, or the ground nearest to it if that is sky.

    Ground away from the limb is preferred, if there is any. The result is NaN without ground.
    """
    lon, lat = centre_lonlat(camera)
    if math.isfinite(lon):
        return lon, lat
    middle = (camera.width_px - 1) / 2, (camera.height_px - 1) / 2
    x, y = (a.ravel() for a in np.meshgrid(*(np.linspace(0.0, 2.0 * half, 65) for half in middle)))
    try:
        with np.errstate(all="ignore"):
            ground = camera.pixel_to_ecef(x, y)
            incidence = incidence_deg(camera.position_ecef_m, ground)
    except (ValueError, ArithmeticError):
        return math.nan, math.nan
    usable = incidence <= MAX_INCIDENCE_DEG
    usable = usable if usable.any() else np.isfinite(incidence)
    if not usable.any():
        return math.nan, math.nan
    away = np.where(usable, np.hypot(x - middle[0], y - middle[1]), np.inf)
    place = ecef_to_geodetic(ground[away.argmin()])
    return float(place[0]), float(place[1])
