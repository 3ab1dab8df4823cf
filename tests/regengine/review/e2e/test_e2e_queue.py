"""The list of frames: decided ones leave it, many are accepted at once, others are noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from benchmarks.review import ReviewProcess
from tests.regengine.review.e2e.stored import RIGHT
from tests.regengine.review.hand import ReviewHand
from tests.regengine.review.sample import LIGHTS, sample_store

pytestmark = pytest.mark.browser

FRAMES = (
    *((RIGHT, f"ISS990-E-0007{k:02d}") for k in range(5)),
    ("ISS990-E-000105", "ISS990-E-000705"),  # without a proposal
)
OPTIONS = ("--lights", str(LIGHTS))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ReviewProcess]:
    store = sample_store(tmp_path / "store", FRAMES)
    with ReviewProcess(store, *OPTIONS, "--reviewer", "Ada") as process:
        yield process


def test_a_list_is_worked_off(own_server: ReviewProcess, context: BrowserContext) -> None:
    hand = ReviewHand(context.new_page(), own_server.address)
    page = hand.page
    hand.go_to()
    rows = page.locator("#rows [role=option]")
    progress = page.locator("#progress-of-queue")
    expect(rows).to_have_count(6)
    expect(progress).to_contain_text("0 of 6 frames decided")
    # What is decided leaves the list of what is not
    first = page.locator("#rows [aria-selected=true] .name").inner_text()
    hand.press("a")
    hand.wait_until_kept()
    expect(rows).to_have_count(5)
    expect(page.locator("#queue-count")).to_have_text("5 frames")
    assert first not in page.locator("#rows").inner_text()
    expect(progress).to_contain_text("1 of 6 frames decided")
    hand.press("b")  # the one that left is still the frame before
    expect(page.locator("#panel h2")).to_have_text(first)
    # A row has its photo
    expect(page.locator("#rows img.thumb:not(.none)").first).to_be_visible()
    page.wait_for_function(
        "() => [...document.querySelectorAll('#rows img')].some((img) => img.naturalWidth > 50)"
    )
    # Work that was begun is not run over, nor is what has no proposal
    hand.press("s")
    hand.press("c")
    page.keyboard.type("wait")
    hand.press("Escape")
    hand.wait_until_kept()
    hand.press("/")
    page.keyboard.type("ISS990")
    page.locator("#accept-all", has_text="Accept all 3").click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("Accept 3 frames?")
    dialog.get_by_role("button", name="Accept 3 frames").click()
    expect(rows).to_have_count(2)
    expect(progress).to_contain_text("4 of 6 frames decided")
    told = hand.told("/api/frames?tag=accepted%20unseen&status=done")
    assert told["total"] == 3
    assert hand.problems == []
    page.close()


def test_a_person_sees_that_another_has_the_frame(
    own_server: ReviewProcess, context: BrowserContext
) -> None:
    with ReviewProcess(own_server.store, *OPTIONS, "--reviewer", "Bob") as theirs:
        ada = ReviewHand(context.new_page(), own_server.address)
        bob = ReviewHand(context.new_page(), theirs.address)
        ada.go_to(2)
        bob.go_to(2)
        expect(bob.page.locator("#others")).to_have_text("Ada has this frame open, too.")
        bob.press("r")
        bob.wait_until_left(2)
        ada.page.get_by_text("Rejected by Bob").first.wait_for()
        for hand in (ada, bob):
            assert hand.problems == []
            hand.page.close()
