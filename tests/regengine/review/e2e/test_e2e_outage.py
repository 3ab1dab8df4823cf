"""The server ends and begins again: the open page goes on by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Request

from benchmarks.review import ReviewProcess
from regengine.io.folders import CACHE_VARIABLE
from tests.regengine.review.hand import ReviewHand
from tests.regengine.review.sample import LIGHTS, sample_store

pytestmark = pytest.mark.browser

FIRST, NEXT = 2, 3  # frames of the samples, one after the other by name
OPTIONS = ("--lights", str(LIGHTS), "--reviewer", "Eve")
AWAY = "The review server does not answer."


def test_a_page_goes_on_with_the_next_server_of_the_same_user(
    tmp_path: Path, context: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    store = sample_store(tmp_path / "store")
    page = context.new_page()
    failed: set[str] = set()
    came: set[str] = set()

    def told(request: Request, of: set[str]) -> None:
        if "/api/lights/" in request.url:
            of.add(request.url)

    with ReviewProcess(store, *OPTIONS) as server:
        hand = ReviewHand(page, server.address)
        hand.go_to(FIRST)
        server.kill()
    page.on("requestfailed", lambda request: told(request, failed))
    page.on("requestfinished", lambda request: told(request, came))
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100.0, box["y"] + 200.0)
    page.mouse.wheel(0, 2400)
    page.locator("#wrong", has_text=AWAY).wait_for()
    hand.press("c")
    page.keyboard.type("written while the server was gone")
    hand.press("Escape")
    page.wait_for_selector("#sending[data-state=waiting]")
    while not failed:
        page.wait_for_timeout(50)
    # No new address is opened: the page and the server know each other by a key
    with ReviewProcess(store, *OPTIONS, port=server.port):
        page.wait_for_selector("#sending[data-state=saved]")
        page.locator("#wrong", has_text=AWAY).wait_for(state="detached")
        assert page.locator("#wrong").inner_text() == ""
        while not failed & came:
            page.wait_for_timeout(50)
        draft = hand.told_of(FIRST)["draft"]
        assert draft["comment"] == "written while the server was gone"
        hand.press("s")
        page.wait_for_selector(f"#photo[data-drawn]:not([data-drawn='{FIRST}'])")
    assert hand.problems == []
    page.close()


def test_a_page_is_told_what_to_do_where_another_user_serves(
    tmp_path: Path, context: BrowserContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sample_store(tmp_path / "store")
    page = context.new_page()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "ours"))
    with ReviewProcess(store, *OPTIONS) as server:
        hand = ReviewHand(page, server.address)
        hand.go_to(FIRST)
        server.kill()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "theirs"))
    with ReviewProcess(store, *OPTIONS, port=server.port):
        hand.press("s")
        told = page.locator("#wrong", has_text="open the address that it printed")
        told.wait_for()
    page.close()
