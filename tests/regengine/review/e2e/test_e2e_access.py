"""For everybody: by keys alone, names for what reads aloud, contrast, screens small and large."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.regengine.review.e2e.stored import AGAIN, IDS, OBLIQUE, WRONG
from tests.regengine.review.hand import ReviewHand, head

pytestmark = pytest.mark.browser

FRAME = AGAIN[OBLIQUE]

CHECKS = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")


def check(page: Page, name: str) -> Any:
    """What a check of `checks.js` says of the page."""
    return page.evaluate(f"{CHECKS}.{name}()")


def hidden_overflow(page: Page) -> dict[str, Any]:
    """How much wider and higher the page is than the window."""
    told: dict[str, Any] = page.evaluate(
        "() => { const e = document.scrollingElement;"
        " return {x: e.scrollWidth - innerWidth, y: e.scrollHeight - innerHeight}; }"
    )
    return told


def test_all_is_done_by_keys(hand: ReviewHand) -> None:
    page = hand.page
    hand.go_to()
    hand.press("/")
    page.keyboard.type(FRAME)
    page.keyboard.press("Escape")
    page.locator("#rows [role=option]").nth(1).wait_for(state="detached")
    page.locator("#rows").focus()
    hand.press("Enter")
    page.wait_for_selector(f"#photo[data-drawn='{IDS[FRAME]}']")
    before = hand.told_of(IDS[FRAME])["points"]
    hand.press("]")
    hand.press("]")
    hand.press("Shift+ArrowRight")
    hand.press("ArrowDown")
    hand.wait_until_kept()
    after = hand.told_of(IDS[FRAME])["draft"]["points"]
    moved = math.hypot(after[1]["x"] - before[1]["x"], after[1]["y"] - before[1]["y"])
    a_screen_pixel = float((page.get_attribute("#photo", "data-view") or "").split()[2])
    assert moved == pytest.approx(math.hypot(10.0, 1.0) * a_screen_pixel, rel=1e-6)
    hand.press("x")
    hand.press("=")
    hand.press("a")
    hand.wait_until_left(IDS[FRAME])
    decided = head(hand, IDS[FRAME])
    assert decided is not None
    assert len(decided["points"]) == 4
    hand.press("?")
    page.locator("dialog[open]").get_by_text("Undo").wait_for()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_counts_that_come_late_take_nothing_from_who_types(hand: ReviewHand) -> None:
    page = hand.page
    late: list[Route] = []
    page.route("**/api/facets", lambda route: late.append(route))
    with page.expect_request("**/api/facets"):
        hand.go_to()
    hand.press("/")
    page.keyboard.type(FRAME[:5])
    late[0].continue_()
    page.locator("#filter-reason option").nth(1).wait_for(state="attached")
    page.keyboard.type(FRAME[5:])
    assert page.input_value("#filter-text") == FRAME
    page.unroute("**/api/facets")


def test_counts_that_come_late_leave_the_focus_where_it_is(hand: ReviewHand) -> None:
    page = hand.page
    late: list[Route] = []
    page.route("**/api/facets", lambda route: late.append(route))
    with page.expect_request("**/api/facets"):
        hand.go_to()
    hand.press("/")
    page.locator("#filter-camera").focus()
    late[0].continue_()
    page.locator("#filter-reason option").nth(1).wait_for(state="attached")
    assert page.evaluate("document.activeElement.id") == "filter-camera"
    page.unroute("**/api/facets")


def test_the_focus_is_seen_wherever_it_goes(hand: ReviewHand) -> None:
    hand.go_to(IDS[AGAIN[WRONG]])
    seen = []
    for _ in range(60):
        hand.page.keyboard.press("Tab")
        seen.append(check(hand.page, "focusShows"))
    stops = [stop for stop in seen if stop is not None]
    assert len({stop["name"] for stop in stops}) > 20
    assert [stop["name"] for stop in stops if not stop["seen"]] == []


def test_everything_has_a_name(hand: ReviewHand) -> None:
    hand.go_to(IDS[AGAIN[WRONG]])
    assert check(hand.page, "nameless") == []
    hand.press("?")
    assert check(hand.page, "nameless") == []


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (3840, 2160)])
def test_text_is_readable_and_nothing_is_cut_off(hand: ReviewHand, width: int, height: int) -> None:
    hand.page.set_viewport_size({"width": width, "height": height})
    hand.go_to(IDS[AGAIN[WRONG]])
    assert check(hand.page, "faintText") == []
    over = hidden_overflow(hand.page)
    assert over["x"] <= 0
    assert over["y"] <= 0
    for view in ("#photo", "#map"):
        box = hand.page.locator(view).bounding_box()
        assert box is not None
        assert box["width"] * box["height"] > 0.15 * width * height
