"""Answers that come late: what a person does meanwhile is done to what is seen, or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.regengine.review.e2e.stored import IDS, LATE, LATER
from tests.regengine.review.hand import TWO_PICTURES, ReviewHand

pytestmark = pytest.mark.browser

HERE, NEXT = IDS[LATE], IDS[LATER]


@contextmanager
def late(page: Page, path: str, method: str = "GET") -> Iterator[list[Route]]:
    """Answers to these requests come when the block is left, and others of the kind at once."""
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == method:
            waiting.append(route)
        else:
            route.continue_()

    which = re.compile(path)
    page.route(which, hold)
    yield waiting
    for route in waiting:
        route.continue_()
    page.unroute(which)


@pytest.fixture
def at_frame(hand: ReviewHand) -> ReviewHand:
    """A person at a frame that nobody has touched, after which another one comes."""
    hand.go_to()
    hand.page.goto("about:blank")
    hand.page.goto(urljoin(hand.address, f"/#frame={HERE}&status=all&sort=name&text=0004"))
    wait_for(hand, HERE)
    return hand


def wait_for(hand: ReviewHand, frame_id: int) -> None:
    hand.page.wait_for_selector(f"#photo[data-drawn='{frame_id}']")


def test_what_was_skipped_is_not_decided(at_frame: ReviewHand) -> None:
    hand = at_frame
    hand.page.reload()
    with late(hand.page, rf"/api/frames/{NEXT}$"):
        wait_for(hand, HERE)
        hand.press("s")
        hand.press("a")
        hand.press("c")
        hand.page.keyboard.type("of the next")
    wait_for(hand, NEXT)
    hand.wait_until_kept()
    for frame_id in (HERE, NEXT):
        told = hand.told_of(frame_id)
        assert (told["decisions"], told["draft"]) == ([], None)
    hand.page.keyboard.type("one")
    hand.wait_until_kept()
    assert hand.told_of(NEXT)["draft"]["comment"] == "one"
    assert hand.told_of(HERE)["draft"] is None


def test_the_photo_of_another_frame_is_not_shown(at_frame: ReviewHand) -> None:
    page = at_frame.page
    photo = page.locator("#photo .view-photo canvas")
    photo.wait_for()
    page.reload()
    with late(page, rf"/api/frames/{NEXT}/preview\.jpg"):
        wait_for(at_frame, HERE)
        at_frame.press("s")
        page.locator("#panel h2", has_text=LATER).wait_for()
        assert photo.is_hidden()
    wait_for(at_frame, NEXT)
    photo.wait_for()


def test_a_drag_ends_with_its_frame(at_frame: ReviewHand) -> None:
    hand = at_frame
    point = hand.told_of(HERE)["points"][0]
    x, y = hand.at_pixel(point["x"], point["y"])
    mouse = hand.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 1.0, y)
    hand.press("s")
    wait_for(hand, NEXT)
    mouse.move(x + 40.0, y + 40.0, steps=4)
    mouse.up()
    hand.wait_until_kept()
    assert hand.told_of(NEXT)["draft"] is None


def test_work_that_reaches_the_server_late_is_shown_again(at_frame: ReviewHand) -> None:
    hand = at_frame
    with late(hand.page, rf"/api/frames/{HERE}/draft$", "PUT"):
        hand.press("c")
        hand.page.keyboard.type("a long exposure")
        hand.press("Escape")
        for key, frame_id in (("s", NEXT), ("b", HERE)):
            hand.press(key)
            wait_for(hand, frame_id)
    hand.wait_until_kept()
    for key, frame_id in (("s", NEXT), ("b", HERE)):
        hand.press(key)
        wait_for(hand, frame_id)
    assert hand.page.input_value("#comment") == "a long exposure"


def test_places_that_are_found_late(at_frame: ReviewHand) -> None:
    page = at_frame.page
    found = page.locator("#find-list")
    with late(page, r"/api/places/search\?q=Osaka"):
        at_frame.press("j")
        with page.expect_request(lambda request: "q=Osaka" in request.url):
            page.keyboard.type("Osaka")
        page.keyboard.press("Escape")
    page.evaluate(TWO_PICTURES)
    assert found.is_hidden()
    with page.expect_response(lambda answer: "q=Kobe" in answer.url):
        page.fill("#find", "Kobe")
        page.press("#find", "Enter")
    expect(page.locator("#find")).to_have_value("Kobe, Japan")
    assert found.is_hidden()


def test_a_search_that_reports_is_cancelled_by_one_click(at_frame: ReviewHand) -> None:
    page = at_frame.page
    cancelled: list[Request] = []

    def job(route: Route) -> None:
        if route.request.method == "DELETE":
            cancelled.append(route.request)
        state = "cancelled" if cancelled else "running"
        told = {"state": state, "seconds": 1.0, "result": None, "message": None}
        route.fulfill(content_type="application/json", body=json.dumps(told))

    page.route("**/api/frames/*/search", lambda route: route.fulfill(json={"job": "one"}))
    page.route("**/api/jobs/one", job)
    at_frame.press("g")
    cancel = page.get_by_role("button", name="Cancel")
    cancel.hover()
    page.mouse.down()
    for _ in range(2):
        with page.expect_response("**/api/jobs/one"):
            pass
    page.mouse.up()
    cancel.wait_for(state="hidden")
    assert len(cancelled) == 1


def test_the_focus_stays_at_a_hypothesis_that_is_chosen(at_frame: ReviewHand) -> None:
    page = at_frame.page
    page.locator("#hypotheses button").nth(1).focus()
    page.keyboard.press("Enter")
    page.locator("#hypotheses button[aria-pressed=true]").nth(0).wait_for()
    assert page.evaluate("document.activeElement.matches('#hypotheses [aria-pressed=true]')")
