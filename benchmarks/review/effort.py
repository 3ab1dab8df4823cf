"""What a person does to confirm, to correct and to place a sample at the page, counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.review.browser import ReviewHand
from benchmarks.review.sample import PROPOSALS, true_camera, truth_of
from matchers.camera import Camera
from matchers.earth import great_circle_km

# How far what a person made of a sample lies from its truth.


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


RIGHT, WRONG, UNPLACED = "ISS990-E-000104", "ISS990-E-000103", "ISS990-E-000105"
IDS = {frame: index for index, frame in enumerate(PROPOSALS)}
A_GLANCE_PX = 2.0  # of the screen: nearer, a point looks right


@dataclass(frozen=True, kw_only=True)
class Job:
    """One frame that was dealt with.

    Attributes
    ----------
    name : str
        What was to do.
    actions : mapping of str to int
        Keys, clicks and drags.
    before_km, after_km : float or None
        Greatest error on the ground before and after; None without a camera.
    steps_km : tuple of float
        Error after each drag or pair.
    """

    name: str
    actions: Mapping[str, int]
    before_km: float | None
    after_km: float | None
    steps_km: tuple[float, ...] = ()


def confirm(hand: ReviewHand) -> Job:
    """Accept a right proposal."""
    hand.go_to(IDS[RIGHT])
    return _decided(hand, RIGHT, "a right proposal, confirmed", ())


def correct(hand: ReviewHand) -> Job:
    """Drag the points of a wrong proposal to where they belong, and accept it."""
    hand.go_to(IDS[WRONG])
    errors = []
    for index in range(4):
        told = hand.told_of(IDS[WRONG])
        point = (told["draft"] or told)["points"][index]
        lon, lat = true_camera(WRONG).pixel_to_lonlat(point["x"], point["y"])
        start = hand.at_place(point["lon"], point["lat"])
        end = hand.at_place(float(lon), float(lat))
        if math.dist(start, end) > A_GLANCE_PX:
            hand.drag(start, end)
            hand.wait_until_kept()
            errors.append(_draft_error_km(hand, WRONG))
    return _decided(hand, WRONG, "a wrong proposal, put right", tuple(errors))


def place(hand: ReviewHand) -> Job:
    """Place a frame without a proposal: four pairs of clicks, the map fitted before each."""
    hand.go_to(IDS[UNPLACED])
    hand.press("p")
    errors = []
    known = truth_of(UNPLACED)["reference_points"]
    for corner in ((800, 532), (0, 0), (1600, 1065), (1600, 0)):
        pair = min(known, key=lambda p: math.dist((p["x"], p["y"]), corner))
        hand.click(*hand.at_pixel(pair["x"], pair["y"]))
        hand.press("0")
        hand.click(*hand.at_place(pair["lon"], pair["lat"]))
        hand.wait_until_kept()
        errors.append(_draft_error_km(hand, UNPLACED))
    return _decided(hand, UNPLACED, "no proposal, placed from nothing", tuple(errors))


def _decided(hand: ReviewHand, frame: str, name: str, steps_km: tuple[float, ...]) -> Job:
    proposed = hand.told_of(IDS[frame])["camera"]
    hand.press("a")
    hand.wait_until_left(IDS[frame])
    decided = head(hand, IDS[frame])
    camera = None if decided is None else decided["camera"]
    return Job(
        name=name,
        actions=Counter(hand.actions),
        before_km=None if proposed is None else camera_error_km(proposed, frame),
        after_km=None if camera is None else camera_error_km(camera, frame),
        steps_km=steps_km,
    )


def _draft_error_km(hand: ReviewHand, frame: str) -> float:
    return camera_error_km(hand.told_of(IDS[frame])["draft"]["camera"], frame)


# How long a practised person takes for some actions: the keystroke-level model.

# Card, Moran and Newell, Communications of the ACM 23 (7), 1980: pressing a key 0.28 s (average
# typist), pointing with the mouse 1.1 s, pressing or releasing its button 0.1 s, deciding on the
# next step 1.35 s. Looking for the same lights in photo and map is in none of them.
KEY_S, POINT_S, BUTTON_S, DECIDE_S = 0.28, 1.1, 0.1, 1.35
SECONDS = {
    "keys": DECIDE_S + KEY_S,
    "clicks": DECIDE_S + POINT_S + 2 * BUTTON_S,
    "drags": 2 * (DECIDE_S + POINT_S + BUTTON_S),  # a place is chosen at either end
}


def effort_s(actions: Mapping[str, int]) -> float:
    """Seconds for a count of ``keys``, ``clicks`` and ``drags``, without any waiting."""
    return sum(SECONDS[kind] * times for kind, times in actions.items())


# What the same job takes in QGIS's Georeferencer, counted from its manual.

POINTS = 4

# (what is done, how often for one photo, clicks or keys each time). From the user manual of QGIS,
# "Georeferencer": the usual procedure, with places picked on the map canvas. Left out in its
# favour: finding the place on Earth, every zoom and pan in both windows, the target's reference
# system, the name of the output, saving the points.
STEPS: tuple[tuple[str, int, int], ...] = (
    ("Open Layer, Georeferencer", 1, 2),
    ("Open raster, and the file in the dialog", 1, 2),
    ("Click the point in the photo", POINTS, 1),
    ("Press From map canvas", POINTS, 1),
    ("Click the place on the map", POINTS, 1),
    ("Confirm the coordinates with OK", POINTS, 1),
    ("Open the transformation settings", 1, 1),
    ("Choose the transformation Projective from its list", 1, 2),
    ("Confirm the settings with OK", 1, 1),
    ("Start georeferencing", 1, 1),
)


def qgis_actions() -> int:
    """Clicks for one photo with four points, at least."""
    return sum(times * each for _, times, each in STEPS)
