"""How far what a person made of a sample lies from its truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.review_browser import ReviewHand
from benchmarks.review_sample import true_camera, truth_of
from matchers.camera import Camera
from matchers.earth import great_circle_km


def camera_of(told: dict[str, Any]) -> Camera:
    """A camera as the interface writes it."""
    names = ("principal_point", "distortion", "quaternion", "position_ecef_m")
    return Camera(**{**told, **{name: tuple(told[name]) for name in names}})


def camera_error_km(told: dict[str, Any], frame: str) -> float:
    """Greatest distance between where a camera and the true one see the known pixels."""
    known = truth_of(frame)["reference_points"]
    x, y = [p["x"] for p in known], [p["y"] for p in known]
    places = camera_of(told).pixel_to_lonlat(x, y)
    lon, lat = [p["lon"] for p in known], [p["lat"] for p in known]
    return float(np.max(great_circle_km(*places, lon, lat)))


def points_error_km(points: list[dict[str, Any]], frame: str) -> float:
    """Greatest distance between the points' places and where their pixels truly look."""
    lon, lat = true_camera(frame).pixel_to_lonlat(
        [p["x"] for p in points], [p["y"] for p in points]
    )
    given = [p["lon"] for p in points], [p["lat"] for p in points]
    return float(np.max(great_circle_km(lon, lat, *given)))


def head(hand: ReviewHand, frame_id: int, reviewer: str = "Ada") -> dict[str, Any] | None:
    """What that reviewer last decided of a frame, as the server has it."""
    decisions = hand.told_of(frame_id)["decisions"]
    return next((each for each in decisions if each["reviewer"] == reviewer), None)
