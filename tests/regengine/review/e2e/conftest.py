"""A browser and a review of the sample photographs, for tests of the page as a person has it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from benchmarks.review import ReviewProcess
from regengine.review.decisions import Decisions, decisions_path
from tests.regengine.review.e2e.stored import FRAMES
from tests.regengine.review.hand import CHROMIUM, ReviewHand, open_browser
from tests.regengine.review.sample import LIGHTS, sample_store

PATIENCE_MS = 120_000  # a slow machine is no failure


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a file: while it runs, no other test can run an event loop."""
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewProcess]:
    """A server on a store that the tests share."""
    store = sample_store(tmp_path_factory.mktemp("review") / "a <b>&amp; store", FRAMES)
    with ReviewProcess(store, "--lights", str(LIGHTS), "--reviewer", "Ada") as process:
        yield process


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A person's browser at the smallest screen that is asked: cookies, storage, cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def hand(context: BrowserContext, server: ReviewProcess) -> Iterator[ReviewHand]:
    """A person who goes to the page; what it throws, or its policy refuses, fails the test.

    What an earlier test began on a frame and did not decide is gone.
    """
    decisions = Decisions(decisions_path(server.store))
    for frame_id in range(len(FRAMES)):
        decisions.drop_draft(frame_id, "Ada")
    decisions.close()
    hand = ReviewHand(context.new_page(), server.address)
    yield hand
    assert hand.problems == []
    hand.page.close()
