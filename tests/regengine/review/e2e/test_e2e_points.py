"""A person adds points: clicks count where they are made, and four bring any camera back."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.regengine.review.e2e.stored import CLICKED, IDS, WRONG
from tests.regengine.review.hand import ReviewHand, camera_error_km
from tests.regengine.review.sample import FAR, truth_of

pytestmark = pytest.mark.browser

BESIDE_PX = (8.0, -6.0)  # of the screen: within what takes hold of a point
MARK_PX = (30.0, 20.0)  # of the mark that confirms a guess
CLEAR_PX = 120.0  # of the photo: a click there takes hold of no other point
MOST_ACTIONS = 12  # where no search helps
BAR_KM = 3.5  # 1 % of the diagonal of what the photo shows


def draft_of(hand: ReviewHand, frame_id: int) -> Any:
    hand.wait_until_kept()
    return hand.told_of(frame_id)["draft"]


def add_in_photo(hand: ReviewHand, x: float, y: float) -> tuple[dict[str, Any], Any]:
    """The point whose place the camera guessed, and where that is on the screen."""
    hand.press("p")
    hand.click(*hand.at_pixel(x, y))
    point = draft_of(hand, IDS[CLICKED])["points"][-1]
    assert point["origin"] == "engine"
    return point, hand.at_place(point["lon"], point["lat"])


def test_a_click_beside_the_guess_is_where_it_was_made(hand: ReviewHand) -> None:
    hand.go_to(IDS[CLICKED])
    _, guess = add_in_photo(hand, 700, 500)
    clicked = guess[0] + BESIDE_PX[0], guess[1] + BESIDE_PX[1]
    hand.click(*clicked)
    point = draft_of(hand, IDS[CLICKED])["points"][-1]
    assert point["origin"] == "person"
    assert math.dist(hand.at_place(point["lon"], point["lat"]), clicked) < 1.0


def test_a_trembling_hand_clicks_where_it_lets_go(hand: ReviewHand) -> None:
    hand.go_to(IDS[CLICKED])
    _, guess = add_in_photo(hand, 500, 500)
    pressed = guess[0] + BESIDE_PX[0], guess[1] + BESIDE_PX[1]
    hand.drag(pressed, (pressed[0] + 3.0, pressed[1] + 1.0))
    point = draft_of(hand, IDS[CLICKED])["points"][-1]
    assert point["origin"] == "person"
    away = math.dist(
        hand.at_place(point["lon"], point["lat"]), (pressed[0] + 3.0, pressed[1] + 1.0)
    )
    assert away < 1.0


def test_a_sentence_stands_beside_photo_and_map(hand: ReviewHand) -> None:
    hand.go_to(IDS[CLICKED])
    add_in_photo(hand, 600, 700)
    views, sentence = (
        each.bounding_box()
        for each in (
            hand.page.locator("#views"),
            hand.page.get_by_text("Click its place on the map"),
        )
    )
    assert views is not None
    assert sentence is not None
    assert sentence["x"] > views["x"] + views["width"]


@pytest.mark.parametrize("by", ["key", "mark"])
def test_a_guess_is_confirmed_by_enter_or_by_its_mark(hand: ReviewHand, by: str) -> None:
    hand.go_to(IDS[CLICKED])
    guessed, guess = add_in_photo(hand, 900, 600 if by == "key" else 400)
    if by == "key":
        hand.press("Enter")
    else:
        hand.click(guess[0] + MARK_PX[0], guess[1] + MARK_PX[1])
    points = draft_of(hand, IDS[CLICKED])["points"]
    assert points[-1] == guessed | {"origin": "person"}


def test_four_pairs_bring_a_camera_back_from_another_continent(hand: ReviewHand) -> None:
    frame_id = IDS[FAR]
    hand.go_to(frame_id)
    assert camera_error_km(hand.told_of(frame_id)["camera"], WRONG) > 1000.0
    taken = [(point["x"], point["y"]) for point in hand.told_of(frame_id)["points"]]
    known = [
        pair
        for pair in truth_of(WRONG)["reference_points"]
        if min(math.dist((pair["x"], pair["y"]), at) for at in taken) > CLEAR_PX
    ]
    hand.press("p")
    for corner in [(200, 150), (1900, 150), (1900, 1250), (200, 1250)]:
        pair = min(known, key=lambda p: math.dist((p["x"], p["y"]), corner))
        hand.click(*hand.at_pixel(pair["x"], pair["y"]))
        hand.zoom_to(pair["lon"], pair["lat"])
        hand.click(*hand.at_place(pair["lon"], pair["lat"]))
        hand.wait_until_kept()
    draft = draft_of(hand, frame_id)
    assert camera_error_km(draft["camera"], WRONG) < BAR_KM
    assert sum(hand.actions.values()) <= MOST_ACTIONS, hand.actions
    assert hand.page.locator("#points strong").count() == 0  # none is called suspect
    hand.page.locator(".solving summary").click()
    hand.page.select_option("#free", "position")
    hand.wait_until_kept()
    free = hand.page.locator("#free option:checked").inner_text()
    told = hand.page.locator("#points .outcome").inner_text()
    freed = told.partition("freed: ")[2].partition(".")[0].split(", ")
    assert all(word in free for word in freed), (free, told)
