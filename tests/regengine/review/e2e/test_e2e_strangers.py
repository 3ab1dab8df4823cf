"""File names and comments of strangers are text, wherever the page shows them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.regengine.review.e2e.stored import IDS, MARKUP, WICKED, WICKED_NAMES
from tests.regengine.review.hand import ReviewHand

pytestmark = pytest.mark.browser


@pytest.fixture
def among_strangers(hand: ReviewHand) -> Iterator[ReviewHand]:
    """A person among files of strangers: nothing of theirs may run."""
    yield hand
    assert hand.page.title() != "run"
    assert hand.page.locator("img[src=x]").count() == 0
    assert hand.page.evaluate("document.scripts.length") == 1


def test_names_of_strangers_are_text(among_strangers: ReviewHand) -> None:
    hand = among_strangers
    hand.go_to(IDS[MARKUP])
    assert hand.page.inner_text("#panel h2") == MARKUP
    listed = hand.page.inner_text("#rows").splitlines()
    # The mark that turns the direction of writing is told instead of obeyed
    assert {name.replace("\u202e", "\\u202e") for name in WICKED_NAMES} <= set(listed)


def test_what_people_write_is_text(among_strangers: ReviewHand) -> None:
    hand = among_strangers
    frame_id = IDS[WICKED]
    hand.go_to(frame_id)
    for key, text in (("c", WICKED), ("t", f"{WICKED}, moon")):
        hand.press(key)
        hand.page.keyboard.type(text)
        hand.press("Escape")
    hand.press("u")
    hand.wait_until_left(frame_id)
    hand.go_to(frame_id)
    hand.page.locator("#panel q", has_text="onerror").wait_for()
    assert hand.page.input_value("#comment") == WICKED


def test_no_path_of_the_machine_is_told(hand: ReviewHand) -> None:
    hand.go_to(0)
    assert "/photos/" not in hand.page.evaluate("document.body.innerText")
