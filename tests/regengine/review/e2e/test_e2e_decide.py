"""A person confirms, corrects, takes the runner-up, goes back, places from nothing."""

from __future__ import annotations

import math

import pytest

from tests.regengine.review.e2e.stored import AGAIN, IDS, OBLIQUE, RIGHT, UNPLACED, WRONG
from tests.regengine.review.hand import ReviewHand, camera_error_km, head, points_error_km
from tests.regengine.review.sample import true_camera, truth_of

pytestmark = pytest.mark.browser

A_GLANCE_PX = 2.0  # of the screen: nearer, a point looks right
BAR_KM = 3.5  # 1 % of the diagonal of what these photos show


def correct(hand: ReviewHand, frame: str) -> None:
    """Drag control points on the map to where their pixels truly look, unless they are there."""
    for index in range(4):
        told = hand.told_of(IDS[frame])
        point = (told["draft"] or told)["points"][index]
        lon, lat = true_camera(frame).pixel_to_lonlat(point["x"], point["y"])
        start = hand.at_place(point["lon"], point["lat"])
        end = hand.at_place(float(lon), float(lat))
        if math.dist(start, end) > A_GLANCE_PX:
            hand.drag(start, end)
            hand.wait_until_kept()


def test_a_right_proposal_takes_one_key(hand: ReviewHand) -> None:
    hand.go_to(IDS[RIGHT])
    proposed = hand.told_of(IDS[RIGHT])
    hand.press("a")
    hand.wait_until_left(IDS[RIGHT])
    decided = head(hand, IDS[RIGHT])
    assert decided is not None
    assert decided["decision"] == "accepted"
    assert decided["points"] == proposed["points"]
    assert decided["camera"] == proposed["camera"]
    assert hand.actions == {"keys": 1}
    still_open = hand.told("/api/frames?status=open")["frames"]
    assert RIGHT not in {each["frame"] for each in still_open}


def test_a_wrong_proposal_takes_four_drags_at_most(hand: ReviewHand) -> None:
    hand.go_to(IDS[WRONG])
    assert points_error_km(hand.told_of(IDS[WRONG])["points"], WRONG) > 10.0 * BAR_KM
    correct(hand, WRONG)
    hand.press("a")
    hand.wait_until_left(IDS[WRONG])
    decided = head(hand, IDS[WRONG])
    assert decided is not None
    assert hand.actions["drags"] in (2, 3, 4)
    assert hand.actions["keys"] == 1
    assert points_error_km(decided["points"], WRONG) < BAR_KM
    assert camera_error_km(decided["camera"], WRONG) < BAR_KM


def test_the_runner_up_is_one_key_away_and_back(hand: ReviewHand) -> None:
    frame_id = IDS[AGAIN[WRONG]]
    hand.go_to(frame_id)
    hand.press("2")
    hand.wait_until_kept()
    draft = hand.told_of(frame_id)["draft"]
    assert len(draft["points"]) == 4
    assert camera_error_km(draft["camera"], WRONG) < 0.01
    assert points_error_km(draft["points"], WRONG) < 0.01
    hand.press("z")
    hand.wait_until_kept()
    assert hand.told_of(frame_id)["draft"] is None


def test_steps_go_back_and_forth(hand: ReviewHand) -> None:
    frame_id = IDS[OBLIQUE]
    hand.go_to(frame_id)
    proposed = hand.told_of(frame_id)["points"]
    start = hand.at_pixel(proposed[0]["x"], proposed[0]["y"])
    hand.drag(start, (start[0] + 25.0, start[1] + 10.0))
    hand.wait_until_kept()
    moved = hand.told_of(frame_id)["draft"]["points"]
    assert math.dist(*((p[0]["x"], p[0]["y"]) for p in (moved, proposed))) > 20.0
    assert (moved[0]["lon"], moved[0]["lat"]) == (proposed[0]["lon"], proposed[0]["lat"])
    hand.press("Control+z")
    hand.wait_until_kept()
    assert hand.told_of(frame_id)["draft"] is None
    hand.press("Control+Shift+z")
    hand.wait_until_kept()
    assert hand.told_of(frame_id)["draft"]["points"] == moved
    hand.press("r")
    hand.wait_until_left(frame_id)
    decided = head(hand, frame_id)
    assert decided is not None
    assert decided["decision"] == "rejected"


def pairs() -> list[dict[str, float]]:
    """Known pixels of the frame without a proposal, far from each other, with their places."""
    known = truth_of(UNPLACED)["reference_points"]
    corners = [(800, 532), (0, 0), (1600, 1065), (1600, 0), (0, 1065)]
    return [min(known, key=lambda p: abs(p["x"] - x) + abs(p["y"] - y)) for x, y in corners]


def test_a_photo_is_placed_from_nothing(hand: ReviewHand) -> None:
    frame_id = IDS[UNPLACED]
    hand.go_to(frame_id)
    assert hand.told_of(frame_id)["camera"] is None
    hand.press("p")
    for pair in pairs():
        hand.click(*hand.at_pixel(pair["x"], pair["y"]))
        hand.press("0")  # look where the camera is thought to look by now
        hand.click(*hand.at_place(pair["lon"], pair["lat"]))
        hand.wait_until_kept()
    hand.press("a")
    hand.wait_until_left(frame_id)
    decided = head(hand, frame_id)
    assert decided is not None
    assert decided["decision"] == "accepted"
    assert decided["hypothesis"] is None
    assert camera_error_km(decided["camera"], UNPLACED) < BAR_KM
