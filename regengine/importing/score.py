"""How another program's points lie to our camera, and to the control points' own promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pyproj import Geod

from matchers.camera import Camera
from regengine.importing.point_file import ForeignPoint
from regengine.result import FrameResult

# What counts as right: within 1 % of the footprint's diagonal, or within 1 km where that is larger
RIGHT_SHARE = 0.01
RIGHT_KM = 1.0
WGS84 = Geod(ellps="WGS84")


@dataclass(frozen=True, kw_only=True)
class PointScore:
    """A point against our camera.

    Attributes
    ----------
    dx_px, dy_px, residual_px : float or None
        Point minus camera; None where the camera does not see the place.
    residual_m : float or None
        Between the place and what the camera shows at the pixel; None where that is sky.
    right : bool or None
        Whether our camera is right there, taking the point for the truth.
    """

    dx_px: float | None
    dy_px: float | None
    residual_px: float | None
    residual_m: float | None
    right: bool | None


def score(result: FrameResult, points: tuple[ForeignPoint, ...]) -> list[PointScore]:
    """Points against the camera that the engine solved.

    Parameters
    ----------
    result : FrameResult
        Of any verdict.
    points : tuple of ForeignPoint
        At least one.

    Returns
    -------
    list of PointScore
        Nothing but None where there is no camera.
    """
    if result.solved is None:
        nothing = PointScore(dx_px=None, dy_px=None, residual_px=None, residual_m=None, right=None)
        return [nothing] * len(points)
    camera = result.solved.camera
    allowed_m = max(RIGHT_KM, RIGHT_SHARE * (result.footprint_diagonal_km or 0.0)) * 1e3
    return [_score(camera, point, allowed_m) for point in points]


def summary(scores: list[PointScore]) -> dict[str, Any]:
    """Root mean squares and shares over some points; None where nothing is known."""
    return {
        "count": len(scores),
        "rms_px": _rms([one.residual_px for one in scores]),
        "rms_m": _rms([one.residual_m for one in scores]),
        "right": sum(one.right is True for one in scores),
        "unseen": sum(one.right is None for one in scores),
    }


def _score(camera: Camera, point: ForeignPoint, allowed_m: float) -> PointScore:
    with np.errstate(all="ignore"):
        x, y = (float(value) for value in camera.lonlat_to_pixel(point.lon, point.lat))
        lon, lat = (float(value) for value in camera.pixel_to_lonlat(point.x, point.y))
    seen, ground = bool(np.isfinite(x)), bool(np.isfinite(lon))
    metres = float(WGS84.inv(lon, lat, point.lon, point.lat)[2]) if ground else None
    return PointScore(
        dx_px=point.x - x if seen else None,
        dy_px=point.y - y if seen else None,
        residual_px=float(np.hypot(point.x - x, point.y - y)) if seen else None,
        residual_m=metres,
        right=None if metres is None else metres <= allowed_m,
    )


def _rms(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.sqrt(np.mean(np.square(known)))) if known else None
