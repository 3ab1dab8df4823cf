"""What a person does to confirm, to correct and to place a sample at the page, counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.review_browser import ReviewHand
from benchmarks.review_judge import camera_error_km, head
from benchmarks.review_sample import PROPOSALS, true_camera, truth_of

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
