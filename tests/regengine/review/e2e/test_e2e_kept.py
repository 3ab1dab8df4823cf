"""Nothing is lost: the server dies, the page is loaded again, two tabs and two people work."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from benchmarks.review import ReviewProcess
from regengine.review.decisions import Decisions, decisions_path
from tests.regengine.review.e2e.stored import IDS, PEOPLE, TABS
from tests.regengine.review.hand import ReviewHand
from tests.regengine.review.sample import LIGHTS, sample_store

pytestmark = pytest.mark.browser

FIRST = 2  # a frame of the samples
OPTIONS = ("--lights", str(LIGHTS), "--reviewer", "Eve")


def test_a_crash_of_the_server_loses_nothing(tmp_path: Path, context: BrowserContext) -> None:
    store = sample_store(tmp_path / "store")
    with ReviewProcess(store, *OPTIONS) as server:
        hand = ReviewHand(context.new_page(), server.address)
        hand.go_to(FIRST)
        point = hand.told_of(FIRST)["points"][0]
        x, y = hand.at_pixel(point["x"], point["y"])
        hand.drag((x, y), (x + 30.0, y + 12.0))
        hand.wait_until_kept()
        saved = hand.told_of(FIRST)["draft"]
        server.kill()
    # What is done while nobody answers waits in the browser
    hand.press("c")
    hand.page.keyboard.type("written while the server was gone")
    hand.page.wait_for_selector("#sending[data-state=waiting]")
    with ReviewProcess(store, *OPTIONS, port=server.port) as server:
        hand = ReviewHand(hand.page, server.address)
        hand.go_to(FIRST)
        hand.wait_until_kept()
        assert hand.page.input_value("#comment") == "written while the server was gone"
        draft = hand.told_of(FIRST)["draft"]
        assert draft["points"] == saved["points"] != hand.told_of(FIRST)["points"]
        assert draft["comment"] == "written while the server was gone"
    assert hand.problems == []
    hand.page.close()


def test_two_tabs_lose_no_decision(server: ReviewProcess, context: BrowserContext) -> None:
    one, other = (ReviewHand(context.new_page(), server.address) for _ in range(2))
    for tab in (one, other):
        tab.go_to(IDS[TABS])
    one.press("a")
    one.wait_until_left(IDS[TABS])
    other.press("r")
    other.page.get_by_text("You had decided this frame in another tab, too").wait_for()
    history = one.told(f"/api/frames/{IDS[TABS]}/history")
    assert sorted(each["decision"] for each in history) == ["accepted", "rejected"]
    one.page.close()
    other.page.close()


def test_two_people_who_disagree_are_told(hand: ReviewHand, server: ReviewProcess) -> None:
    frame_id = IDS[PEOPLE]
    hand.go_to(frame_id)
    hand.press("a")
    hand.wait_until_left(frame_id)
    decisions = Decisions(decisions_path(server.store))
    (adas,) = [each for each in decisions.all_heads() if each.judged.frame_index == frame_id]
    decisions.save(adas.judged, "Bob", "rejected", {**adas.work, "comment": "Another town."})
    decisions.close()
    hand.go_to(frame_id)
    hand.page.get_by_text("Rejected by Bob").wait_for()
    hand.page.get_by_text("Another town.").wait_for()
    assert hand.page.get_by_text("Disputed: reviewers disagree").is_visible()
    disputed = hand.told("/api/frames?status=disputed")["frames"]
    assert [each["id"] for each in disputed] == [frame_id]
