"""A frame as a person left it: reviewed camera and points in place of the engine's."""

from __future__ import annotations

import math
from dataclasses import astuple, replace

import numpy as np

from matchers.camera import Camera
from regengine.control_points import ground_jacobian
from regengine.export.frame import ExportFrame, ExportPoint
from regengine.review.reviewed import Reviewed, ReviewedPoint

# What a number keeps on its way through a page and back
SAME = 1e-9


def with_review(frame: ExportFrame, review: Reviewed | None) -> ExportFrame:
    """A frame with what a person made of it.

    Parameters
    ----------
    frame : ExportFrame
        As the engine left it.
    review : Reviewed or None
        The decision that counts.

    Returns
    -------
    ExportFrame
        Where the person accepted, with their camera and points; the camera may be missing where
        they moved points alone. Else the engine's.
    """
    if review is None:
        return frame
    if review.decision != "accepted":
        return replace(frame, review=review)
    camera = review.camera
    points = tuple(_point(point, frame, camera) for point in review.points)
    untouched = all(point.covariance_px is not None for point in points)
    if camera is None and untouched:
        camera = frame.camera
    if not points and same_camera(camera, frame.camera):
        points = frame.points
    return replace(frame, verdict="accepted", camera=camera, points=points, review=review)


def same_camera(one: Camera | None, other: Camera | None) -> bool:
    """Whether two cameras are the same but for the last digits."""
    if one is None or other is None:
        return one is other
    return (
        bool(np.allclose(_numbers(one), _numbers(other), rtol=SAME, atol=SAME))
        and one.mirrored == other.mirrored
    )


def _point(point: ReviewedPoint, frame: ExportFrame, camera: Camera | None) -> ExportPoint:
    """A person's point; what the engine knows of it where they left it alone."""
    place = (point.x, point.y, point.lon, point.lat)
    for known in frame.points:
        if np.allclose((known.x, known.y, known.lon, known.lat), place, rtol=SAME, atol=SAME):
            return known
    return ExportPoint(
        x=point.x,
        y=point.y,
        lon=point.lon,
        lat=point.lat,
        sigma_px=point.sigma_px,
        sigma_m=sigma_on_ground(camera or frame.camera, point),
        origin=point.origin,
    )


def sigma_on_ground(camera: Camera | None, point: ReviewedPoint) -> float | None:
    """One sigma per axis on the ground of a point whose sigma in the image is known, metres."""
    if camera is None or point.sigma_px is None:
        return None
    pixels_per_metre = ground_jacobian(camera, point.lon, point.lat)
    if not np.isfinite(pixels_per_metre).all() or abs(np.linalg.det(pixels_per_metre)) < 1e-12:
        return None
    on_ground = np.linalg.inv(pixels_per_metre)
    return point.sigma_px * math.sqrt(float(np.sum(on_ground**2)) / 2.0)


def _numbers(camera: Camera) -> list[float]:
    values = (value for value in astuple(camera) if not isinstance(value, bool))
    return [number for value in values for number in np.ravel(value).tolist()]
