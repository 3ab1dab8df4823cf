"""Two people at the review page, from the first look to the second opinion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.world.hand import ReviewHand, camera_error_km, head
from tests.world.pages import WITH_MAP, ReviewProcess
from tests.world.samples import sample_store, truth_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BAR_KM = 3.5  # 1 % of the diagonal of what these photos show
SEEN, WRONG_DRAG, NOTHING, AFTER = range(4)
FRAMES = [
    ("ISS990-E-000104", "seen"),
    ("ISS990-E-000101", "dragged"),
    ("ISS990-E-000105", "from nothing"),
    ("ISS990-E-000105", "the one after"),
]
SHARES = ((0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0))


def draft_of(hand: ReviewHand, frame_id: int) -> Any:
    """Unfinished work on a frame, once it has been kept."""
    hand.wait_until_kept()
    return hand.told_of(frame_id)["draft"]


def accepted(hand: ReviewHand, frame_id: int) -> dict[str, Any]:
    """Accept the frame in view; what the server then has."""
    hand.press("a")
    hand.wait_until_left(frame_id)
    found = head(hand, frame_id)
    assert found is not None
    assert found["decision"] == "accepted"
    return found


def pairs_of(frame: str) -> list[dict[str, float]]:
    """Known pixels and places, in the middle and near the corners."""
    truth = truth_of(frame)
    width, height = truth["camera"]["width_px"], truth["camera"]["height_px"]
    return [
        min(
            truth["reference_points"],
            key=lambda p: (p["x"] - u * width) ** 2 + (p["y"] - v * height) ** 2,
        )
        for u, v in SHARES
    ]


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 700)])
def test_a_sitting_of_two_people(
    tmp_path: Path, desk: BrowserContext, width: int, height: int
) -> None:
    store = sample_store(tmp_path / "store", FRAMES)
    with ReviewProcess(store, *WITH_MAP, "--reviewer", "Ada") as server:
        ada = ReviewHand(desk.new_page(), server.address)
        ada.page.set_viewport_size({"width": width, "height": height})
        look_first(ada)
        put_right(ada)
        place_from_nothing(ada)
        copy_from_neighbour(ada)
        go_back_in_history(ada)
        arrange_layers(ada)
        assert ada.problems == []
        ada.page.close()
    with ReviewProcess(store, *WITH_MAP, "--reviewer", "Bob") as server:
        bob = ReviewHand(desk.new_page(), server.address)
        bob.page.set_viewport_size({"width": width, "height": height})
        give_second_opinion(bob)
        assert bob.problems == []
        bob.page.close()


def look_first(hand: ReviewHand) -> None:
    """A right proposal: its lights are met, one key accepts it."""
    hand.go_to(SEEN)
    hand.press("l")
    met = hand.page.locator("#photo .view-note", has_text="brightest lights match")
    met.wait_for()
    words = met.inner_text().split()
    assert int(words[0]) > 50
    hand.press("l")
    expect(met).to_have_count(0)
    expect(hand.page.locator("#missing")).to_have_text("")
    assert accepted(hand, SEEN)["camera"] is not None


def put_right(hand: ReviewHand) -> None:
    """A slip of the hand is seen, and mended by the lights."""
    page = hand.page
    hand.go_to(WRONG_DRAG)
    point = hand.told_of(WRONG_DRAG)["points"][0]
    start = hand.at_pixel(point["x"], point["y"])
    hand.drag(start, (start[0] + 10.0, start[1] + 6.0))
    hand.wait_until_kept()
    expect(page.locator("#points td[data-agreement='off']").first).to_be_visible()
    expect(page.locator("#do-accept")).to_be_disabled()
    expect(page.locator("#missing")).to_contain_text("confirm 3 more points")
    # Put aside, it takes no part; on again, it goes back to where its light is
    page.locator("#use-0").click()
    hand.wait_until_kept()
    expect(page.locator("#points")).to_contain_text("1 point switched off")
    page.locator("#use-0").click()
    dragged = draft_of(hand, WRONG_DRAG)["points"][0]
    at, to = hand.at_pixel(dragged["x"], dragged["y"]), hand.at_pixel(point["x"], point["y"])
    hand.drag(at, to)
    hand.wait_until_kept()
    for index in range(4):
        page.locator(f"#point-{index}").click()
        hand.press("k")
        hand.wait_until_kept()
    expect(page.locator("#missing")).to_have_text("")
    kept = accepted(hand, WRONG_DRAG)
    assert camera_error_km(kept["camera"], FRAMES[WRONG_DRAG][0]) < BAR_KM


def place_from_nothing(hand: ReviewHand) -> None:
    """Pairs of clicks bring a camera where there was none."""
    hand.go_to(NOTHING)
    expect(hand.page.locator("#missing")).to_contain_text("place the photo and confirm four points")
    hand.press("p")
    for pair in pairs_of(FRAMES[NOTHING][0]):
        hand.click(*hand.at_pixel(pair["x"], pair["y"]))
        hand.press("0")  # look where the camera is thought to look by now
        hand.click(*hand.at_place(pair["lon"], pair["lat"]))
        hand.wait_until_kept()
    kept = accepted(hand, NOTHING)
    assert camera_error_km(kept["camera"], FRAMES[NOTHING][0]) < BAR_KM


def copy_from_neighbour(hand: ReviewHand) -> None:
    """The next of the series begins with the camera of the one before."""
    hand.go_to(AFTER)
    copy = hand.page.get_by_role("button", name="Copy the camera of from nothing")
    copy.click()
    draft = draft_of(hand, AFTER)
    assert camera_error_km(draft["camera"], FRAMES[AFTER][0]) < BAR_KM
    # What it shows are guesses: nothing of it counts before it is confirmed
    assert {point["origin"] for point in draft["points"]} == {"engine"}
    expect(hand.page.locator("#do-accept")).to_be_disabled()


def go_back_in_history(hand: ReviewHand) -> None:
    """Any step is one click away, and those undone stay in the list."""
    page = hand.page
    point = draft_of(hand, AFTER)["points"][0]
    start = hand.at_place(point["lon"], point["lat"])
    hand.drag(start, (start[0] + 30.0, start[1] + 10.0))
    moved = draft_of(hand, AFTER)
    page.locator("#steps-summary").click()
    steps = page.locator("#steps li button")
    expect(steps).to_have_text(["opened", "camera of from nothing", "moved 1 on the map"])
    steps.nth(0).click()
    assert draft_of(hand, AFTER) is None
    expect(steps.nth(0)).to_have_attribute("aria-current", "step")
    steps.nth(2).click()
    assert draft_of(hand, AFTER) == moved


def arrange_layers(hand: ReviewHand) -> None:
    """What lies in the views is chosen in one panel; the zoom is told."""
    page = hand.page
    hand.press("d")
    panel = page.locator("#layers")
    for name in ("Coast, borders, lakes", "Towns", "Ground track and visible ground"):
        panel.get_by_label(name, exact=True).uncheck()
    page.locator("#outline-opacity").fill("0.5")
    hand.press("d")
    expect(panel).to_be_hidden()
    page.locator("#photo").focus()
    hand.press("9")
    expect(page.locator("#photo .view-note")).to_contain_text("100 %")
    page.reload()
    page.wait_for_selector(f"#photo[data-drawn='{AFTER}']")
    hand.press("d")
    expect(panel.get_by_label("Towns", exact=True)).not_to_be_checked()


def give_second_opinion(hand: ReviewHand) -> None:
    """Decided otherwise; then the other's work lies over one's own."""
    page = hand.page
    hand.go_to(SEEN)
    hand.press("r")
    page.get_by_text("Ada decided differently").wait_for()
    hand.go_to(SEEN)
    expect(page.locator("#decisions")).to_contain_text("Disputed")
    hand.press("]")
    hand.press("Shift+ArrowRight")
    hand.wait_until_kept()
    theirs = page.locator("#decisions li", has_text="Ada")
    theirs.get_by_role("button", name="Compare").click()
    told = page.locator("#opinion")
    expect(told).to_contain_text("Ada's (dashed)")
    expect(told).to_contain_text("km from the current camera")
    page.locator("#take-opinion").click()
    expect(told).to_have_text("")
    taken = draft_of(hand, SEEN)
    heads = {one["reviewer"]: one for one in hand.told_of(SEEN)["decisions"]}
    for name in ("camera", "points"):
        assert (taken or heads["Bob"])[name] == heads["Ada"][name]
